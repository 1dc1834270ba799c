"""The protocol between clients and a daemon as bytes and states. Sockets are elsewhere."""
