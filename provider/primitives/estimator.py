"""The estimator: means of observables, with all values of a circuit's parameters in one job."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from qiskit.primitives import BaseEstimatorV2, DataBin, PrimitiveResult, PubResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray

from pulsed.provider.errors import PubError
from pulsed.provider.primitives.batches import Submission, Sweep
from pulsed.provider.primitives.decoupling import decouple
from pulsed.provider.primitives.estimates import Estimates, estimate
from pulsed.provider.primitives.job import PulsedPrimitiveJob
from pulsed.provider.primitives.measurement import measured
from pulsed.provider.primitives.observables import Basis, MeasurementPlan, plan
from pulsed.provider.primitives.options import EstimatorOptions, stated
from pulsed.provider.primitives.pubs import read_pubs, values_of
from pulsed.provider.primitives.readout import AssignmentMatrix, assignments
from pulsed.provider.primitives.twirling import shares, twirl_gates

if TYPE_CHECKING:
    from pulsed.provider.backend import PulsedBackend
    from pulsed.provider.calibrated_device import CalibratedDevice
    from pulsed.provider.primitives.batches import Bits

_FORM = "(circuit, observables, parameter values, precision), the last two may be left out"


class _Rows(NamedTuple):
    """Which bindings a sweep of one basis has for one :class:`MeasurementPlan`: rows ``first`` to ``last``."""

    measurement: int
    first: int
    last: int


class _Prepared(NamedTuple):
    """A PUB as it is measured."""

    pub: EstimatorPub
    shots: list[int]
    """Of each random form."""
    measurements: list[MeasurementPlan]
    rows: dict[Basis, list[_Rows]]
    flips: dict[Basis, npt.NDArray[np.bool_]]
    """Per random form and qubit, whether its state was turned over before the readout: bool (forms, qubits)."""


class PulsedEstimator(BaseEstimatorV2):  # type: ignore[misc]
    """Means of observables: a :class:`qiskit.primitives.BaseEstimatorV2` over a rack.

    Each PUB is one circuit in gates of the backend (see ``transpile``) with all values of its parameters: it is sent
    and lowered once for each basis that its observables need. Terms that commute qubit by qubit share a basis, and
    its shots. PUBs of as many shots share a job; a job has at most ``backend.max_circuits`` results.

    Args:
        backend: to run on.
        options: see :class:`EstimatorOptions`; groups of them may be dictionaries.

    """

    def __init__(self, backend: PulsedBackend, options: EstimatorOptions | Mapping[str, Any] | None = None) -> None:
        self._backend = backend
        self._options = EstimatorOptions.read(options)

    @property
    def backend(self) -> PulsedBackend:
        """The backend that it runs on."""
        return self._backend

    @property
    def options(self) -> EstimatorOptions:
        """Its options, which can be changed."""
        return self._options

    def run(self, pubs: Iterable[Any], *, precision: float | None = None) -> PulsedPrimitiveJob:
        """Hand in PUBs; return when the daemon has them, not when they have run.

        Args:
            pubs: tuples (circuit, observables, parameter values, precision). An observable has a letter for each qubit
                of the circuit; ``observable.apply_layout(circuit.layout)`` fits one to a transpiled circuit.
            precision: of PUBs that state none; None is the option ``default_precision``. Each basis is measured with
                1 / precision² shots, which gives a Pauli operator at most this standard error without mitigation.

        The data of each result are ``evs`` and ``stds``, the standard errors that follow from the shots themselves and,
        with mitigation, from the uncertainty of the readout errors; NaN for one shot, which shows none.
        With twirling ``ensemble_standard_error`` is that which follows from how the random forms of the circuit differ.

        Raises:
            PubError: (a ``ValueError``) a PUB that is none, whose observables have another width than its circuit, or
                whose precision no number of shots reaches.
            UnsupportedCircuitError: a circuit that the backend cannot run.
            OptionValueError: options of the run out of bounds, or mitigation without calibrated readout errors.

        """
        default = self._options.default_precision if precision is None else precision
        read = read_pubs(pubs, lambda pub: _read(pub, default), _FORM)
        now = self._backend.calibrated
        rng = np.random.default_rng(self._options.twirling.seed)
        prepared: list[_Prepared] = []
        sweeps: list[Sweep] = []
        for number, pub in enumerate(read):
            one, mine = self._prepare(pub, number, now, rng)
            prepared.append(one)
            sweeps += mine
        known: Mapping[int, AssignmentMatrix] = {}
        if self._options.resilience.measure_mitigation:
            qubits = {q for one in prepared for basis in one.rows for q, _ in basis}
            known = assignments(now.calibration, sorted(qubits))
        metadata = {"version": 2, "calibration_id": now.calibration_id, **stated(self._options)}
        options = {**self._options.run_options, "calibration_id": now.calibration_id}
        submission = Submission(self._backend, sweeps, options)

        def build(timeout: float | None) -> PrimitiveResult[PubResult]:
            bits = submission.bits(timeout)
            results = []
            for one in prepared:
                count = sum(len(flips) for flips in one.flips.values())
                mine, bits = bits[:count], bits[count:]
                results.append(_pub_result(one, mine, known))
            return PrimitiveResult(results, metadata)

        return PulsedPrimitiveJob(submission.jobs, build)

    def _prepare(
        self, pub: EstimatorPub, number: int, now: CalibratedDevice, rng: np.random.Generator
    ) -> tuple[_Prepared, list[Sweep]]:
        """Return what is measured for a PUB, and the sweeps of its bases, those of one basis one after the other."""
        shots = _shots(pub.precision, number, now.device.limits.max_shots)
        names, values = values_of(pub.circuit, pub.parameter_values, number)
        flat = pub.observables.ravel()
        labels = [flat[index] for index in range(flat.size)]
        measurements = plan(labels, pub.observables.shape, pub.parameter_values.shape)
        rows: dict[Basis, list[_Rows]] = {}
        for index, one in enumerate(measurements):
            for basis in one.terms:
                mine = rows.setdefault(basis, [])
                first = mine[-1].last if mine else 0
                mine.append(_Rows(index, first, first + len(one.bindings)))
        twirling, decoupling = self._options.twirling, self._options.dynamical_decoupling
        # A form of one shot would tell nothing of the spread of its shots.
        forms = min(twirling.num_randomizations, max(shots // 2, 1)) if twirling.active else 1
        target, each = now.target, shares(shots, forms)
        sweeps: list[Sweep] = []
        flips: dict[Basis, npt.NDArray[np.bool_]] = {}
        circuits = [pub.circuit] * forms
        for basis, several in rows.items():
            table = values[np.concatenate([measurements[one.measurement].bindings for one in several])]
            if twirling.enable_gates:
                circuits = twirl_gates(pub.circuit, target, forms, rng)
            turns = (
                rng.integers(2, size=(forms, len(basis))) if twirling.enable_measure else np.zeros((forms, len(basis)))
            )
            flips[basis] = turns.astype(bool)
            for circuit, turned, count in zip(circuits, flips[basis], each, strict=True):
                whole = measured(circuit, basis, turned.tolist())
                if decoupling.enable:
                    own = self._options.run_options.get("calibrations")
                    whole = decouple(whole, now, decoupling.sequence_type, own)
                sweeps.append(Sweep(whole, names, table, count))
        return _Prepared(pub, each, measurements, rows, flips), sweeps


def _read(pub: Any, precision: float) -> EstimatorPub:
    """Return a PUB as Qiskit reads it; observables of another width are told of with what would fit."""
    if isinstance(pub, tuple | list) and len(pub) > 1 and hasattr(pub[0], "num_qubits"):
        for one in ObservablesArray.coerce(pub[1]).ravel().tolist():
            width = len(next(iter(one)))
            if width != pub[0].num_qubits:
                raise ValueError(
                    f"an observable on {width} qubits for a circuit on {pub[0].num_qubits}: "
                    "observable.apply_layout(circuit.layout) fits it to a transpiled circuit"
                )
    return EstimatorPub.coerce(pub, precision)


def _shots(precision: float, number: int, most: int) -> int:
    """Return the shots that make the standard error of a Pauli operator at most ``precision``."""
    legal = f"a number of at least {1 / math.sqrt(most):.3g}: max_shots is {most}"
    if not 0 < precision < math.inf:
        raise PubError("the precision must be above 0", subject=f"PUB {number}", value=precision, legal=legal)
    shots = math.ceil(round(1 / precision**2, 6))
    if shots > most:
        raise PubError(f"the precision needs {shots} shots", subject=f"PUB {number}", value=precision, legal=legal)
    return shots


def _pub_result(one: _Prepared, bits: Sequence[Bits], known: Mapping[int, AssignmentMatrix]) -> PubResult:
    """Return the result of a PUB from the bits of its sweeps."""
    shape, size = one.pub.shape, math.prod(one.pub.shape)
    sums = _Sums(size, known)
    for measurement in one.measurements:
        sums.evs[measurement.places] += measurement.constants
    place = 0
    for basis, several in one.rows.items():
        flips = one.flips[basis]
        mine = bits[place : place + len(flips)]
        place += len(flips)
        for index, first, last in several:
            measurement = one.measurements[index]
            found = [
                estimate(packed[first:last], one.pub.circuit.num_clbits, basis, measurement.terms[basis], known, turned)
                for packed, turned in zip(mine, flips.tolist(), strict=True)
            ]
            sums.add(measurement.places, found, one.shots)
    data = {"evs": sums.evs.reshape(shape), "stds": sums.stds().reshape(shape)}
    metadata = {
        "target_precision": one.pub.precision,
        "shots": sum(one.shots),
        "circuit_metadata": one.pub.circuit.metadata,
    }
    if len(one.shots) > 1 and one.rows:
        data["ensemble_standard_error"] = np.sqrt(sums.spread).reshape(shape)
        metadata["num_randomizations"] = len(one.shots)
    return PubResult(DataBin(**data, shape=shape), metadata)


class _Sums:
    """What bases and random forms add to each value of a PUB, flat."""

    def __init__(self, size: int, known: Mapping[int, AssignmentMatrix]) -> None:
        self.evs = np.zeros(size)
        self._variances = np.zeros(size)
        self.spread = np.zeros(size)
        self._known = known
        self._slopes: dict[tuple[int, int], npt.NDArray[np.float64]] = {}

    def add(self, places: npt.NDArray[np.intp], forms: Sequence[Estimates], shots: Sequence[int]) -> None:
        """Add the mean over the shots of all random forms of what one basis shows."""
        weights = np.array(shots) / sum(shots)
        means = np.stack([form.means for form in forms])
        mean = np.tensordot(weights, means, 1)
        self.evs[places] += mean
        self._variances[places] += np.tensordot(weights**2, np.stack([form.variances for form in forms]), 1)
        if len(forms) > 1:
            squares = np.tensordot(weights**2, (means - mean) ** 2, 1)
            self.spread[places] += squares * len(forms) / (len(forms) - 1)
        for weight, form in zip(weights, forms, strict=True):
            for key, slopes in form.slopes.items():
                # The same number for all bases and forms: what it does to them adds up before it is squared.
                self._slopes.setdefault(key, np.zeros(len(self.evs)))[places] += slopes * weight

    def stds(self) -> npt.NDArray[np.float64]:
        """Return the standard errors."""
        variances = self._variances.copy()
        for (q, which), slopes in self._slopes.items():
            variances += (slopes * self._known[q][2 + which]) ** 2
        return np.sqrt(variances)
