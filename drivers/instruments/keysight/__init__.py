"""Keysight."""
