"""Dispersive readout: from bursts at the resonators to what the digitizer records."""

from pulsed import old_names

__getattr__ = old_names(__name__)
