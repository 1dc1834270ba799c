"""Qiskit 1.4's ``schedule``, run by the Python of its own environment: one JSON line in, one out.

First {"backend": what ``benchmarks.peer.gates_of`` returns, "circuits": a QPY file}, answered with how many circuits
there are; then numbers of circuits, each scheduled and answered with how many pulses it plays.
"""

import json
import sys
import warnings

from qiskit import pulse, qpy
from qiskit.circuit import Parameter
from qiskit.compiler import schedule

CHANNELS = {"d": pulse.DriveChannel, "u": pulse.ControlChannel, "m": pulse.MeasureChannel, "a": pulse.AcquireChannel}


def channel(name):
    return CHANNELS[name[0]](int(name[1:]))


def instruction(kind, *fields):
    if kind == "play":
        shape, parameters, name = fields
        return pulse.Play(getattr(pulse.library, shape)(**parameters), channel(name))
    if kind == "shift_phase":
        return pulse.ShiftPhase(fields[0], channel(fields[1]))
    if kind == "acquire":
        return pulse.Acquire(fields[0], pulse.AcquireChannel(fields[1]), pulse.MemorySlot(fields[1]))
    return pulse.Delay(fields[0], channel(fields[1]))


def inst_map(backend):
    found = pulse.InstructionScheduleMap()
    for gate in backend["gates"]:
        result = pulse.Schedule(name=gate["name"])
        angle = Parameter("angle")
        for time, *rest in gate["instructions"]:
            item = instruction(*rest)
            if gate["name"] == "rz":
                item = pulse.ShiftPhase(backend["turn"] * angle, item.channel)
            result = result.insert(time, item)
        found.add(gate["name"], gate["qubits"], result, ["angle"] if gate["name"] == "rz" else None)
    return found


def main():
    warnings.filterwarnings("ignore")
    first = json.loads(sys.stdin.readline())
    gates = inst_map(first["backend"])
    with open(first["circuits"], "rb") as file:  # noqa: PTH123 - a script for a foreign environment, kept plain
        circuits = qpy.load(file)
    print(len(circuits), flush=True)
    for line in sys.stdin:
        circuit = circuits[json.loads(line)]
        found = schedule(circuit, inst_map=gates, meas_map=first["backend"]["meas_map"], dt=first["backend"]["dt"])
        print(sum(isinstance(item, pulse.Play) for _, item in found.instructions), flush=True)


if __name__ == "__main__":
    main()
