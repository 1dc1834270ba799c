"""The rack as a Qiskit backend."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from qiskit.circuit import QuantumCircuit
from qiskit.providers import BackendV2

from pulsed.model.job import RunOptions
from pulsed.provider.binds import counts, read_binds
from pulsed.provider.checks import check_circuit
from pulsed.provider.errors import OfflineError, StaleCalibrationError
from pulsed.provider.job import PulsedJob
from pulsed.provider.options import PER_CALL, SENT, PulsedOptions, merge_los
from pulsed.provider.pack import pack
from pulsed.provider.pulses import PulseView
from pulsed.provider.snapshot import Snapshot
from pulsed.provider.submission import check_programs, read_programs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qiskit.transpiler import CouplingMap, Target

    from pulsed.client import Client
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.provider.configuration import BackendStatus, Configuration
    from pulsed.provider.properties import Properties
    from pulsed.wire.messages import AnyNotice

_NO_GATES = ("measure", "delay", "reset", "if_else")


class PulsedBackend(PulseView, BackendV2):  # type: ignore[misc]
    """One rack with the calibration set in force, which it follows unless its option ``hold_calibration`` is set.

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
        self._now = Snapshot(device, calibration)
        self._in_force = self._now.calibration_id
        """The set in force as far as the daemon has told."""
        self._configured: tuple[Snapshot, Configuration] | None = None
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
        self._take_over()  # what was held back

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
        return self._now.calibration

    @property
    def calibration_id(self) -> str:
        """Its id."""
        return self._now.calibration_id

    # The model

    @property
    def target(self) -> Target:
        """What the transpiler knows about the rack, from the calibration set."""
        return self._now.target

    @property
    def coupling_map(self) -> CouplingMap | None:
        """The pairs that have a gate, control first."""
        return self._now.coupling_map

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
        from pulsed.provider.configuration import Configuration

        now, made = self._now, self._configured
        if made is None or made[0] is not now:
            made = self._configured = (now, Configuration(self))
        return made[1]

    def properties(self, refresh: bool = False, datetime: datetime | None = None) -> Properties:
        """Return the measured properties of qubits and gates, from the calibration set.

        Args:
            refresh: ask the daemon for the set in force first.
            datetime: of the set that was in force then, local time unless it says otherwise. Raises
                :class:`pulsed.model.errors.NotFoundError` before the first.

        """
        from pulsed.provider.properties import Properties

        if refresh:
            self.refresh()
        then = self._now if datetime is None else self._as_of(datetime)
        return Properties(self._device, then.calibration, then.gates)

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that are nowhere else: the fields of configuration() are flat attributes too.
        if name.startswith("_") or name not in _flat_names():
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.configuration(), name)

    def get_translation_stage_plugin(self) -> str:
        """Return the translation method of `transpile`: Qiskit's own, which also marks circuits with the set."""
        return "pulsed"

    def check_faulty(self, circuit: QuantumCircuit) -> None:
        """Raise :class:`UnsupportedCircuitError` when ``circuit`` uses a gate without valid calibration."""
        check_circuit(circuit, self._now.rules)

    # Running

    def run(self, run_input: Any, **options: Any) -> PulsedJob:
        """Run circuits or schedules; return when the daemon has the job safely, not when it has run.

        Args:
            run_input: a QuantumCircuit, Schedule or ScheduleBlock, or a list of them in any order.
            options: the options of this backend, for this call; ``calibrations``, pulse gates as
                {(gate, qubits, params): schedule}; ``parameter_binds``, one {parameter: values} per program, which
                gives a result per value, all lowered at once; ``calibration_id``, the set that the
                circuits were transpiled against, when it is another than this backend's.

        Raises:
            UnsupportedCircuitError: a program that this backend cannot run.
            OptionValueError: an option outside its bounds.
            RunInputError: something that is neither circuit nor schedule.
            StaleCalibrationError: the set it is to run with, or one that a circuit was transpiled against, is not in
                force, and ``on_stale_calibration`` is "refuse".
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
        now = self._now  # once: another set may come at any moment
        chosen = self._chosen_options(options, now.calibration)
        calibration_id = options.get("calibration_id") or now.calibration_id
        programs = read_programs(run_input, self.max_circuits)
        self._check_stale(calibration_id, programs, chosen["on_stale_calibration"])
        binds = read_binds(options.get("parameter_binds"), programs, self.max_circuits)
        bound = {item.program for item, _ in binds}
        gates = check_programs(programs, now.rules, options.get("calibrations"), bound)
        readable = self._client.greeting.qpy
        sent = RunOptions(**{name: chosen[name] for name in SENT}, calibration_id=calibration_id)
        request, parts = pack(
            programs, readable, sent, gates, binds,
            name=chosen["job_name"] or "", tags=chosen["job_tags"], priority=chosen["priority"],
        )  # fmt: skip
        job = PulsedJob(
            self,
            request.job_id,
            self._client,
            programs=programs,
            gates=gates,
            chosen=chosen,
            payload=(request, parts),
            counts=counts(binds, len(programs)),
        )
        job.submit()
        return job

    def _chosen_options(self, given: dict[str, Any], calibration: CalibrationSet) -> dict[str, Any]:
        defaults = dict(self._options)
        # None stands for "not given" where the option itself cannot be None.
        named = {
            name: value
            for name, value in given.items()
            if name in defaults and not (value is None and defaults[name] is not None)
        }
        chosen = self._options.checked({**defaults, **named})
        if chosen["schedule_los"] is not None:
            chosen.update(self._options.checked(merge_los(chosen, self._device, calibration)))
        return chosen

    def _check_stale(self, calibration_id: str, programs: Sequence[Any], what: str) -> None:
        """Do what the option says when a set of this run is not in force: nothing, warn, or refuse.

        Args:
            calibration_id: the set to run with.
            programs: circuits among which are marked the sets that they were transpiled against.
            what: the option.

        """
        if what == "run" or self._client is None:
            return
        from pulsed.provider.plugins import mark_of  # the transpiler's passes: not for connecting

        marks = {mark_of(program): None for program in programs if isinstance(program, QuantumCircuit)}
        in_force = self._client.status().calibration_id
        old = next((one for one in (calibration_id, *marks) if one not in (None, in_force)), None)
        if old is None:
            return
        error = StaleCalibrationError(
            "the circuits were made for a calibration set that is not in force any more: transpile them anew",
            subject=f"backend {self.name}", value=old, legal=in_force,
        )  # fmt: skip
        if what == "refuse":
            raise error
        warnings.warn(str(error), UserWarning, stacklevel=3)

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
        """Return the target as it was at ``datetime``, local time unless it says otherwise; None is now.

        Raises :class:`pulsed.model.errors.NotFoundError` before the first set.
        """
        return self.target if datetime is None else self._as_of(datetime).target

    def _as_of(self, time: datetime) -> Snapshot:
        if self._client is None:
            raise OfflineError("an offline backend has no daemon to ask", subject=f"backend {self.name}")
        return Snapshot(self._device, self._client.calibration(time=time.timestamp()))

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
        found = Snapshot(self._device, self._client.calibration())
        self._in_force = found.calibration_id
        if found.calibration_id != self._now.calibration_id:
            self._now = found

    def follow(self) -> None:
        """Have the daemon tell of other sets that come into force, and take them over."""
        if self._client is None:
            raise OfflineError("an offline backend has no daemon to follow", subject=f"backend {self.name}")
        from pulsed.wire.messages import CalibrationChanged, StatusChanged

        self._client.subscribe(self._noticed, CalibrationChanged, StatusChanged)
        self._take_over()

    def _noticed(self, notice: AnyNotice) -> None:
        from pulsed.wire.messages import CalibrationChanged, StatusChanged

        if isinstance(notice, CalibrationChanged):
            self._in_force = notice.calibration_id
        elif isinstance(notice, StatusChanged):  # also tells when the notice itself was lost
            self._in_force = notice.status.calibration_id
        self._take_over()

    def _take_over(self) -> None:
        if self._in_force != self._now.calibration_id and not self._options["hold_calibration"]:
            self.refresh()


def _flat_names() -> tuple[str, ...]:
    from pulsed.provider.configuration import FIELDS

    return FIELDS
