"""The pulse language, hardware-free."""
