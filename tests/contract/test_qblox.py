"""The driver of a Qblox Cluster against the emulated one, which executes the program that it was sent."""

import socket
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile

import pulsed.configs
from pulsed.compiler.compile import Compiler
from pulsed.compiler.program import PortSettings
from pulsed.drivers.contract import InstrumentState, OutputSettings, after
from pulsed.drivers.programs import Transceived
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.drivers.rack.rack import Rack
from pulsed.model.calibration import load_calibration
from pulsed.model.errors import (
    InstrumentError,
    InstrumentLimitError,
    InstrumentOverheatedError,
    InstrumentReferenceLostError,
    InstrumentRefusedError,
    InstrumentUnreachableError,
    WrongInstrumentError,
)
from pulsed.model.job import RunOptions
from pulsed.model.payload import read_array
from pulsed.provider.target import build_target
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant, Gaussian
from pulsed.pulse.schedule import Schedule
from pulsed.testing.chunks import make_chunk
from pulsed.testing.driver_contract import DigitizerContract, DriverContract, GeneratorContract, TransceiverContract

pytest.importorskip("qblox_instruments", reason="the maker's package comes with pulsed[qblox]")

from pulsed.drivers.instruments.qblox.driver import ClusterDriver
from pulsed.drivers.rack import validation

CONFIGS = Path(pulsed.configs.__file__).parent
EXAMPLES = CONFIGS / "examples"


@pytest.fixture(scope="module")
def behind(start_behind):
    return start_behind(EXAMPLES / "qblox.toml", EXAMPLES / "chips" / "qblox5.toml")


def say(address, line):
    """Send one line past the driver; return the answer to a query."""
    _, host, port, _ = address.split("::")
    with socket.create_connection((host, int(port)), timeout=5) as peer, peer.makefile("rb") as answers:
        peer.sendall(line.encode() + b"\n" + (b"" if "?" in line else b"*OPC?\n"))
        return answers.readline().decode().strip()


def once(contract):
    """Return ``contract`` without what every driver keeps to: that is tested of the same driver elsewhere."""
    return type(contract.__name__, (contract,), dict.fromkeys(n for n in vars(DriverContract) if n.startswith("test_")))


@pytest.fixture(scope="module")
def shared(behind):
    """One driver for many tests: the maker's object makes 1600 parameters for each connection."""
    driver = ClusterDriver("cluster", behind.device.instruments["cluster"])
    yield driver
    driver.close()


class _Cluster:
    @pytest.fixture
    def driver(self, shared):
        if shared.state is InstrumentState.CLOSED:
            shared.connect(after(20))
        shared.safe_state(after(20))
        yield shared
        shared.safe_state(after(20))

    @pytest.fixture
    def make_driver(self, behind):
        described = behind.device.instruments["cluster"]
        return lambda **changes: ClusterDriver("cluster", described.model_copy(update=changes))

    @pytest.fixture
    def parts(self, behind):
        """A playback and a recording, whose windows begin 60 ns after their pulses."""
        programs = partition_chunk(make_chunk(behind.device, (0.1, 0.2)), behind.device)
        recording = programs.recordings["cluster"]
        rows, entries = recording.rows.copy(), recording.entries.copy()
        rows["time"] += 60
        entries["length"] += 60
        return Transceived(programs.playbacks["cluster"], replace(recording, rows=rows, entries=entries))

    @pytest.fixture
    def settings(self):
        los = {21: 5.1e9, 22: 5.1e9, 41: 5.1e9, 42: 5.1e9, 61: 5.1e9, 62: 5.1e9, 81: 7.11e9}
        return OutputSettings(dict.fromkeys(los, PortSettings()), los, {81: 7.11e9})

    @pytest.fixture
    def outputs(self, behind):
        address = behind.device.instruments["cluster"].address
        los = {21: (2, 0), 22: (2, 1), 41: (4, 0), 42: (4, 1), 61: (6, 0), 62: (6, 1), 81: (8, 1)}
        return lambda driver: {
            pair: say(address, f"SLOT{slot}:LO{number}:ENAble?") == "1" for pair, (slot, number) in los.items()
        }

    @pytest.fixture
    def by_hand(self):
        return {"output": "SLOT2:LO0:ENAble 0", "frequency": "SLOT8:STATus:QUEStionable:FREQuency:LO1 7000000000"}

    @pytest.fixture
    def do_by_hand(self, behind):
        return lambda command: say(behind.device.instruments["cluster"].address, command)

    @pytest.fixture
    def lose_memory(self, behind):
        return lambda: say(behind.device.instruments["cluster"].address, "*RST")


