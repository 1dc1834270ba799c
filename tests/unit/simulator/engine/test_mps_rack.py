"""Twelve qubits behind four AWGs: more than ten interact, through SCPI and back, and are refused through SCPI."""

from __future__ import annotations

import queue
from dataclasses import replace

import numpy as np
import pytest

from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.chip.truncation import Truncation
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.instruments.awg8 import OSCILLATORS, PAIRS, VirtualAwg
from pulsed.simulator.instruments.conductor import Conductor
from pulsed.simulator.instruments.dig2 import VirtualDigitizer
from pulsed.simulator.instruments.run import OutputCable
from pulsed.simulator.instruments.sgs100a import VirtualSgs100a
from pulsed.simulator.instruments.virtual_instrument import RunState, VirtualIdentity

QUBITS, LO, READOUT = 12, 5.10e9, 7.3e9
READ = range(OSCILLATORS)
"""One pair of an AWG has a tone for each of eight qubits at once."""


class Rack:
    """awg1 leads; pairs in order are d0 to d11 and ro."""

    def __init__(self, bench, truncation: Truncation) -> None:
        self.chip = replace(random_chip(3, QUBITS), truncation=truncation)
        self.posted: queue.Queue = queue.Queue()
        self.conductor = Conductor(Engine(self.chip, 1), lambda function, *args: self.posted.put((function, args)))
        self.awgs = [VirtualAwg(VirtualIdentity("pulsed", "AWG8", str(k)), self.conductor) for k in range(4)]
        self.digitizer = VirtualDigitizer(VirtualIdentity("pulsed", "DIG2", "9"), self.conductor)
        drive, readout = (VirtualSgs100a(VirtualIdentity("Rohde&Schwarz", "SGS100A", k)) for k in "78")
        self.conductor.outputs = tuple(
            OutputCable(wire.name, self.awgs[k // PAIRS], k % PAIRS + 1, readout if wire.reads else drive)
            for k, wire in enumerate(self.chip.wires)
        )
        self.conductor.followers = {self.awgs[0]: (*self.awgs[1:], self.digitizer)}
        self.clients = [bench.client(i) for i in (*self.awgs, self.digitizer)]
        bench.client(drive).write(f"SOUR:FREQ {LO};:OUTP ON")
        bench.client(readout).write(f"SOUR:FREQ {READOUT};:OUTP ON")
        self.upload(bench)

    def upload(self, bench) -> None:
        """A rotation of every qubit, tones on six pairs, a rotation, eight readouts."""
        codes = np.zeros((224, 2), "<i2")
        codes[:, 0] = 4000
        events: list[list[tuple[int, int, int, int, float, float, float]]] = [[] for _ in self.awgs]
        for q, qubit in enumerate(self.chip.qubits):
            partner = self.chip.qubits[q ^ 1]
            rows = [(0, 1, 30, 0.3, 0.1 * q, qubit.frequency - LO), (0, 1, 330, 0.2, 0.0, qubit.frequency - LO)]
            if qubit.frequency > partner.frequency:
                rows.append((1, 2, 80, 0.9, 0.0, partner.frequency - LO))
            events[q // PAIRS] += [(q % PAIRS + 1, *row) for row in sorted(rows)]
        tones = [self.chip.qubits[q].readout_frequency - READOUT for q in READ]
        events[-1] = [(QUBITS % PAIRS + 1, k, 3, 400, 0.1, 0.0, tone) for k, tone in enumerate(tones)]
        for k, client in enumerate(self.clients[:-1]):
            wave = np.zeros((800, 2), "<i2")
            wave[:, 0] = 8000
            client.write('WAV:DATA 1,"rotate",', codes[:32])
            client.write('WAV:DATA 2,"tone",', codes)
            client.write('WAV:DATA 3,"read",', wave)
            client.write(";".join(f"OUTP{pair} ON" for pair in range(1, PAIRS + 1)))
            client.write('SEQ:DATA 1,"s",1400,', bench.events(*events[k]))
            if k:
                client.write("TRIG:SOUR EXT")
        records = bench.records(*((0, 0, 460, 800, tone) for tone in tones))
        self.clients[-1].write('ACQ:DATA 1,"t",1400,', records)
        self.clients[-1].write("TRIG:SOUR EXT")
        for client in self.clients:
            client.write("LIST:DATA ", bench.entries((1, 200, 500_000)))
            client.clean()

    def play(self) -> None:
        for client in reversed(self.clients):
            client.write("INIT")
        self.clients[0].write("*TRG")
        while RunState.RUN in (self.awgs[0].state, self.digitizer.state):
            function, args = self.posted.get(timeout=60)
            function(*args)


@pytest.fixture
def rack(bench):
    """Make a rack with bounds of its own."""
    racks = []

    def make(truncation: Truncation) -> Rack:
        racks.append(Rack(bench, truncation))
        return racks[-1]

    yield make
    for made in racks:
        made.conductor.close()


def test_twelve_qubits_play_through_four_awgs(rack):
    made = rack(Truncation())
    made.play()
    for client in made.clients:
        client.clean()
    points = np.frombuffer(made.clients[-1].block("FETC:ALL?"), "<c8").reshape(200, len(READ))
    assert (np.abs(points.mean(axis=0)) > 0).all()
    (report,) = made.conductor.reports()
    (cluster,) = report.clusters
    assert (cluster.qubits, cluster.method) == (tuple(range(QUBITS)), "matrix product states")
    assert cluster.bond_dimension > 2
    assert cluster.discarded_weight < 1e-6


def test_a_refused_run_is_an_error_in_every_queue_and_the_rack_goes_on(rack):
    """The error names the weight, the bound and what to do, and fits an entry of the queue."""
    made = rack(Truncation(2, 1e-7))
    for _ in range(2):
        made.play()
        for client in made.clients:
            assert client.query("STAT?") == "FAULT"
            code, text = client.query("SYST:ERR?").split(",", 1)
            assert code == "-200"
            assert text.startswith('"Execution error; 12 transmons in one state: too entangled')
            for part in ("discarded weight ", "at most 1e-07", "shallower", "truncation.bond_dimension (now 2)"):
                assert part in text
            assert text.endswith('in the chip file"')
            client.write("ABOR")
    assert made.conductor.reports() == []
