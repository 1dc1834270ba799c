"""Every driver here against the simulated rack's process, by the suite that other drivers are tested with."""

import itertools
import socket
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from pulsed.drivers.contract import BiasSettings, InstrumentState, SourceSettings, after
from pulsed.drivers.instruments.keysight.n9030b import N9030bDriver, SpectrumSweep
from pulsed.drivers.instruments.rohde_schwarz.sgs100a import Sgs100aDriver
from pulsed.drivers.instruments.virtual.awg8 import AwgDriver
from pulsed.drivers.instruments.virtual.dig2 import DigitizerDriver
from pulsed.drivers.instruments.yokogawa.gs200 import Gs200Driver
from pulsed.drivers.programs import InstrumentPrograms
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.drivers.scpi.sequencer import parse_catalog
from pulsed.model.errors import (
    IllegalStepError,
    InstrumentChangedError,
    InstrumentLimitError,
    InstrumentMemoryLostError,
    InstrumentRefusedError,
    InstrumentTimeoutError,
)
from pulsed.testing.chunks import make_chunk
from pulsed.testing.driver_contract import (
    BiasSourceContract,
    DigitizerContract,
    DriverContract,
    GeneratorContract,
    SourceContract,
    say_past,
)


class Scaled:
    """Envelopes times a number, with names of their own."""

    def __init__(self, envelopes, factor):
        self.envelopes, self.factor, self.lengths = envelopes, factor, envelopes.lengths

    def name(self, row):
        return f"{self.envelopes.name(row)[:40]}-{self.factor}"

    def read(self, row):
        return self.factor * self.envelopes.read(row)


def over_hislip(address):
    """Return the HiSLIP address of an instrument that also answers at a socket: one port serves both."""
    host, port = address.split("::")[1:3]
    return f"TCPIP::{host}::hislip0,{port}::INSTR"


@pytest.fixture(params=["socket", "hislip"], scope="module")
def device(request, rack_process):
    """The rack's description, with the addresses of either transport."""
    if request.param == "socket":
        return rack_process.device
    return rack_process.device.with_addresses(
        {name: over_hislip(address) for name, address in rack_process.addresses.items()}
    )


def maker(kind, name, device):
    def make(**changes):
        return kind(name, device.instruments[name].model_copy(update=changes))

    return make


def asks(*headers):
    """Return the function that asks the instrument, past the driver, which of its outputs are on."""
    return lambda driver: {header: driver.session.query(f"{header}?", after(5)) == "1" for header in headers}


AWG_BY_HAND = {"output": "OUTP1 OFF", "correction": "OUTP2:CORR 1,0,0,1", "offset": "OUTP4:OFFS 0,0"}
AWG_OUTPUTS = asks(*(f"OUTP{pair}" for pair in range(1, 5)))


