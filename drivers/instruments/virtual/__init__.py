"""The AWG8 and the DIG2, the instruments of the simulated rack."""