class TestClusterPlays(_Cluster, once(GeneratorContract)):
    @pytest.fixture
    def work(self, parts):
        return parts.playback

    def test_configure_is_idempotent(self, driver, settings, outputs):
        """And leaves LOs alone that it does not name."""
        driver.safe_state(after(5))
        for _ in range(2):
            driver.configure(OutputSettings({21: PortSettings()}, {21: 5.1e9}), after(5))
            assert sum(outputs(driver).values()) == 1


class TestClusterRecords(_Cluster, once(DigitizerContract)):
    @pytest.fixture
    def work(self, parts):
        return parts.recording


class TestClusterDoesBoth(_Cluster, TransceiverContract):
    @pytest.fixture
    def work(self, parts):
        return parts

    def test_what_is_held_is_not_sent_again(self, driver, work, behind):
        driver.upload(work, after(5))
        module = behind.servers["cluster"].instrument.modules[2]
        module.programs.clear()
        driver.upload(work, after(5))
        assert not module.programs, "nothing was sent"
        other = replace(work.playback, events=work.playback.events.copy())
        other.events["amplitude"][work.playback.events["slot"] == 0] *= 0.5
        driver.upload(replace(work, playback=other), after(5))
        assert list(module.programs) == ["0"], "the sequencer of d0 alone"

    def test_another_module_in_a_slot_is_refused(self, make_driver, behind):
        options = {**behind.device.instruments["cluster"].options, "slot4": "QRM-RF"}
        with pytest.raises(WrongInstrumentError, match="slot 4") as caught:
            make_driver(options=options).connect(after(5))
        assert (caught.value.value, caught.value.legal) == ("QCM-RF", "QRM-RF")

    def test_an_empty_slot_is_refused(self, make_driver, behind):
        options = {**behind.device.instruments["cluster"].options, "slot12": "QCM"}
        with pytest.raises(WrongInstrumentError, match="slot 12"):
            make_driver(options=options).connect(after(5))

    def test_what_does_not_assemble_is_found_at_upload(self, driver, work):
        """With the line, which has the pulse as its comment; the maker's driver says so at the start of the run."""
        driver.validate(work)
        planned = driver._planned[1]
        text = planned.sequencers[0].text.replace("play 0,1,", "play 0,")
        wrong = replace(planned.sequencers[0], text=text, name="x")
        driver._planned = work, replace(planned, sequencers=(wrong, *planned.sequencers[1:]))
        where = "module 2, sequencer 0, channel d0: the program does not assemble"
        with pytest.raises(InstrumentRefusedError, match=where) as caught:
            driver.upload(work, after(5))
        assert "12" in caught.value.value, "the line"

    @pytest.mark.parametrize(
        ("kind", "error"),
        [("overheat", InstrumentOverheatedError), ("reference", InstrumentReferenceLostError)],
    )
    def test_a_frame_that_is_not_well_says_so(self, driver, work, behind, kind, error):
        cluster = behind.servers["cluster"].instrument
        handle = driver.upload(work, after(5))
        cluster.faults.active[kind] = 0.0
        try:
            with pytest.raises(error):
                driver.status(after(5))
            driver.safe_state(after(5))
            handle = driver.upload(work, after(5))
            with pytest.raises(InstrumentError):
                driver.arm(handle, after(5))
        finally:
            cluster.faults.active.clear()
        driver.safe_state(after(5))
        assert driver.status(after(5)) is InstrumentState.IDLE

    def test_a_connection_that_breaks_is_made_again(self, driver, work, behind):
        driver.upload(work, after(5))
        rebooted = threading.Event()
        behind.loop.call_soon_threadsafe(lambda: (behind.servers["cluster"].reboot(0.0), rebooted.set()))
        rebooted.wait(10)
        with pytest.raises(InstrumentUnreachableError):
            driver.status(after(5))
        driver.safe_state(after(5))
        driver.verify(driver.upload(work, after(5)), after(5))

    def test_beyond_full_scale_is_reported(self, driver, work, settings, behind):
        cluster = behind.servers["cluster"].instrument
        driver.configure(settings, after(5))
        cluster.faults.active["overrange"] = 0.0
        try:
            handle = driver.upload(work, after(5))
            driver.arm(handle, after(5))
            driver.start(after(5))
            while not driver.wait_done(after(5)):
                pass
            assert driver.fetch(handle, after(5)).overrange == (True, True)
        finally:
            cluster.faults.active.clear()
            for module in cluster.modules.values():
                module.overrange = False


