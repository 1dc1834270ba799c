"""Routines are run on many targets at once, and what they find is committed and verified."""

from pulsed import old_names

__getattr__ = old_names(__name__)
