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

STACKS = Path(__file__).parents[2] / "examples" / "other-stacks"
ALL = bool(os.environ.get("IMPORTS_ALL"))
LEFT = () if ALL else (
    "resonator-spectroscopy", "anharmonicity", "drag", "fine-drag", "fine-frequency", "t1", "echo", "cz-leakage",
)  # fmt: skip


@pytest.fixture(scope="module", params=["qibolab", "ibm"] if ALL else ["qibolab"])
def rack(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported") / "rack"
    assert invoke(["import", str(STACKS / request.param), "--to", str(folder), "--simulated"]) == 0
    with OwnDaemon(folder.parent / "home", str(folder / "rack.toml")) as daemon, daemon.wait() as client:
        yield folder, client


def test_a_device_of_another_stack_comes_to_a_bell_state(rack, tmp_path):
    """The gates of the files are found good; what no file says, the way of the readout, is measured.

    98 % of the shots agree when prepared, of which both readouts misread 2 % each: 0.94, with 3000 shots ± 0.005.
    """
    folder, client = rack
    imported, stack = client.calibration(), json.loads((folder / "import.json").read_text())["stack"]
    assert {value.quality for value in imported.values.values()} == {"unverified"}
    session = CalibrationSession(client, tmp_path, default_steps(without=LEFT))
    found = {one.name: one for one in verify(session)}
    assert count(found.values())["faulty"] == 0
    assert {found[f"Q{q}.x.amplitude"].finding for q in (0, 1)} == {"good"}
    assert {found[f"Q{q}.f01"].finding for q in (0, 1)} == {"good"}
    assert client.calibration().values["Q0.readout.discriminator"].routine == "discriminator"
    if stack == "qibolab":
        cz = {one.finding for name, one in found.items() if ".cz." in name}
        assert cz <= {"good", "not measured"}
    else:
        assert found["Q0-Q1.ecr.amplitude"].finding == found["Q0-Q1.ecr.angle"].finding == "good"
    backend = PulsedProvider(client=client).get_backend(json.loads((folder / "import.json").read_text())["name"])
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    counts = backend.run(transpile(circuit, backend), shots=3000).result().get_counts()
    equal = (counts.get("00", 0) + counts.get("11", 0)) / 3000
    assert equal > 0.9, counts
    assert 0.4 < counts["00"] / 3000 < 0.6, counts