# --- through the rack ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rack(behind):
    found = pytest.MonkeyPatch()
    real = validation.load_driver
    # Also where pulsed was installed before this driver came with it.
    found.setattr(
        validation, "load_driver", lambda name, key="driver": ClusterDriver if name == "qblox" else real(name, key)
    )
    rack = Rack(behind.device)
    rack.connect(after(20))
    yield rack
    rack.close()
    found.undo()


@pytest.fixture(scope="module")
def calibration():
    return load_calibration(EXAMPLES / "calibrations" / "qblox5.json")


def bell_circuit():
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def transpiled(circuit, device, calibration):
    target, qubits = build_target(device, calibration), list(range(circuit.num_qubits))
    return transpile(circuit, target=target, optimization_level=1, seed_transpiler=1, initial_layout=qubits)


def bell(device, calibration):
    return transpiled(bell_circuit(), device, calibration)


def bits_of(chunk, results, parts):
    """Return the bits of each program: (shots,) with slot 0 as the lowest one."""
    return [read_array(one.bits, parts).reshape(chunk.settings.shots, -1)[:, 0] for one in results]


def test_a_bell_state_comes_back_through_q1asm(behind, rack, calibration):
    (chunk,) = Compiler(behind.device, calibration).compile([bell(behind.device, calibration)], RunOptions(shots=4000))
    results, parts, _ = rack.play(chunk)
    (bits,) = bits_of(chunk, results, parts)
    shares = np.bincount(bits, minlength=4) / len(bits)
    # Readout errs in 1.5 % of both bits; each share has a standard deviation of 0.008.
    assert shares[0] + shares[3] >= 0.93
    assert abs(shares[0] - shares[3]) < 0.06


def rows(sequence):
    found = []
    for burst in sequence.bursts:
        peak = np.abs(sequence.envelopes[burst["envelope"]]).max()
        name = sequence.lines[burst["line"]].name
        found.append((name, int(burst["start"]), burst["frequency"], burst["amplitude"] * peak, burst["phase"]))
    return sorted(found)


@pytest.fixture(scope="module")
def awg8s(start_behind):
    """The same chip behind AWG8s and a DIG2, with as long a wait for bits as the Cluster's."""
    other = start_behind(CONFIGS / "sim5.toml", CONFIGS / "chips" / "sim5.toml")
    reference = Rack(other.device)
    reference.connect(after(60))
    known = load_calibration(CONFIGS / "calibrations" / "sim5.json")

    def play(circuit, shots=10):
        timing = other.device.timing.model_copy(update={"feedback_latency": 960})
        device = other.device.model_copy(update={"timing": timing})
        mapped = transpiled(circuit, device, known)
        (same,) = Compiler(device, known).compile([mapped], RunOptions(shots=shots))
        reference.play(same)
        return other.last.sequence(0)

    yield play
    reference.close()


