"""The rack as a Qiskit backend."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qiskit.circuit import QuantumCircuit
from qiskit.providers import BackendV2

from pulsed.model.job import RunOptions
from pulsed.provider.checks import Rules, check_circuit, legal_gates
from pulsed.provider.errors import OfflineError
from pulsed.provider.job import PulsedJob
from pulsed.provider.options import PER_CALL, SENT, PulsedOptions, merge_los
from pulsed.provider.pack import pack
from pulsed.provider.pulses import PulseView
from pulsed.provider.submission import check_programs, read_programs
from pulsed.provider.target import GateTable, build_target, gate_table

if TYPE_CHECKING:
    from pathlib import Path

    from qiskit.transpiler import Target

    from pulsed.client import Client
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.provider.configuration import BackendStatus, Configuration
    from pulsed.provider.properties import Properties


_NO_GATES = ("measure", "delay", "reset", "if_else")
_FROM_CALIBRATION = (
    "calibration_id", "_gates", "_target", "_rules", "_compiler", "_configuration", "instruction_schedule_map",
)  # fmt: skip
"""Cached properties that a new calibration set makes stale."""


class PulsedBackend(PulseView, BackendV2):  # type: ignore[misc]
    """One rack with the calibration set in force.

    Args:
        device: the rack's description.
        calibration: the set that the target is made from.
        client: the connection to its daemon; None for an offline backend, which cannot run.
        provider: that this backend comes from.
        fields: options that differ from their defaults.

    """

    def __init__(
        self,
        device: DeviceDescription,
        calibration: CalibrationSet,
        client: Client | None = None,
        provider: Any = None,
        **fields: Any,
    ) -> None:
        super().__init__(
            provider=provider,
            name=device.name,
            description=device.description,
            online_date=datetime.fromisoformat(device.online_date).replace(tzinfo=UTC),
            backend_version=device.version,
        )
        self._device = device
        self._calibration = calibration
        self._client = client
        self._options = PulsedOptions(device)
        self.set_options(**fields)

    @classmethod
    def from_export(
        cls, device: DeviceDescription | Path | str, calibration: CalibrationSet | Path | str
    ) -> PulsedBackend:
        """Return an offline backend of two files (or what was read from them): all but ``run`` and ``status``.

        Raises :class:`pulsed.model.errors.ConfigError` for a file that is not what it should be.
        """
        from pathlib import Path

        from pulsed.model.calibration import load_calibration
        from pulsed.model.device import load_device

        if isinstance(device, str | Path):
            device = load_device(Path(device))
        if isinstance(calibration, str | Path):
            calibration = load_calibration(Path(calibration))
        return cls(device, calibration)

    @classmethod
    def _default_options(cls) -> PulsedOptions:
        return PulsedOptions()

    def set_options(self, **fields: Any) -> None:
        """Change options of all runs to come. See :class:`PulsedOptions` for what it raises."""
        self._options.update_options(**fields)

    def __repr__(self) -> str:
        offline = "" if self._client is not None else ", offline"
        return f"<PulsedBackend({self.name!r}, {self.calibration_id}{offline})>"

    # What it is

    @property
    def display_name(self) -> str:
        """The name to show."""
        return str(self.name)

    @property
    def sample_name(self) -> str | None:
        """Name of the chip, None when the description has none."""
        return self._device.sample_name or None

    @property
    def processor_type(self) -> dict[str, str] | None:
        """None: the description of a rack does not say."""
        return None

    @property
    def tags(self) -> list[str]:
        """Tags of the backend; there are none."""
        return []

    @property
    def device(self) -> DeviceDescription:
        """The description of the rack."""
        return self._device

    @property
    def calibration_set(self) -> CalibrationSet:
        """The set that the target was made from."""
        return self._calibration

    @cached_property
    def calibration_id(self) -> str:
        """Its id."""
        return self._calibration.calibration_id

    # The model

    @cached_property
    def _gates(self) -> GateTable:
        return gate_table(self._device, self._calibration)

    @cached_property
    def _target(self) -> Target:
        return build_target(self._device, self._calibration, self._gates)

    @property
    def target(self) -> Target:
        """What the transpiler knows about the rack, from the calibration set."""
        return self._target

    @property
    def max_circuits(self) -> int:
        """The most circuits of one job."""
        return self._device.limits.max_circuits

    @property
    def basis_gates(self) -> list[str]:
        """Names of the calibrated gates."""
        return [name for name in self.target.operation_names if name not in _NO_GATES]

    @property
    def dtm(self) -> float:
        """Time step of acquired records, seconds."""
        return float(1 / min(port.clock for port in self._device.ports.values() if port.direction == "input"))

    @property
    def meas_map(self) -> list[list[int]]:
        """Qubits that one acquisition measures together."""
        return [list(group) for group in self._device.meas_map]

    def configuration(self) -> Configuration:
        """Return what a BackendV1 tells about itself, from the device description."""
        return self._configuration

    @cached_property
    def _configuration(self) -> Configuration:
        from pulsed.provider.configuration import Configuration

        return Configuration(self)

    def properties(self, refresh: bool = False, datetime: datetime | None = None) -> Properties:
        """Return the measured properties of qubits and gates, from the calibration set.

        Args:
            refresh: ask the daemon for the set in force first.
            datetime: not yet: the wire does not list sets by time.

        """
        from pulsed.provider.properties import Properties

        if datetime is not None:
            raise NotImplementedError("the daemon does not list calibration sets by time")
        if refresh:
            self.refresh()
        return Properties(self._device, self._calibration, self._gates)

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that are nowhere else: the fields of configuration() are flat attributes too.
        if name.startswith("_") or name not in _flat_names():
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.configuration(), name)

    @cached_property
    def _rules(self) -> Rules:
        n = self._device.num_qubits
        lines = [f"{kind}{q}" for kind in "dma" for q in range(n)]
        lines += [f"u{k}" for k in range(len(self._device.couplings))]
        return Rules(n, legal_gates(self.target), tuple(lines))

    def check_faulty(self, circuit: QuantumCircuit) -> None:
        """Raise :class:`UnsupportedCircuitError` when ``circuit`` uses a gate without valid calibration."""
        check_circuit(circuit, self._rules)

    # Running

    def run(self, run_input: Any, **options: Any) -> PulsedJob:
        """Run circuits or schedules; return when the daemon has the job safely, not when it has run.

        Args:
            run_input: a QuantumCircuit, Schedule or ScheduleBlock, or a list of them in any order.
            options: the options of this backend, for this call; ``calibrations``, pulse gates as
                {(gate, qubits, params): schedule}; ``calibration_id``, the set that the
                circuits were transpiled against, when it is another than this backend's.

        Raises:
            UnsupportedCircuitError: a program that this backend cannot run.
            OptionValueError: an option outside its bounds.
            RunInputError: something that is neither circuit nor schedule.
            ConnectionFailedError: the daemon does not answer.

        """
        unknown = [name for name in options if name not in self._options and name not in PER_CALL]
        if unknown:
            legal = ", ".join((*self._options, *PER_CALL))
            warnings.warn(
                f"run has no option {', '.join(unknown)}; it was ignored. The options are: {legal}",
                UserWarning,
                stacklevel=2,
            )
        if options.get("seed_simulator") is not None:
            warnings.warn("seed_simulator has no effect: the shots come from a rack", UserWarning, stacklevel=2)
        if self._client is None:
            raise OfflineError("an offline backend has no rack to run on", subject=f"backend {self.name}")
        chosen = self._chosen_options(options)
        programs = read_programs(run_input, self.max_circuits)
        gates = check_programs(programs, self._rules, options.get("calibrations"))
        readable = self._client.greeting.qpy
        request, parts = pack(
            programs, readable, self._sent_options(chosen, options.get("calibration_id")), gates,
            name=chosen["job_name"] or "", tags=chosen["job_tags"], priority=chosen["priority"],
        )  # fmt: skip
        job = PulsedJob(
            self, request.job_id, self._client, programs=programs, gates=gates, chosen=chosen, payload=(request, parts)
        )
        job.submit()
        return job

    def _chosen_options(self, given: dict[str, Any]) -> dict[str, Any]:
        defaults = dict(self._options)
        # None stands for "not given" where the option itself cannot be None.
        named = {
            name: value
            for name, value in given.items()
            if name in defaults and not (value is None and defaults[name] is not None)
        }
        chosen = self._options.checked({**defaults, **named})
        if chosen["schedule_los"] is not None:
            chosen.update(self._options.checked(merge_los(chosen, self._device, self._calibration)))
        return chosen

    def _sent_options(self, chosen: dict[str, Any], calibration_id: str | None) -> RunOptions:
        return RunOptions(**{name: chosen[name] for name in SENT}, calibration_id=calibration_id or self.calibration_id)

    # The daemon

    def status(self) -> BackendStatus:
        """Ask the daemon how it is."""
        from pulsed.provider.configuration import BackendStatus

        if self._client is None:
            raise OfflineError("an offline backend has no rack to ask", subject=f"backend {self.name}")
        answer = self._client.status()
        return BackendStatus(
            backend_name=str(self.name),
            backend_version=str(self.backend_version),
            operational=answer.operational,
            pending_jobs=answer.pending_jobs,
            status_msg=answer.message or ("active" if answer.operational else "not operational"),
        )

    def target_history(self, datetime: datetime | None = None) -> Target:
        """Not there: the daemon does not list calibration sets by time."""
        raise NotImplementedError("the daemon does not list calibration sets by time")

    def open_session(self, max_time: float | None = None) -> Any:
        """Not there: jobs of all users share the rack."""
        raise NotImplementedError("this daemon has no sessions; jobs run by priority, then in the order they came")

    @property
    def session(self) -> None:
        """The open session; there is none."""
        return None

    def refresh(self) -> None:
        """Take over the calibration set in force; the target and all that comes from it are made anew."""
        if self._client is None:
            raise OfflineError("an offline backend has no daemon to ask", subject=f"backend {self.name}")
        self._calibration = self._client.calibration()
        for name in _FROM_CALIBRATION:
            self.__dict__.pop(name, None)
        self._coupling_map = None


def _flat_names() -> tuple[str, ...]:
    from pulsed.provider.configuration import FIELDS

    return FIELDS
