"""The rack with a tunable coupler: its daemon, a Bell state, and what the uploaded CZ does, by truth."""

import re
import shutil
import uuid
from contextlib import contextmanager

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile

from pulsed import pulse
from pulsed.cli import configs
from pulsed.cli.processes import OwnDaemon
from pulsed.cli.simulated_rack import ask_rack, find_control
from pulsed.model.errors import InstrumentLimitError, PulsedError
from pulsed.model.job import JobRequest, RunOptions
from pulsed.provider import PulsedProvider
from pulsed.pulse.serialize import dumps


@contextmanager
def running(home, config="coupler2"):
    """The backend and the control socket of a daemon with a rack of its own."""
    with OwnDaemon(home, config) as daemon, daemon.wait() as client:
        backend = PulsedProvider(client=client).get_backend("coupler2")
        yield backend, lambda operation: ask_rack(find_control(daemon.home), operation)


@pytest.fixture(scope="module")
def rack(tmp_path_factory):
    with running(tmp_path_factory.mktemp("coupler")) as found:
        yield found


@pytest.fixture(scope="module")
def quiet_rack(tmp_path_factory):
    """The rack with a chip that keeps coherence for a millisecond and is cold."""
    folder = tmp_path_factory.mktemp("quiet")
    shipped = configs.shipped()["coupler2"].parent
    for name in ("coupler2.toml", "chips/coupler2.toml", "calibrations/coupler2.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(shipped / name, folder / name)
    chip = folder / "chips" / "coupler2.toml"
    text, count = re.subn(r"(t1|t2_echo|t2_star) = \S+", r"\1 = 1e-3", chip.read_text())
    text, colder = re.subn(r"thermal = \S+", "thermal = 0.0", text)
    assert (count, colder) == (6, 2)
    chip.write_text(text)
    with running(folder / "home", str(folder / "coupler2.toml")) as found:
        yield found


def populations(rack, circuits):
    """Play circuits and return what is true of each: (3, 3) populations when readout begins."""
    backend, ask = rack
    backend.run(circuits, shots=16, rep_delay=10e-3).result()
    return [np.array(found["populations"]) for found in ask("predict")]


def prepared(*ones):
    circuit = QuantumCircuit(2, 2)
    for qubit in ones:
        circuit.x(qubit)
    return circuit


def test_a_bell_state(rack):
    backend, _ = rack
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    bell.measure_all()
    fitted = transpile(bell, backend)
    assert fitted.count_ops()["cz"] == 1
    (true,) = populations(rack, [fitted])
    assert true[0, 0] + true[1, 1] > 0.98
    assert abs(true[0, 0] - true[1, 1]) < 0.02
    shots = 4096
    counts = backend.run(fitted, shots=shots).result().get_counts()
    right = (counts["00"] + counts["11"]) / shots
    # Either qubit's readout errs in 2 % of the shots; 5 standard deviations.
    assert right > 0.98 * 0.96 - 5 * np.sqrt(0.05 / shots), counts
    assert abs(counts["00"] - counts["11"]) / shots < 0.05, counts


def test_the_phase_and_leakage_of_the_cz_that_was_uploaded(quiet_rack):
    """A fringe of Q1 around the CZ with Q0 in 0 and in 1: half a turn apart; CZs on 11 that leak little more than x.

    Without noise what is left is coherent: the tune-up's figures for this pulse are a leakage of 4e-5 and 2e-5 from 11
    and 10 and a swap of 8e-6. Eight in a row add up amplitudes at most: 64 times as much.
    """
    phases = np.arange(6) * np.pi / 3
    circuits = []
    for ones in ((), (0,)):
        for phase in phases:
            circuit = prepared(*ones)
            circuit.sx(1)
            circuit.cz(0, 1)
            circuit.rz(phase, 1)
            circuit.sx(1)
            circuit.measure([0, 1], [0, 1])
            circuits.append(circuit)
    for count in (0, 1, 8):
        circuit = prepared(0, 1)
        for _ in range(count):
            circuit.cz(0, 1)
            circuit.barrier()
        circuit.measure([0, 1], [0, 1])
        circuits.append(circuit)
    found = populations(quiet_rack, circuits)
    flipped = np.array([[p[:, 1].sum() for p in found[:6]], [p[:, 1].sum() for p in found[6:12]]])
    fringes = flipped @ np.exp(1j * phases) / 3
    assert (np.abs(fringes) > 0.499).all()
    assert abs(np.angle(-fringes[1] / fringes[0])) < 0.01
    # Without a conditional phase but for pi, and no virtual z left: the fringe of 0 has its top at phase 0.
    assert abs(np.angle(fringes[0])) < 0.01
    leaked = [p[2].sum() + p[:, 2].sum() for p in found[12:]]
    assert leaked[1] - leaked[0] < 2e-4
    assert leaked[2] - leaked[0] < 64 * 1e-4


def test_a_cz_leaks_by_decoherence_at_most_once_in_a_thousand(rack):
    circuits = [prepared(0, 1), prepared(0, 1)]
    circuits[1].cz(0, 1)
    for circuit in circuits:
        circuit.measure([0, 1], [0, 1])
    without, after = (p[2].sum() + p[:, 2].sum() for p in populations(rack, circuits))
    assert 0 < after - without < 1e-3


def test_a_flux_pulse_of_ones_own_and_what_is_refused(rack):
    backend, ask = rack
    flux = backend.control_channel((0, 1))[0]
    assert backend.configuration().u_channel_lo == [[]]
    assert backend.configuration().channels["u0"]["purpose"] == "coupler flux"
    chirped = pulse.Schedule((0, pulse.Play(pulse.Constant(64, 0.1, angle=1.0), flux)))
    chirped = chirped.insert(64, pulse.Acquire(800, pulse.AcquireChannel(0), pulse.MemorySlot(0)))
    with pytest.raises(PulsedError, match="flux line"):
        backend.run(chirped, shots=16).result()
    assert ask("state")["gs1"]["current"] == pytest.approx(0.418e-3)


def test_another_current_moves_the_coupler_and_the_qubits_for_one_job(rack):
    """60 uA more bring the coupler to 4.93 GHz: Q0 moves by its share in the coupler, and back with the next job."""
    backend, ask = rack
    client = backend.provider.client
    readout = backend.instruction_schedule_map.get("measure", 0)

    def after(**settings):
        options = RunOptions(shots=16, settings={name.replace("_", "."): value for name, value in settings.items()})
        request = JobRequest(uuid.uuid4().hex, ("schedule",), 1, options)
        client.submit(request, [dumps(readout)])
        client.result(request.job_id, 30)
        ask("predict")
        return ask("truth")

    idle, away, back = after(), after(ports_f0_bias=0.478e-3), after()
    assert idle == {**back, "time": idle["time"]}
    down = away["couplings"][0]["coupler"]["frequency"] - idle["couplings"][0]["coupler"]["frequency"]
    assert -300e6 < down < -150e6
    # g^2/D of the coupler, at 950 MHz and then 740 MHz away, is 8.5 and 11 MHz.
    assert -4e6 < away["qubits"][0]["f01"] - idle["qubits"][0]["f01"] < -1e6
    with pytest.raises(InstrumentLimitError, match="level is out of range"):
        after(ports_f0_bias=1.5e-3)
