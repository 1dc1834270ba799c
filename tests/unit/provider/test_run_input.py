"""What was given to run, as it is sent."""

from datetime import UTC, datetime

import numpy as np
import pytest
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Gate, Parameter

from pulsed.model.errors import PulsedError
from pulsed.provider import PulsedBackend
from pulsed.provider.errors import (
    UnsupportedCircuitError,
)
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play, SetPhase, ShiftPhase
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule, ScheduleBlock
from pulsed.pulse.serialize import loads

from .programs import circuit_of, measured, readout


class TestPacking:
    def test_mixed_programs_keep_their_order(self, backend: PulsedBackend, daemon) -> None:
        block = ScheduleBlock(name="block")
        block.append(Acquire(1200, AcquireChannel(0), MemorySlot(0)))
        backend.run([measured(), measured(), readout(1), measured(), block])
        request, parts = daemon.received[0]
        assert request.kinds == ("qpy", "schedule", "qpy", "schedule")
        assert request.num_programs == 5
        assert loads(parts[1]) == readout(1)

    def test_pulse_gates(self, backend: PulsedBackend, daemon) -> None:
        daemon.hold = True
        circuit = QuantumCircuit(1, 1)
        circuit.append(Gate("custom", 1, []), [0])
        circuit.measure(0, 0)
        with pytest.raises(UnsupportedCircuitError, match="custom"):
            backend.run(circuit)
        pulse = Schedule((0, Play(Constant(160, 0.3), DriveChannel(0))))
        backend.run(circuit, calibrations={("custom", 0): pulse, ("rz", (1,), (0.5,)): pulse})
        request, parts = daemon.received[0]
        assert request.kinds == ("qpy", "gate", "gate")
        assert request.gates == (("custom", (0,), ()), ("rz", (1,), (0.5,)))
        assert loads(parts[1]) == pulse
        assert backend.run(circuit, calibrations={("custom", 0): pulse}).schedules()[0].duration >= 160 + 1200

    def test_pulse_gates_with_parameters(self, backend: PulsedBackend, daemon) -> None:
        """As OpenPulse text with ``defcal probe(angle a, float b) $0`` gives them: one for each value in use."""
        daemon.hold = True
        a, b, free = Parameter("a"), Parameter("b"), Parameter("free")
        text = Schedule(ShiftPhase(-a, DriveChannel(0)), Play(Constant(160, b), DriveChannel(0)))
        exact, unused = Schedule(SetPhase(0.0, DriveChannel(0))), Schedule(ShiftPhase(a, DriveChannel(1)))
        given = {
            ("probe", (0,), (a, b)): text,
            ("probe", (0,), (0.5, 0.25)): exact,
            ("rz", (1,), (a,)): unused,
        }
        circuit = QuantumCircuit(1, 1, name="scan")
        for values in ((0.1, 0.2), (0.3, 0.2), (0.1, 0.2), (0.5, 0.25)):
            circuit.append(Gate("probe", 1, list(values)), [0])
        circuit.measure(0, 0)
        with circuit.if_test((0, 1)):
            circuit.append(Gate("probe", 1, [0.7, 0.1]), [0])
        backend.run(circuit, calibrations=given)
        request, parts = daemon.received[0]
        sent = dict(zip(request.gates, map(loads, parts[1:]), strict=True))
        assert sent == {
            ("probe", (0,), (0.5, 0.25)): exact,
            **{
                ("probe", (0,), values): text.assign_parameters(dict(zip((a, b), values, strict=True)), inplace=False)
                for values in ((0.1, 0.2), (0.3, 0.2), (0.7, 0.1))
            },
        }
        shown = backend.schedule(circuit_of(("probe", (0.1, 0.2))), calibrations=given)
        assert (0, ShiftPhase(-0.1, DriveChannel(0))) in [(0, part) for _, part in shown.instructions]
        with pytest.raises(ValueError, match=r"probe\(a, 0.5\) on 0.*assign_parameters first; got b; legal: a"):
            backend.run(circuit, calibrations={("probe", (0,), (a, 0.5)): text})
        with pytest.raises(
            ValueError, match=r"circuit 0 'loud'.*does not take these values.*got probe\(0.1, 2.0\) on 0"
        ):
            backend.run(circuit_of(("probe", (0.1, 2.0)), name="loud"), calibrations=given)
        late = circuit_of(("probe", (free, 0.2)), name="late")
        with pytest.raises(UnsupportedCircuitError, match=r"circuit 0 'late'.*got probe\(free, 0.2\) on 0"):
            backend.run(late, calibrations=given, parameter_binds=[{free: [0.1]}])
        assert len(daemon.received) == 1

    def test_an_older_daemon_gets_an_older_qpy(self, backend: PulsedBackend, daemon) -> None:
        daemon.greeting.qpy = (13, 15)
        backend.run(measured())
        assert daemon.received[0][1][0][:7] == b"QISKIT" + bytes([min(15, qpy.QPY_VERSION)])

    def test_never_below_13(self, backend: PulsedBackend, daemon, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(qpy, "QPY_COMPATIBILITY_VERSION", 10)  # as in Qiskit 1.4, which still writes older ones
        daemon.greeting.qpy = (8, 12)
        with pytest.raises(PulsedError, match="no QPY version") as caught:
            backend.run(measured())
        assert caught.value.code == "incompatible"
        assert daemon.received == []

    def test_metadata_that_is_no_json(self, backend: PulsedBackend) -> None:

        circuit = measured()
        circuit.metadata = {"array": np.arange(3), "when": datetime(2026, 1, 1, tzinfo=UTC), "z": 1j}
        result = backend.run(circuit).result()
        assert result.results[0].header["metadata"]["z"] == 1j
