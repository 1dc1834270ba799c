"""A simulated rack that cannot start says why where its user looks."""

import subprocess
import sys

from pulsed.simulator.chip.random_rack import write_rack


def test_the_reason_is_on_the_terminal(tmp_path):
    """A chip whose T1 is negative: `pulsed serve` ends, and its error is the chip's."""
    rack = write_rack(tmp_path / "rack", 1, 2)
    chip = rack.with_name("chip.toml")
    lines = chip.read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("t1 ="))
    lines[first] = "t1 = -1.0"
    chip.write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "pulsed.cli", "serve", "--config", str(rack), "--home", str(tmp_path / "home")]
    command += ["--url", "tcp://127.0.0.1:*"]
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    said = " ".join(found.stderr.split())
    assert found.returncode != 0
    assert "T1 must be positive" in said
    assert "-1.0" in said
    assert "simulated rack" in said
    assert "ready at" not in found.stdout
