"""From another stack's files to a Bell state: imported, served, verified, played.

``make imports`` verifies every value; in `make test` those that a Bell state stands on.
"""

import json
import os
from pathlib import Path

import pytest
from qiskit import QuantumCircuit, transpile

from pulsed.calibration.bringup import CalibrationSession
from pulsed.calibration.graph.default_graph import default_steps
from pulsed.calibration.verification import count, verify
from pulsed.cli.main import invoke
from pulsed.cli.processes import OwnDaemon
from pulsed.provider import PulsedProvider

QIBOLAB = Path(__file__).parents[2] / "examples" / "other-stacks" / "qibolab"
ALL = bool(os.environ.get("IMPORTS_ALL"))
LEFT = () if ALL else (
    "resonator-spectroscopy", "anharmonicity", "drag", "fine-drag", "fine-frequency", "t1", "echo", "cz-leakage",
)  # fmt: skip


@pytest.fixture(scope="module")
def rack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported") / "rack"
    assert invoke(["import", str(QIBOLAB), "--to", str(folder), "--simulated"]) == 0
    with OwnDaemon(folder.parent / "home", str(folder / "rack.toml")) as daemon, daemon.wait() as client:
        yield folder, client


def test_a_qibolab_platform_comes_to_a_bell_state(rack, tmp_path):
    """The gates of the file are found good; what no file says, the way of the readout, is measured.

    98 % of the shots agree when prepared, of which both readouts misread 2 % each: 0.94, with 3000 shots ± 0.005.
    """
    folder, client = rack
    imported = client.calibration()
    assert {value.quality for value in imported.values.values()} == {"unverified"}
    session = CalibrationSession(client, tmp_path, default_steps(without=LEFT))
    found = {one.name: one for one in verify(session)}
    counted = count(found.values())
    assert counted["faulty"] == 0
    gates = [name for name in found if name.split(".")[1] in ("x", "sx", "cz") or name.endswith("f01")]
    assert {name: found[name].finding for name in gates if found[name].finding not in ("good", "not measured")} == {}
    assert {found[f"Q{q}.x.amplitude"].by for q in (0, 1)} == {"fine-amplitude"}
    assert {found[f"Q{q}.readout.discriminator"].finding for q in (0, 1)} == {"mended"}
    if ALL:
        assert {name for name, one in found.items() if one.finding == "not measured"} == {"Q0.t2star", "Q1.t2star"}
    backend = PulsedProvider(client=client).get_backend(json.loads((folder / "import.json").read_text())["name"])
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    counts = backend.run(transpile(circuit, backend), shots=3000).result().get_counts()
    equal = (counts.get("00", 0) + counts.get("11", 0)) / 3000
    assert equal > 0.9, counts
    assert 0.4 < counts["00"] / 3000 < 0.6, counts
