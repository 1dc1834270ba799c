"""Instruments that nobody uses: what happens to them is seen, and the status is true."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pulsed.cli.simulated_rack import ask_rack, find_control, with_simulated_rack
from pulsed.client import Client
from pulsed.daemon.main import RACK
from pulsed.model.device import load_device
from pulsed.model.errors import InstrumentReferenceLostError, from_info
from pulsed.testing.daemon_process import CONFIGS, DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, submit
from pulsed.wire.messages import InstrumentStatus

LOOK_EVERY = 0.3
"""Seconds that an idle rack is left alone here."""


def instruments(client: Client) -> dict[str, InstrumentStatus]:
    return dict(client.status().instruments)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("scripted"), look_every=LOOK_EVERY).start()
    yield process
    assert process.stop() == 0


def test_what_lost_its_settings_is_connected_anew_and_the_others_keep_their_time(scripted: DaemonProcess) -> None:
    with scripted.client() as client:
        before, connects = instruments(client), len(scripted.lines("connects"))
        scripted.tell("rebooted")
        eventually(lambda: instruments(client)["sgs1"].since > before["sgs1"].since, "the reboot is noticed")
        assert len(scripted.lines("connects")) == connects + 1
        after = instruments(client)
        assert {name for name in after if after[name].since != before[name].since} == {"sgs1"}
        eventually(lambda: client.status().operational, "it plays again")


def test_what_is_not_well_is_told_until_it_is(scripted: DaemonProcess) -> None:
    with scripted.client() as client:
        before, connects = instruments(client), len(scripted.lines("connects"))
        scripted.tell("unlocked")
        try:
            eventually(lambda: instruments(client)["sgs2"].error is not None, "the lost reference is told")
            told = instruments(client)
            assert told["sgs2"].error is not None
            assert isinstance(from_info(told["sgs2"].error), InstrumentReferenceLostError)
            assert told["sgs2"].since > before["sgs2"].since
            assert client.status().operational, "nothing is connected again for it"
        finally:
            scripted.untell("unlocked")
        eventually(lambda: instruments(client)["sgs2"].error is None, "it is well again")
        assert instruments(client)["sgs2"].since > told["sgs2"].since, "its phase is another one since it has locked"
        assert instruments(client)["sgs1"].since == before["sgs1"].since
        assert len(scripted.lines("connects")) == connects


def test_nobody_looks_while_a_job_plays(scripted: DaemonProcess) -> None:
    with scripted.client() as client:
        scripted.tell("hold")
        try:
            job_id = submit(client)
            eventually(lambda: len(scripted.lines("started")) == 1, "it plays")
            looks = len(scripted.lines("looks"))
            time.sleep(4 * LOOK_EVERY)
            assert len(scripted.lines("looks")) == looks
        finally:
            scripted.untell("hold")
        client.result(job_id, PATIENCE)
        eventually(lambda: len(scripted.lines("looks")) > looks, "it is looked after again")


def test_a_power_cycle_of_an_idle_oscillator_is_noticed(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = CONFIGS / "sim5.toml"
    device, companion = with_simulated_rack(load_device(config), config)
    addresses = {name: instrument.address for name, instrument in device.instruments.items()}
    home = tmp_path_factory.mktemp("idle")
    daemon = DaemonProcess(
        home, rack=RACK, companion=companion, addresses=addresses, rack_wait=20.0, look_every=LOOK_EVERY
    ).start()
    try:
        with daemon.client() as client:
            eventually(lambda: client.status().operational, "the rack plays")
            client.result(submit(client, shots=10), PATIENCE)
            before = instruments(client)
            for kind, name in (("reboot", "sgs1"), ("reboot", "awg2")):
                ask_rack(find_control(home), "fault", instrument=name, kind=kind)
                eventually(lambda name=name: instruments(client)[name].since > before[name].since, f"{name} is noticed")
            after = instruments(client)
            assert {name for name in after if after[name].since != before[name].since} == {"sgs1", "awg2"}
            eventually(lambda: client.status().operational, "the rack plays again")
            assert client.job(submit_and_wait(client)).attempts == 1
    finally:
        assert daemon.stop() == 0


def submit_and_wait(client: Client) -> str:
    job_id = submit(client, shots=10)
    client.result(job_id, PATIENCE)
    return job_id