class TestAwgLeader(GeneratorContract):
    @pytest.fixture
    def by_hand(self):
        return AWG_BY_HAND

    @pytest.fixture
    def outputs(self):
        return AWG_OUTPUTS

    @pytest.fixture
    def make_driver(self, device):
        return maker(AwgDriver, "awg1", device)

    @pytest.fixture
    def work(self, device):
        return partition_chunk(make_chunk(device, (0.1, 0.2)), device).playbacks["awg1"]

    def test_the_same_work_costs_no_round_trip(self, driver, work):
        driver.upload(work, after(5))
        sent, trips = driver.session.bytes_sent, driver.session.round_trips
        driver.upload(work, after(5))
        assert (driver.session.bytes_sent, driver.session.round_trips) == (sent, trips)

    def test_what_cannot_have_changed_is_not_looked_through_again(self, driver, work, monkeypatch):
        InstrumentPrograms({"awg1": work}, {}).keep()
        looked, tables = [], driver._tables
        monkeypatch.setattr(driver, "_tables", lambda work: looked.append(work) or tables(work))
        first = driver.upload(work, after(5))
        assert driver.upload(work, after(5)) == first
        assert len(looked) == 1
        other = replace(work, entries=work.entries.copy())
        other.entries["shots"] += 1
        for _ in range(2):
            assert driver.upload(other, after(5)) != first
        assert driver.upload(work, after(5)) == first
        assert len(looked) == 4, "what may change is looked through each time, and so is what comes after it"
        driver.session.transact(("*RST",), (), after(5))
        with pytest.raises(InstrumentMemoryLostError):
            driver.arm(first, after(5))
        driver.verify(driver.upload(work, after(5)), after(5))
        assert len(looked) == 5

    def test_a_leader_is_started_and_waited_for_in_one_exchange(self, driver, work):
        with pytest.raises(IllegalStepError):
            driver.start_and_wait(after(5))
        driver.arm(driver.upload(work, after(5)), after(5))
        trips = driver.session.round_trips
        done = driver.start_and_wait(after(5))
        assert driver.session.round_trips == trips + 1
        assert driver.state is (InstrumentState.DONE if done else InstrumentState.RUNNING)
        while not done:
            done = driver.wait_done(after(5))
        assert driver.status(after(5)) is InstrumentState.DONE

    def test_a_new_driver_finds_what_is_there(self, driver, work, make_driver):
        first = driver.upload(work, after(5))
        other = make_driver()
        driver.close()
        other.connect(after(5))
        sent = other.session.bytes_sent
        assert other.upload(work, after(5)) == first
        assert other.session.bytes_sent - sent < 200, "only the list is sent"
        other.close()

    def test_what_is_in_the_memory_is_what_was_uploaded(self, driver, work):
        """Also when a number comes to mean another waveform, which makes another sequence of the same events."""
        driver.reset(after(5))
        driver._waveforms._range = range(1)
        seen = set()
        for factor in (1.0, 0.5, 1.0):
            handle = driver.upload(replace(work, envelopes=Scaled(work.envelopes, factor)), after(5))
            answers, errors = driver.session.exchange((), ("WAV:DATA? 0",), after(5))
            codes = np.frombuffer(answers[0], np.int16).reshape(-1, 2)
            assert errors == []
            assert np.array_equal(codes[:, 0], np.rint(8191 * factor * work.envelopes.read(0).real))
            catalog = parse_catalog(driver.session.query("SEQ:CAT?", after(5)))
            names = {number: name for number, _, name in catalog}
            seen.add(tuple(names[number] for number in handle.tables))
            driver.arm(handle, after(5))
            driver.stop(after(5))
        assert len(seen) == 2

    def test_an_error_that_another_client_left_is_drained(self, driver, rack_process):
        driver.drain_errors(after(5))
        host, port = rack_process.addresses["awg1"].split("::")[1:3]
        with socket.create_connection((host, int(port)), timeout=5) as other:
            other.sendall(b"NO:SUCH:COMMAND\n*OPC?\n")
            assert other.recv(10) == b"1\n"
        (entry,) = driver.drain_errors(after(5))
        assert entry.startswith("-113,")
        assert driver.drain_errors(after(5)) == []

    def test_one_sequence_that_is_gone_is_missed(self, driver, work):
        handle = driver.upload(work, after(5))
        driver.session.transact((f"SEQ:DEL {handle.tables[-1]}",), (), after(5))
        with pytest.raises(InstrumentMemoryLostError):
            driver.verify(handle, after(5))

    def test_eviction_makes_room(self, driver, device):
        """A memory for five events holds one chunk of two programs with two events each at a time."""
        driver.reset(after(5))
        driver._sequences.capacity = 5
        for angles in ((0.1, 0.2), (0.3, 0.4), (0.1, 0.2)):
            work = partition_chunk(make_chunk(device, angles), device).playbacks["awg1"]
            driver.verify(driver.upload(work, after(5)), after(5))
            assert sum(size for _, size, _ in parse_catalog(driver.session.query("SEQ:CAT?", after(5)))) <= 5

    def test_a_refused_upload_is_repaired_by_the_next(self, driver, work):
        """After an error nobody knows what was stored, so the catalogue is read again."""
        driver.reset(after(5))
        bad = replace(work, events=work.events.copy())
        bad.events["frequency"] = 2e9
        with pytest.raises(InstrumentRefusedError) as caught:
            driver.upload(bad, after(5))
        assert caught.value.subject == "instrument awg1"
        assert "-222" in caught.value.value
        assert driver.state is InstrumentState.FAULT
        handle = driver.upload(work, after(5))
        driver.verify(handle, after(5))
        driver.arm(handle, after(5))

    def test_a_persons_parameters(self, driver):
        awg = driver.instrument
        awg.pair1.output(True)
        awg.pair1.correction((1.0, 0.5, 0.25, 1.0))
        assert (awg.pair1.output(), awg.pair1.correction(), awg.trigger_source()) == (True, (1, 0.5, 0.25, 1), "BUS")
        driver.safe_state(after(5))
        assert awg.pair1.output() is False


class TestAwgFollower(GeneratorContract):
    @pytest.fixture
    def by_hand(self):
        return AWG_BY_HAND

    @pytest.fixture
    def outputs(self):
        return AWG_OUTPUTS

    @pytest.fixture
    def make_driver(self, device):
        return maker(AwgDriver, "awg2", device)

    @pytest.fixture
    def work(self, device):
        return partition_chunk(make_chunk(device), device).playbacks["awg2"]


