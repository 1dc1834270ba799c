"""`pulsed doctor`: what is wrong with a daemon and what it stands on, and what to do about each thing."""
