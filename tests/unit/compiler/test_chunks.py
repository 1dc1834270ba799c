"""What travels to the rack: splitting, sharing of envelopes, the round trip."""

from fractions import Fraction

import numpy as np
import pytest
from qiskit import QuantumCircuit

from pulsed.compiler import envelopes, memory
from pulsed.compiler.compile import Compiler
from pulsed.compiler.program import Chunk
from pulsed.model.errors import LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule


def measured(gates=1, name=None):
    circuit = QuantumCircuit(2, 2, name=name, metadata={"gates": gates})
    for _ in range(gates):
        circuit.x(0)
    circuit.measure([0, 1], [0, 1])
    return circuit


def bytes_of(chunk, raw):
    """Return what a digitizer brings back: records of all windows, or integrated values."""
    total = 0
    for program in chunk.programs:
        rows = chunk.array(program.acquisitions)
        windows = {(time, length) for time, length in rows[["time", "length"]].tolist()}
        total += 4 * sum(length for _, length in windows) if raw else 8 * len(rows)
    return total * chunk.settings.shots


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("meas_level", [1, 2])
def test_jobs_of_a_digitizer_with_records_alone_are_split_by_its_memory(device, calibration, raw, meas_level):
    """Five tones of one window share its record; what is integrated in the instrument takes eight bytes a tone."""
    circuits = [QuantumCircuit(5, 5) for _ in range(3)]
    for circuit in circuits:
        circuit.x(0)
        circuit.measure(range(5), range(5))
    limit = 1_000_000
    digitizer = device.instruments["digitizer"].model_copy(update={"record_memory": limit, "raw_only": raw})
    other = device.model_copy(update={"instruments": {**device.instruments, "digitizer": digitizer}})
    options = RunOptions(shots=1000, meas_level=meas_level)
    chunks = Compiler(other, calibration).compile(circuits, options)
    assert all(bytes_of(chunk, raw) <= limit for chunk in chunks)
    assert sum(chunk.settings.shots * len(chunk.programs) for chunk in chunks) == 3000
    # 3200 bytes a shot, 312 shots a chunk; else 40 bytes a shot, all in one.
    assert len(chunks) == (12 if raw else 1)


def test_a_chunk_survives_its_bytes(compiler):
    (chunk,) = compiler.compile([measured(3), measured(1)], RunOptions(shots=10, rep_delay=1e-4))
    again = Chunk.decode([bytes(part) for part in chunk.encode()])
    assert again.head == chunk.head
    assert again.settings.rep_delay == Fraction(1, 10_000)
    for program in again.programs:
        assert np.array_equal(again.array(program.events), chunk.array(program.events))
    for row in range(len(chunk.head.keys)):
        assert np.array_equal(again.envelope(row), chunk.envelope(row))


def test_envelopes_are_stored_once_and_peak_at_full_scale(compiler):
    (chunk,) = compiler.compile([measured(50), measured(20)], RunOptions())
    # One Drag shape, one readout shape: amplitudes and angles are data of the events.
    assert len(chunk.head.keys) == len(set(chunk.head.keys)) == 2
    assert [float(np.abs(chunk.envelope(row)).max()) for row in range(2)] == pytest.approx([1.0, 1.0])


def test_idle_time_costs_nothing(compiler):
    def size(delay):
        circuit = QuantumCircuit(1, 1)
        circuit.x(0)
        circuit.delay(delay, 0, "s")
        circuit.measure(0, 0)
        (chunk,) = compiler.compile([circuit], RunOptions(shots=1))
        return sum(memoryview(part).nbytes for part in chunk.encode()[1:])

    assert size(1) == size(0)


def with_memory(device, **limits):
    awg = device.instruments["awg1"].model_copy(update=limits)
    return device.model_copy(update={"instruments": {**device.instruments, "awg1": awg}})


