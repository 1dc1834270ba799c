"""The instrument contract, one module per instrument, and the rack that plays them as one."""
