"""A digitizer that has nothing but raw records, through the same rack: the host integrates, averages and classifies."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from pulsed.compiler.program import Chunk, IqDiscriminator, PartWriter
from pulsed.drivers.contract import after
from pulsed.drivers.instruments.virtual.dig2 import DigitizerDriver
from pulsed.drivers.rack.rack import Rack
from pulsed.model.payload import read_array
from pulsed.testing.chunks import READOUT, make_chunk

SHOTS = 600


def with_kernel(chunk):
    """Return the chunk with the second envelope of its table, 1 for all samples, as integration weights."""
    writer = PartWriter()
    writer.parts = list(chunk.parts)
    rows = chunk.array(chunk.programs[0].acquisitions).copy()
    rows["kernel"] = 1
    program = msgspec.structs.replace(chunk.programs[0], acquisitions=writer.add(rows))
    return Chunk(msgspec.structs.replace(chunk.head, programs=(program,)), writer.parts)


@pytest.fixture
def plays(rack_process, monkeypatch):
    """Return a function that plays a chunk with a digitizer of given modes."""

    def play(modes, name, change=lambda chunk: chunk, **settings):
        with monkeypatch.context() as patch:
            patch.setattr(DigitizerDriver, "capabilities", replace(DigitizerDriver.capabilities, modes=modes))
            rack = Rack(rack_process.device)
            try:
                rack.connect(after(5))
                chunk = change(make_chunk(rack.device, shots=SHOTS, **settings))
                assert rack.validate(chunk).recordings["digitizer"].mode in modes
                results, parts, _ = rack.play(chunk)
                return read_array(getattr(results[0], name), parts)
            finally:
                rack.close()

    return play


def quadratures(points):
    return np.concatenate([points.real, points.imag], axis=1)


@pytest.mark.parametrize(("change", "gain"), [(lambda chunk: chunk, 1), (with_kernel, READOUT)])
def test_the_host_integrates_as_the_instrument_does(plays, change, gain):
    """Two runs of the same chunk: means, variances and correlation of I and Q of both tones agree."""
    roads = (("raw",), ("integrate", "raw"))
    host, instrument = (quadratures(plays(modes, "iq", change, meas_level=1)) / gain for modes in roads)
    # The noise of a mean of the samples, 16 codes in each, however the weights are scaled; the states add to it.
    assert host.var(axis=0).min() > 0.8 * (16 / 2048) ** 2 / READOUT
    assert host.var(axis=0).max() < 20 * (16 / 2048) ** 2 / READOUT
    for mine, theirs in zip(host.T, instrument.T, strict=True):
        error = np.sqrt(mine.var() / SHOTS + theirs.var() / SHOTS)
        assert abs(mine.mean() - theirs.mean()) < 5 * error
        # The standard error of a variance of Gaussian noise is sqrt(2 / n) of it; two of them, five times.
        assert mine.var() == pytest.approx(theirs.var(), rel=5 * np.sqrt(4 / SHOTS))
    assert np.abs(np.corrcoef(host.T) - np.corrcoef(instrument.T)).max() < 5 * np.sqrt(2 / SHOTS)
    assert np.abs(host.mean(axis=0)).max() > 10 * host.std(axis=0).max() / np.sqrt(SHOTS), "there is a signal"


def test_averages_and_averaged_points(plays):
    records = [plays(modes, "records", meas_level=0, meas_return="avg") for modes in (("raw",), ("raw", "average"))]
    assert records[0].shape == records[1].shape
    error = np.std(records[0] - records[1])
    # 16 codes of noise per quadrature and shot, in two averages.
    assert error == pytest.approx(np.sqrt(4 / SHOTS) * 16 / 2048, rel=0.2)
    points = [plays(modes, "iq", meas_level=1, meas_return="avg") for modes in (("raw",), ("integrate",))]
    single = plays(("raw",), "iq", meas_level=1)
    assert np.all(np.abs(points[0] - points[1]) < 6 * np.sqrt(2 / SHOTS) * single.std(axis=0))


def test_levels_of_three_states(plays):
    points = plays(("raw",), "iq", meas_level=1)
    rules = {}
    for q in (0, 1):
        middle, width = complex(points[:, q].mean()), float(points[:, q].std())
        rules[q] = IqDiscriminator(middle, middle + width, middle + 1j * width)
    levels = plays(("raw",), "levels", discriminators=rules)
    assert levels.shape == (SHOTS, 2)
    # Two other runs: the share of each state is that of the points of the first, within six standard errors.
    for q in (0, 1):
        centroids = np.array([rules[q].zero, rules[q].one, rules[q].two])
        expected = np.bincount(np.abs(points[:, q, None] - centroids).argmin(axis=1), minlength=3) / SHOTS
        found = np.bincount(levels[:, q], minlength=3) / SHOTS
        assert np.all(np.abs(found - expected) < 6 * np.sqrt(2 * 0.25 / SHOTS))
        assert expected.min() > 0.05
