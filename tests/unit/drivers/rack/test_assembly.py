from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

import pulsed.configs
from pulsed.compiler.compile import Compiler
from pulsed.compiler.program import ACQUISITION, Chunk, IqDiscriminator, MadeBit
from pulsed.drivers.contract import Fetched
from pulsed.drivers.programs import MODES
from pulsed.drivers.rack.assembly import assemble_results
from pulsed.drivers.rack.partition import partition_chunk, recording_mode
from pulsed.model.calibration import load_calibration
from pulsed.model.device import load_device
from pulsed.model.errors import ConfigError, InvalidValueError
from pulsed.model.job import RunOptions
from pulsed.model.payload import PartWriter, read_array
from pulsed.model.result import count_bits
from pulsed.testing.chunks import READOUT, make_chunk

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")


def with_acquisitions(chunk, rows):
    """Replace the acquisitions of the only program: (qubit, memory slot, time, length)."""
    writer = PartWriter()
    writer.parts = list(chunk.parts)
    array = np.array([(3 * q + 2, q, slot, t, length, 1e6 * q, -1) for q, slot, t, length in rows], ACQUISITION)
    program = chunk.programs[0]
    block = msgspec.structs.replace(program.blocks[0], acquisitions=(0, len(rows)))
    program = msgspec.structs.replace(program, acquisitions=writer.add(array), blocks=(block,), memory_slots=9)
    return Chunk(msgspec.structs.replace(chunk.head, programs=(program,)), writer.parts)


def recorded(chunk, mode, data, **more):
    return [(partition_chunk(chunk, DEVICE).recordings["digitizer"], Fetched(mode, (data,), "", (False,), **more))]


def test_bits_by_memory_slot_and_the_last_acquisition_of_the_program_wins():
    """Not the last in time: the program says what is overwritten, on one digitizer and on two."""
    chunk = make_chunk(DEVICE, shots=2, rep_delay=Fraction(1, 1000))
    chunk = with_acquisitions(chunk, [(0, 8, 600, 400), (1, 1, 0, 400), (0, 8, 0, 400), (1, -1, 600, 400)])
    one = 1e-3
    # In order of time: qubit 1 and 0 in the first window, qubit 0 in the second; the one thrown away is not recorded.
    recording = partition_chunk(chunk, DEVICE).recordings["digitizer"]
    assert recording.rows["memory_slot"].tolist() == [1, 8, 8]
    assert recording.rows["window"].tolist() == [0, 0, 1]
    assert recording.rows["order"].tolist() == [1, 2, 0]
    data = np.array([[one, one, 0], [0, 0, one]], np.complex64)
    results, parts = assemble_results(chunk, [(recording, Fetched("integrate", (data,), "", (True,)))])
    assert count_bits(read_array(results[0].bits, parts)) == {0b100000010: 1, 0: 1}
    assert results[0].overrange
    two = [
        (replace(recording, rows=recording.rows[columns]), Fetched("integrate", (data[:, columns],), "", (False,)))
        for columns in ([1], [0, 2])
    ]
    for recorded_by_two in (two, two[::-1]):
        results, parts = assemble_results(chunk, recorded_by_two)
        assert count_bits(read_array(results[0].bits, parts)) == {0b100000010: 1, 0: 1}


def test_a_slot_has_what_each_shot_has_measured_last():
    """Bit 1 was measured into slot 9 in all shots, and again, into its own, where bit 0 is 1; bit 2 where it is 0."""
    chunk = make_chunk(DEVICE, shots=4, iq=True, rep_delay=Fraction(1, 1000))
    chunk = with_acquisitions(chunk, [(0, 9, 0, 400), (1, 0, 600, 400), (0, 1, 1200, 400), (1, 2, 1800, 400)])
    made = (MadeBit(1, ((9, ()), (1, ((0, 1),)))), MadeBit(2, ((2, ((0, 0), (9, 1))),)))
    program = msgspec.structs.replace(chunk.programs[0], made=made)
    chunk = Chunk(msgspec.structs.replace(chunk.head, programs=(program,)), chunk.parts)
    one, two = 1e-3, 2e-3
    data = np.array([[one, one, 0, two], [one, 0, two, one], [0, 0, one, one], [0, two, one, one]], np.complex64)
    results, parts = assemble_results(chunk, recorded(chunk, "integrate", data))
    assert read_array(results[0].bits, parts)[:, 0].tolist() == [0b001, 0b110, 0b000, 0b011]
    points = read_array(results[0].iq, parts)
    assert points.shape == (4, 9)
    np.testing.assert_array_equal(
        points[:, :3], np.array([[one, 0, 0], [0, one, one], [0, 0, 0], [two, one, 0]], np.complex64)
    )
    level_0 = msgspec.structs.replace(chunk.settings, meas_level=0, iq=False)
    chunk = Chunk(msgspec.structs.replace(chunk.head, settings=level_0), chunk.parts)
    results, parts = assemble_results(chunk, recorded(chunk, "raw", np.zeros((4, 1600, 2), np.int16), full_scale=2.0))
    assert read_array(results[0].records, parts).shape == (4, 9, 400)


