from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import pulsed.configs
from pulsed.compiler.program import ACQUISITION, Discriminator
from pulsed.drivers.collect import collect
from pulsed.drivers.contract import Fetched
from pulsed.drivers.work import share_out
from pulsed.model.device import load_device
from pulsed.model.errors import ConfigError
from pulsed.model.payload import read_array
from pulsed.model.result import count_bits
from pulsed.testing.chunks import READOUT, make_chunk

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")


def with_acquisitions(chunk, rows):
    """Replace the acquisitions of the only program: (qubit, memory slot, time, length)."""
    import msgspec

    from pulsed.compiler.program import Chunk
    from pulsed.model.payload import PartWriter

    writer = PartWriter()
    writer.parts = list(chunk.parts)
    array = np.array([(3 * q + 2, q, slot, t, length, 1e6 * q, -1) for q, slot, t, length in rows], ACQUISITION)
    program = chunk.programs[0]
    block = msgspec.structs.replace(program.blocks[0], acquisitions=(0, len(rows)))
    program = msgspec.structs.replace(program, acquisitions=writer.add(array), blocks=(block,), memory_slots=9)
    return Chunk(msgspec.structs.replace(chunk.head, programs=(program,)), writer.parts)


def recorded(chunk, mode, data, **more):
    return [(share_out(chunk, DEVICE).recordings["digitizer"], Fetched(mode, (data,), "", (False,), **more))]


def test_bits_by_memory_slot_and_the_last_acquisition_wins():
    chunk = make_chunk(DEVICE, shots=2, rep_delay=Fraction(1, 1000))
    chunk = with_acquisitions(chunk, [(0, 8, 600, 400), (1, 1, 0, 400), (0, 8, 0, 400), (1, -1, 600, 400)])
    one = 1e-3
    # In order of time: qubit 1 and 0 in the first window, qubit 0 in the second; the one thrown away is not recorded.
    recording = share_out(chunk, DEVICE).recordings["digitizer"]
    assert recording.rows["memory_slot"].tolist() == [1, 8, 8]
    assert recording.rows["window"].tolist() == [0, 0, 1]
    data = np.array([[one, one, 0], [0, 0, one]], np.complex64)
    results, parts = collect(chunk, [(recording, Fetched("integrate", (data,), "", (True,)))])
    assert count_bits(read_array(results[0].bits, parts)) == {0b000000010: 1, 0b100000000: 1}
    assert results[0].overrange


def test_records_by_memory_slot_in_units_of_full_scale():
    chunk = make_chunk(DEVICE, shots=2, meas_level=0)
    chunk = with_acquisitions(chunk, [(0, 0, 0, 16), (1, 2, 0, 16), (0, 1, 40, 24)])
    data = np.arange(2 * 40 * 2, dtype=np.int16).reshape(2, 40, 2)
    results, parts = collect(chunk, recorded(chunk, "raw", data, full_scale=2.0))
    records = read_array(results[0].records, parts)
    assert records.shape == (2, 9, 24)
    expected = (data[..., 0] + 1j * data[..., 1]) / 2
    assert np.array_equal(records[:, 0, :16], expected[:, :16])
    assert np.array_equal(records[:, 2, :16], expected[:, :16])
    assert np.array_equal(records[:, 1], expected[:, 16:])
    assert not records[:, 0, 16:].any()
    assert not records[:, 3:].any()


def test_a_qubit_without_discriminator_is_named():
    chunk = make_chunk(DEVICE, shots=2, discriminators={0: Discriminator(0j, 1 + 0j)})
    with pytest.raises(ConfigError) as caught:
        collect(chunk, recorded(chunk, "integrate", np.zeros((2, 2), np.complex64)))
    assert caught.value.value == "qubit 1"


def test_two_acquisitions_of_one_window_share_it():
    recording = share_out(make_chunk(DEVICE), DEVICE).recordings["digitizer"]
    assert recording.rows["window"].tolist() == [0, 0]
    assert recording.rows["length"].tolist() == [READOUT, READOUT]
