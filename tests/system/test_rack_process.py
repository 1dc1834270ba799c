"""The simulated rack as a process: plain sockets, the stock QCoDeS driver, its options and its end."""

from __future__ import annotations

import json
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from qcodes.instrument_drivers.rohde_schwarz import RohdeSchwarzSGS100A

import pulsed

DEVICE = Path(pulsed.__file__).resolve().parents[2] / "configs" / "sim5.toml"
READOUT = [f - 7.11e9 for f in (6.90e9, 6.98e9, 7.06e9, 7.14e9, 7.22e9)]
DRIVE_0 = 4.970e9 - 5.10e9


class Client:
    """One plain socket."""

    def __init__(self, address):
        host, port = address.split("::")[1:3] if "::" in address else address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.file = self.socket.makefile("rb")

    def write(self, text, data=None):
        block = b"" if data is None else f"#{len(str(len(data)))}{len(data)}".encode() + data
        self.socket.sendall(text.encode() + block + b"\n")

    def query(self, text):
        self.write(text)
        return self.file.readline().decode().removesuffix("\n")

    def block(self, text):
        self.write(text)
        assert self.file.read(1) == b"#"
        length = int(self.file.read(int(self.file.read(1))))
        data = self.file.read(length)
        assert self.file.read(1) == b"\n"
        return data

    def close(self):
        self.file.close()
        self.socket.close()


