"""Everything durable: jobs, their payloads, chunks and results, calibration sets, and the lease on a rack."""

from pulsed.store.errors import LeaseError, LeaseLostError
from pulsed.store.jobs import Changes
from pulsed.store.store import Store

__all__ = ["Changes", "LeaseError", "LeaseLostError", "Store"]
