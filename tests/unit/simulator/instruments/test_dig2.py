"""The DIG2 does what its manual says."""

from __future__ import annotations

import numpy as np
import pytest

RECORD_ROW = (0, 0, 0, 16, 0.0)


def arm(bench, digitizer, *entries):
    digitizer.write("LIST:DATA ", bench.entries(*entries))
    digitizer.write("INIT")


def run(bench, digitizer, *entries):
    arm(bench, digitizer, *entries)
    digitizer.write("*TRG")
    bench.settle()
    digitizer.clean()
    assert digitizer.query("STAT?") == "DONE"


def test_kernels(digitizer):
    assert digitizer.query("KERN:CAT?") == ""
    digitizer.write('KERN:DATA 3,"matched",', np.ones(24, "<c8"))
    assert digitizer.query("KERN:CAT?;FREE?") == f'3,24,"matched";{2**22 - 24}'
    digitizer.clean()
    for number, samples, code in ((0, 16, -222), (1, 8, -222), (1, 16385, -223)):
        digitizer.write(f'KERN:DATA {number},"k",', np.ones(samples, "<c8"))
        assert digitizer.error() == code
    digitizer.write('KERN:DATA 1,"k",', np.full(16, np.nan, "<c8"))
    assert digitizer.error() == -222
    digitizer.write("KERN:DEL 1")
    assert digitizer.error() == -224
    digitizer.write("KERN:DEL 3")
    assert digitizer.query("KERN:CAT?") == ""


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([(0, 0, 0, 8, 0.0)], -222),
        ([(0, 0, 0, 20, 0.0)], -222),
        ([(0, 0, 0, 16392, 0.0)], -222),
        ([(0, 257 << 16, 0, 16, 0.0)], -222),
        ([(0, 0, 0, 16, 6e8)], -222),
        ([(0, 0, 0, 16, float("nan"))], -222),
        ([(0, 0, -1, 16, 0.0)], -221),
        ([(0, 0, 85, 16, 0.0)], -221),
        ([(1, 0, 0, 16, 0.0)], -221),
        ([RECORD_ROW, (2, 0, 32, 16, 0.0)], -221),
        ([RECORD_ROW, (0, 0, 1, 16, 0.0)], -221),
        ([RECORD_ROW, (0, 0, 0, 24, 0.0)], -221),
        ([RECORD_ROW, (1, 0, 15, 16, 0.0)], -221),
        ([(0, 0, 32, 16, 0.0), (1, 0, 0, 16, 0.0)], -221),
    ],
)
def test_acquisition_tables_that_are_refused(bench, digitizer, rows, code):
    digitizer.write('ACQ:DATA 1,"t",100,', bench.records(*rows))
    assert digitizer.error() == code
    assert digitizer.query("ACQ:CAT?") == ""


@pytest.mark.parametrize("bad", [(np.nan, 0.0), (0.0, np.inf)])
def test_threshold_and_angle_are_finite(bench, digitizer, bad):
    digitizer.write('ACQ:DATA 1,"t",100,', bench.records(RECORD_ROW)[:-8] + np.array(bad, "<f4").tobytes())
    assert digitizer.error() == -222


def test_a_bit_on_the_line_needs_its_kernel_in_every_mode(bench, digitizer):
    """In the others of the modes RAW and AVER no kernel is looked at."""
    digitizer.write('ACQ:DATA 1,"t",100,', bench.records((0, 5, 0, 16, 0.0)))
    digitizer.write('ACQ:DATA 2,"t",100,', bench.records((0, 5 | 256 << 16, 0, 16, 0.0)))
    digitizer.write("ACQ:MODE RAW")
    arm(bench, digitizer, (1, 4, 1000))
    digitizer.clean()
    digitizer.write("ABOR")
    arm(bench, digitizer, (2, 4, 1000))
    assert digitizer.error() == -221


def test_the_angle_turns_the_plane(bench, digitizer):
    """Values are shot + i * kernel: turned by a quarter, the kernel's number is what the threshold sees."""
    tail = np.array([0.5, np.pi / 2], "<f4").tobytes()
    digitizer.write('ACQ:DATA 1,"t",100,', b"".join(bench.records((0, 0, 0, 16, f))[:-8] + tail for f in (0.0, 1e6)))
    digitizer.write("ACQ:MODE THR")
    run(bench, digitizer, (1, 4, 1000))
    bits = np.frombuffer(digitizer.block("FETC:ALL?"), np.uint8).reshape(4, 2)
    assert bits.tolist() == [[0, 1]] * 4


def test_thresholded_data_are_one_byte_for_each_record_and_shot(bench, digitizer):
    """The chip's integrated values are shot + i * kernel; thresholds are taken by record, as uploaded."""
    rows = [(1, 0, 40, 16, 0.0), (0, 0, 0, 16, 0.0)]
    block = b"".join(
        bench.records(row)[:-8] + np.array([at, 0.0], "<f4").tobytes() for row, at in zip(rows, (2.5, 0.5), strict=True)
    )
    digitizer.write('ACQ:DATA 1,"t",100,', block)
    digitizer.write("ACQ:MODE THR")
    run(bench, digitizer, (1, 4, 1000))
    assert digitizer.query("ACQ:MODE?") == "THR"
    bits = np.frombuffer(digitizer.block("FETC:ALL?"), np.uint8).reshape(4, 2)
    assert bits.tolist() == [[0, 0], [0, 1], [0, 1], [1, 1]]
    digitizer.write('ACQ:DATA 2,"t",100,', bench.records((0, 5, 0, 16, 0.0)))
    arm(bench, digitizer, (2, 4, 1000))
    assert digitizer.error() == -221, "kernels are checked in this mode, too"


