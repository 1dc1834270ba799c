"""What a chunk gives each instrument, and all that cannot be converted to their clocks."""

from fractions import Fraction
from pathlib import Path

import msgspec
import pytest

import pulsed.configs
from pulsed.compiler.program import Block, Branch, Chunk
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.model.device import load_device
from pulsed.model.errors import InstrumentLimitError
from pulsed.testing.chunks import make_chunk

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
