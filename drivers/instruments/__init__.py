"""The drivers, in one folder per maker."""
