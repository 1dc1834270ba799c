"""What clients of the daemon reach: sockets, keys, and requests."""

from pulsed import old_names

__getattr__ = old_names(__name__)
