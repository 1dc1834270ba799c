"""The memory of an instrument for tables: waveforms, sequences, kernels, acquisition tables, each by its number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pulsed.simulator.instruments.scpi import ScpiError


@dataclass(frozen=True)
class StoredTable:
    """What every table has for its catalog: a name and its size in samples, events or records."""

    name: str
    size: int


Stored = TypeVar("Stored", bound=StoredTable)


class StoredTables(dict[int, Stored]):
    """Tables by number, in a memory that they share.

    Args:
        what: one of them, for error entries.
        unit: what :attr:`StoredTable.size` counts.
        memory: how much all of them may have.

    Attributes:
        free: what is left of the memory.

    """

    def __init__(self, what: str, unit: str, memory: int) -> None:
        super().__init__()
        self._what, self._unit, self._memory = what, unit, memory
        self.free = memory

    def need(self, number: int) -> Stored:
        """Return a table; ScpiError (-224) when there is none of this number."""
        found = self.get(number)
        if found is None:
            raise ScpiError(-224, f"there is no {self._what} {number}")
        return found

    def check_room(self, sizes: Mapping[int, int]) -> None:
        """ScpiError (-223) when tables of ``sizes``, by number, do not fit in place of those of the same numbers."""
        room = self.free + sum(self[number].size for number in sizes if number in self)
        if (size := sum(sizes.values())) > room:
            raise ScpiError(-223, f"{size} {self._unit}, free {room}")

    def put(self, number: int, table: Stored) -> None:
        """Store a table in place of one of the same number; ScpiError (-223) when it does not fit."""
        self.check_room({number: table.size})
        old = self.get(number)
        self.free += (old.size if old else 0) - table.size
        self[number] = table

    def drop(self, number: int) -> None:
        """Delete a table."""
        self.free += self.pop(number).size

    def clear(self) -> None:
        """Delete all tables."""
        super().clear()
        self.free = self._memory

    def catalog(self) -> str:
        """Return ``id,size,"name"`` of every table, in order of id."""
        return ",".join(f'{number},{table.size},"{table.name}"' for number, table in sorted(self.items()))
