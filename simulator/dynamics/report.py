"""How a sequence was simulated, and what was neglected: for the control socket; no instrument reports it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClusterReport:
    """One state that some qubits share.

    Attributes:
        qubits: in rising order.
        method: ``density matrix``, ``state vectors`` (quantum trajectories) or ``matrix product states`` (the same,
            on a line).
        members: states followed at once: realisations of the slow noise, and of the jumps where there are any.
        bond_dimension: the largest that was needed; 0 where there is none.
        discarded_weight: the weight that truncation left out of the worst state of all members; of density matrices, a
            bound of the chance that more qubits have leaked at once than were followed.

    """

    qubits: tuple[int, ...]
    method: str
    members: int
    bond_dimension: int = 0
    discarded_weight: float = 0.0


@dataclass(frozen=True)
class DroppedZz:
    """Two coupled qubits in different states, at least one of them driven: the shift ``zz`` in Hz is left out."""

    qubits: tuple[int, int]
    zz: float


@dataclass(frozen=True)
class Report:
    """All states of a sequence, and what acts between them."""

    clusters: tuple[ClusterReport, ...]
    dropped_zz: tuple[DroppedZz, ...]
