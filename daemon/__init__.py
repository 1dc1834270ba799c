"""Queue, workers, sockets and supervision: the process that owns a rack."""
