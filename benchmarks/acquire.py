"""The acquisition path on the host: demodulation, discrimination, and raw records from the digitizer.

Physical limits. One tone reads every record once and does two multiply-adds per int16: it cannot be faster than the
memory, 1 x the bandwidth. Eight tones do sixteen multiply-adds per int16 and wait for the arithmetic: what the same
code reaches on records that are in the cache is given beside it. Records on their way to the host go once through
the kernel's socket buffers and once into new memory, where the bare socket overwrites 64 KiB: 1 x that is the limit.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from benchmarks.figures import Figure, paired, rate, seconds
from benchmarks.references import bandwidth
from pulsed.drivers.contract import after
from pulsed.drivers.instruments.virtual.dig2 import DigitizerDriver
from pulsed.drivers.rack.demodulate import ReadoutTone, average, demodulate
from pulsed.drivers.rack.discriminate import classify, rule
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.model.device import DeviceDescription, load_device
from pulsed.testing.chunks import make_chunk

CONFIG = Path(__file__).parents[1] / "configs" / "sim5.toml"
SHOTS, SAMPLES = 50_000, 1000
POINTS = 10_000_000
CENTROIDS = np.array([0, 1 + 0.3j, 0.2 + 1.1j])
RAW_SHOTS = 1 << 15
"""Of 1000 samples: 131 MB."""
_BUFFER = 1 << 16


def run() -> Iterator[Figure]:
    """Yield demodulation against bandwidth, discrimination against LDA, and raw records against a bare socket."""
    yield from demodulation()
    for states, at_least in ((2, 6.0), (3, 4.0)):
        yield discrimination(states, at_least)
    yield raw_records()


def demodulation() -> Iterator[Figure]:
    """Yield GB/s of int16 records against the reference's."""
    records = np.random.default_rng(1).integers(-2048, 2048, (SHOTS, SAMPLES, 2), dtype=np.int16)
    flat, size = records.reshape(-1), records.nbytes / 1e9
    kernel = np.exp(-np.arange(SAMPLES) / 400) * (1 + 0.2j) / SAMPLES
    for count, at_least in ((1, 0.6), (8, 0.15)):
        tones = [ReadoutTone(0, SAMPLES, 84, -2.1e8 + 5e7 * k, kernel) for k in range(count)]
        pair = paired(lambda t=tones: demodulate(records, t, 1e9, 2048.0), lambda: bandwidth(flat))  # type: ignore[misc]
        yield rate(f"demodulation: {count} tone{'s'[: count > 1]}", pair, work=size, unit="GB/s", at_least=at_least)
    cached = records[:1000]
    spent = median(seconds(lambda: [demodulate(cached, tones, 1e9, 2048.0) for _ in range(20)]) for _ in range(9))
    yield Figure("demodulation: 8 tones, in the cache", 20 * cached.nbytes / 1e9 / spent, "GB/s", None, None, "", True)
    pair = paired(lambda: average(records), lambda: bandwidth(flat))
    yield Figure("averaging", size / pair.ours, "GB/s", size / pair.reference, 1 / pair.ratio, "", True)


def discrimination(states: int, at_least: float) -> Figure:
    """Return points per second against scikit-learn's linear discriminant, of float32."""
    random = np.random.default_rng(states)
    centroids = CENTROIDS[:states]

    def draw(count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        labels = random.integers(0, states, count)
        noise = 0.3 * random.standard_normal((count, 2), np.float32)
        noise += np.stack([centroids.real, centroids.imag], axis=1).astype(np.float32)[labels]
        return labels, noise

    labels, taught = draw(20_000)
    lda = LinearDiscriminantAnalysis(store_covariance=True).fit(taught, labels)
    means = [complex(*taught[labels == k].mean(axis=0)) for k in range(states)]
    rules = [rule(means, lda.covariance_)]
    _, points = draw(POINTS)
    iq = points.view(np.complex64)
    if (classify(iq, rules)[:, 0] != lda.predict(points)).mean() > 0.01:
        raise AssertionError("the two discriminators disagree")
    pair = paired(lambda: classify(iq, rules), lambda: lda.predict(points), pairs=9)
    name = f"discrimination: {states} states, 1e7 points"
    return rate(name, pair, work=POINTS / 1e6, unit="Mpoint/s", at_least=at_least)


@contextmanager
def rack_process() -> Iterator[DeviceDescription]:
    """Run the simulated rack in a process of its own; give its device description."""
    command = [sys.executable, "-m", "pulsed.simulator.rack", "--device", str(CONFIG), "--ports", "ephemeral"]
    with subprocess.Popen(
        [*command, "--exit-with-stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield load_device(CONFIG).with_addresses(json.loads(process.stdout.readline())["addresses"])
        process.communicate("")


def raw_records() -> Figure:
    """Return MB/s of raw records through the driver against the same bytes into a bare socket's 64 KiB."""
    with rack_process() as device:
        description = device.instruments["digitizer"].model_copy(update={"trigger": None})
        driver = DigitizerDriver("digitizer", description)
        driver.connect(after(10))
        chunk = make_chunk(device, shots=RAW_SHOTS, meas_level=0)
        handle = driver.upload(partition_chunk(chunk, device).recordings["digitizer"], after(10))
        driver.arm(handle, after(10))
        driver.start(after(10))
        while not driver.wait_done(after(120)):
            pass
        host, port = description.address.split("::")[1:3]
        with socket.create_connection((host, int(port))) as bare:
            size = len(_drain(bare)) and int(driver.fetch(handle, after(60)).arrays[0].nbytes)
            pair = paired(lambda: driver.fetch(handle, after(60)), lambda: _drain(bare), pairs=9)
        driver.close()
    return rate("raw records to the host", pair, work=size / 1e6, unit="MB/s", at_least=0.3)


def _drain(bare: socket.socket) -> bytes:
    """Ask for all data and overwrite one buffer with them; return the header."""
    bare.sendall(b"FETC:ALL?\n")
    buffer = bytearray(_BUFFER)
    count = bare.recv_into(buffer)
    header = bytes(buffer[: 2 + buffer[1] - ord("0")])
    left = int(header[2:]) + len(header) + 1 - count
    while left:
        left -= bare.recv_into(buffer)
    return header