def test_records_by_memory_slot_in_units_of_full_scale():
    chunk = make_chunk(DEVICE, shots=2, meas_level=0)
    chunk = with_acquisitions(chunk, [(0, 0, 0, 16), (1, 2, 0, 16), (0, 1, 40, 24)])
    data = np.arange(2 * 40 * 2, dtype=np.int16).reshape(2, 40, 2)
    results, parts = assemble_results(chunk, recorded(chunk, "raw", data, full_scale=2.0))
    records = read_array(results[0].records, parts)
    assert records.shape == (2, 9, 24)
    expected = (data[..., 0] + 1j * data[..., 1]) / 2
    assert np.array_equal(records[:, 0, :16], expected[:, :16])
    assert np.array_equal(records[:, 2, :16], expected[:, :16])
    assert np.array_equal(records[:, 1], expected[:, 16:])
    assert not records[:, 0, 16:].any()
    assert not records[:, 3:].any()


def test_a_qubit_without_discriminator_is_named():
    chunk = make_chunk(DEVICE, shots=2, discriminators={0: IqDiscriminator(0j, 1 + 0j)})
    with pytest.raises(ConfigError) as caught:
        assemble_results(chunk, recorded(chunk, "integrate", np.zeros((2, 2), np.complex64)))
    assert caught.value.value == "qubit 1"


def test_two_acquisitions_of_one_window_share_it():
    recording = partition_chunk(make_chunk(DEVICE), DEVICE).recordings["digitizer"]
    assert recording.rows["window"].tolist() == [0, 0]
    assert recording.rows["length"].tolist() == [READOUT, READOUT]


def raw_and_integrated(shots=6):
    """Return a chunk at level 1 with two windows and a kernel, its recording, records, and what they integrate to."""
    chunk = make_chunk(DEVICE, shots=shots, meas_level=1)
    acquisitions = [(1, 1, 2000, 1000), (0, 0, 0, 400), (1, 4, 0, 400), (0, 2, 2000, 1000)]
    chunk = with_acquisitions(chunk, acquisitions)
    recording = partition_chunk(chunk, DEVICE, {"digitizer": ("raw",)}).recordings["digitizer"]
    assert (recording.mode, recording.clock) == ("raw", 1e9)
    # Row 1 of the table of envelopes, of as many samples as the second window, is the kernel of qubit 0 there.
    recording.rows["kernel"][(recording.rows["length"] == READOUT) & (recording.rows["qubit"] == 0)] = 1
    random = np.random.default_rng(5)
    data = random.integers(-2048, 2048, (shots, 1400, 2), dtype=np.int16)
    z = (data[..., 0] + 1j * data[..., 1]) / 2048
    values = {}
    for qubit, slot, time, length in acquisitions:
        kernel = np.ones(length) if (slot, length) == (2, READOUT) else np.full(length, 1 / length)
        tone = np.exp(2j * np.pi * 1e6 * qubit * (time + np.arange(length)) * 1e-9)
        values[slot] = z[:, :400] @ (kernel * tone) if time == 0 else z[:, 400:] @ (kernel * tone)
    return chunk, recording, Fetched("raw", (data,), "code", (False,), 2048.0), values


def test_raw_records_are_integrated_here_slot_by_slot():
    chunk, recording, fetched, values = raw_and_integrated()
    results, parts = assemble_results(chunk, [(recording, fetched)])
    points = read_array(results[0].iq, parts)
    assert points.shape == (6, 9)
    for slot in range(9):
        assert np.allclose(points[:, slot], values.get(slot, 0), atol=1e-5), slot


def test_the_modes_a_digitizer_has():
    for modes, expected in ((("integrate", "raw"), ["raw", "raw", "integrate"]), (("raw",), ["raw"] * 3),
                            (MODES, ["raw", "average", "integrate"])):  # fmt: skip
        levels = ((0, "single"), (0, "avg"), (2, "single"))
        assert [recording_mode(level, how, modes) for level, how in levels] == expected
    assert recording_mode(2, "single", ("average",)) == "integrate", "which its driver then refuses by name"


def test_a_wrong_kernel_names_its_qubit():
    chunk, recording, fetched, _ = raw_and_integrated()
    recording.rows["kernel"] = 0
    with pytest.raises(InvalidValueError, match="another length") as caught:
        assemble_results(chunk, [(recording, fetched)])
    assert caught.value.subject.startswith("qubit ")
    assert (caught.value.value, caught.value.legal) == ("40 samples", "400 samples")


