"""The driver contract as pytest suites: a driver's author subclasses one and gives the fixture ``make_driver``.

.. code-block:: python

    from pulsed.testing.driver_contract import GeneratorContract


    class TestMyAwg(GeneratorContract):
        @pytest.fixture
        def make_driver(self, rack_address):
            def make(**changes):
                return MyAwg("awg1", InstrumentDescription(**{"driver": "my_awg", "address": rack_address, **changes}))

            return make

A kind with outputs also gives the fixture ``outputs``: a function that asks the instrument itself, by its own query,
which of them are on; and ``by_hand``: the commands by which somebody else changes each setting that decides what is
measured. What a driver believes of its instrument is no proof.

``make_driver(**changes)`` returns a new driver, not connected, with some fields of its description changed. The
instrument behind it may be real, simulated, or a double, and may hold anything when a test begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pulsed.compiler.program import FIELDS, PARAMETER, PortSettings
from pulsed.drivers.contract import (
    BiasSettings,
    BiasSource,
    Digitizer,
    Generator,
    Instrument,
    InstrumentState,
    OutputSettings,
    Source,
    SourceSettings,
    Transceiver,
    after,
)
from pulsed.drivers.programs import DECIDED, EventSweep, Playback, Recording, Transceived
from pulsed.drivers.scpi.session import ALL_ERRORS, Session
from pulsed.model.device import Identity
from pulsed.model.errors import (
    IllegalStepError,
    InstrumentChangedError,
    InstrumentError,
    InstrumentLimitError,
    InstrumentMemoryLostError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    WrongInstrumentError,
)
from pulsed.testing.doubles import Drop, Garbage, ScriptedInstrument, Stall

MakeDriver = Callable[..., Any]
Outputs = Callable[[Any], Mapping[Any, bool]]
"""Asks the instrument of a driver which of its outputs are on: all of them, by name or number."""
SECONDS = 5.0
"""What a test gives an instrument that is well."""


def say_past(driver: Any, command: str) -> None:
    """Send a command to the instrument of ``driver`` on another connection."""
    session = Session(driver.name, driver.description.address, getattr(driver, "error_query", ALL_ERRORS))
    session.connect(after(SECONDS))
    session.transact((command,), (), after(SECONDS))
    session.close()


class DriverContract:
    """What every driver keeps to."""

    kind: Any = Instrument

    @pytest.fixture
    def make_driver(self) -> MakeDriver:
        """Return the function that makes a driver; a subclass overrides this."""
        raise NotImplementedError

    @pytest.fixture
    def driver(self, make_driver: MakeDriver) -> Iterator[Any]:
        """A driver that is connected, and made safe afterwards."""
        driver = make_driver()
        driver.connect(after(SECONDS))
        yield driver
        driver.safe_state(after(SECONDS))
        driver.close()

    def test_it_has_the_protocols_of_its_kind(self, make_driver: MakeDriver) -> None:
        """All methods are there."""
        assert isinstance(make_driver(), self.kind)

    def test_the_constructor_does_no_io(self, make_driver: MakeDriver) -> None:
        """It can be made for an address where nobody listens."""
        driver = make_driver(address="TCPIP::127.0.0.1::1::SOCKET")
        assert driver.state is InstrumentState.CLOSED
        assert driver.identity is None

    def test_connect_identifies_and_is_idle(self, driver: Any) -> None:
        """And may be called again."""
        assert driver.state is InstrumentState.IDLE
        assert driver.identity == driver.identify(after(SECONDS))
        driver.connect(after(SECONDS))
        assert driver.status(after(SECONDS)) is InstrumentState.IDLE

    def test_close_is_idempotent(self, driver: Any) -> None:
        """And connects again afterwards."""
        states = []
        for _ in range(2):
            driver.close()
            states.append(driver.state)
        driver.connect(after(SECONDS))
        assert [*states, driver.state] == [InstrumentState.CLOSED, InstrumentState.CLOSED, InstrumentState.IDLE]

    def test_another_identity_is_refused(self, make_driver: MakeDriver) -> None:
        """By name, with both identities, and nothing stays open."""
        driver = make_driver(identity=Identity(serial="somebody else"))
        with pytest.raises(WrongInstrumentError) as caught:
            driver.connect(after(SECONDS))
        assert caught.value.subject == f"instrument {driver.name}"
        assert "somebody else" in caught.value.legal
        assert caught.value.value
        assert driver.state is InstrumentState.CLOSED

    def test_nobody_there(self, make_driver: MakeDriver) -> None:
        """The error names the instrument and its address."""
        with ScriptedInstrument() as peer:
            address = peer.address
        driver = make_driver(address=address)
        with pytest.raises(InstrumentUnreachableError) as caught:
            driver.connect(after(SECONDS))
        assert caught.value.subject == f"instrument {driver.name}"
        assert driver.state is InstrumentState.CLOSED

    @pytest.mark.parametrize(
        ("action", "error"),
        [
            (Stall(), InstrumentTimeoutError),
            (Drop(), InstrumentUnreachableError),
            (Garbage(b"\x00\xff;;#9\n"), InstrumentError),
        ],
    )
    def test_a_sick_instrument_is_one_typed_error_in_time(
        self, make_driver: MakeDriver, action: Any, error: type[InstrumentError]
    ) -> None:
        """Whatever it does, the deadline holds and nothing stays open."""
        with ScriptedInstrument({"*IDN?": action}) as peer:
            driver = make_driver(address=peer.address)
            began = time.monotonic()
            with pytest.raises(error) as caught:
                driver.connect(after(0.3))
            assert time.monotonic() - began < 2
        assert caught.value.subject == f"instrument {driver.name}"
        assert driver.state is InstrumentState.CLOSED

    def test_safe_state_from_any_state(self, driver: Any) -> None:
        """Twice, and after the connection was closed."""
        driver.safe_state(after(SECONDS))
        driver.safe_state(after(SECONDS))
        driver.close()
        driver.safe_state(after(SECONDS))
        assert driver.state is InstrumentState.IDLE

    def test_the_error_queue_is_drained(self, driver: Any) -> None:
        """After it, there is nothing more in it."""
        driver.drain_errors(after(SECONDS))
        assert driver.drain_errors(after(SECONDS)) == []

    def test_reset(self, driver: Any) -> None:
        """It is idle afterwards."""
        driver.reset(after(SECONDS))
        assert driver.state is InstrumentState.IDLE


class OutputContract(DriverContract):
    """What every instrument with outputs keeps to."""

    @pytest.fixture
    def outputs(self) -> Outputs:
        """Return the function that asks the instrument which outputs are on; a subclass overrides this.

        It sends the instrument's query, such as ``OUTP1?``, and looks at nothing that the driver remembers.
        """
        raise NotImplementedError

    @pytest.fixture
    def settings(self, make_driver: MakeDriver) -> Any:
        """Return settings with which every output is on; a subclass overrides this."""
        raise NotImplementedError

    @pytest.fixture
    def by_hand(self) -> Mapping[str, str]:
        """Return what somebody may do at the front panel: each setting that decides what is measured, and a command.

        The command gives the setting another value than that of ``settings``. A subclass overrides this.
        """
        raise NotImplementedError

    @pytest.fixture
    def do_by_hand(self, driver: Any) -> Callable[[str], None]:
        """Return a function that carries out such a command without the driver's knowledge, on another connection.

        A subclass overrides this for an instrument that takes one connection at a time.
        """
        return lambda command: say_past(driver, command)

    def test_a_change_by_hand_is_found_and_put_right(
        self,
        driver: Any,
        settings: Any,
        outputs: Outputs,
        by_hand: Mapping[str, str],
        do_by_hand: Callable[[str], None],
    ) -> None:
        """The instrument is asked, again and again, until the next configuration has put it right."""
        assert "output" in by_hand
        for name, command in by_hand.items():
            driver.configure(settings, after(SECONDS))
            assert driver.status(after(SECONDS)) is InstrumentState.IDLE
            do_by_hand(command)
            for _ in range(2):
                with pytest.raises(InstrumentChangedError) as caught:
                    driver.status(after(SECONDS))
                assert caught.value.subject == f"instrument {driver.name}", name
                assert caught.value.value
                assert caught.value.legal
            driver.configure(settings, after(SECONDS))
            assert driver.status(after(SECONDS)) is InstrumentState.IDLE, name
            assert set(outputs(driver).values()) == {True}, name

    def test_nothing_is_held_to_settings_that_it_was_made_safe_from(
        self, driver: Any, settings: Any, by_hand: Mapping[str, str], do_by_hand: Callable[[str], None]
    ) -> None:
        """An instrument that nobody uses may be changed."""
        driver.configure(settings, after(SECONDS))
        driver.safe_state(after(SECONDS))
        for command in by_hand.values():
            do_by_hand(command)
        assert driver.status(after(SECONDS)) is InstrumentState.IDLE

    def test_outputs_are_on_when_configured_and_off_when_safe(
        self, driver: Any, settings: Any, outputs: Outputs
    ) -> None:
        """All of them, as the instrument says; what was off is switched on again."""
        for _ in range(2):
            driver.configure(settings, after(SECONDS))
            assert set(outputs(driver).values()) == {True}
            driver.safe_state(after(SECONDS))
            assert set(outputs(driver).values()) == {False}

    def test_outputs_are_off_when_made_safe_after_the_connection_was_lost(
        self, driver: Any, settings: Any, outputs: Outputs
    ) -> None:
        """A driver that has just connected cannot know that they are off."""
        driver.configure(settings, after(SECONDS))
        driver.close()
        driver.safe_state(after(SECONDS))
        assert set(outputs(driver).values()) == {False}

    def test_outputs_are_off_when_connected(
        self, driver: Any, settings: Any, outputs: Outputs, make_driver: MakeDriver
    ) -> None:
        """Whoever had the instrument before was killed with its outputs on; its settings are then sent again."""
        driver.configure(settings, after(SECONDS))
        driver.close()
        other = make_driver()
        other.connect(after(SECONDS))
        assert set(outputs(other).values()) == {False}
        other.configure(settings, after(SECONDS))
        assert set(outputs(other).values()) == {True}
        other.safe_state(after(SECONDS))
        other.close()

    def test_outputs_are_off_after_a_reset(self, driver: Any, settings: Any, outputs: Outputs) -> None:
        """And are switched on again by the settings they had."""
        driver.configure(settings, after(SECONDS))
        driver.reset(after(SECONDS))
        assert set(outputs(driver).values()) == {False}
        driver.configure(settings, after(SECONDS))
        assert set(outputs(driver).values()) == {True}


class _PlayerContract(DriverContract):
    """What AWGs and digitizers share."""

    @pytest.fixture
    def work(self) -> Any:
        """Return something the instrument can do: a Playback or a Recording; a subclass overrides this."""
        raise NotImplementedError

    def test_upload_by_content(self, driver: Any, work: Any) -> None:
        """The same work is the same handle, and it is there."""
        driver.validate(work)
        first = driver.upload(work, after(SECONDS))
        second = driver.upload(work, after(SECONDS))
        assert first == second
        assert len(first.tables) == len(work.entries)
        driver.verify(second, after(SECONDS))

    @pytest.fixture
    def lose_memory(self, driver: Any) -> Callable[[], None]:
        """Return a function that resets the instrument without the driver's knowledge: ``*RST`` on another connection.

        A subclass overrides this for an instrument that has no ``*RST`` or takes one connection at a time.
        """
        return lambda: say_past(driver, "*RST")

    def test_what_is_lost_without_the_drivers_knowledge_is_found(
        self, driver: Any, work: Any, lose_memory: Callable[[], None]
    ) -> None:
        """Verify, status and arm ask the instrument; what was lost is sent again."""
        asks: tuple[Callable[[Any], object], ...] = (
            lambda handle: driver.verify(handle, after(SECONDS)),
            lambda handle: driver.status(after(SECONDS)),
            lambda handle: driver.arm(handle, after(SECONDS)),
        )
        for ask in asks:
            handle = driver.upload(work, after(SECONDS))
            driver.verify(handle, after(SECONDS))
            lose_memory()
            with pytest.raises(InstrumentMemoryLostError):
                ask(handle)
        again = driver.upload(work, after(SECONDS))
        driver.verify(again, after(SECONDS))
        driver.arm(again, after(SECONDS))

    def test_other_work_is_another_handle(self, driver: Any, work: Any) -> None:
        """Shots belong to the content."""
        other = replace(work, entries=work.entries.copy())
        other.entries["shots"] += 1
        assert driver.upload(work, after(SECONDS)).name != driver.upload(other, after(SECONDS)).name

    def test_a_reset_voids_handles(self, driver: Any, work: Any) -> None:
        """What was lost is sent again."""
        handle = driver.upload(work, after(SECONDS))
        driver.reset(after(SECONDS))
        with pytest.raises(InstrumentMemoryLostError):
            driver.arm(handle, after(SECONDS))
        again = driver.upload(work, after(SECONDS))
        assert again.epoch != handle.epoch
        driver.verify(again, after(SECONDS))

    def test_steps_that_the_table_does_not_have(self, driver: Any, work: Any) -> None:
        """They raise and change nothing."""
        with pytest.raises(IllegalStepError) as caught:
            driver.start(after(SECONDS))
        assert caught.value.subject == f"instrument {driver.name}"
        with pytest.raises(IllegalStepError):
            driver.wait_done(after(SECONDS))
        assert driver.state is InstrumentState.IDLE
        handle = driver.upload(work, after(SECONDS))
        driver.arm(handle, after(SECONDS))
        with pytest.raises(IllegalStepError):
            driver.arm(handle, after(SECONDS))
        assert driver.status(after(SECONDS)) is InstrumentState.ARMED

    def test_arm_and_stop(self, driver: Any, work: Any) -> None:
        """As often as one likes."""
        for _ in range(2):
            driver.arm(driver.upload(work, after(SECONDS)), after(SECONDS))
            assert driver.state is driver.status(after(SECONDS)) is InstrumentState.ARMED
            driver.stop(after(SECONDS))
            assert driver.state is driver.status(after(SECONDS)) is InstrumentState.IDLE

    def test_safe_state_disarms(self, driver: Any, work: Any) -> None:
        """An armed instrument is idle afterwards."""
        driver.arm(driver.upload(work, after(SECONDS)), after(SECONDS))
        driver.safe_state(after(SECONDS))
        assert driver.status(after(SECONDS)) is InstrumentState.IDLE

    def test_a_run_that_does_not_end(self, driver: Any, work: Any) -> None:
        """Nobody triggers, so the wait ends by the deadline."""
        driver.arm(driver.upload(work, after(SECONDS)), after(SECONDS))
        deadline = after(0.3)
        with pytest.raises(InstrumentTimeoutError):
            _wait(driver, deadline)
        assert time.monotonic() < deadline + 1

    def test_nothing_to_do(self, driver: Any, work: Any) -> None:
        """No program is no work."""
        with pytest.raises(InstrumentLimitError):
            driver.validate(replace(work, entries=work.entries[:0]))

    def test_zero_shots(self, driver: Any, work: Any) -> None:
        """The error says what is legal."""
        other = replace(work, entries=work.entries.copy())
        other.entries["shots"] = 0
        with pytest.raises(InstrumentLimitError) as caught:
            driver.validate(other)
        assert caught.value.subject == f"instrument {driver.name}"
        assert caught.value.legal


def _wait(driver: Any, deadline: float) -> None:
    while not driver.wait_done(deadline):
        continue


def _another(driver: Any, work: Any, names: set[str]) -> str:
    """Upload what is other content than that of ``names``, and return its name."""
    driver.validate(work)
    handle = driver.upload(work, after(SECONDS))
    driver.verify(handle, after(SECONDS))
    assert handle.name not in names
    return str(handle.name)


class GeneratorContract(_PlayerContract, OutputContract):
    """What every AWG keeps to. A subclass gives ``make_driver``, ``outputs`` and ``work``, a Playback with an event."""

    kind = Generator

    @pytest.fixture
    def settings(self, make_driver: MakeDriver) -> OutputSettings:
        """Return settings of all pairs."""
        port = PortSettings((1.0, 0.01, -0.01, 0.99), (0.01, -0.02))
        return OutputSettings(dict.fromkeys(range(1, make_driver().capabilities.pairs + 1), port))

    def test_every_pair_is_asked(self, driver: Any, outputs: Outputs) -> None:
        """``outputs`` leaves none out."""
        assert len(outputs(driver)) == driver.capabilities.pairs

    def test_configure_is_idempotent(self, driver: Any, settings: OutputSettings, outputs: Outputs) -> None:
        """And leaves pairs alone that it does not name."""
        some = OutputSettings({pair: port for pair, port in settings.pairs.items() if pair == 1})
        driver.safe_state(after(SECONDS))
        for _ in range(2):
            driver.configure(some, after(SECONDS))
            assert sum(outputs(driver).values()) == 1

    def test_nothing_plays_with_what_was_changed_by_hand(
        self,
        driver: Any,
        settings: OutputSettings,
        work: Playback,
        by_hand: Mapping[str, str],
        do_by_hand: Callable[[str], None],
    ) -> None:
        """It is found when armed, whatever nobody has asked before."""
        for name, command in by_hand.items():
            driver.configure(settings, after(SECONDS))
            handle = driver.upload(work, after(SECONDS))
            do_by_hand(command)
            with pytest.raises(InstrumentChangedError):
                driver.arm(handle, after(SECONDS))
            driver.stop(after(SECONDS))
            driver.configure(settings, after(SECONDS))
            driver.arm(driver.upload(work, after(SECONDS)), after(SECONDS))
            assert driver.state is InstrumentState.ARMED, name
            driver.stop(after(SECONDS))

    def test_too_loud_is_found_before_anything_is_sent(self, driver: Any, work: Playback) -> None:
        """The error names the channel, the time, the value and the limit."""
        loud = replace(work, events=work.events.copy())
        loud.events["amplitude"] = 1.5
        with pytest.raises(InstrumentLimitError) as caught:
            driver.validate(loud)
        error = caught.value
        assert error.subject == f"instrument {driver.name}"
        assert work.channels[work.events["slot"][0]] in error.message
        assert str(work.events["time"][0]) in error.message
        assert "1.5" in error.value
        assert error.legal

    def test_events_that_wait_for_a_bit(self, driver: Any, work: Playback) -> None:
        """An AWG that can branch takes conditions and turns, as other content; one that cannot refuses them."""
        waiting = replace(work, events=work.events.copy())
        waiting.events["condition"] = 1
        otherwise = replace(work, events=work.events.copy())
        otherwise.events["condition"] = -1
        first = work.events[:1].copy()
        first["envelope"], first["amplitude"], first["frequency"], first["phase"] = -1, 0, 0, 0.5
        turned = replace(work, events=np.concatenate([first, work.events]))
        names = {driver.upload(work, after(SECONDS)).name}
        for changed in (waiting, otherwise, turned):
            can = driver.capabilities
            if not can.branching or (can.own_bits and changed is not turned):
                with pytest.raises(InstrumentLimitError):
                    driver.validate(changed)
                continue
            names.add(_another(driver, changed, names))
        waiting.events["condition"] = driver.capabilities.feedback_bits + 1
        with pytest.raises(InstrumentLimitError) as caught:
            driver.validate(waiting)
        assert str(driver.capabilities.feedback_bits) in caught.value.legal

    def test_bindings_are_content(self, driver: Any, work: Playback) -> None:
        """An AWG that binds parameters takes an entry once for each row of values, and checks what they come to."""
        if not driver.capabilities.late_parameters:
            pytest.skip("it is given each binding as a program of its own")
        entries = work.entries.copy()
        entries["bindings"][0] = 3
        names = {driver.upload(replace(work, entries=entries), after(SECONDS)).name}
        for name in ("amplitude", "phase", "frequency"):
            for values in ([0.0, 0.0, 0.1], [0.0, -0.1, 0.1]):
                parameters = np.array([(0, FIELDS.index(name), 0, 1.0)], PARAMETER)
                swept = replace(work, entries=entries, sweeps={0: EventSweep(parameters, np.array(values)[:, None])})
                names.add(_another(driver, swept, names))
                driver.arm(driver.upload(swept, after(SECONDS)), after(SECONDS))
                driver.stop(after(SECONDS))
        far = {"amplitude": 1.5, "frequency": 2 * driver.capabilities.max_frequency, "phase": np.nan}
        for name, value in far.items():
            parameters = np.array([(0, FIELDS.index(name), 0, 1.0)], PARAMETER)
            sweep = EventSweep(parameters, np.array([[0.0], [value], [0.0]]))
            with pytest.raises(InstrumentLimitError) as caught:
                driver.validate(replace(work, entries=entries, sweeps={0: sweep}))
            assert caught.value.subject == f"instrument {driver.name}"

    def test_offset_and_sum_beyond_full_scale(self, driver: Any, work: Playback) -> None:
        """The mixer correction counts."""
        pairs = dict.fromkeys(work.pairs, PortSettings((1.9, 0.0, 0.0, 1.9), (0.4, 0.0)))
        loud = replace(work, pairs=pairs, events=work.events.copy())
        loud.events["amplitude"] = 0.9
        with pytest.raises(InstrumentLimitError):
            driver.validate(loud)


class DigitizerContract(_PlayerContract):
    """What every digitizer keeps to. A subclass gives ``make_driver`` and ``work``, a Recording with a row."""

    kind = Digitizer

    def test_bindings_are_content(self, driver: Any, work: Recording) -> None:
        """Where it takes them: an entry is recorded once for each."""
        if driver.capabilities.late_parameters:
            several = replace(work, entries=work.entries.copy())
            several.entries["bindings"] = 2
            _another(driver, several, {driver.upload(work, after(SECONDS)).name})

    def test_a_window_that_is_too_long(self, driver: Any, work: Recording) -> None:
        """The error says how long it may be."""
        long = replace(work, rows=work.rows.copy(), entries=work.entries.copy())
        long.rows["length"] = 8 * (driver.capabilities.max_length // 8 + 1)
        long.entries["length"] += long.rows["length"].max()
        long.entries["period"] += long.rows["length"].max()
        with pytest.raises(InstrumentLimitError) as caught:
            driver.validate(long)
        assert str(driver.capabilities.max_length) in caught.value.legal

    def test_bits_for_the_awgs(self, driver: Any, work: Recording) -> None:
        """Number, angle and threshold belong to the content of a digitizer that can tell bits."""
        told = replace(work, rows=work.rows.copy())
        told.rows["feedback"] = 1
        names = {driver.upload(work, after(SECONDS)).name}
        if driver.capabilities.branching and not driver.capabilities.own_bits:
            for name in ("feedback", "angle", "threshold"):
                told.rows[name] += 1
                names.add(_another(driver, told, names))

    def test_a_bit_made_of_others(self, driver: Any, work: Recording) -> None:
        """It belongs to the content of a digitizer that can make one; another refuses it by name."""
        told = replace(work, rows=work.rows.copy())
        told.rows["feedback"] = 1
        names = {driver.upload(told, after(SECONDS)).name} if driver.capabilities.branching else set()
        for term in (1, -1) if not driver.capabilities.own_bits else ():
            decided = replace(told, decisions=np.array([(0, 2, term)], DECIDED))
            if not driver.capabilities.decisions:
                with pytest.raises(InstrumentLimitError, match="one bit of several"):
                    driver.validate(decided)
                continue
            names.add(_another(driver, decided, names))

    def test_fetch_before_the_run(self, driver: Any, work: Recording) -> None:
        """There is nothing to fetch."""
        handle = driver.upload(work, after(SECONDS))
        with pytest.raises(IllegalStepError):
            driver.fetch(handle, after(SECONDS))


class TransceiverContract(DriverContract):
    """What every box with outputs and inputs keeps to, beside what an AWG and a digitizer do.

    A subclass gives ``make_driver``, ``settings`` of the outputs that ``work`` plays on, and ``work``, a Transceived
    that is played and recorded by itself: the box leads, and is emulated, or has something behind it.
    """

    kind = Transceiver

    @pytest.fixture
    def work(self) -> Transceived:
        """Return what is played and recorded; a subclass overrides this."""
        raise NotImplementedError

    @pytest.fixture
    def settings(self) -> OutputSettings:
        """Return the settings with which it is played; a subclass overrides this."""
        raise NotImplementedError

    def test_a_pulse_on_a_bit_of_its_own(self, driver: Any, work: Transceived) -> None:
        """Value, angle and threshold are content; a bit that has not come yet is refused, and one of no readout."""
        can = driver.capabilities
        if not can.branching:
            pytest.skip("this box does not branch")
        rows, events = work.recording.rows.copy(), work.playback.events
        first = rows["entry"] == 0
        told = first & (rows["slot"] == rows["slot"][0])
        rows["feedback"][told] = 1
        end = int((rows["time"] + rows["length"])[told].max())
        later = events[:1].copy()
        later["condition"], later["time"] = 1, end + can.feedback_latency + 100
        more = int(later["time"][0] + 2 * work.playback.envelopes.lengths[later["envelope"][0]])
        entries = []
        for part in (work.playback, work.recording):
            longer = part.entries.copy()
            longer["length"] += more
            longer["period"] += more
            entries.append(longer)

        def changed(rows: Any, event: Any) -> Transceived:
            played = np.concatenate([event, events])
            playback = replace(work.playback, events=played[np.argsort(played["entry"], kind="stable")])
            recording = replace(work.recording, rows=rows, entries=entries[1])
            return Transceived(replace(playback, entries=entries[0]), recording)

        names = {driver.upload(changed(rows, later), after(SECONDS)).name}
        other = later.copy()
        other["condition"] = -1
        names.add(_another(driver, changed(rows, other), names))
        for name in ("angle", "threshold"):
            another = rows.copy()
            another[name][told] += 0.25
            names.add(_another(driver, changed(another, later), names))
        if can.own_bits:
            early, unknown = later.copy(), later.copy()
            early["time"], unknown["condition"] = end, 2
            for wrong in (early, unknown):
                with pytest.raises(InstrumentLimitError) as caught:
                    driver.validate(changed(rows, wrong))
                assert caught.value.legal

    def test_each_part_is_content(self, driver: Any, work: Transceived) -> None:
        """One handle stands for both, and other pulses or other shots make another."""
        driver.validate(work)
        first = driver.upload(work, after(SECONDS))
        assert driver.upload(work, after(SECONDS)) == first
        louder = replace(work.playback, events=work.playback.events.copy())
        louder.events["amplitude"] *= 0.5
        names = {first.name}
        _another(driver, replace(work, playback=louder), names)

    def test_it_plays_and_brings_back_one_value_for_each_row_and_shot(
        self, driver: Any, work: Transceived, settings: OutputSettings
    ) -> None:
        """As often as one likes: nothing of one run is in the next."""
        driver.validate(work)
        driver.configure(settings, after(SECONDS))
        for _ in range(2):
            handle = driver.upload(work, after(SECONDS))
            driver.arm(handle, after(SECONDS))
            driver.start(after(SECONDS))
            _wait(driver, after(SECONDS))
            fetched = driver.fetch(handle, after(SECONDS))
            shapes = [
                (shots, len(work.recording.entry(entry)))
                for entry, shots in enumerate(work.recording.entries["shots"].tolist())
            ]
            assert [array.shape for array in fetched.arrays] == shapes
            assert all(np.isfinite(array).all() for array in fetched.arrays)
            assert driver.state is InstrumentState.DONE

    def test_a_fault_of_one_part_refuses_both(self, driver: Any, work: Transceived) -> None:
        """What is too loud, and what is recorded after its shot."""
        loud = replace(work.playback, events=work.playback.events.copy())
        loud.events["amplitude"] = 1.5
        late = replace(work.recording, rows=work.recording.rows.copy())
        late.rows["time"] += work.recording.entries["length"][0]
        for wrong in (replace(work, playback=loud), replace(work, recording=late)):
            with pytest.raises(InstrumentLimitError):
                driver.validate(wrong)


class SourceContract(OutputContract):
    """What every local oscillator keeps to. A subclass gives ``make_driver`` and ``outputs``."""

    kind = Source

    @pytest.fixture
    def settings(self, make_driver: MakeDriver) -> SourceSettings:
        """Return settings in the middle of the band, at low power."""
        can = make_driver().capabilities
        return SourceSettings(round((can.min_frequency + can.max_frequency) / 2), can.power[0] + 1)

    @pytest.mark.parametrize("what", ["frequency", "power"])
    def test_out_of_range(self, driver: Any, what: str) -> None:
        """The error says what, how much, and how much is legal."""
        can = driver.capabilities
        settings = replace(SourceSettings(can.max_frequency, can.power[0]), **{what: 1e12})
        with pytest.raises(InstrumentLimitError) as caught:
            driver.configure(settings, after(SECONDS))
        assert what in caught.value.message
        assert caught.value.legal


class BiasSourceContract(OutputContract):
    """What every bias source keeps to. A subclass gives ``make_driver``, ``outputs`` and ``settings``."""

    kind = BiasSource

    def test_a_level_beyond_its_range(self, driver: Any, settings: BiasSettings) -> None:
        """The error says what, how much, and how much is legal; nothing is on."""
        driver.safe_state(after(SECONDS))
        with pytest.raises(InstrumentLimitError) as caught:
            driver.configure(replace(settings, level=2 * settings.range), after(SECONDS))
        assert "level" in caught.value.message
        assert caught.value.legal
