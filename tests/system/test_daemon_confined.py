"""The compile worker, which decodes what clients sent, reaches neither keys nor store nor network."""

from __future__ import annotations

import json

import pytest

from pulsed.daemon.workers import landlock
from pulsed.model.errors import CircuitError
from pulsed.testing.daemon_process import DaemonProcess
from pulsed.testing.jobs import PATIENCE, flip, job, packed, run
from pulsed.testing.probing_compiler import PROBE


def test_a_compile_worker_reaches_neither_keys_nor_store(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not landlock.version():
        pytest.skip("this kernel has no Landlock: the compile worker has an environment and a folder of its own")
    daemon = DaemonProcess(
        tmp_path_factory.mktemp("confined"), compiler="pulsed.testing.probing_compiler:ProbingCompiler"
    ).start()
    try:
        with daemon.client() as client:
            assert client.status().workers["compile"].confined == f"Landlock {landlock.version()}"
            assert client.status().workers["rack"].confined == ""
            run(client, job(), packed(flip()))
            probe = job()
            client.submit(probe, [packed(flip(PROBE))])
            with pytest.raises(CircuitError) as caught:
                client.result(probe.job_id, PATIENCE)
        could = json.loads(caught.value.message)
        assert could.pop("write to its own folder")
        if landlock.version() < 6:
            could.pop("signal the daemon")
        if landlock.version() < 4:
            could.pop("connect")
        assert {what for what, possible in could.items() if possible} == set()
        assert len(could) >= 8
    finally:
        assert daemon.stop() == 0
    assert '"by": "Landlock' in (daemon.home / "logs" / "daemon.jsonl").read_text()
