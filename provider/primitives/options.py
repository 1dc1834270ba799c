"""Options of the primitives: names, defaults, and what is legal. Their names are those of qiskit-ibm-runtime."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields
from numbers import Real
from typing import Any, Protocol, Self

from pulsed.model.errors import InvalidValueError
from pulsed.model.option_readers import FLAG, ChoiceReader, IntegerReader
from pulsed.provider.errors import OptionValueError, UnknownOptionError
from pulsed.provider.options import BETWEEN_RUNS, DEFAULTS, unknown

_SET_HERE = ("shots", "memory", "meas_level", "meas_return", "iq", "dry_run", "seed_simulator")
RUN_OPTIONS = (*(name for name in DEFAULTS if name not in (*_SET_HERE, *BETWEEN_RUNS)), "calibrations")
"""Options of a run that a primitive leaves to its user."""


class _Reader(Protocol):
    def read(self, name: str, value: Any, device: None) -> Any: ...

    def describe(self) -> str: ...


class CheckedOptions:
    """Options that are checked when they are set: by the constructor, as attributes, with :meth:`update`.

    Raises:
        UnknownOptionError: (an ``AttributeError``) an option that there is not.
        OptionValueError: (a ``ValueError``) a value that is not legal.

    """

    _subject = "options"

    def __setattr__(self, name: str, value: Any) -> None:
        known = {one.name: one for one in fields(self)}  # type: ignore[arg-type]
        if name not in known:
            raise unknown(name, self._subject, known)
        reader: _Reader = known[name].metadata["reader"]
        try:
            plain = reader.read(f"{self._subject}.{name}", value, None)
        except UnknownOptionError:
            raise
        except InvalidValueError as error:
            raise OptionValueError(
                "invalid value of this option", subject=error.subject, value=error.value, legal=error.legal
            ) from None
        object.__setattr__(self, name, plain)

    @classmethod
    def read(cls, given: Self | Mapping[str, Any] | None) -> Self:
        """Return options of their own: a copy, or the defaults with what ``given`` names."""
        if isinstance(given, cls):
            return deepcopy(given)
        options = cls()
        options.update(given if isinstance(given, Mapping) else None)
        return options

    def update(self, given: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Set options by name; those of a group may be given as a dictionary, which leaves its others as they are."""
        for name, value in {**(given or {}), **more}.items():
            now = getattr(self, name, None)
            if isinstance(now, CheckedOptions) and isinstance(value, Mapping):
                now.update(value)
            else:
                setattr(self, name, value)


class _PrecisionReader:
    def read(self, name: str, value: Any, device: None) -> float:
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
            raise InvalidValueError("", subject=name, value=value, legal=self.describe())
        return float(value)

    def describe(self) -> str:
        return "a number above 0"


class _SeedReader:
    def read(self, name: str, value: Any, device: None) -> int | None:
        return None if value is None else IntegerReader(0, 2**63 - 1).read(name, value, None)

    def describe(self) -> str:
        return "an integer from 0 to 2**63 - 1, or None"


_LEVELS = {"meas_level": ChoiceReader((1, 2)), "meas_return": ChoiceReader(("single", "avg"))}


class _RunOptionsReader:
    def __init__(self, *, levels: bool = False) -> None:
        self.legal = (*RUN_OPTIONS, *(_LEVELS if levels else ()))

    def read(self, name: str, value: Any, device: None) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise InvalidValueError("", subject=name, value=value, legal=self.describe())
        for key in value:
            if key not in self.legal:
                raise unknown(key, name, self.legal)
            if key in _LEVELS:
                _LEVELS[key].read(f"{name}.{key}", value[key], None)
        return dict(value)

    def describe(self) -> str:
        return "a dictionary of options of run"


class _GroupReader:
    def __init__(self, kind: type[CheckedOptions]) -> None:
        self.kind = kind

    def read(self, name: str, value: Any, device: None) -> CheckedOptions:
        if not isinstance(value, self.kind | Mapping):
            raise InvalidValueError("", subject=name, value=value, legal=self.describe())
        return self.kind.read(value)

    def describe(self) -> str:
        return f"a dictionary or {self.kind.__name__}"


def _option(reader: _Reader, default: Any, what: str) -> Any:
    return field(default=default, metadata={"reader": reader, "help": what})


