"""What commands show on the terminal."""

from pulsed import old_names

__getattr__ = old_names(__name__)
