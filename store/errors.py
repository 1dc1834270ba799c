"""Errors of the store that no other folder raises."""

from __future__ import annotations

from pulsed.model.errors import PulsedError


class LeaseError(PulsedError):
    """Another daemon owns this rack."""

    code = "lease"


class LeaseLostError(LeaseError):
    """The rack was ours, and is no longer. Nothing was written."""

    code = "lease_lost"
