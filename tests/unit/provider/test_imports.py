"""What importing the provider costs."""

import subprocess
import sys


def test_importing_the_provider_leaves_the_heavy_things_for_later() -> None:
    """It shall cost at most 1.2 times ``import qiskit``; named here is what it must leave out for that."""
    code = (
        "import sys, qiskit; before = set(sys.modules); import pulsed.provider; added = set(sys.modules) - before;"
        "print(*sorted({name.split('.')[0] for name in added} | {n for n in added if n.startswith('pulsed.')}))"
    )
    added = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"pydantic", "zmq", "matplotlib", "rich", "numba", "scipy", "qcodes", "sqlalchemy"}
    assert heavy.isdisjoint(added)
    # of the compiler only what says how a circuit is written down, which imports nothing that Qiskit has not
    added = [
        name for name in added if name.rpartition(".")[2] not in ("compiler", "canonical", "expressions", "metadata")
    ]
    assert not [name for name in added if name.startswith(("pulsed.client", "pulsed.compiler", "pulsed.pulse"))]
    assert "pulsed.provider.backend" in added
