"""The rack as a Qiskit backend."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from qiskit.circuit import QuantumCircuit
from qiskit.providers import BackendV2

from pulsed.model.errors import ConfigError
from pulsed.model.job import RunOptions
from pulsed.model.session import SessionState
from pulsed.model.times import unix_time
from pulsed.provider.added_gates import with_added
from pulsed.provider.boxes import opened
from pulsed.provider.calibrated_device import CalibratedDevice
from pulsed.provider.calibration_follower import CalibrationFollower
from pulsed.provider.errors import SessionOpenError, asks_daemon
from pulsed.provider.job import PulsedJob
from pulsed.provider.options import BETWEEN_RUNS, PER_CALL, SENT, PulsedOptions, merge_los, unknown
from pulsed.provider.pulses import PulseView
from pulsed.provider.rules import check_circuit
from pulsed.provider.run_input import read_run_input
from pulsed.provider.serialization import serialize
from pulsed.provider.session import Session
from pulsed.provider.validation import check_run

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from qiskit.transpiler import Target

    from pulsed.client import Client
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.model.figure import Picture
    from pulsed.provider.configuration import BackendStatus
    from pulsed.provider.legacy import LegacyBackend
    from pulsed.provider.properties import Properties


class PulsedBackend(PulseView, BackendV2):  # type: ignore[misc]
    """One rack with the active calibration set, which it follows unless its option ``hold_calibration`` is set.

    Args:
        device: the rack's description.
        calibration: the set that the target is made from.
        client: the connection to its daemon; None for an offline backend, which cannot run.
        provider: that this backend comes from.
        use_fractional_gates: have rx and rzz of any angle among the gates.
        fields: options that differ from their defaults.

    """

    def __init__(
        self,
        device: DeviceDescription,
        calibration: CalibrationSet,
        client: Client | None = None,
        provider: Any = None,
        use_fractional_gates: bool = False,
        **fields: Any,
    ) -> None:
        super().__init__(
            provider=provider,
            name=device.name,
            description=device.description,
            online_date=device.online_since,
            backend_version=device.version,
        )
        self._client = client
        self._session: Session | None = None
        self._options = PulsedOptions(device)
        self._calibration = CalibrationFollower(device, calibration, client, self._options, use_fractional_gates)
        self.set_options(**fields)

    @classmethod
    def from_export(
        cls,
        device: DeviceDescription | Path | str,
        calibration: CalibrationSet | Path | str | None = None,
        *,
        use_fractional_gates: bool = False,
    ) -> PulsedBackend:
        """Return an offline backend: all but ``run`` and ``status``.

        Args:
            device: what ``pulsed cal export`` wrote, alone, or the description of a rack.
            calibration: the set that goes with a description. Both are files, or what was read from them.
            use_fractional_gates: have rx and rzz of any angle among the gates.

        Raises :class:`pulsed.model.errors.ConfigError` for a file that is not what it should be, and for a set that was
        made for another rack.

        """
        from pathlib import Path

        from pulsed.model.basis import check_basis
        from pulsed.model.calibration import load_calibration
        from pulsed.model.device import load_device

        if calibration is None:
            from pulsed.client.export import load_export

            if not isinstance(device, str | Path):
                raise ConfigError("needs a calibration set beside the description of a rack", subject="from_export")
            device, calibration = load_export(Path(device))
        if isinstance(device, str | Path):
            device = load_device(Path(device))
        if isinstance(calibration, str | Path):
            calibration = load_calibration(Path(calibration))
        check_basis(calibration, device)
        return cls(device, calibration, use_fractional_gates=use_fractional_gates)

    @classmethod
    def _default_options(cls) -> PulsedOptions:
        return PulsedOptions()

    def set_options(self, **fields: Any) -> None:
        """Change options of all runs to come. See :class:`PulsedOptions` for what it raises."""
        self._options.update_options(**fields)
        self._calibration.take_over()  # what was held back

    def __repr__(self) -> str:
        offline = "" if self._client is not None else ", offline"
        return f"<PulsedBackend({self.name!r}, {self.calibration_id}{offline})>"

    def _repr_html_(self) -> str:
        from pulsed.provider.notebook import backend_html

        now = self.calibrated
        errors: dict[str, dict[str, float]] = {}
        for (gate, qubits), info in now.gates.items():
            if len(qubits) == 2 and info.error is not None:
                errors.setdefault(f"Q{qubits[0]}-Q{qubits[1]}", {})[gate] = info.error
        return backend_html(repr(self), self.device, now.calibration, errors)

    def draw(self, filename: str | None = None) -> Picture:
        """Return a map of the chip: frequencies, times and errors of qubits and pairs; a notebook shows it by itself.

        Args:
            filename: also write the figure there.

        Raises :class:`pulsed.model.errors.MissingPackageError` without matplotlib.

        """
        from pulsed.provider.notebook import draw_backend

        figure = draw_backend(self.device, self.calibrated.calibration)
        if filename is not None:
            figure.savefig(filename, dpi=150)
        return figure

    def properties(self, refresh: bool = False, datetime: datetime | date | str | None = None) -> Properties:
        """Return the measured properties of qubits and gates, from the calibration set.

        Args:
            refresh: ask the daemon for the active set first.
            datetime: of the set that was active then, local time unless it says otherwise. Raises
                :class:`pulsed.model.errors.NotFoundError` before the first.

        """
        from pulsed.provider.properties import Properties

        if refresh:
            self.refresh()
        then = self.calibrated if datetime is None else self._as_of(datetime)
        return Properties(self.device, then.calibration, then.gates)

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that are nowhere else: the fields of configuration() are flat attributes too.
        if not name.startswith("_"):
            from pulsed.provider.configuration import FIELDS

            if name in FIELDS:
                return getattr(self.configuration(), name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        from pulsed.provider.configuration import FIELDS

        return [*super().__dir__(), *FIELDS]

    def get_translation_stage_plugin(self) -> str:
        """Return the translation method of `transpile`: Qiskit's own, which also marks circuits with the set."""
        return "pulsed"

    def get_scheduling_stage_plugin(self) -> str:
        """Return the scheduling method of `transpile`, by the option ``dynamical_decoupling``."""
        return "pulsed" if self._options["dynamical_decoupling"] else "default"

    def check_faulty(self, circuit: QuantumCircuit) -> None:
        """Raise :class:`UnsupportedCircuitError` when ``circuit`` uses a gate without valid calibration."""
        circuit, boxes = opened(circuit, self.device)
        check_circuit(circuit, self.calibrated.rules, {key[:2]: {key[2]: pulses} for key, pulses in boxes.items()})

    def legacy(self) -> LegacyBackend:
        """Return this backend as one of the first generation, a BackendV1; on Qiskit 1.4 that is Qiskit's class."""
        from pulsed.provider.legacy import LegacyBackend

        return LegacyBackend(self)

    # Running

    @asks_daemon
    def run(self, run_input: Any, **options: Any) -> PulsedJob:
        """Run circuits or schedules; return when the daemon has the job safely, not when it has run.

        Args:
            run_input: a QuantumCircuit, Schedule or ScheduleBlock, or a list of them in any order.
            options: the options of this backend, for this call; ``calibrations``, pulse gates as
                {(gate, qubits, params): schedule}; ``parameter_binds``, one {parameter: values} per program, which
                gives a result per value, all lowered at once; ``calibration_id``, the set that the
                circuits were transpiled against, when it is another than this backend's. A keyword that is no option
                is ignored with a ``UserWarning`` that lists those there are, and so are ``dynamical_decoupling`` and
                ``hold_calibration``, which :meth:`set_options` sets.

        Raises:
            UnsupportedCircuitError: a program that this backend cannot run.
            OptionValueError: an option outside its bounds.
            NotFoundError: a calibration set that the daemon does not have.
            RunInputError: something that is neither circuit nor schedule.
            RackTimeError: it would take longer on the rack than jobs may that are not confirmed.
            StaleCalibrationError: the set it is to run with, or one that a circuit was transpiled against, is not in
                force, and ``on_stale_calibration`` is "refuse".
            DaemonConnectionError: the daemon does not answer.
            SessionClosedError: the session of this backend takes no more jobs.

        """
        for name in options:
            if name in BETWEEN_RUNS:
                warnings.warn(f"run: {name} acts with set_options, not on one run (ignored)", UserWarning, stacklevel=3)
            elif name not in self._options and name not in PER_CALL:
                # Programs that know several backends give options of the others; Qiskit's backends warn, too.
                legal = *(known for known in self._options if known not in BETWEEN_RUNS), *PER_CALL
                warnings.warn(f"{unknown(name, 'run', legal)} (ignored)", UserWarning, stacklevel=3)
        client = self._calibration.online("no rack to run on")
        now = self._calibration.select(options.get("calibration_id"))  # once: another set may come at any moment
        chosen = self._chosen_options(options, now.calibration)
        given = read_run_input(
            run_input,
            self.max_circuits,
            with_added(options.get("calibrations"), now.added, run_input),
            options.get("parameter_binds"),
        )
        self._calibration.check_active(now.calibration_id, given.programs, chosen["on_stale_calibration"])
        sent = RunOptions(**{name: chosen[name] for name in SENT}, calibration_id=now.calibration_id)
        checked = check_run(given, now.rules, sent, branches=chosen["dynamic"] is not False)
        request, parts = serialize(
            checked, client.greeting.qpy,
            name=chosen["job_name"] or "", tags=chosen["job_tags"], priority=chosen["priority"], due=chosen["due"],
            session_id="" if self._session is None else self._session.session_id,
        )  # fmt: skip
        job = PulsedJob(
            self,
            request.job_id,
            client,
            programs=given.programs,
            chosen=chosen,
            payload=(request, parts),
            counts=checked.counts,
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
            los = merge_los(chosen, self.device, calibration)
            chosen.update(self._options.checked({"settings": chosen["settings"], **los}))
        return chosen

    # The daemon

    @asks_daemon
    def status(self) -> BackendStatus:
        """Ask the daemon how it is."""
        from pulsed.provider.configuration import BackendStatus

        answer = self._calibration.online("no rack to ask").status()
        return BackendStatus(
            backend_name=str(self.name),
            backend_version=str(self.backend_version),
            operational=answer.operational,
            pending_jobs=answer.pending_jobs,
            status_msg=answer.message or ("active" if answer.operational else "not operational"),
        )

    def target_history(self, datetime: datetime | date | str | None = None) -> Target:
        """Return the target as it was at ``datetime``, local time unless it says otherwise; None is now.

        Raises :class:`pulsed.model.errors.NotFoundError` before the first set.
        """
        return self.target if datetime is None else self._as_of(datetime).target

    @asks_daemon
    def _as_of(self, time: datetime | date | str) -> CalibratedDevice:
        return self._calibration.as_of(unix_time(time, "datetime"))

    # Sessions

    def open_session(
        self, max_time: float | str | None = None, *, start: datetime | str | float | None = None
    ) -> Session:
        """Open a session, which is that of this backend until it is closed; see :class:`pulsed.provider.Session`."""
        self.no_other_session()
        opened = Session(self, max_time, start=start)
        self.enter_session(opened)
        return opened

    @property
    def session(self) -> Session | None:
        """The session or batch that everything run on this backend belongs to; None when there is none."""
        return self._session

    def close_session(self) -> None:
        """Close the session of this backend; does nothing when there is none."""
        if self._session is not None:
            self._session.close()

    def cancel_session(self) -> None:
        """Cancel the session of this backend and its jobs; does nothing when there is none."""
        if self._session is not None:
            self._session.cancel()

    def no_other_session(self) -> None:
        """Raise :class:`SessionOpenError` when this backend has a session that has not ended."""
        if self._session is not None and self._session.info().state is not SessionState.ENDED:
            raise SessionOpenError(
                "has a session already: close_session() closes it", subject=f"backend {self.name}",
                value=self._session.session_id,
            )  # fmt: skip

    def enter_session(self, session: Session) -> None:
        """Have everything that is run on this backend belong to ``session``. Raises :class:`SessionOpenError`."""
        if self._session is not session:
            self.no_other_session()
        self._session = session

    def leave_session(self, session: Session) -> None:
        """What is run from now on does not belong to ``session``."""
        if self._session is session:
            self._session = None

    def connected_client(self, without: str) -> Client:
        """Return the connection. Raises :class:`OfflineError` that says ``without`` for an offline backend."""
        return self._calibration.online(without)

    @asks_daemon
    def refresh(self) -> None:
        """Take over the active calibration set; the target and all that comes from it are made again."""
        self._calibration.refresh()

    def follow(self) -> None:
        """Have the daemon tell when another set becomes active, and take it over."""
        self._calibration.follow()
