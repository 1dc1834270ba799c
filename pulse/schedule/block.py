"""ScheduleBlock: instructions in order, with times that follow from an alignment context."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeAlias, Union

from qiskit.circuit import Parameter, ParameterExpression

from pulsed.pulse.alignments import AlignLeft, AlignmentKind
from pulsed.pulse.channels import Channel
from pulsed.pulse.exceptions import PulseError, UnassignedReferenceError
from pulsed.pulse.filters import Rule, composite_filter, filter_instructions
from pulsed.pulse.foreign import adopted
from pulsed.pulse.instructions import Instruction, Reference
from pulsed.pulse.program import PulseProgram
from pulsed.pulse.schedule.equality import same_up_to_commuting
from pulsed.pulse.schedule.references import ReferenceManager, keys_of
from pulsed.pulse.schedule.scheduling import block_to_schedule
from pulsed.pulse.schedule.timeline import Schedule, TimedInstruction
from pulsed.pulse.utils import Value, resolve

BlockComponent: TypeAlias = Union["ScheduleBlock", Instruction]


@dataclass(frozen=True, slots=True)
class Subroutine:
    """A reference with the block assigned to it."""

    reference: Reference
    block: ScheduleBlock


class ScheduleBlock(PulseProgram):
    """Instructions and blocks in order; an alignment context gives them times when all durations are known.

    Durations may be parameters, and parts may be references to subroutines assigned later. An appended block is taken
    as it is at that moment.

    Args:
        name: by default ``block`` and a number.
        metadata: anything the user wants to keep with the block.
        alignment_context: by default :class:`~pulsed.pulse.transforms.AlignLeft`.

    Raises:
        PulseError: the context is none.

    """

    prefix: ClassVar[str] = "block"
    instances_counter: ClassVar[itertools.count[int]] = itertools.count()

    def __init__(
        self,
        name: str | None = None,
        metadata: dict[str, Any] | None = None,
        alignment_context: AlignmentKind | None = None,
    ) -> None:
        if alignment_context is not None and not isinstance(alignment_context, AlignmentKind):
            raise PulseError("not an alignment context", subject="ScheduleBlock", value=alignment_context)
        super().__init__(f"{self.prefix}{next(self.instances_counter)}" if name is None else str(name), metadata)
        self._alignment = alignment_context or AlignLeft()
        self._parts: list[BlockComponent | Subroutine] = []

    @classmethod
    def initialize_from(cls, other_program: Any, name: str | None = None) -> Self:
        """Return an empty block with the name, metadata and, if it has one, context of ``other_program``."""
        context = getattr(other_program, "alignment_context", None)
        name = other_program.name if name is None else name
        return cls(name=name, metadata=dict(other_program.metadata), alignment_context=context)

    def rename(self, name: str | None) -> None:
        """Change the name, unless ``name`` is None."""
        self._name = self._name if name is None else str(name)

    @property
    def alignment_context(self) -> AlignmentKind:
        """How the parts get their times."""
        return self._alignment

    @property
    def blocks(self) -> tuple[BlockComponent, ...]:
        """The parts in order; an assigned reference appears as its subroutine."""
        return tuple(part.block if isinstance(part, Subroutine) else part for part in self._parts)

    @property
    def parts(self) -> tuple[BlockComponent | Subroutine, ...]:
        """The parts in order; an assigned reference appears with its subroutine."""
        return tuple(self._parts)

    @property
    def references(self) -> ReferenceManager:
        """The references of this block and its nested blocks, with their subroutines or None.

        References inside of a subroutine belong to the subroutine: ``block.references[keys].references``.
        """
        found = ReferenceManager()
        for part in _scope(self):
            if isinstance(part, Subroutine):
                found[part.reference.ref_keys] = part.block
            elif isinstance(part, Reference):
                found.setdefault(part.ref_keys, None)
        return found

    def is_referenced(self) -> bool:
        """Return whether this scope has references, assigned or not."""
        return any(isinstance(part, (Reference, Subroutine)) for part in _scope(self))

    @property
    def parameters(self) -> set[Parameter]:
        """The parameters that have no value yet."""
        found: set[Parameter] = set()
        found.update(*(context.parameters for context in _contexts(self)))
        found.update(*(leaf.parameters for leaf in _leaves(self)))
        return found

    def is_schedulable(self) -> bool:
        """Return whether all durations are known and all references assigned."""
        if any(context.parameters for context in _contexts(self)):
            return False
        return not any(
            isinstance(leaf, Reference) or isinstance(leaf.duration, ParameterExpression) for leaf in _leaves(self)
        )

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels in use, in the order of their first use.

        Raises:
            UnassignedReferenceError: a reference has no subroutine.

        """
        found: dict[Channel, None] = {}
        for leaf in _leaves(self):
            if isinstance(leaf, Reference):
                raise UnassignedReferenceError(
                    "channels are unknown while a reference is not assigned",
                    subject=f"ScheduleBlock {self._name!r}",
                    value=leaf.ref_keys,
                )
            found.update(dict.fromkeys(leaf.channels))
        return tuple(found)

    @property
    def duration(self) -> int:
        """Time at which the last instruction ends, in dt."""
        return block_to_schedule(self).duration

    @property
    def instructions(self) -> tuple[TimedInstruction, ...]:
        """The instructions with their times, sorted, as in the schedule of this block."""
        return block_to_schedule(self).instructions

    def ch_duration(self, *channels: Channel) -> int:
        """Return the time at which the last instruction on any of ``channels`` ends."""
        return block_to_schedule(self).ch_duration(*channels)

    def append(self, block: BlockComponent, name: str | None = None, inplace: bool = True) -> ScheduleBlock:
        """Return this block with ``block`` after its last part.

        Args:
            block: an instruction or a block.
            name: of the result, by default this one's; not used in place.
            inplace: change and return this block.

        Raises:
            PulseError: ``block`` is neither, or its references contradict this block's.

        """
        if not isinstance(block, (ScheduleBlock, Instruction)):
            block = adopted(block)
        if not isinstance(block, (ScheduleBlock, Instruction)):
            raise PulseError(
                "cannot be part of a ScheduleBlock",
                subject=type(block).__name__,
                value=block,
                legal="an instruction or a ScheduleBlock",
            )
        part: BlockComponent | Subroutine = block
        if isinstance(block, ScheduleBlock):
            if block is not self:
                self._check_cycle(block)
            if block.is_referenced():
                self._check_references(block.references)
            part = block.copy()
        target = self if inplace else self.copy(name)
        target.extend((part,))
        return target

    def extend(self, parts: Iterable[BlockComponent | Subroutine]) -> None:
        """Append ``parts`` of another block in place, as they are, without the checks of :meth:`append`."""
        self._parts.extend(parts)

    def append_subroutine(self, reference: Reference, subroutine: ScheduleBlock) -> ScheduleBlock:
        """Append, in place, ``reference`` with the block it stands for.

        Raises:
            PulseError: the same reference already stands for another block.

        """
        self._check_cycle(subroutine)
        self._check_references({reference.ref_keys: subroutine})
        self._parts.append(Subroutine(reference, subroutine))
        return self

    def _check_references(self, new: Mapping[tuple[str, ...], ScheduleBlock | None]) -> None:
        mine = self.references
        for keys, subroutine in new.items():
            known = mine.get(keys)
            if known is not None and subroutine is not None and known != subroutine:
                raise PulseError(
                    "this reference is already assigned to another subroutine",
                    subject=f"ScheduleBlock {self._name!r}",
                    value=keys,
                )

    def assign_references(
        self, subroutine_dict: Mapping[str | tuple[str, ...], ScheduleBlock], inplace: bool = True
    ) -> ScheduleBlock:
        """Return this block with subroutines for its references.

        Args:
            subroutine_dict: keys of a reference, or its name if that is its only key → block.
            inplace: change and return this block; if that fails it is unchanged.

        Raises:
            PulseError: no reference has these keys, it stands for another block already, a subroutine is no
                ScheduleBlock, or a subroutine holds the block it is assigned to.

        """
        wanted = {keys_of(keys): block for keys, block in subroutine_dict.items()}
        mine = self.references
        for keys, block in wanted.items():
            if keys not in mine:
                raise PulseError(
                    "no such reference in this scope",
                    subject=f"ScheduleBlock {self._name!r}",
                    value=keys,
                    legal=list(mine),
                )
            if not isinstance(block, ScheduleBlock):
                raise PulseError("a subroutine must be a ScheduleBlock", subject=str(keys), value=block)
            self._check_cycle(block)
        self._check_references(wanted)
        target = self if inplace else self.copy()
        target._substitute(wanted)
        return target

    def _check_cycle(self, other: ScheduleBlock) -> None:
        if _holds(other, self):
            raise PulseError(
                f"cyclic reference: ScheduleBlock {other.name!r} holds this block",
                subject=f"ScheduleBlock {self._name!r}",
            )

    def _substitute(self, wanted: Mapping[tuple[str, ...], ScheduleBlock]) -> None:
        for index, part in enumerate(self._parts):
            if isinstance(part, ScheduleBlock):
                part._substitute(wanted)
            elif isinstance(part, Reference) and part.ref_keys in wanted:
                self._parts[index] = Subroutine(part, wanted[part.ref_keys])

    def assign_parameters(self, value_dict: Mapping[Any, Value], inplace: bool = True) -> ScheduleBlock:
        """Return this block with values for its parameters, subroutines included.

        Args:
            value_dict: parameter, parameter vector or name → number, expression, or sequence for a vector.
            inplace: change and return this block; if that fails it is unchanged.

        Raises:
            PulseError: a value that is not legal where it is used.

        """
        assigned = self.assigned(resolve(value_dict, self.parameters))
        if not inplace:
            return assigned
        self._parts, self._alignment = list(assigned.parts), assigned.alignment_context
        return self

    def assigned(self, values: Mapping[Parameter, Value]) -> ScheduleBlock:
        """Return this block with ``values`` put in for its parameters."""
        new = ScheduleBlock(self._name, dict(self._metadata), self._alignment.assigned(values))
        new.extend(
            Subroutine(part.reference, part.block.assigned(values))
            if isinstance(part, Subroutine)
            else part.assigned(values)
            for part in self._parts
        )
        return new

    def replace(self, old: BlockComponent, new: BlockComponent, inplace: bool = True) -> ScheduleBlock:
        """Return this block with ``new`` for every part that equals ``old``, at any depth."""
        result = ScheduleBlock.initialize_from(self)
        for part in self._parts:
            inner = part.block if isinstance(part, Subroutine) else part
            if inner == old:
                result.append(new)
            else:
                result.extend((part.replace(old, new, inplace=False) if isinstance(part, ScheduleBlock) else part,))
        if not inplace:
            return result
        self._parts = list(result.parts)
        return self

    def where(self, rule: Rule) -> Self:
        """Return a block of the instructions for which ``rule`` is true, nested as here, without empty blocks."""
        kept = self.initialize_from(self)
        for part in self.blocks:
            if isinstance(part, ScheduleBlock):
                inner = part.where(rule)
                if len(inner):
                    kept.append(inner)
            elif rule(part):
                kept.append(part)
        return kept

    def filter(
        self,
        *filter_funcs: Callable[[Instruction], bool],
        channels: Iterable[Channel] | Channel | None = None,
        instruction_types: Iterable[type] | type | None = None,
        check_subroutine: bool = True,
    ) -> ScheduleBlock:
        """Return a block of the instructions that pass all filters, nested as here; arguments as for Schedule."""
        rules = [*composite_filter(channels, instruction_types), *filter_funcs]
        return filter_instructions(self, rules)

    def exclude(
        self,
        *filter_funcs: Callable[[Instruction], bool],
        channels: Iterable[Channel] | Channel | None = None,
        instruction_types: Iterable[type] | type | None = None,
        check_subroutine: bool = True,
    ) -> ScheduleBlock:
        """Return a block without the instructions that :meth:`filter` would keep."""
        rules = [*composite_filter(channels, instruction_types), *filter_funcs]
        return filter_instructions(self, rules, negate=True)

    def copy(self, name: str | None = None) -> ScheduleBlock:
        """Return a copy, whose changes leave this block as it is; ``name``: of the copy, by default this one's."""
        new = ScheduleBlock(self._name if name is None else name, dict(self._metadata), self._alignment)
        new.extend(part.copy() if isinstance(part, ScheduleBlock) else part for part in self._parts)
        return new

    def __add__(self, other: BlockComponent) -> ScheduleBlock:
        return self.append(other, inplace=False)

    def __len__(self) -> int:
        return len(self._parts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScheduleBlock):
            return False
        if self._alignment != other.alignment_context or len(self) != len(other):
            return False
        mine, theirs = self.blocks, other.blocks
        if mine == theirs:
            return True
        unknown = any(isinstance(leaf, Reference) for leaf in itertools.chain(_leaves(self), _leaves(other)))
        return not self._alignment.is_sequential and not unknown and same_up_to_commuting(mine, theirs)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.blocks[:50]))
        more = ", ..." if len(self) > 50 else ""
        return f'ScheduleBlock({shown}{more}, name="{self._name}", transform={self._alignment!r})'


