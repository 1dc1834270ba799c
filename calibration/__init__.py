"""Routines, fits and the graph of calibrations. Nothing is here yet: sets are read from a file, see ``configs/``."""
