"""What an instrument's table memory holds, by content: pure book-keeping, no I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pulsed import old_names
from pulsed.model.errors import InstrumentLimitError


@dataclass(frozen=True)
class UploadPlan:
    """What has to be sent so that everything wanted is there."""

    delete: tuple[int, ...]
    """Numbers to delete first."""
    send: Mapping[str, int]
    """Name → number, of what the instrument does not hold yet."""
    numbers: Mapping[str, int]
    """Name → number, of all that was wanted."""


class TableMemory:
    """Maps content hashes to the numbers of an instrument's tables; forgets what was not used for longest.

    Args:
        subject: of its errors, ``"instrument awg1"``.
        what: what is stored, for messages: ``"waveform memory"``.
        capacity: total size, in the unit of the sizes.
        numbers: the numbers that the instrument has.

    """

    def __init__(self, subject: str, what: str, capacity: int, numbers: range) -> None:
        self._subject = subject
        self._what = what
        self.capacity = capacity
        self._range = numbers
        self._held: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._taken: set[int] = set()
        self._used = 0
        self._next = 0

    @property
    def used(self) -> int:
        """The size of all that is held."""
        return self._used

    def __contains__(self, name: str) -> bool:
        return name in self._held

    def __len__(self) -> int:
        return len(self._held)

    def numbers(self) -> dict[int, str]:
        """Return what is held: number → name."""
        return {number: name for name, (number, _) in self._held.items()}

    def load(self, entries: Iterable[tuple[int, int, str]]) -> list[int]:
        """Start again with ``entries`` (number, size, name); return the numbers of those that cannot be kept.

        Two with the same name are one too many.
        """
        self._held.clear()
        self._taken.clear()
        self._used = 0
        spare = []
        for number, size, name in entries:
            if name in self._held or number not in self._range:
                spare.append(number)
            else:
                self._add(name, number, size)
        return spare

    def check(self, wanted: Mapping[str, int]) -> None:
        """Raise :class:`InstrumentLimitError` when ``wanted`` (name → size) can not be held at once."""
        for value, limit, unit in (
            (sum(wanted.values()), self.capacity, ""),
            (len(wanted), len(self._range), " tables"),
        ):
            if value > limit:
                raise InstrumentLimitError(
                    f"the program does not fit into the {self._what}",
                    subject=self._subject,
                    value=f"{value}{unit}",
                    legal=f"up to {limit}{unit}",
                )

    def plan(self, wanted: Mapping[str, int]) -> UploadPlan:
        """Return how to make all of ``wanted`` (name → size) be there, and take it for done.

        Raises :class:`InstrumentLimitError` when it can not, and then changes nothing.
        """
        self.check(wanted)
        delete = []
        for name, size in wanted.items():
            if name in self._held and self._held[name][1] != size:
                delete.append(self._drop(name))
            elif name in self._held:
                self._held.move_to_end(name)
        new = {name: size for name, size in wanted.items() if name not in self._held}
        need = sum(new.values())
        while self._used + need > self.capacity or len(self._held) + len(new) > len(self._range):
            # What is wanted was moved to the end, so the oldest is not wanted as long as `wanted` fits at all.
            delete.append(self._drop(next(iter(self._held))))
        send = {}
        for name, size in new.items():
            send[name] = self._free_number()
            self._add(name, send[name], size)
        return UploadPlan(tuple(delete), send, {name: self._held[name][0] for name in wanted})

    def _add(self, name: str, number: int, size: int) -> None:
        self._held[name] = (number, size)
        self._taken.add(number)
        self._used += size

    def _drop(self, name: str) -> int:
        number, size = self._held.pop(name)
        self._taken.discard(number)
        self._used -= size
        return number

    def _free_number(self) -> int:
        while True:
            number = self._range[self._next % len(self._range)]
            self._next += 1
            if number not in self._taken:
                return number


__getattr__ = old_names(__name__)
