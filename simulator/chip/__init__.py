"""The true parameters of a chip, the files that hold them, and their drift."""

from pulsed import old_names

__getattr__ = old_names(__name__)
