"""SCPI sessions, and what drivers of SCPI instruments share."""

from pulsed import old_names

__getattr__ = old_names(__name__)
