"""Accounting of pulses: each one that the instruments hold is played, or the run is refused."""

from __future__ import annotations

from pulsed.simulator.dynamics.trajectories import SimulationLimitError


def accounted(taken: int, given: int, what: str) -> None:
    """Refuse a run in which some pulses were lost; SimulationLimitError says how many of what.

    A run that has lost a pulse would answer as well as any other, only wrongly.
    """
    if taken != given:
        raise SimulationLimitError(
            "the simulation has lost count: this is a mistake of the simulated rack, please report it",
            subject=what,
            value=f"{taken} of {given}",
            legal="all of them",
        )
