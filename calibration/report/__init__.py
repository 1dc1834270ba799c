"""Plots of a whole device, and the page about it."""

from pulsed import old_names

__getattr__ = old_names(__name__)