@dataclass
class DecouplingOptions(CheckedOptions):
    """Dynamical decoupling: pulses on qubits that would idle, which together do nothing."""

    _subject = "options.dynamical_decoupling"
    enable: bool = _option(FLAG, False, "Half turns in every wait that is long enough, of qubits that have begun.")
    sequence_type: str = _option(
        ChoiceReader(("XX", "XpXm", "XY4", "ZZ")),
        "XX",
        "`XX`: two X; `XpXm`: X and its reverse; `XY4`: X, Y, X, Y; `ZZ`: X where they undo the calibrated ZZ, as many "
        "as are worth their own errors.",
    )


@dataclass
class TwirlingOptions(CheckedOptions):
    """Pauli twirling: random Paulis that leave the circuit's meaning as it is, and average errors to Pauli errors."""

    _subject = "options.twirling"
    enable_gates: bool = _option(FLAG, False, "Random Paulis before and after each two-qubit gate (ecr, cz).")
    enable_measure: bool = _option(
        FLAG, False, "X before the last measurement of random qubits, whose bits are turned back afterwards."
    )
    num_randomizations: int = _option(
        IntegerReader(1, 1000), 32, "Random forms of the circuit, which share the shots evenly."
    )
    seed: int | None = _option(_SeedReader(), None, "Of the random choices; None is another one each time.")

    @property
    def active(self) -> bool:
        """Whether anything is twirled."""
        return self.enable_gates or self.enable_measure


@dataclass
class ResilienceOptions(CheckedOptions):
    """What is corrected."""

    _subject = "options.resilience"
    measure_mitigation: bool = _option(
        FLAG, False, "Undo the readout errors of each qubit by its calibrated assignment matrix."
    )


_FURTHER = "Further options of `backend.run`, such as `rep_delay`"


@dataclass
class SamplerOptions(CheckedOptions):
    """Options of :class:`pulsed.provider.PulsedSampler`."""

    default_shots: int = _option(IntegerReader(1, 2**31 - 1), 1024, "Shots of a PUB that states none.")
    dynamical_decoupling: DecouplingOptions = field(
        default_factory=DecouplingOptions, metadata={"reader": _GroupReader(DecouplingOptions)}
    )
    twirling: TwirlingOptions = field(
        default_factory=TwirlingOptions, metadata={"reader": _GroupReader(TwirlingOptions)}
    )
    run_options: dict[str, Any] = field(
        default_factory=dict,
        metadata={
            "reader": _RunOptionsReader(levels=True),
            "help": f"{_FURTHER}; with `meas_level` 1 the data are points, complex arrays in place of bits.",
        },
    )

    @property
    def points(self) -> bool:
        """Whether the data are points in the IQ plane."""
        return bool(self.run_options.get("meas_level", 2) == 1)


@dataclass
class EstimatorOptions(CheckedOptions):
    """Options of :class:`pulsed.provider.PulsedEstimator`."""

    default_precision: float = _option(
        _PrecisionReader(), 0.015625, "Precision of a PUB that states none: 1 / sqrt(shots), so 1/64 is 4096 shots."
    )
    resilience: ResilienceOptions = field(
        default_factory=ResilienceOptions, metadata={"reader": _GroupReader(ResilienceOptions)}
    )
    dynamical_decoupling: DecouplingOptions = field(
        default_factory=DecouplingOptions, metadata={"reader": _GroupReader(DecouplingOptions)}
    )
    twirling: TwirlingOptions = field(
        default_factory=TwirlingOptions, metadata={"reader": _GroupReader(TwirlingOptions)}
    )
    run_options: dict[str, Any] = field(
        default_factory=dict, metadata={"reader": _RunOptionsReader(), "help": f"{_FURTHER}."}
    )


def stated(options: SamplerOptions | EstimatorOptions) -> dict[str, Any]:
    """Return the groups of options that act on what is played or corrected, for the metadata of a result."""
    every = asdict(options)
    return {name: every[name] for name in ("resilience", "dynamical_decoupling", "twirling") if name in every}


def rows(options: CheckedOptions, prefix: str = "") -> Iterator[tuple[str, Any, str, str]]:
    """Yield name, default, what is legal and what it does of each option, those of groups as ``"group.option"``."""
    for one in fields(options):  # type: ignore[arg-type]
        value, name = getattr(options, one.name), f"{prefix}{one.name}"
        if isinstance(value, CheckedOptions):
            yield from rows(value, f"{name}.")
        else:
            yield name, value, one.metadata["reader"].describe(), one.metadata["help"]