class Rack:
    """A rack process and clients of all its instruments."""

    def __init__(self, *options):
        command = [sys.executable, "-m", "pulsed.simulator.rack", "--device", str(DEVICE), *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise AssertionError(self.errors)
        ready = json.loads(line)
        self.addresses, self.control = ready["addresses"], ready["control"]
        self.clients = {name: Client(address) for name, address in self.addresses.items()}

    def __getitem__(self, name):
        return self.clients[name]

    def ask(self, **request):
        client = Client(self.control)
        answer = json.loads(client.query(json.dumps(request)))
        client.close()
        return answer

    def end(self, number=None):
        """Ask the process to end; return its exit code."""
        if number is None:
            self.process.stdin.close()
        else:
            self.process.send_signal(number)
        return self.process.wait(20)

    def close(self):
        for client in getattr(self, "clients", {}).values():
            client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors = self.process.stderr.read().decode()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def prepare(self, shots=1000, period=300_000, mode="INT", amplitude=0.0):
        """Load a Gaussian on d0 and a readout of all five qubits, and set everything up."""
        self["sgs1"].write("SOUR:FREQ 5.10e9;:OUTP ON")
        self["sgs2"].write("SOUR:FREQ 7.11e9;:OUTP ON")
        assert [self[name].query("*OPC?") for name in ("sgs1", "sgs2")] == ["1", "1"]  # they are on before it begins
        awg1, awg2, digitizer = self.players
        gauss = np.zeros((32, 2), "<i2")
        gauss[:, 0] = np.round(8191 * np.exp(-(((np.arange(32) - 15.5) / 8) ** 2) / 2))
        square = np.zeros((800, 2), "<i2")
        square[:, 0] = 8191
        awg1.write('WAV:DATA 1,"gauss",', gauss.tobytes())
        awg2.write('WAV:DATA 1,"square",', square.tobytes())
        awg1.write('SEQ:DATA 1,"drive",1000,', struct.pack("<BBHIqddd", 1, 0, 0, 1, 24, amplitude, 0.0, DRIVE_0))
        tones = b"".join(struct.pack("<BBHIqddd", 2, i, 0, 1, 40, 0.12, 0.0, f) for i, f in enumerate(READOUT))
        awg2.write('SEQ:DATA 1,"readout",1000,', tones)
        digitizer.write(
            'ACQ:DATA 1,"all",1000,', b"".join(struct.pack("<IIqqdd", 0, 0, 100, 800, f, 0.0) for f in READOUT)
        )
        digitizer.write(f"ACQ:MODE {mode}")
        for player in self.players:
            player.write("LIST:DATA ", struct.pack("<IIQ", 1, shots, period))
        awg1.write("OUTP1 ON")
        awg2.write("OUTP2 ON;:TRIG:SOUR EXT")
        digitizer.write("TRIG:SOUR EXT")

    @property
    def players(self):
        return [self[name] for name in ("awg1", "awg2", "digitizer")]

    def start(self):
        awg1, awg2, digitizer = self.players
        for player in (awg2, digitizer, awg1):
            player.write("INIT")
            assert player.query("SYST:ERR:ALL?") == '0,"No error"'
        awg1.write("*TRG")

    def run(self, **settings):
        """Prepare, run, and return the block with all data."""
        self.prepare(**settings)
        self.start()
        assert [player.query("WAIT? 60000") for player in self.players] == ["DONE"] * 3
        return self["digitizer"].block("FETC:ALL?")


@pytest.fixture
def rack(request):
    options = getattr(request, "param", ())
    rack = Rack("--ports", "ephemeral", *options)
    yield rack
    rack.close()
    assert rack.errors == ""


def test_everybody_answers_and_a_pulse_moves_its_qubit(rack):
    names = {"awg1": "pulsed,AWG8,AWG8-0001", "digitizer": "pulsed,DIG2,DIG2-0001", "sgs1": "Rohde&Schwarz,SGS100A"}
    for name, identity in names.items():
        assert rack[name].query("*IDN?").startswith(identity + ",")
    still = np.frombuffer(rack.run(shots=2000), "<c8").reshape(2000, 5)
    assert rack["digitizer"].query("FETC:OVER?") == "0"
    driven = np.frombuffer(rack.run(shots=2000, amplitude=0.6), "<c8").reshape(2000, 5)
    noise = np.std(still, axis=0) / np.sqrt(2000)
    moved = abs(driven.mean(0) - still.mean(0)) / noise
    assert moved[0] > 30
    assert max(moved[1:]) < 6
    predicted = rack.ask(op="predict")["result"][0]
    populations = np.array(predicted["populations"])
    assert predicted["qubits"] == [0, 1, 2, 3, 4]
    assert populations.sum() == pytest.approx(1)
    assert populations.sum(axis=(1, 2, 3, 4))[1] > 0.2
    rack["sgs1"].write("OUTP OFF")
    assert rack["sgs1"].query("*OPC?") == "1"
    rack.start()
    assert rack["awg1"].query("WAIT? 60000") == "DONE"
    assert np.array(rack.ask(op="predict")["result"][0]["populations"]).sum(axis=(1, 2, 3, 4))[1] < 0.02


def test_raw_averaged_and_integrated_data_agree(rack):
    """Demodulated on the host, raw and averaged records have the mean of the integrated values."""
    shots = 2000
    integrated = np.frombuffer(rack.run(shots=shots), "<c8").reshape(shots, 5)
    raw = np.frombuffer(rack.run(shots=shots, mode="RAW"), "<i2").reshape(shots, 800, 2)
    averaged = np.frombuffer(rack.run(shots=shots, mode="AVER"), "<f4").reshape(800, 2)
    t = (100 + np.arange(800)) * 1e-9
    kernels = np.exp(2j * np.pi * np.outer(READOUT, t)) / 800
    tolerance = 6 * integrated.std(0) * np.sqrt(2 / shots)
    for records in (raw.mean(0), averaged):
        z = (records[:, 0] + 1j * records[:, 1]) / 2048
        assert np.all(abs(kernels @ z - integrated.mean(0)) < tolerance)


@pytest.mark.parametrize("rack", [("--seed", "11")], indirect=True)
def test_a_seed_reproduces_a_run(rack):
    first = rack.run(shots=50)
    assert rack.run(shots=50) != first
    assert rack.ask(op="seed", seed=11) == {"ok": True, "result": 11}
    assert rack.run(shots=50) == first
    rack.ask(op="seed", seed=12)
    assert rack.run(shots=50) != first


@pytest.mark.parametrize("rack", [("--real-time",)], indirect=True)
def test_in_real_time_a_run_takes_its_time_and_can_be_watched_and_aborted(rack):
    began = time.monotonic()
    rack.run(shots=1000, period=500_000)
    assert 0.5 <= time.monotonic() - began < 30
    rack.prepare(shots=100_000, period=500_000)
    rack.start()
    awg1, _, digitizer = rack.players
    assert awg1.query("WAIT? 50") == "RUN"
    digitizer.write("WAIT? 60000")
    assert not select.select([digitizer.socket], [], [], 0.1)[0]
    other = Client(rack.addresses["digitizer"])
    began = time.monotonic()
    assert other.query("STAT?") == "RUN"
    other.write("ABOR")
    assert digitizer.file.readline() == b"IDLE\n"
    assert time.monotonic() - began < 30  # of the 50 s that the run takes
    assert awg1.query("WAIT? 5000") == "DONE"
    other.close()


def test_a_large_upload_and_a_client_that_does_not_read(rack):
    """Nobody else waits for a client that asks for much and reads nothing."""
    codes = np.random.default_rng(5).integers(-8191, 8192, (65536, 2)).astype("<i2").tobytes()
    for number in range(64):
        rack["awg1"].write(f'WAV:DATA {number},"w",', codes)
    assert rack["awg1"].query("WAV:FREE?") == str(2**24 - 64 * 65536)
    lazy = Client(rack.addresses["awg1"])
    for number in range(64):
        lazy.write(f"WAV:DATA? {number}")
    began = time.monotonic()
    assert rack["awg1"].query("*OPC?") == "1"
    assert time.monotonic() - began < 30
    for _ in range(64):
        assert lazy.file.read(8) == b"#6262144"
        assert lazy.file.read(len(codes) + 1) == codes + b"\n"
    lazy.close()


def test_the_stock_driver_sets_and_reads_every_parameter(rack):
    legal = {"frequency": 5.1e9, "phase": 90, "power": 13, "I_offset": 1.5, "Q_offset": -1.5, "IQ_angle": 2,
             "IQ_gain_imbalance": 0.5, "pulsemod_delay": 1e-6, "pulsemod_double_delay": 1e-6, "pulsemod_period": 1e-5,
             "pulsemod_double_width": 1e-6, "pulsemod_width": 1e-6}  # fmt: skip
    source = RohdeSchwarzSGS100A("sgs_under_test", rack.addresses["sgs1"])
    try:
        assert source.get_idn()["model"] == "SGS100A"
        for name, parameter in source.parameters.items():
            if name in ("IDN", "timeout"):
                continue
            if name in legal:
                values = [legal[name]]
            elif parameter.val_mapping:
                values = [True, False]
            else:
                values = list(parameter.vals.valid_values)
            for value in values:
                parameter.set(value)
                answer = parameter.get()
                if isinstance(value, str):
                    assert value.upper().startswith(answer.upper()), (name, value, answer)
                else:
                    assert answer == value, name
                assert source.ask("SYST:ERR:ALL?") == '0,"No error"', (name, value)
        source.on()
        assert rack.ask(op="state")["result"]["sgs1"]["on"]
        assert source.ask("*TST?") == "0"
        source.reset()
        assert source.status() is False
    finally:
        source.close()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            '{"op": "explode"}',
            (
                "invalid_value",
                "op",
                "clear, drift, fault, faults, markers, predict, report, seed, state, temperature, truth",
            ),
        ),
        ('{"op": "seed", "seed": -1}', ("invalid_value", "seed", "an integer from 0 to 2^63 - 1")),
        ("[1]", ("invalid_value", "request", "")),
        ("\xff{", ("invalid_value", "request", "")),
    ],
)
def test_the_control_socket_explains_itself(rack, line, error):
    client = Client(rack.control)
    answer = json.loads(client.query(line))
    assert not answer["ok"]
    assert (answer["error"]["code"], answer["error"]["subject"], answer["error"]["legal"]) == error
    assert json.loads(client.query('{"op": "truth"}'))["result"]["name"] == "sim5"
    client.close()


