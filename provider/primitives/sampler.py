"""The sampler: bits of circuits, with all values of their parameters in one job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from qiskit.primitives import BaseSamplerV2, BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.sampler_pub import SamplerPub

from pulsed.provider.errors import OptionValueError
from pulsed.provider.primitives.batches import Submission, Sweep
from pulsed.provider.primitives.decoupling import decouple
from pulsed.provider.primitives.job import PulsedPrimitiveJob
from pulsed.provider.primitives.measurement import flip_readouts
from pulsed.provider.primitives.options import SamplerOptions, stated
from pulsed.provider.primitives.pubs import check_registers, read_pubs, values_of
from pulsed.provider.primitives.twirling import shares, twirl_gates
from pulsed.provider.result import IQ_UNIT

if TYPE_CHECKING:
    from qiskit.circuit import ClassicalRegister, QuantumCircuit

    from pulsed.provider.backend import PulsedBackend
    from pulsed.provider.calibrated_device import CalibratedDevice

_FORM = "(circuit, parameter values, shots), the last two may be left out"


class _Variant(NamedTuple):
    """A random form of a circuit, and which of its bits are turned over: bool (bits,)."""

    circuit: QuantumCircuit
    flips: npt.NDArray[np.bool_] | None = None


class PulsedSampler(BaseSamplerV2):  # type: ignore[misc]
    """Bits of circuits: a :class:`qiskit.primitives.BaseSamplerV2` over a rack.

    Each PUB is one circuit in gates of the backend (see ``transpile``) with all values of its parameters: it is sent
    once and lowered once, however many values there are. PUBs of as many shots share a job; a job has at most
    ``backend.max_circuits`` results.

    Args:
        backend: to run on.
        options: see :class:`SamplerOptions`; groups of them may be dictionaries.

    """

    def __init__(self, backend: PulsedBackend, options: SamplerOptions | Mapping[str, Any] | None = None) -> None:
        self._backend = backend
        self._options = SamplerOptions.read(options)

    @property
    def backend(self) -> PulsedBackend:
        """The backend that it runs on."""
        return self._backend

    @property
    def options(self) -> SamplerOptions:
        """Its options, which can be changed."""
        return self._options

    def run(self, pubs: Iterable[Any], *, shots: int | None = None) -> PulsedPrimitiveJob:
        """Hand in PUBs; return when the daemon has them, not when they have run.

        Args:
            pubs: circuits, or tuples (circuit, parameter values, shots).
            shots: of PUBs that state none; None is the option ``default_shots``.

        Each result has a :class:`~qiskit.primitives.BitArray` per classical register, of the shape of the values; with
        ``run_options={"meas_level": 1}`` its points, in millionths of full scale.

        Raises:
            PubError: (a ``ValueError``) a PUB that is none, or that has other values than its circuit has parameters,
                or a classical register that a result has no place for, such as "shape".
            UnsupportedCircuitError: a circuit that the backend cannot run.
            OptionValueError: shots or options of the run out of bounds.

        """
        default = self._options.default_shots if shots is None else shots
        if self._options.points and self._options.twirling.enable_measure:
            raise OptionValueError(
                "points cannot be turned back as bits are", subject="options.twirling.enable_measure", value=True,
                legal="False with meas_level 1",
            )  # fmt: skip
        read = read_pubs(pubs, lambda pub: SamplerPub.coerce(pub, default), _FORM)
        now = self._backend.calibrated
        rng = np.random.default_rng(self._options.twirling.seed)
        metadata = {"version": 2, "calibration_id": now.calibration_id, **stated(self._options)}
        sweeps: list[Sweep] = []
        variants: list[list[_Variant]] = []
        for number, pub in enumerate(read):
            check_registers(pub.circuit, number)
            names, values = values_of(pub.circuit, pub.parameter_values, number)
            variants.append(self._variants(pub.circuit, pub.shots, now, rng))
            sweeps += [
                Sweep(variant.circuit, names, values, count)
                for variant, count in zip(variants[-1], shares(pub.shots, len(variants[-1])), strict=True)
            ]
        options = {**self._options.run_options, "calibration_id": now.calibration_id}
        submission = Submission(self._backend, sweeps, options)

        points = self._options.points

        def build(timeout: float | None) -> PrimitiveResult[SamplerPubResult]:
            arrays: Iterator[Any] = iter(submission.points(timeout) if points else submission.bits(timeout))
            results = []
            for pub, several in zip(read, variants, strict=True):
                mine = [next(arrays) for _ in several]
                data = _points_of(pub, mine) if points else _bits_of(pub, mine, [one.flips for one in several])
                results.append(_pub_result(pub, data, len(several)))
            return PrimitiveResult(results, metadata)

        return PulsedPrimitiveJob(submission.jobs, build)

    def _variants(
        self, circuit: QuantumCircuit, shots: int, now: CalibratedDevice, rng: np.random.Generator
    ) -> list[_Variant]:
        """Return the random forms of a circuit, itself when nothing is twirled, with their decoupling."""
        twirling, decoupling = self._options.twirling, self._options.dynamical_decoupling
        number = min(twirling.num_randomizations, shots) if twirling.active else 1
        circuits = twirl_gates(circuit, now.target, number, rng) if twirling.enable_gates else [circuit] * number
        found = [_Variant(*flip_readouts(one, rng)) if twirling.enable_measure else _Variant(one) for one in circuits]
        if decoupling.enable:
            own = self._options.run_options.get("calibrations")
            found = [_Variant(decouple(one, now, decoupling.sequence_type, own), flips) for one, flips in found]
        return found


def _turned(bits: npt.NDArray[np.uint8], flips: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.uint8]:
    """Return bits as they would be without the turns right before their measurement."""
    if flips is None or not flips.any():
        return bits
    turned: npt.NDArray[np.uint8] = bits ^ np.packbits(flips, bitorder="little")
    return turned


def _bits_of(
    pub: SamplerPub, forms: Sequence[npt.NDArray[np.uint8]], flips: Sequence[npt.NDArray[np.bool_] | None]
) -> dict[str, BitArray]:
    """Return the bits of each register, from those of the random forms."""
    turned = [_turned(*pair) for pair in zip(forms, flips, strict=True)]
    bits = turned[0] if len(turned) == 1 else np.concatenate(turned, axis=1)
    shape = (*pub.parameter_values.shape, pub.shots, -1)
    return {
        register.name: BitArray(_of_register(bits, pub.circuit, register).reshape(shape), register.size)
        for register in pub.circuit.cregs
    }


def _points_of(pub: SamplerPub, forms: Sequence[npt.NDArray[np.complex64]]) -> dict[str, npt.NDArray[np.complex128]]:
    """Return the points of each register in units of IQ_UNIT: complex128 (..., shots, bits), averaged (..., bits)."""
    averaged = forms[0].ndim == 2
    weights = shares(pub.shots, len(forms))
    whole = np.average(forms, axis=0, weights=weights) if averaged else np.concatenate(forms, axis=1)
    points = np.divide(whole, IQ_UNIT, dtype=np.complex128).reshape(*pub.parameter_values.shape, *whole.shape[1:])
    places = {one.name: [pub.circuit.find_bit(bit).index for bit in one] for one in pub.circuit.cregs}
    return {name: points[..., mine] for name, mine in places.items()}


def _pub_result(pub: SamplerPub, data: Mapping[str, Any], forms: int) -> SamplerPubResult:
    metadata = {"shots": pub.shots, "circuit_metadata": pub.circuit.metadata}
    if forms > 1:
        metadata["num_randomizations"] = forms
    return SamplerPubResult(DataBin(**data, shape=pub.parameter_values.shape), metadata)


def _of_register(
    bits: npt.NDArray[np.uint8], circuit: QuantumCircuit, register: ClassicalRegister
) -> npt.NDArray[np.uint8]:
    """Return the bits of one register as Qiskit packs them: the first bit is the last of the last byte."""
    places = [circuit.find_bit(bit).index for bit in register]
    if places == list(range(circuit.num_clbits)):
        return np.ascontiguousarray(bits[..., ::-1])
    mine = np.unpackbits(bits, axis=-1, bitorder="little")[..., places]
    return np.ascontiguousarray(np.packbits(mine, axis=-1, bitorder="little")[..., ::-1])
