"""What a chunk will bring back is known before it plays: the very bytes that are assembled of it."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import pulsed.configs
from pulsed.compiler.result_size import result_bytes
from pulsed.drivers.contract import Fetched
from pulsed.drivers.instruments.virtual.dig2 import _shape
from pulsed.drivers.rack.assembly import assemble_results
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.model.device import load_device
from pulsed.model.errors import ResultSizeError
from pulsed.model.job import RunOptions, Spectrum
from pulsed.model.policies import Limits
from pulsed.model.result_size import check_result_size, least_bytes, program_bytes
from pulsed.testing.chunks import make_chunk

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")
DTYPES = {"integrate": "<c8", "raw": "<i2", "average": "<f4"}


@pytest.mark.parametrize(
    ("level", "kind", "iq", "shots"),
    [(*item, 7) for item in itertools.product((0, 1, 2), ("single", "avg"), (False, True))] + [(2, "single", False, 1)],
)
def test_the_bytes_are_those_that_are_assembled(level, kind, iq, shots):
    chunk = make_chunk(DEVICE, (0.1, 0.2), shots=shots, meas_level=level, meas_return=kind, iq=iq)
    recording = partition_chunk(chunk, DEVICE).recordings["digitizer"]
    arrays = tuple(
        np.zeros(_shape(recording, index), DTYPES[recording.mode]) for index in range(len(recording.entries))
    )
    fetched = Fetched(recording.mode, arrays, "", (False,) * len(arrays), 2048.0)
    _, parts = assemble_results(chunk, [(recording, fetched)])
    assert result_bytes(chunk) == sum(memoryview(part).nbytes for part in parts)


def test_what_is_averaged_over_chunks_counts_once():
    import msgspec

    from pulsed.compiler.program import Chunk

    chunk = make_chunk(DEVICE, meas_level=0, meas_return="avg")
    later = Chunk(msgspec.structs.replace(chunk.head, first_shot=100), chunk.parts)
    assert result_bytes(chunk) > 0
    assert result_bytes(later) == 0


def test_three_states_have_levels_beside_the_bits_and_a_spectrum_has_its_frequencies():
    options = RunOptions(shots=10)
    assert program_bytes(options, 9, 0) == 20
    assert program_bytes(options, 9, 0, levels=True) == 110
    assert program_bytes(RunOptions(spectrum=Spectrum("d0", (1e9, 2e9))), 9, 100) == 16


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (RunOptions(shots=1000), "fewer shots or circuits"),
        (
            RunOptions(shots=1000, meas_level=1),
            "fewer shots or circuits, or the average of the shots (meas_return='avg')",
        ),
        (
            RunOptions(shots=1000, meas_level=0),
            "fewer shots or circuits, or the average of the shots (meas_return='avg'), or points instead of records "
            "(meas_level=1)",
        ),
        (RunOptions(shots=1000, meas_level=0, meas_return="avg"),
         "fewer shots or circuits, or points instead of records (meas_level=1)"),
    ],
)  # fmt: skip
def test_too_much_is_refused_with_the_size_and_what_to_do(options, advice):
    limits = Limits(max_result=2**20)
    check_result_size(2**20, options, limits, "job a", at_least=False)
    with pytest.raises(ResultSizeError) as caught:
        check_result_size(3 * 2**20, options, limits, "job a", at_least=True)
    assert caught.value.value == "at least 3145728 bytes (3 MiB)"
    assert caught.value.legal == f"up to 1048576 bytes (1 MiB) (limits.max_result): {advice}"


def test_a_dry_run_brings_nothing_back():
    options = RunOptions(shots=1000, dry_run=True)
    assert least_bytes(1000, options) == 0
    check_result_size(2**40, options, Limits(), "job a", at_least=False)