def test_raw_records_are_averaged_here():
    chunk = make_chunk(DEVICE, shots=8, meas_level=0, meas_return="avg")
    data = np.random.default_rng(3).integers(-2048, 2048, (8, READOUT, 2), dtype=np.int16)
    results, parts = assemble_results(chunk, recorded(chunk, "raw", data, full_scale=2048.0))
    records = read_array(results[0].records, parts)
    expected = (data[..., 0] + 1j * data[..., 1]).mean(axis=0) / 2048
    assert records.shape == (2, READOUT)
    assert np.allclose(records, expected, atol=1e-6)


def test_three_states_give_levels_beside_the_bits():
    two, three = IqDiscriminator(0j, 1 + 0j), IqDiscriminator(0j, 1 + 0j, 1j)
    data = np.array([[0, 0], [1, 1], [1j, 1j], [0.4, 0.4 + 0.6j]], np.complex64)
    chunk = make_chunk(DEVICE, shots=4, discriminators={0: two, 1: three})
    results, parts = assemble_results(chunk, recorded(chunk, "integrate", data))
    assert read_array(results[0].levels, parts).tolist() == [[0, 0], [1, 1], [0, 2], [0, 2]]
    assert read_array(results[0].bits, parts)[:, 0].tolist() == [0b00, 0b11, 0b10, 0b10]
    # The wide cloud of state 2 takes what lies far outside, the narrow ones what lies between.
    wide = IqDiscriminator(0j, 1 + 0j, 1j, (0.01, 0.01, 1.0))
    chunk = make_chunk(DEVICE, shots=4, discriminators={0: two, 1: wide})
    results, parts = assemble_results(
        chunk, recorded(chunk, "integrate", np.array([[0, 0.1], [0, 3], [0, 1j], [0, 1]], "c8"))
    )
    assert read_array(results[0].levels, parts)[:, 1].tolist() == [0, 2, 2, 1]
    chunk = make_chunk(DEVICE, shots=4, discriminators={0: two, 1: two})
    results, _ = assemble_results(chunk, recorded(chunk, "integrate", data))
    assert results[0].levels is None


def swept(**options):
    """Five bindings of one program: as one program with values, and as five that only happen to be alike."""
    theta = Parameter("theta")
    circuit = QuantumCircuit(5, 3)
    circuit.sx(0)
    circuit.rz(theta, 0)
    circuit.ecr(0, 1)
    circuit.measure([0, 1, 0], [2, 0, 1])
    calibration = load_calibration(Path(pulsed.configs.__file__).parent / "calibrations" / "sim5.json")
    compiler = Compiler(DEVICE, calibration)
    (chunk,) = compiler.compile([circuit], RunOptions(shots=4, **options), None, {0: {theta: np.arange(5.0)}})
    chunk = chunk.unrolled()
    return chunk, Chunk.decode(chunk.encode())


@pytest.mark.parametrize("mode", ["integrate", "raw"])
@pytest.mark.parametrize(
    "options",
    [{}, {"iq": True}, {"meas_level": 1}, {"meas_level": 1, "meas_return": "avg"}, {"meas_level": 0}],
    ids=str,
)
def test_bindings_of_one_program_are_as_programs_of_their_own(options, mode):
    together, apart = swept(**options)
    works = [partition_chunk(chunk, DEVICE) for chunk in (together, apart)]
    for name in works[0].playbacks:
        for field in ("events", "entries"):
            one, other = (getattr(work.playbacks[name], field) for work in works)
            np.testing.assert_array_equal(one, other)
    recordings = [work.recordings["digitizer"] for work in works]
    np.testing.assert_array_equal(recordings[0].rows, recordings[1].rows)
    if options.get("meas_level") == 0:
        mode = "raw"
    rng = np.random.default_rng(1)
    samples = int(np.unique(recordings[0].entry(0)[["window", "length"]])["length"].sum())
    if mode == "integrate":
        data = [(rng.normal(size=(4, 3)) * 1e-3 + 2e-3j).astype(np.complex64) for _ in range(5)]
    else:
        data = list(rng.integers(-99, 99, size=(5, 4, samples, 2)).astype(np.int16))
    over = (False, True, False, False, True) if options.get("meas_level", 2) < 2 else (False,) * 5
    fetched = Fetched(mode, tuple(data), "", over, full_scale=1.0 if mode == "integrate" else 2.0**15)
    (one, parts), (other, other_parts) = (
        assemble_results(chunk, [(recording, fetched)])
        for chunk, recording in zip((together, apart), recordings, strict=True)
    )
    assert len(one) == len(other) == 5
    for mine, theirs in zip(one, other, strict=True):
        assert (mine.name, mine.shots, mine.overrange) == (theirs.name, theirs.shots, theirs.overrange)
        for name in ("bits", "levels", "iq", "records"):
            refs = getattr(mine, name), getattr(theirs, name)
            assert (refs[0] is None) == (refs[1] is None)
            if refs[0] is not None:
                np.testing.assert_array_equal(read_array(refs[0], parts), read_array(refs[1], other_parts))
