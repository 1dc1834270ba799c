"""The graph of calibrations: what depends on what, what is stale, and in which order it is mended."""

from pulsed import old_names

__getattr__ = old_names(__name__)