class TestDigitizer(DigitizerContract):
    @pytest.fixture
    def make_driver(self, device):
        return maker(DigitizerDriver, "digitizer", device)

    @pytest.fixture(params=[(2, "single"), (0, "single"), (0, "avg")])
    def work(self, device, request):
        level, kind = request.param
        chunk = make_chunk(device, meas_level=level, meas_return=kind)
        return partition_chunk(chunk, device).recordings["digitizer"]


class TestSgs100a(SourceContract):
    @pytest.fixture
    def by_hand(self):
        return {"output": "OUTP OFF", "frequency": "SOUR:FREQ 5.2e9", "power": "SOUR:POW 3.25"}

    @pytest.fixture
    def outputs(self):
        return asks("OUTP:STAT")

    @pytest.fixture
    def make_driver(self, device):
        return maker(Sgs100aDriver, "sgs1", device)

    def test_only_differences_are_sent(self, driver):
        driver.configure(SourceSettings(5.1e9, 10.0), after(5))
        trips = driver.session.round_trips
        driver.configure(SourceSettings(5.1e9, 10.0), after(5))
        assert driver.session.round_trips == trips
        sent = driver.session.bytes_sent
        driver.configure(SourceSettings(5.2e9, 10.0), after(5))
        assert driver.session.bytes_sent - sent == len("SOUR:FREQ 5200000000.00\n*OPC?;:SYST:ERR:ALL?\n")
        assert (driver.instrument.frequency(), driver.instrument.power()) == (5.2e9, 10.0)
        assert driver.instrument.status() is True


class TestN9030b(DriverContract):
    @pytest.fixture
    def make_driver(self, device):
        return maker(N9030bDriver, "sa", device)

    def test_a_sweep_is_as_asked(self, driver):
        frequencies, levels = driver.sweep(SpectrumSweep("ro", 7.0e9, 7.2e9, 401, 1e5), after(5))
        assert np.array_equal(frequencies, np.linspace(7.0e9, 7.2e9, 401))
        # Nothing is on: noise of 1e5 Hz behind 10 dB.
        assert np.median(levels) == pytest.approx(-155 + 50 + 10, abs=2)
        assert (driver.instrument.sa.start(), driver.instrument.sa.npts()) == (7.0e9, 401)

    @pytest.mark.parametrize(
        ("change", "what"),
        [({"start": -1e9}, "start"), ({"stop": 1e9}, "stop"), ({"points": 0}, "points"), ({"rbw": 1e9}, "rbw")],
    )
    def test_out_of_range(self, driver, change, what):
        trips = driver.session.round_trips
        with pytest.raises(InstrumentLimitError) as caught:
            driver.sweep(replace(SpectrumSweep("ro", 7.0e9, 7.2e9), **change), after(5))
        assert what in caught.value.message
        assert caught.value.legal
        assert driver.session.round_trips == trips, "nothing was sent"

    def test_a_port_that_is_not_there(self, driver):
        with pytest.raises(InstrumentRefusedError) as caught:
            driver.sweep(SpectrumSweep("d9", 7.0e9, 7.2e9), after(5))
        assert "d0,d1,d2,d3,d4,ro" in caught.value.value