def test_tables(bench, digitizer):
    digitizer.write('ACQ:DATA 1,"t",100,', bench.records(RECORD_ROW, (1, 0, 17, 24, 1e6)))
    assert digitizer.query("ACQ:CAT?;FREE?") == f'1,2,"t";{2**20 - 2}'
    digitizer.write("ACQ:DEL 2")
    assert digitizer.error() == -224
    digitizer.write("ACQ:DEL 1")
    assert digitizer.query("ACQ:CAT?") == ""
    digitizer.clean()


def test_arming_checks_kernels_when_they_are_used(bench, digitizer):
    digitizer.write('ACQ:DATA 1,"t",100,', bench.records((0, 5, 0, 16, 0.0)))
    arm(bench, digitizer, (1, 10, 1000))
    assert digitizer.error() == -221
    digitizer.write('KERN:DATA 5,"k",', np.ones(24, "<c8"))
    digitizer.write("INIT")
    assert digitizer.error() == -221
    digitizer.write("ACQ:MODE RAW;:INIT;ABOR;:ACQ:MODE INT")
    digitizer.write('KERN:DATA 5,"k",', np.ones(16, "<c8"))
    digitizer.write("INIT")
    digitizer.clean()
    for command in ("KERN:DEL 5", "KERN:DEL:ALL", "ACQ:DEL 1", "ACQ:DEL:ALL", "ACQ:MODE RAW"):
        digitizer.write(command)
        assert digitizer.error() == -221, command
    digitizer.write('KERN:DATA 5,"k",', np.ones(16, "<c8"))
    assert digitizer.error() == -221


def test_more_data_than_there_is_memory(bench, digitizer):
    digitizer.write('ACQ:DATA 1,"t",20000,', bench.records((0, 0, 0, 16384, 0.0)))
    digitizer.write("ACQ:MODE RAW")
    shots = 2**31 // (16384 * 4)
    arm(bench, digitizer, (1, shots, 20000))
    digitizer.clean()
    digitizer.write("ABOR")
    arm(bench, digitizer, (1, shots, 20000), (1, 1, 20000))
    assert digitizer.error() == -223


def test_integrated_data_have_the_order_of_the_records(bench, digitizer):
    """Kernels go to the chip in order of window; the block has the records as they were uploaded."""
    rows = [(1, 0, 40, 16, 3e6), (0, 0, 0, 24, 1e6), (1, 0, 40, 16, 4e6), (0, 0, 0, 24, 2e6)]
    digitizer.write('ACQ:DATA 1,"t",100,', bench.records(*rows))
    run(bench, digitizer, (1, 3, 1000))
    sequence, shots, stream, mode = bench.chip.played[0]
    assert [(w.start, w.length) for w in sequence.windows] == [(0, 24), (40, 16)]
    assert [k.frequency for w in sequence.windows for k in w.kernels] == [1e6, 2e6, 3e6, 4e6]
    np.testing.assert_allclose(sequence.windows[0].kernels[0].weights, np.full(24, 1 / 24))
    assert (shots, stream, mode, sequence.period) == (3, (0, 0), "integrated", 1000)
    data = np.frombuffer(digitizer.block("FETC:DATA? 0"), "<c8").reshape(3, 4)
    assert data[1].tolist() == [1 + 2j, 1 + 0j, 1 + 3j, 1 + 1j]
    assert digitizer.query("FETC:OVER?") == "0"


def test_raw_and_averaged_data(bench, digitizer):
    digitizer.write('ACQ:DATA 1,"t",100,', bench.records((0, 9, 0, 16, 0.0), (1, 9, 40, 24, 0.0)))
    digitizer.write("ACQ:MODE RAW")
    run(bench, digitizer, (1, 5, 1000), (1, 2, 1000))
    raw = np.frombuffer(digitizer.block("FETC:DATA? 1"), "<i2").reshape(2, 40, 2)
    assert raw[1, 3].tolist() == [86, 87]
    assert len(digitizer.block("FETC:ALL?")) == 7 * 40 * 4
    assert digitizer.query("FETC:OVER?") == "1,1"
    digitizer.write("ACQ:MODE AVER")
    run(bench, digitizer, (1, 5, 1000))
    averaged = np.frombuffer(digitizer.block("FETC:ALL?"), "<f4").reshape(40, 2)
    assert averaged[3].tolist() == [1.5, 1.75]
    assert digitizer.query("ACQ:MODE?") == "AVER"


def test_fetching_what_is_not_there(bench, digitizer):
    for command in ("FETC:DATA? 0", "FETC:ALL?", "FETC:OVER?"):
        assert digitizer.query(command) == ""
        assert digitizer.error() == -221
    digitizer.write('ACQ:DATA 1,"t",100,', bench.records(RECORD_ROW))
    run(bench, digitizer, (1, 5, 1000))
    assert digitizer.query("FETC:DATA? 1") == ""
    assert digitizer.error() == -221
    digitizer.write("INIT")
    assert digitizer.query("FETC:DATA? 0") == ""
    assert digitizer.error() == -221
