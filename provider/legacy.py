"""A backend of the first generation, BackendV1, over one of ours.

On Qiskit 1.4 it is Qiskit's own class, whose converters take it; Qiskit 2 has dropped that, and it has the same shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qiskit.providers

from pulsed.provider.options import PulsedOptions

if TYPE_CHECKING:
    from datetime import date, datetime

    from pulsed.provider.configuration import BackendStatus, Configuration
    from pulsed.provider.defaults import Defaults
    from pulsed.provider.job import PulsedJob
    from pulsed.provider.properties import Properties

_BackendV1: Any = getattr(qiskit.providers, "BackendV1", object)


class LegacyBackend(_BackendV1):  # type: ignore[misc]
    """BackendV1: ``name()`` and ``provider()`` are calls, and what the rack is like is in its configuration.

    Options and jobs are those of ``backend``, a :class:`pulsed.provider.PulsedBackend`.
    """

    version = 1

    def __init__(self, backend: Any) -> None:
        # Qiskit's own constructor stores the same and announces that Qiskit 2 has dropped it.
        self._backend = backend

    @classmethod
    def _default_options(cls) -> PulsedOptions:
        return PulsedOptions()

    @property
    def _configuration(self) -> Configuration:
        return self._backend.configuration()  # type: ignore[no-any-return]

    @property
    def _options(self) -> PulsedOptions:
        return self._backend.options  # type: ignore[no-any-return]

    @property
    def options(self) -> PulsedOptions:
        """The options of all runs."""
        return self._options

    def set_options(self, **fields: Any) -> None:
        """Change options of all runs to come, as :meth:`PulsedBackend.set_options`."""
        self._backend.set_options(**fields)

    def name(self) -> str:
        """Return the name."""
        return str(self._backend.name)

    def provider(self) -> Any:
        """Return the provider that the backend comes from."""
        return self._backend.provider

    def configuration(self) -> Configuration:
        """Return what the rack is like."""
        return self._configuration

    def properties(self, refresh: bool = False, datetime: datetime | date | str | None = None) -> Properties | None:
        """Return the measured properties, as :meth:`PulsedBackend.properties`; None when nothing was measured."""
        found = self._backend.properties(refresh, datetime)
        return found if found.measured else None

    def defaults(self, refresh: bool = False) -> Defaults:
        """Return the calibrated frequencies and schedules; with ``refresh`` the daemon is asked for the active set."""
        if refresh:
            self._backend.refresh()
        return self._backend.defaults()  # type: ignore[no-any-return]

    def status(self) -> BackendStatus:
        """Ask the daemon how it is."""
        return self._backend.status()  # type: ignore[no-any-return]

    def run(self, run_input: Any, **options: Any) -> PulsedJob:
        """Run circuits or schedules, as :meth:`PulsedBackend.run`."""
        return self._backend.run(run_input, **options)  # type: ignore[no-any-return]

    def jobs(self, **filters: Any) -> list[PulsedJob]:
        """Return the jobs of this backend, as :meth:`PulsedProvider.jobs`."""
        return self.provider().jobs(backend_name=self.name(), **filters)  # type: ignore[no-any-return]

    def retrieve_job(self, job_id: str) -> PulsedJob:
        """Return a job, as :meth:`PulsedProvider.retrieve_job`."""
        return self.provider().retrieve_job(job_id)  # type: ignore[no-any-return]

    def __str__(self) -> str:
        return self.name()

    def __repr__(self) -> str:
        return f"<LegacyBackend({self.name()!r})>"