@pytest.mark.parametrize(
    ("limit", "value"),
    [("events", 2), ("MAX_SECONDS", 1.3), ("MAX_BYTES", 30_000), ("MAX_RESULT", 2_500), ("MAX_SECONDS", 0.2)],
)
def test_programs_and_shots_are_split_without_loss(device, calibration, monkeypatch, limit, value):
    if limit == "events":
        device = with_memory(device, event_memory=value)
    else:
        monkeypatch.setattr(memory, limit, value)
    shots = 1000
    compiler = Compiler(device, calibration)
    done = compiler.compile([measured(1, str(i)) for i in range(7)], RunOptions(shots=shots))
    assert len(done) > 1
    played = {str(i): 0 for i in range(7)}
    for chunk in done:
        for k, program in enumerate(chunk.programs):
            assert program.name == str(chunk.head.first_program + k)
            assert chunk.head.first_shot == played[program.name]
            played[program.name] += chunk.settings.shots
    assert set(played.values()) == {shots}
    for chunk in done:
        cost = chunk.settings.shots * len(chunk.programs)
        if limit == "MAX_SECONDS":
            assert cost * 500e-6 <= value * 1.01
        elif limit == "MAX_BYTES":
            assert cost * 16 <= value
        elif limit == "MAX_RESULT":
            assert cost * 1 <= value, "one bit is a byte"
        else:
            assert len(chunk.programs) <= 2, "one event each on awg1"


def test_waveform_memory_counts_each_shape_once(device, calibration):
    compiler = Compiler(with_memory(device, waveform_memory=100), calibration)
    same = compiler.compile([measured(k) for k in range(1, 9)], RunOptions(shots=1))
    assert len(same) == 1, "eight programs, one Drag shape of 32 samples"

    def own(length):
        schedule = Schedule((0, Play(Constant(length, 0.1), DriveChannel(0))))
        return schedule.insert(1000, Acquire(400, AcquireChannel(0), MemorySlot(0)))

    split = compiler.compile([own(16 + 8 * k) for k in range(6)], RunOptions(shots=1))
    assert [len(chunk.programs) for chunk in split] == [3, 2, 1], "16+24+32, 40+48, 56"


def test_a_program_that_can_never_fit_is_refused_with_the_numbers(device, calibration):
    compiler = Compiler(with_memory(device, event_memory=5, waveform_memory=100), calibration)
    with pytest.raises(LoweringError, match=r"instrument awg1.*12 events.*at most 5 events"):
        compiler.compile([measured(12)], RunOptions())
    long = Schedule(
        (0, Play(Constant(400, 0.1), DriveChannel(1))), (1000, Acquire(400, AcquireChannel(0), MemorySlot(0)))
    )
    with pytest.raises(LoweringError, match=r"instrument awg1.*400 samples.*at most 100 samples"):
        compiler.compile([long], RunOptions())


def test_a_preview_tells_memory_time_and_what_is_too_loud(compiler):
    preview = compiler.preview(measured(3), RunOptions(shots=100))
    assert preview.memory_of("awg1") == (3, 32)
    assert preview.memory_of("awg2") == (2, 800)
    assert preview.run_time == pytest.approx(100 * (800e-6 + preview.duration))
    assert preview.violations() == []
    loud = Schedule()
    for channel in (DriveChannel(0), ControlChannel(0)):
        loud = loud.insert(0, Play(Constant(160, 0.9), channel))
    loud = loud.insert(1000, Acquire(400, AcquireChannel(0), MemorySlot(0)))
    (found,) = compiler.preview(loud).violations()
    assert "port d0" in found
    assert "1.8" in found or "1.7" in found


def test_a_preview_of_more_shots_than_fit_at_once_is_of_one_and_tells_the_time_of_all(compiler):
    options = RunOptions(shots=100_000, meas_level=0)
    assert len(compiler.compile([measured()], options)) > 1
    preview = compiler.preview(measured(), options)
    assert preview.run_time == pytest.approx(100_000 * (800e-6 + preview.duration))
    assert preview.pulses("d0") == compiler.preview(measured()).pulses("d0")


def test_an_own_gate_is_played_for_its_job_only(compiler):
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    own = {("x", (0,), ()): Schedule((0, Play(Constant(64, 0.123), DriveChannel(0))))}
    amplitudes = []
    for gates in (own, None):
        (chunk,) = compiler.compile([circuit], RunOptions(), gates)
        amplitudes.append(chunk.array(chunk.programs[0].events)[0]["amplitude"])
    assert amplitudes == pytest.approx([0.123, 0.4], rel=5e-3), "the sampled Drag peaks a little below its amplitude"


def test_metadata_and_registers_travel(compiler):
    (chunk,) = compiler.compile([measured(2, "a")], RunOptions())
    (program,) = chunk.programs
    assert (program.name, program.memory_slots, program.creg_sizes) == ("a", 2, (("c", 2),))
    assert program.metadata == b'{"gates": 2}'


