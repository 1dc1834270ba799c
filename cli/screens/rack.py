"""What `pulsed rack …` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pulsed.cli.screens.status import kind_table
from pulsed.model.calibration import Value
from pulsed.model.visible import visible


def truth_screen(truth: Mapping[str, Any]) -> RenderableType:
    """Return the screen of `pulsed rack truth`: the chip as it is, which no daemon knows."""
    units = {"t1": "s", "t2_echo": "s", "t2_star": "s", "thermal": "", "n_crit": ""}
    qubits = {
        key: {f"Q{q}": Value(values[key], units.get(key, "Hz")) for q, values in enumerate(truth["qubits"])}
        for key, value in truth["qubits"][0].items()
        if isinstance(value, float)
    }
    names = ["Q{}-Q{}".format(*pair["qubits"]) for pair in truth["couplings"]]
    pairs = {
        key: {name: Value(pair[key], "Hz") for name, pair in zip(names, truth["couplings"], strict=True)}
        for key in ("j", "zz")
    }
    head = Text.assemble("the truth about chip ", (visible(str(truth["name"])), "bold"))
    return Group(head, "", kind_table("qubit", qubits), "", kind_table("pair", pairs))


def report_lines(found: Sequence[Mapping[str, Any] | None]) -> Iterator[str]:
    """Yield which states the qubits of each circuit of a run shared, those alike together."""
    first = 0
    for report, alike in groupby(found):
        last = first + len(list(alike)) - 1
        yield f"circuit {first}" if first == last else f"circuits {first} to {last}"
        for cluster in report["clusters"] if report else []:
            qubits = " ".join(f"Q{q}" for q in cluster["qubits"])
            bond, weight = cluster["bond_dimension"], cluster["discarded_weight"]
            more = f", bond dimension {bond}, discarded weight {weight:.2g}" if bond else ""
            if weight and not bond:
                more = f", leakage of more qubits at once left out, below {weight:.2g}"
            yield f"  {qubits}: {cluster['method']}, {cluster['members']} at once{more}"
        for dropped in report["dropped_zz"] if report else []:
            yield "  left out: ZZ of Q{}-Q{}, {:.1f} kHz".format(*dropped["qubits"], dropped["zz"] / 1e3)
        first = last + 1


def fault_lines(found: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield a line per instrument: its faults, each with its seconds where it has some."""
    for name, kinds in found.items():
        faults = ", ".join(f"{kind} ({seconds:g} s)" if seconds else kind for kind, seconds in kinds.items())
        yield f"{name:12} {faults or 'no fault'}"
