"""Racks, chips and calibration sets as data."""