def _scope(block: ScheduleBlock) -> Iterator[Instruction | Subroutine]:
    """All instructions and subroutines of the scope of ``block``, nested blocks opened."""
    for part in block.parts:
        if isinstance(part, ScheduleBlock):
            yield from _scope(part)
        else:
            yield part


def instructions_of(program: Schedule | ScheduleBlock) -> Iterator[Instruction]:
    """Yield the instructions of a pulse program, also of a block whose times are not known yet."""
    if isinstance(program, ScheduleBlock):
        yield from _leaves(program)
    else:
        yield from (instruction for _, instruction in program.instructions)


def _leaves(block: ScheduleBlock) -> Iterator[Instruction]:
    """All instructions of ``block``, nested blocks and subroutines opened."""
    for part in block.blocks:
        if isinstance(part, ScheduleBlock):
            yield from _leaves(part)
        else:
            yield part


def _contexts(block: ScheduleBlock) -> Iterator[AlignmentKind]:
    """The contexts of ``block`` and of all blocks in it."""
    yield block.alignment_context
    for part in block.blocks:
        if isinstance(part, ScheduleBlock):
            yield from _contexts(part)


def _holds(block: ScheduleBlock, other: ScheduleBlock) -> bool:
    return block is other or any(isinstance(part, ScheduleBlock) and _holds(part, other) for part in block.blocks)
