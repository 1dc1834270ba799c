"""One connection to a daemon, without Qiskit."""

from pulsed.client.client import Client

__all__ = ["Client"]
