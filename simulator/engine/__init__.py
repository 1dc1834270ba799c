"""The engine that plays sequences on the chip: states, what acts on them, and the results of the shots."""

from pulsed import old_names

__getattr__ = old_names(__name__)
