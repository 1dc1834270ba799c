"""The worker processes: how they are supervised, what they do, and what is said between them and the daemon."""