class TestGs200(BiasSourceContract):
    @pytest.fixture
    def by_hand(self):
        return {"output": "OUTP 0", "level": "SOUR:LEV 2e-3", "range": "SOUR:RANG 0.1"}

    def test_a_function_that_was_changed_by_hand_is_found_and_put_right(self, driver):
        settings = BiasSettings(0.1, 1.0, "VOLT")
        driver.configure(settings, after(5))
        say_past(driver, "OUTP 0")
        say_past(driver, "SOUR:FUNC CURR")
        with pytest.raises(InstrumentChangedError, match=r"SOUR:FUNC\? CURR.*OUTP\? 0"):
            driver.status(after(5))
        driver.configure(settings, after(5))
        assert driver.session.query("SOUR:FUNC?", after(5)) == "VOLT"
        assert driver.status(after(5)) is InstrumentState.IDLE

    def test_it_is_asked_nothing_that_its_manual_does_not_have(self, driver):
        driver.configure(BiasSettings(1e-3, 5e-3), after(5))
        driver.status(after(5))
        for query in ("SYST:ERR:ALL?", "SYST:EPOC?", "STAT:QUES:COND?"):
            with pytest.raises(InstrumentRefusedError, match="-113"):
                driver.session.query(query, after(5))

    @pytest.fixture
    def outputs(self):
        return asks("OUTP")

    @pytest.fixture
    def settings(self):
        return BiasSettings(1e-3, 5e-3)

    @pytest.fixture
    def make_driver(self, device):
        return maker(Gs200Driver, "bias", device)

    def test_only_differences_are_sent(self, driver):
        driver.configure(BiasSettings(1e-3, 5e-3), after(5))
        trips = driver.session.round_trips
        driver.configure(BiasSettings(1e-3, 5e-3), after(5))
        assert driver.session.round_trips == trips
        driver.configure(BiasSettings(-2.5e-3, 5e-3), after(5))
        assert driver.session.round_trips == trips + 1
        source = driver.instrument
        assert (source.current(), source.current_range(), source.output()) == (-2.5e-3, 0.01, "on")

    def test_the_function_may_change(self, driver):
        driver.configure(BiasSettings(1e-3, 5e-3), after(5))
        driver.configure(BiasSettings(0.5, 1.0, "VOLT"), after(5))
        source = driver.instrument
        assert (source.source_mode(), source.voltage(), source.voltage_range()) == ("VOLT", 0.5, 1.0)
        driver.safe_state(after(5))
        assert source.output() == "off"
        driver.configure(BiasSettings(0.5, 1.0, "VOLT"), after(5))
        assert source.output() == "on"

    def test_with_a_slew_rate_the_level_never_jumps(self, driver):
        """1 mA at 2 mA/s takes half a second, also on the way back and off; what flows is asked all the time."""
        seen, stop = [], threading.Event()
        watcher = Gs200Driver("bias", driver.description)
        watcher.session.connect(after(5))

        def watch():
            while not stop.wait(0.01):
                at = time.monotonic()
                on, level = watcher.session.transact((), ("OUTP?", "SOUR:LEV?"), after(5))
                seen.append((at, float(level) * (on == "1"), time.monotonic()))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            for level in (1e-3, -0.2e-3):
                driver.configure(BiasSettings(level, 5e-3, slew=2e-3), after(10))
                assert (driver.instrument.current(), driver.instrument.output()) == (level, "on")
                assert driver.status(after(5)) is InstrumentState.IDLE
            trips = driver.session.round_trips
            driver.configure(BiasSettings(-0.2e-3, 5e-3, slew=2e-3), after(5))
            assert driver.session.round_trips == trips, "it is there already"
            driver.safe_state(after(5))
        finally:
            stop.set()
            thread.join()
            watcher.close()
        assert driver.instrument.output() == "off"
        widest = max(b[2] - a[0] for a, b in itertools.pairwise(seen))
        assert 1e-3 + 1e-9 >= max(level for _, level, _ in seen) >= 1e-3 - 2e-3 * widest
        steps = [(b[1] - a[1], b[2] - a[0]) for a, b in itertools.pairwise(seen)]
        assert all(abs(step) <= 2e-3 * seconds + 1e-9 for step, seconds in steps)
        assert sum(step != 0 for step, _ in steps) > 10

    def test_a_level_that_was_changed_by_hand_is_left_slowly(self, driver):
        settings = BiasSettings(1e-3, 5e-3, slew=1e-2)
        driver.configure(settings, after(5))
        say_past(driver, "SOUR:LEV 3e-3")
        with pytest.raises(InstrumentChangedError):
            driver.status(after(5))
        began = time.monotonic()
        driver.configure(settings, after(5))
        assert time.monotonic() - began > 0.2
        assert driver.instrument.current() == 1e-3

    def test_a_way_that_takes_too_long_is_refused_before_it_begins(self, driver):
        with pytest.raises(InstrumentTimeoutError, match=r"50\.0 s from 0 to 0\.005"):
            driver.configure(BiasSettings(5e-3, 5e-3, slew=1e-4), after(5))
        assert float(driver.session.query("SOUR:LEV?", after(5))) == 0.0

    @pytest.mark.parametrize(
        ("settings", "what"),
        [
            (BiasSettings(0.3, 0.3), "range"),
            (BiasSettings(2e-3, 1e-3), "level"),
            (BiasSettings(1.0, 40.0, "VOLT"), "range"),
            (BiasSettings(1.0, 1.0, "WATT"), "function"),
            (BiasSettings(1e-3, 1e-3, slew=0.0), "slew"),
            (BiasSettings(float("nan"), 1e-3), "level"),
        ],
    )
    def test_out_of_range(self, driver, settings, what):
        with pytest.raises(InstrumentLimitError) as caught:
            driver.configure(settings, after(5))
        assert what in caught.value.message
        assert caught.value.legal