def test_no_instrument_answers_to_the_control_socket(rack):
    for name in rack.clients:
        rack[name].write('{"op": "truth"}')
        assert rack[name].query("SYST:ERR?").startswith("-113,")


def _is_served(client):
    try:
        return client.query("*OPC?") == "1"
    except ConnectionError:
        return False
    finally:
        client.close()


def test_more_clients_than_an_instrument_serves(rack):
    clients = [Client(rack.addresses["sgs1"]) for _ in range(15)]
    assert clients[-1].query("*OPC?") == "1"
    assert not _is_served(Client(rack.addresses["sgs1"]))
    clients.pop().close()
    deadline = time.monotonic() + 60
    while not _is_served(Client(rack.addresses["sgs1"])):
        assert time.monotonic() < deadline, "a place that became free is not given away"
    for client in clients:
        client.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, None])
def test_it_ends_cleanly_in_the_middle_of_a_run(number):
    rack = Rack("--ports", "ephemeral", "--real-time", "--exit-with-stdin")
    try:
        rack.prepare(shots=100_000, period=500_000)
        rack.start()
        rack["digitizer"].write("WAIT? 60000")
        assert rack.end(number) == 0
    finally:
        rack.close()
    assert rack.errors == ""


def test_it_does_not_wait_for_a_long_computation_to_end():
    rack = Rack("--ports", "ephemeral")
    try:
        rack.prepare(shots=100_000, mode="RAW")
        rack.start()
        assert rack["awg1"].query("WAIT? 500") == "RUN"
        began = time.monotonic()
        assert rack.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 15
    finally:
        rack.close()
    assert rack.errors == ""


def test_a_port_in_use_is_one_clear_error(rack):
    taken = rack.addresses["awg2"].split("::")[2]
    command = [sys.executable, "-m", "pulsed.simulator.rack", "--device", str(DEVICE), "--ports", f"0,{taken},0,0,0,0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"instrument awg2: cannot listen on 127.0.0.1: Address already in use; got port {taken};" in done.stderr
    assert done.stderr.count("\n") == 1


def test_chosen_ports_and_bad_choices(rack):
    for ports in ("1,2", "0,0,0,0,0,70000"):
        command = [sys.executable, "-m", "pulsed.simulator.rack", "--device", str(DEVICE), "--ports", ports]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert done.stderr.startswith("rack: --ports: not a choice of ports")
