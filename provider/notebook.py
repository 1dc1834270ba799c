"""Provider, backend and job as a notebook shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pulsed.model.chip_map import draw_chip, map_size, shown_percent, shown_value
from pulsed.model.errors import MissingPackageError
from pulsed.model.html import folded, heading, image, line, table
from pulsed.model.picture import new_picture

if TYPE_CHECKING:
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.model.figure import Picture

_QUANTITIES = (("f01", "f01", "Hz", 7), ("anharmonicity", "anharmonicity", "Hz", 4), ("T1", "t1", "s", 3),
               ("T2", "t2", "s", 3))  # fmt: skip
"""Columns of the table of qubits: their heads, calibrated values, units and digits."""
_SHARES = (("error of x", "x.error"), ("readout error", "readout.error"))
_MOST_COUNTS = 16
"""Outcomes that are shown of one circuit, the most frequent ones."""


def provider_html(described: str, backends: Iterable[tuple[str, int, str]] | None) -> str:
    """Return a provider with its backends (name, qubits, description); None when it is not connected."""
    if backends is None:
        return heading(described) + line("not connected yet: .backends() asks the daemon")
    return heading(described) + table(("backend", "qubits", "description"), backends)


def draw_backend(device: DeviceDescription, calibration: CalibrationSet) -> Picture:
    """Return the map of a chip with its calibrated values. Raises :class:`MissingPackageError` without matplotlib."""
    figure = new_picture(*map_size(device))
    draw_chip(device, calibration, figure)
    return figure


def backend_html(
    described: str, device: DeviceDescription, calibration: CalibrationSet, errors: Mapping[str, Mapping[str, float]]
) -> str:
    """Return a backend: the map of its chip, and its qubits and pairs with what was calibrated.

    ``errors``: of the gates of each pair.
    """

    def fault(name: str) -> str:
        found = calibration.faulty(name)
        return f"faulty: {found.why}" if found else ""

    rows = [
        (
            name,
            *(shown_value(calibration, f"{name}.{key}", unit, digits) for _, key, unit, digits in _QUANTITIES),
            *(shown_percent(calibration, f"{name}.{key}") for _, key in _SHARES),
            fault(name),
        )
        for name in (f"Q{q}" for q in range(device.num_qubits))
    ]
    columns = ("qubit", *(column for column, *_ in _QUANTITIES), *(column for column, _ in _SHARES), "")
    pairs = [
        (name, ", ".join(f"{gate} {100 * error:.2g} %" for gate, error in gates.items()), fault(name))
        for name, gates in errors.items()
    ]
    try:
        picture = image(draw_backend(device, calibration).png(85), f"the chip of {device.name}")
    except MissingPackageError:
        picture = ""
    about = f"calibration set {calibration.calibration_id} of {calibration.created[:19]}"
    tables = folded(f"{len(rows)} qubits", table(columns, rows)) + folded(
        f"{len(pairs)} pairs", table(("pair", "errors", ""), pairs)
    )
    return heading(described) + line(about) + picture + tables


def job_html(described: str, said: str, counts: Iterable[tuple[str, Mapping[str, int]]]) -> str:
    """Return a job: what it does now, and the counts of its circuits (name, counts) once they are here."""
    shown = []
    for name, found in counts:
        often = sorted(found.items(), key=lambda item: -item[1])
        more = f" and {len(often) - _MOST_COUNTS} more" if len(often) > _MOST_COUNTS else ""
        shown.append((name, ", ".join(f"{bits}: {number}" for bits, number in often[:_MOST_COUNTS]) + more))
    return heading(described) + line(said) + (table(("circuit", "counts"), shown) if shown else "")
