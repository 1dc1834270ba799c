"""The example package: found by its entry point without being installed, keeps the contract, plays in a rack."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pulsed.drivers.contract import after
from pulsed.drivers.rack.rack import Rack
from pulsed.drivers.rack.validation import load_driver
from pulsed.testing.chunks import make_chunk

EXAMPLE = Path(__file__).parents[2] / "examples" / "driver-plugin"


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """What an installation would write down of the package, on the path with its source."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"{name} = {value}" for name, value in project["entry-points"]["pulsed.drivers"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[pulsed.drivers]", *lines, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
    yield
    sys.modules.pop("plain_source", None)


@pytest.mark.usefixtures("plugin")
def test_a_rack_finds_it_by_its_entry_point_and_plays_with_it(rack_process):
    device = rack_process.device
    changed = device.instruments["sgs1"].model_copy(update={"driver": "plain_source"})
    device = device.model_copy(update={"instruments": {**device.instruments, "sgs1": changed}})
    rack = Rack(device)
    rack.connect(after(5))
    try:
        assert type(rack.drivers["sgs1"]) is load_driver("plain_source")
        results, _, _ = rack.play(make_chunk(device))
        assert results[0].shots == 64
        assert rack_process.ask("state")["result"]["sgs1"] == {
            "model": "SGS100A", "errors": 0, "on": True, "frequency": device.oscillators["drive"].frequency,
        }  # fmt: skip
    finally:
        assert rack.safe_state() == []
        rack.close()
    assert rack_process.ask("state")["result"]["sgs1"]["on"] is False


def test_its_own_tests_pass():
    path = os.pathsep.join([str(EXAMPLE / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml", "tests"],
        cwd=EXAMPLE, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
