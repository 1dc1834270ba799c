"""What a chunk gives each instrument, and all that cannot be converted to their clocks."""

from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pulsed.configs
from pulsed.compiler.program import FIELDS, Block, Branch, Chunk
from pulsed.drivers.contract import Capabilities
from pulsed.drivers.instruments.virtual.awg8 import AwgDriver
from pulsed.drivers.limits import check_playback, recorded_bytes
from pulsed.drivers.programs import Playback
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.drivers.rack.safety import check_safety
from pulsed.model.device import PortSafety, load_device
from pulsed.model.errors import InstrumentLimitError
from pulsed.testing.chunks import make_chunk, swept_chunk

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")


def test_a_pause_that_no_clock_has_is_refused_for_each_instrument():
    chunk = make_chunk(DEVICE, rep_delay=Fraction(1, 3 * 10**6))
    with pytest.raises(InstrumentLimitError, match="rep_delay is not a whole number of samples") as caught:
        partition_chunk(chunk, DEVICE)
    assert [cause.subject for cause in caught.value.causes] == [
        "instrument awg1", "instrument awg2", "instrument digitizer",
    ]  # fmt: skip


def test_what_one_instrument_cannot_keep_is_its_error_alone():
    ports = {
        name: port.model_copy(update={"clock": Fraction(3 * 10**9)}) if port.instrument == "awg2" else port
        for name, port in DEVICE.ports.items()
    }
    device = DEVICE.model_copy(update={"ports": ports})
    chunk = make_chunk(device, rep_delay=Fraction(500 * 10**3 + Fraction(1, 3), 10**9))
    with pytest.raises(InstrumentLimitError, match="rep_delay") as caught:
        partition_chunk(chunk, device)
    assert [cause.subject for cause in caught.value.causes] == ["instrument awg1", "instrument digitizer"]


def test_what_is_wrong_with_a_program_is_one_error():
    """A decision on two bits that two digitizers measure: each finds it."""
    ports = {**DEVICE.ports, "in2": DEVICE.ports["in"].model_copy(update={"instrument": "digitizer2"})}
    qubits = (DEVICE.qubits[0], DEVICE.qubits[1].model_copy(update={"acquire": "in2"}), *DEVICE.qubits[2:])
    device = DEVICE.model_copy(update={"ports": ports, "qubits": qubits})
    chunk = make_chunk(device)
    program = chunk.programs[0]
    (block,) = program.blocks
    both = Branch(0, 1, ((1, 1),))
    blocks = (block, Block((0, 1), (0, 0), 40, branch=both))
    new = msgspec.structs.replace(program, blocks=blocks, duration=block.duration + 40)
    with pytest.raises(InstrumentLimitError, match="that no digitizer measures all of") as caught:
        partition_chunk(Chunk(msgspec.structs.replace(chunk.head, programs=(new,)), chunk.parts), device)
    assert (caught.value.subject, caught.value.causes) == ("program circuit-0", ())


def field(name):
    return FIELDS.index(name)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_handed_down_as_values_is_what_the_bindings_are_one_by_one(seed):
    """The same events at the same places of the list, on each AWG; and the digitizer records as often."""
    rng = np.random.default_rng(seed)
    sweeps = {}
    for index in range(2):
        rows = [
            (int(rng.integers(4)), field(str(rng.choice(["amplitude", "phase", "frequency"]))), int(rng.integers(3)),
             float(rng.normal()))
            for _ in range(rng.integers(1, 6))
        ]  # fmt: skip
        sweeps[index] = rows, rng.normal(size=(rng.integers(6, 9), 3))
    chunk = swept_chunk(make_chunk(DEVICE, (0.1, 0.2, 0.3)), sweeps)
    bound, one_by_one = (partition_chunk(each, DEVICE) for each in (chunk.unrolled(binding=True), chunk.unrolled()))
    for name, playback in bound.playbacks.items():
        assert len(playback.entries) == 3
        assert playback.entries["bindings"].tolist() == [len(sweeps[0][1]), len(sweeps[1][1]), 1]
        ours, theirs = playback.unrolled(), one_by_one.playbacks[name]
        assert ours.programs == theirs.programs
        assert ours.entries.tolist() == theirs.entries.tolist()
        for part in ours.events.dtype.names:
            np.testing.assert_allclose(ours.events[part], theirs.events[part], rtol=1e-12, atol=1e-12)
    ours, theirs = bound.recordings["digitizer"], one_by_one.recordings["digitizer"]
    assert recorded_bytes(ours) == recorded_bytes(theirs)
    assert np.repeat(ours.entries["length"], ours.entries["bindings"]).tolist() == theirs.entries["length"].tolist()


def test_what_would_be_more_as_values_is_not_handed_down():
    """Of an event with as many parameters as there are bindings, and of one with a bound time."""
    many = [(0, field("phase"), column, 1.0) for column in range(3)]
    for rows, bindings, programs in ((many, 4, 1), (many, 3, 3), ([(0, field("time"), 0, 8.0)], 9, 9)):
        chunk = swept_chunk(make_chunk(DEVICE), {0: (rows, np.zeros((bindings, 3)))})
        assert len(chunk.unrolled(binding=True).programs) == programs
        assert len(chunk.unrolled().programs) == bindings


