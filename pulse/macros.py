"""Macros: schedules made from a backend's own measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pulsed.pulse.backends import inst_map_of, meas_map_of, num_qubits_of
from pulsed.pulse.channels import AcquireChannel, MeasureChannel, MemorySlot
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import Acquire, Instruction
from pulsed.pulse.interop import from_qiskit, is_qiskit_program
from pulsed.pulse.schedule.timeline import Schedule
from pulsed.pulse.transforms.canonicalization import target_qobj_transform
from pulsed.pulse.utils import format_meas_map


def measure(
    qubits: Sequence[int] | int,
    backend: Any = None,
    inst_map: Any = None,
    meas_map: list[list[int]] | dict[int, list[int]] | None = None,
    qubit_mem_slots: dict[int, int] | None = None,
    measure_name: str = "measure",
) -> Schedule:
    """Return a schedule that measures ``qubits`` at time zero.

    Args:
        qubits: which; of the group that is measured together only these are kept.
        backend: gives ``inst_map`` and ``meas_map`` when they are not given.
        inst_map: has the measurement by name, for each qubit or for its whole group.
        meas_map: groups of qubits measured together.
        qubit_mem_slots: qubit → index of its memory slot, by default its own.
        measure_name: of the measurement.

    Raises:
        PulseError: a qubit has no such measurement, or two share a memory slot.

    """
    one = int(qubits) if isinstance(qubits, np.integer) else qubits
    wanted = [one] if isinstance(one, int) else [int(qubit) for qubit in one]
    twice = sorted({qubit for qubit in wanted if wanted.count(qubit) > 1})
    if twice:
        raise PulseError("a qubit is measured once at a time", subject="measure", value=twice, legal="each qubit once")
    if inst_map is None:
        inst_map = inst_map_of(backend)
    if inst_map is None:
        legal = "an inst_map, or a backend with an instruction_schedule_map or defaults()"
        raise PulseError("there are no schedules of gates", subject="measure", value=backend, legal=legal)
    if meas_map is None:
        meas_map = meas_map_of(backend) or [[qubit] for qubit in wanted]
    groups = format_meas_map(meas_map) if isinstance(meas_map, list) else meas_map
    slots = {qubit: qubit for qubit in wanted} | {q: s for q, s in (qubit_mem_slots or {}).items() if q in wanted}
    if len(set(slots.values())) < len(slots):
        raise PulseError("two qubits share a memory slot", subject="measure", value=slots)
    timed: dict[int, list[tuple[int, Instruction]]] = {}
    for qubit in wanted:
        timed[qubit] = _of_one(qubit, _measurement(inst_map, measure_name, qubit, groups.get(qubit)), slots)
    name = f"Default measurement schedule for qubits {wanted}"
    return Schedule(*(item for items in timed.values() for item in items), name=name)


def _measurement(inst_map: Any, name: str, qubit: int, group: list[int] | None) -> Any:
    for key in (qubit, tuple(group or ())):
        if key != () and inst_map.has(name, key):
            return inst_map.get(name, key)
    raise PulseError(
        f"no measurement {name!r}; another can be named with measure_name",
        subject=f"qubit {qubit}",
        legal=", ".join(inst_map.instructions),
    )


def _of_one(qubit: int, schedule: Any, slots: dict[int, int]) -> list[tuple[int, Instruction]]:
    """Return the instructions on the readout channels of one qubit, its result in the wanted slot."""
    kept: list[tuple[int, Instruction]] = []
    mine = {MeasureChannel(qubit), AcquireChannel(qubit)}
    if is_qiskit_program(schedule):
        schedule = from_qiskit(schedule)
    for time, instruction in target_qobj_transform(schedule).instructions:
        if mine.isdisjoint(instruction.channels):
            continue
        if isinstance(instruction, Acquire):
            into = Acquire(
                instruction.duration,
                instruction.channel,
                MemorySlot(slots[qubit]),
                instruction.reg_slot,
                instruction.kernel,
                instruction.discriminator,
                instruction.name,
            )
            kept.append((time, into))
        else:
            kept.append((time, instruction))
    return kept


def measure_all(backend: Any) -> Schedule:
    """Return a schedule that measures all qubits of ``backend`` into the memory slots of their indices."""
    return measure(range(num_qubits_of(backend)), backend)
