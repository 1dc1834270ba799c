"""Tomography of two qubits: what is prepared and in which bases it is measured."""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits.assignment import Assignment
from pulsed.calibration.fits.fit import Real
from pulsed.calibration.fits.process import MATRICES, MEASURED, PAULIS, PREPARED, echoed
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    MeasurementResponse,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    bad_data,
    qubits_of,
)
from pulsed.calibration.routines.cross_resonance import basis_change
from pulsed.calibration.routines.readings import assignment
from pulsed.calibration.routines.readout import rested
from pulsed.calibration.schedules import Blocks, sequence
from pulsed.pulse.schedule import Schedule

OUTCOMES = ("00", "01", "10", "11")
"""The control's bit first."""


def both(*parts: Schedule, until: int = 0) -> Schedule:
    """Return parts that end together, ``until`` dt from the start at the least."""
    end = max([until, *(part.duration for part in parts)])
    result = Schedule()
    for part in parts:
        result = result.insert(end - part.duration, part)
    return result


def prepared(blocks: Blocks, qubit: int, state: str) -> Schedule:
    """Return what makes one of the states of :data:`PREPARED` from 0."""
    if state == "0":
        return Schedule()
    if state == "1":
        return sequence(blocks.x(qubit))
    return sequence(blocks.sx(qubit), *([blocks.rz(qubit, np.pi / 2)] if state == "+x" else []))


def measured(executor: Executor, pair: str, body: Schedule, basis: tuple[str, str]) -> Schedule:
    """Return a shot: ``body``, then both qubits measured in their bases (control, target)."""
    blocks, qubits = executor.blocks, qubits_of(pair, executor.device)
    turns = [sequence(*basis_change(blocks, qubit, axis)) for qubit, axis in zip(qubits, basis, strict=True)]
    length = max(turn.duration for turn in turns)
    rotations = Schedule(*((0, turn) for turn in turns))
    readout = Schedule(*((0, blocks.measure(qubit)) for qubit in qubits))
    return blocks.shot(qubits[0], body, rotations, length - rotations.duration, readout=readout)


def settings() -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return every preparation with every basis, (control, target) each; bases run fastest."""
    states, bases = list(product(PREPARED, PREPARED)), list(product(MEASURED, MEASURED))
    return [(state, basis) for state in states for basis in bases]


def pair_counts(executor: Executor, pair: str, answer: MeasurementResponse) -> np.ndarray:
    """Return (schedules, 4) counts, the control's bit the slow one. What lies above 1 counts as 1."""
    assert answer.bits is not None, "level 2"
    control, target = qubits_of(pair, executor.device)
    first, second = (0, 1) if control < target else (1, 0)  # memory slots come in the order of the qubits
    bits = answer.bits > 0
    numbers = 2 * bits[:, :, first] + bits[:, :, second]
    return np.stack([(numbers == k).sum(axis=1) for k in range(4)], axis=1)


def readout_errors(executor: Executor, pair: str) -> dict[str, list[float]]:
    """Return how the control and the target are read, as attributes."""
    rows = zip(("control", "target"), qubits_of(pair, executor.device), strict=True)
    return {f"readout_{side}": assignment(executor, qubit).numbers() for side, qubit in rows}


def assignments(data: xarray.Dataset) -> tuple[Assignment, Assignment]:
    """Return what :func:`readout_errors` put into the attributes."""
    return Assignment.of(data.attrs["readout_control"]), Assignment.of(data.attrs["readout_target"])