def test_a_wide_sweep_beside_many_entries_is_not_handed_down():
    """A row of values for each entry, as wide as the widest sweep, would be more than its events one by one."""
    columns, many = 300, 6000
    wide = [(column % 4, field("phase"), column, 1.0) for column in range(columns)]
    narrow = [(0, field("phase"), 0, 1.0)]
    alone = swept_chunk(make_chunk(DEVICE), {0: (wide, np.zeros((100, columns)))})
    assert len(alone.unrolled(binding=True).programs) == 1
    programs = {0: (wide, np.zeros((100, columns))), 1: (narrow, np.zeros((many, 1)))}
    both = swept_chunk(make_chunk(DEVICE, (0.1, 0.2)), programs)
    sent = both.unrolled(binding=True)
    assert [program.count for program in sent.programs] == [1] * 100 + [many]
    for name, playback in partition_chunk(sent, DEVICE).playbacks.items():
        values = int(playback.entries["bindings"].sum()) * max(
            (s.values.shape[1] for s in playback.sweeps.values()), default=0
        )
        assert values < 2 * many, name
    few = {index: (wide, np.zeros((100, columns))) for index in range(2)}
    assert len(swept_chunk(make_chunk(DEVICE, (0.1, 0.2)), few).unrolled(binding=True).programs) == 2


def swept(rows, bindings):
    """Return what awg1 plays of one program with parameters; event 0 is the pulse on d0, of amplitude 0.1."""
    values = np.array(bindings, float).reshape(len(bindings), -1)
    return partition_chunk(swept_chunk(make_chunk(DEVICE), {0: (rows, values)}), DEVICE).playbacks["awg1"]


def refusal(work: Playback) -> str:
    try:
        check_playback(work, AwgDriver.capabilities, "instrument awg1")
    except InstrumentLimitError as error:
        return f"{error.message}: {error.value}"
    return ""


@pytest.mark.parametrize(
    ("rows", "bindings", "says"),
    [
        ([(0, "amplitude", 0, 1.0)], [0.8, -0.9, 0.1], ""),
        ([(0, "amplitude", 0, 1.0)], [0.8, -1.2, 0.1], "the amplitude is beyond full scale on channel d0"),
        ([(0, "frequency", 0, 1.0)], [1e6, -1e6], ""),
        ([(0, "frequency", 0, 1.0)], [1e6, 1e9], "the frequency is beyond the oscillator's band on channel d0"),
        ([(0, "phase", 0, 1.0)], [1e6, -3.0], ""),
        ([(0, "phase", 0, 1.0)], [1.0, float("nan")], "the phase is not a number on channel d0"),
    ],
)
def test_the_limits_of_bindings_are_those_of_each(rows, bindings, says):
    work = swept([(event, field(name), *rest) for event, name, *rest in rows], bindings)
    assert work.sweeps
    assert refusal(work) == refusal(work.unrolled())
    assert refusal(work).startswith(says)
    assert bool(says) == bool(refusal(work))


def test_tones_that_are_loud_in_different_bindings_are_not_too_loud_together():
    """The loudest of each would be beyond full scale; no binding is."""
    device = DEVICE.model_copy(
        update={
            "ports": {**DEVICE.ports, DEVICE.qubits[1].drive: DEVICE.ports[DEVICE.qubits[1].drive].model_copy(
                update={"instrument": "awg1", "pair": DEVICE.ports[DEVICE.qubits[0].drive].pair})}
        }
    )  # fmt: skip
    chunk = make_chunk(device, (0.0,))
    slots = tuple(
        msgspec.structs.replace(slot, oscillator=1) if slot.channel == "d1" else slot for slot in chunk.head.slots
    )
    chunk = Chunk(msgspec.structs.replace(chunk.head, slots=slots), chunk.parts)
    port = DEVICE.qubits[0].drive
    kept = {**device.ports, port: device.ports[port].model_copy(update={"safety": PortSafety(amplitude=0.97)})}
    safe = device.model_copy(update={"ports": kept})
    amplitude = field("amplitude")
    rows = [(0, amplitude, 0, 1.0), (2, amplitude, 1, 1.0)]
    for bindings, fine in (([(0.9, 0.0), (0.0, 0.9), (0.4, 0.4)], True), ([(0.9, 0.0), (0.0, 0.9), (0.6, 0.6)], False)):
        work = partition_chunk(swept_chunk(chunk, {0: (rows, np.array(bindings))}), device).playbacks["awg1"]
        assert (refusal(work) == "") is fine
        assert refusal(work) == refusal(work.unrolled())
        assert (list(check_safety(chunk, safe, {"awg1": work})) == []) is fine


@pytest.mark.parametrize("name", ["amplitude", "frequency", "phase"])
def test_the_safety_of_bindings_is_that_of_each(name):
    """Whatever is bound; the error says what the worst binding has."""
    port = DEVICE.qubits[0].drive
    values = np.array([[0.1], [0.35], [-0.6]])
    chunk = swept_chunk(make_chunk(DEVICE), {0: ([(0, field(name), 0, 1.0)], values)})
    playbacks, plain = (partition_chunk(each, DEVICE).playbacks for each in (chunk, chunk.unrolled()))
    for limit in (0.05, 0.3, 0.9):
        safe = PortSafety(amplitude=limit, average_power=-60.0)
        ports = {**DEVICE.ports, port: DEVICE.ports[port].model_copy(update={"safety": safe})}
        device = DEVICE.model_copy(update={"ports": ports})
        ours, theirs = ([str(e) for e in check_safety(chunk, device, works)] for works in (playbacks, plain))
        assert ours == theirs
        assert any("higher amplitude" in error for error in ours) is (limit < (0.5 if name == "amplitude" else 0.1))


def test_an_instrument_that_counts_levels_counts_those_of_all_bindings():
    work = swept([(0, field("phase"), 0, 1.0)], [0.0, 1.0, 2.0])
    can = Capabilities(**{**vars(AwgDriver.capabilities), "levels": 2})
    with pytest.raises(InstrumentLimitError, match="different pairs of amplitude and phase"):
        check_playback(work, can, "instrument awg1")