def check_alike(ours, wanted, later):
    """Start, frequency, amplitude (1e-4) and phase (2e-4 rad) of each burst."""
    assert len(ours) == len(wanted)
    for (name, start, frequency, amplitude, phase), (line, *known_row) in zip(ours, wanted, strict=True):
        assert (name, start - later) == (line, known_row[0])
        assert abs(frequency - known_row[1]) <= 0.125
        assert abs(amplitude - known_row[2]) < 1e-4
        turned = phase - 2 * np.pi * frequency * later * 1e-9 - known_row[3]
        assert abs(np.angle(np.exp(1j * turned))) < 2e-4


def test_bursts_are_those_of_the_same_circuit_on_awg8s(behind, rack, calibration, awg8s):
    """Both clocks begin somewhere."""
    (chunk,) = Compiler(behind.device, calibration).compile([bell(behind.device, calibration)], RunOptions(shots=10))
    rack.play(chunk)
    mine, theirs = behind.last.sequence(0), awg8s(bell_circuit())
    ours, wanted = rows(mine), rows(theirs)
    later = ours[0][1] - wanted[0][1]
    assert len(ours) == 10
    check_alike(ours, wanted, later)
    (window,), (known_window,) = mine.windows, theirs.windows
    assert (window.start - later, window.length) == (known_window.start, known_window.length)


# --- bits that decide what is played ---------------------------------------------------------------------------------


def active_reset():
    """x, measure, x where the bit is 1, measure again."""
    circuit = QuantumCircuit(1, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    circuit.measure(0, 1)
    return circuit


def teleportation():
    """Of +, with both corrections, a pulse and a turn; two bits that are read out together."""
    circuit = QuantumCircuit(3, 3)
    circuit.h(0)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(2)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.z(2)
    circuit.h(2)
    circuit.measure(2, 2)
    return circuit


def both_bits():
    """x where one bit is 1 and the other 0."""
    circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(2), ClassicalRegister(1))
    circuit.x(0)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((circuit.cregs[0], 1)):
        circuit.x(2)
    circuit.measure(2, 2)
    return circuit


def played(circuit, behind, rack, calibration, shots):
    """Return the bits of each shot: (shots,)."""
    mapped = transpiled(circuit, behind.device, calibration)
    (chunk,) = Compiler(behind.device, calibration).compile([mapped], RunOptions(shots=shots))
    results, parts, _ = rack.play(chunk)
    (bits,) = bits_of(chunk, results, parts)
    return bits


def test_active_reset_ends_in_zero(behind, rack, calibration):
    bits = played(active_reset(), behind, rack, calibration, 2000)
    assert np.mean(bits & 1) > 0.93
    assert np.mean(bits >> 1) < 0.06
    programs = behind.servers["cluster"].instrument.modules[2].programs
    assert "set_cond 1,1,0,4" in programs["0"]
    assert programs["0"].count("latch_rst") == 1


def test_teleportation_comes_back(behind, rack, calibration):
    """Two thirds is the classical bound; without a correction it is a coin."""
    bits = played(teleportation(), behind, rack, calibration, 1000)
    assert np.mean(bits >> 2) < 0.15


def test_a_pulse_on_two_bits_of_different_values(behind, rack, calibration):
    bits = played(both_bits(), behind, rack, calibration, 1000)
    assert np.mean(bits >> 2) > 0.9