class Bell(Routine):
    """The state that ECR makes of (|0> + |1>)|0>, in nine bases, with the errors of the readout taken out.

    The fidelity is the mean of the Pauli products that the ideal state has, a quarter each; a linear estimate has no
    bias, and may lie above 1 by its standard error. Only the errors of the reading are taken out: that the qubits were
    in 1 now and then before the gate is an error of the state, and counts; what is left of the shot before is waited
    for. The density matrix for the figure is the nearest one without negative weights (Smolin, Gambetta, Smith, Phys.
    Rev. Lett. 108, 070502, 2012).
    """

    name: ClassVar = "bell"
    subject: ClassVar = "pair"
    needs: ClassVar = (
        "control.sx.amplitude", "target.sx.amplitude", "control.readout.p01", "control.readout.p10",
        "target.readout.p01", "target.readout.p10", "ecr.amplitude", "ecr.cancel.amplitude",
    )  # fmt: skip
    gives: ClassVar = ("bell.fidelity",)
    disturbs: ClassVar = "neighbours"
    tolerances: ClassVar = {"bell.fidelity": (0.02, 0.0)}
    quick: ClassVar = {"shots": 1000}

    class Parameters(RoutineParameters):
        """Of each of the nine bases."""

        shots: PositiveInt = 3000

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Make the state and measure it."""
        pair, bases = qubits_of(target, executor.device), list(product(MEASURED, MEASURED))
        start = prepared(executor.blocks, pair[0], "+x")
        body = start.insert(start.duration, executor.blocks.gate("ecr", *pair))
        schedules = [measured(executor, target, body, basis) for basis in bases]
        answer = yield MeasurementRequest(schedules, self.parameters.shots, level=2, options=rested(executor))
        data = xarray.Dataset()
        data.coords["basis"] = ("basis", [f"{a}{b}" for a, b in bases])
        data.coords["outcome"] = ("outcome", list(OUTCOMES))
        data["counts"] = (("basis", "outcome"), pair_counts(executor, target, answer), {"units": ""})
        return data.assign_attrs(readout_errors(executor, target))

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Add up the Pauli products."""
        products, covariance = pauli_products(data["counts"].to_numpy(), *assignments(data))
        ideal = bell_products()
        fidelity = (1 + float(ideal @ products)) / 4
        stderr = float(np.sqrt(ideal @ covariance @ ideal)) / 4
        if fidelity - 3 * stderr <= 0.5:
            # No state of two qubits that are not entangled has more (Horodecki et al., Rev. Mod. Phys. 81, 865, 2009).
            return bad_data(
                f"nothing shows that the qubits are entangled: the fidelity is {fidelity:.2f} ± {stderr:.2f}"
            )
        return Outcome("good", "", {"bell.fidelity": Proposal(fidelity, "", stderr)})

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw the Pauli products beside the ideal ones, what is missing, and the density matrix."""
        from pulsed.calibration.results.run_plots import heading

        figure.suptitle(heading(self.name, data, outcome), fontsize="medium")
        products, covariance = pauli_products(data["counts"].to_numpy(), *assignments(data))
        errors = np.sqrt(np.diag(covariance))
        axes = figure.subplot_mosaic(
            [["products", "products"], ["left", "left"], ["re", "im"]], height_ratios=(3, 1, 3)
        )
        places = np.arange(len(PAULIS))
        axes["products"].bar(places, bell_products(), 0.8, fill=False, edgecolor="grey", label="ideal")
        axes["products"].errorbar(places, products, errors, fmt=".", label="measured")
        axes["products"].set_ylabel("expectation", fontsize="small")
        axes["products"].legend(fontsize="x-small")
        axes["left"].errorbar(places, products - bell_products(), errors, fmt=".")
        axes["left"].axhline(0, color="grey", lw=0.8)
        axes["left"].set_ylabel("residuals", fontsize="small")
        for name in ("products", "left"):
            axes[name].set_xticks(places, PAULIS, fontsize="x-small")
        state = nearest_state(products)
        for name, part in (("re", state.real), ("im", state.imag)):
            image = axes[name].imshow(part, cmap="RdBu", vmin=-0.5, vmax=0.5)
            axes[name].set_xticks(range(4), OUTCOMES, fontsize="x-small")
            axes[name].set_yticks(range(4), OUTCOMES, fontsize="x-small")
            axes[name].set_title(f"{name.capitalize()} rho", fontsize="small")
        figure.colorbar(image, ax=[axes["re"], axes["im"]])


def bell_products() -> Real:
    """Return the ideal expectations of :data:`PAULIS`."""
    state = echoed() @ np.kron([1, 1], [1, 0]) / np.sqrt(2)
    return np.array([(state.conj() @ matrix @ state).real for matrix in MATRICES])


def pauli_products(counts: np.ndarray, control: Assignment, target: Assignment) -> tuple[Real, Real]:
    """Return the expectations of :data:`PAULIS` and their covariance (15, 15) from (9, 4) counts in all bases.

    Each basis is corrected by the inverse of what the readout does; what several bases tell is averaged. The covariance
    is that of the counts, and that of the errors of the readout, which all products share.
    """
    shots = counts.sum(axis=1)
    shares, smooth = counts / shots[:, None], (counts + 0.5) / (shots[:, None] + 2)
    weights = _weights(control.matrix(), target.matrix())
    spread = np.einsum("kbo,bo,lbo->kl", weights, smooth / shots[:, None], weights)
    means = np.einsum("kbo,bo->kb", weights, smooth)
    covariance = spread - np.einsum("kb,b,lb->kl", means, 1 / shots, means)
    products = np.einsum("kbo,bo->k", weights, shares)
    for zero, one in np.eye(2):
        moved = (a.matrix(zero * a.errors[0], one * a.errors[1]) for a in (control, target))
        for pair in ((next(moved), target.matrix()), (control.matrix(), next(moved))):
            turned = np.einsum("kbo,bo->k", _weights(*pair), shares) - products
            covariance += np.outer(turned, turned)
    return products, covariance


def _weights(control: Real, target: Real) -> Real:
    """Return (15, 9, 4): what each outcome of each basis counts for each of :data:`PAULIS`."""
    inverse, bases = np.linalg.inv(np.kron(control, target)), list(product(MEASURED, MEASURED))
    result = np.zeros((len(PAULIS), len(bases), 4))
    for row, name in zip(result, PAULIS, strict=True):
        signs = np.kron(*([1.0, 1.0 if letter == "I" else -1.0] for letter in name)) @ inverse
        fits = [all(letter in ("I", axis.upper()) for letter, axis in zip(name, basis, strict=True)) for basis in bases]
        row[fits] = signs / sum(fits)
    return result


def nearest_state(products: Real) -> np.ndarray:
    """Return the density matrix (4, 4) nearest to the expectations of :data:`PAULIS`."""
    raw = (np.eye(4) + np.tensordot(products, MATRICES, 1)) / 4
    values, vectors = np.linalg.eigh(raw)
    # Negative weights are set to zero, the least first, and what is missing is spread over the others.
    missing = 0.0
    for k, value in enumerate(values):
        if value + missing / (len(values) - k) >= 0:
            values[k:] += missing / (len(values) - k)
            break
        missing += value
        values[k] = 0.0
    state: np.ndarray = (vectors * values) @ vectors.conj().T
    return state
