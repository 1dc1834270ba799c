"""Routines, fits, and the graph of calibrations that brings a machine up and keeps it calibrated."""