@pytest.mark.parametrize("circuit", [active_reset(), teleportation()], ids=["reset", "teleportation"])
def test_bursts_on_bits_are_those_on_awg8s(behind, rack, calibration, awg8s, circuit):
    """In each case of the bits, which are the same ones."""
    played(circuit, behind, rack, calibration, 10)
    mine, theirs = behind.last.sequence(0), awg8s(circuit)

    def by_tone(sequence):
        tones = [sequence.windows[bit.window].kernels[bit.kernel].frequency for bit in sequence.bits]
        return {round(tone / 1e6): index for index, tone in enumerate(tones) if sequence.bits[index].window == 0}

    first, second = by_tone(mine), by_tone(theirs)
    later = rows(mine)[0][1] - rows(theirs)[0][1]
    for case in range(1 << len(second)):
        cases = {tone: bool(case >> k & 1) for k, tone in enumerate(sorted(second))}
        ours = mine.under({first[tone]: value for tone, value in cases.items()})
        wanted = theirs.under({second[tone]: value for tone, value in cases.items()})
        check_alike(rows(ours), rows(wanted), later)
    for tone, index in second.items():
        known, bit = theirs.bits[index], mine.bits[first[tone]]
        # The kernels differ by the phase and the scale with which they are integrated.
        scale = theirs.windows[0].kernels[known.kernel].weights[0] / mine.windows[0].kernels[bit.kernel].weights[0]
        turn = np.exp(-2j * np.pi * 1e-9 * later * mine.windows[0].kernels[bit.kernel].frequency)
        assert abs(bit.threshold * abs(scale) - known.threshold) < 1e-4
        assert abs(np.exp(1j * (bit.angle + np.angle(scale * turn) - known.angle)) - 1) < 2e-3


def rabi(amplitudes, calibration):
    schedules = []
    for amplitude in amplitudes:
        schedule = Schedule()
        if amplitude:
            schedule.insert(0, Play(Gaussian(64, float(amplitude), 16), DriveChannel(0)), inplace=True)
        readout = Constant(800, calibration.number("Q0.readout.amplitude"))
        schedule.insert(64, Play(readout, MeasureChannel(0)), inplace=True)
        schedule.insert(64, Acquire(800, AcquireChannel(0), MemorySlot(0)), inplace=True)
        schedules.append(schedule)
    return schedules


def test_a_rabi_oscillation_is_one_program(behind, rack, calibration):
    """Its integrals lie on a line, and along it they go up and down with the amplitude."""
    amplitudes = np.linspace(0, 0.9, 31)
    options = RunOptions(shots=400, meas_level=1, meas_return="avg")
    (chunk,) = Compiler(behind.device, calibration).compile(rabi(amplitudes, calibration), options)
    results, parts, _ = rack.play(chunk)
    points = np.array([read_array(one.iq, parts).reshape(-1)[0] for one in results])
    values = np.real((points - points[0]) * np.conj(points[np.argmax(np.abs(points - points[0]))] - points[0]))
    values /= values.max()

    def fitted(half_turn):
        design = np.stack([np.ones(31), np.cos(np.pi * amplitudes / half_turn)], axis=1)
        return np.linalg.lstsq(design, values, rcond=None)[:2]

    fit, residual = min((fitted(half_turn) for half_turn in np.linspace(0.2, 0.9, 141)), key=lambda one: one[1][0])
    assert fit[1] < -0.4
    # A point is the mean of 400 shots of a binary outcome: 31 of 0.5 / sqrt(400) squared are 0.02.
    assert float(residual[0]) < 0.1
    assert len(behind.last.entries) == 31
    programs = behind.servers["cluster"].instrument.modules[2].programs
    # Nothing is played at amplitude 0; the others are points of one loop.
    assert programs["0"].count("loop R0") == 2


def test_what_a_cluster_cannot_do_is_refused_before_it_is_sent(behind, rack, calibration):
    (chunk, *_) = Compiler(behind.device, calibration).compile(
        [bell(behind.device, calibration)], RunOptions(shots=10, meas_level=0)
    )
    with pytest.raises(InstrumentLimitError, match="no such mode") as caught:
        rack.play(chunk)
    assert caught.value.legal == "integrate"


def test_jobs_are_cut_where_the_bins_end(behind, calibration):
    """Two qubits in 200,000 shots are 400,000 integrals."""
    chunks = Compiler(behind.device, calibration).compile(
        [bell(behind.device, calibration)] * 2, RunOptions(shots=100_000, rep_delay=1e-6)
    )
    assert max(2 * chunk.settings.shots * len(chunk.programs) for chunk in chunks) <= 131_072
    assert sum(chunk.settings.shots * len(chunk.programs) for chunk in chunks) == 200_000
