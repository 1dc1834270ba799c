"""The routines: one module per routine or close family."""
