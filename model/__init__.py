"""Values that all share, without I/O: units, device description, calibration set, results, error codes."""
