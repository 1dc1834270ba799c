"""The simulated rack: physics of the chip, and the virtual instruments in front of it."""
