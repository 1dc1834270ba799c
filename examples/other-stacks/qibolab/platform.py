"""Two transmons and a coupler on a Qblox cluster: written for the tests of pulsed, in the form of qibolab 0.2."""

import pathlib

from qibolab import Hardware, Qubit
from qibolab._core.instruments.qblox.cluster import Cluster
from qibolab._core.instruments.qblox.platform import infer_los, map_ports
from qibolab.instruments.rohde_schwarz import SGS100A

FOLDER = pathlib.Path(__file__).parent
NAME = "two"
ADDRESS = "192.0.2.6"

CLUSTER = {
    "qcm": (2, {1: ["c0"]}),
    "qcm_rf": (8, {1: ["A1"], 2: ["B2"]}),
    "qrm_rf": (16, {"io1": ["A1", "B2"]}),
}


def create():
    """Return the hardware."""
    qubits = {name: Qubit.default(name, drive_extra={(1, 2): f"{name}/drive12"}) for name in ("A1", "B2")}
    couplers = {"c0": Qubit.default("c0", ["flux"])}
    channels = map_ports(CLUSTER, qubits, couplers)
    los = infer_los(CLUSTER)
    for name, qubit in qubits.items():
        channels[qubit.probe] = channels[qubit.probe].model_copy(update={"lo": los[name, True]})
        channels[qubit.drive] = channels[qubit.drive].model_copy(update={"lo": los[name, False]})
    controller = Cluster(name=NAME, address=ADDRESS, channels=channels)
    return Hardware(
        instruments={"qblox": controller, "twpa": SGS100A(address="192.0.2.35")}, qubits=qubits, couplers=couplers
    )
