"""The operators' page: a process of its own, and a client of the daemon like any other; see decision 0053."""