def _own(amplitude, lengths):
    schedule = Schedule((0, Acquire(400, AcquireChannel(0), MemorySlot(0))))
    for length in lengths:
        schedule = schedule.append(Play(Constant(length, amplitude), DriveChannel(0)))
    return schedule


def test_shapes_of_a_job_that_have_the_numbers_of_another_are_not_mistaken(compiler):
    for lengths in ((16, 24), (48, 32), (16, 24), (40,)):
        (chunk,) = compiler.compile([_own(0.3, lengths)], RunOptions())
        assert [len(chunk.envelope(row)) for row in range(len(chunk.head.keys))] == list(lengths)


def test_packed_envelopes_are_shared_bounded_and_cannot_be_written(device, calibration, monkeypatch):
    def packed():
        chunks = [compiler.compile([measured(gates)], RunOptions())[0] for gates in (0, 1, 0, 1)]
        return [[chunk.envelope(row).tobytes() for row in range(len(chunk.head.keys))] for chunk in chunks]

    compiler = Compiler(device, calibration)
    plain = packed()
    kept = compiler._table._packs
    assert len(kept._kept) == 2
    assert plain[0] == plain[2] != plain[1] == plain[3]
    (chunk,) = compiler.compile([measured()], RunOptions())
    with pytest.raises(TypeError, match="read-only"):
        memoryview(chunk.parts[chunk.head.envelopes[0].part])[0] = 0
    for limit in (sum(len(item) for item in plain[1]), 0):
        monkeypatch.setattr(envelopes, "PACKED_BYTES", limit)
        compiler = Compiler(device, calibration)
        kept = compiler._table._packs
        assert packed() == plain
        assert sum(item.samples.nbytes for item in kept._kept.values()) == kept._bytes <= limit
        assert len(kept._kept) == (1 if limit else 0)


# --- memories of oscillators -----------------------------------------------------------------------------------------


def test_jobs_are_split_by_the_memory_of_one_oscillator(device, calibration):
    """What is played elsewhere on the instrument takes nothing of it."""
    circuits = [measured(10, f"c{k}") for k in range(12)]
    limited = with_memory(device, oscillator_event_memory=40)
    chunks = Compiler(limited, calibration).compile(circuits, RunOptions(shots=10))
    events = [
        max(np.unique(np.concatenate([chunk.array(p.events)["slot"] for p in chunk.programs]), return_counts=True)[1])
        for chunk in chunks
    ]
    assert max(events) <= 40, "ten pulses of one channel in each of four programs"
    assert [len(chunk.programs) for chunk in chunks] == [4, 4, 4]
    assert len(Compiler(device, calibration).compile(circuits, RunOptions(shots=10))) == 1


def test_a_program_that_no_oscillator_holds_is_refused_by_its_channel(device, calibration):
    limited = with_memory(device, oscillator_event_memory=9)
    with pytest.raises(LoweringError, match="can never fit") as caught:
        Compiler(limited, calibration).compile([measured(10)], RunOptions(shots=10))
    assert caught.value.subject == "instrument awg1, channel d0"
    assert (caught.value.value, caught.value.legal) == ("10 events", "at most 9 events")


def test_waveforms_of_one_oscillator_have_a_memory_of_their_own(device, calibration):
    schedules = []
    for k in range(6):
        schedule = Schedule()
        schedule.insert(0, Play(Constant(160 + 16 * k, 0.1), DriveChannel(0)), inplace=True)
        schedule.insert(400, Acquire(800, AcquireChannel(0), MemorySlot(0)), inplace=True)
        schedules.append(schedule)
    limited = with_memory(device, oscillator_waveform_memory=400)
    chunks = Compiler(limited, calibration).compile(schedules, RunOptions(shots=10))
    assert [len(chunk.programs) for chunk in chunks] == [2, 2, 1, 1]


def test_jobs_are_split_by_the_programs_that_an_instrument_holds(device, calibration):
    """Also programs with nothing on it."""
    chunks = Compiler(with_memory(device, program_memory=5), calibration).compile(
        [measured(k, f"c{k}") for k in range(12)], RunOptions(shots=10)
    )
    assert [len(chunk.programs) for chunk in chunks] == [5, 5, 2]
