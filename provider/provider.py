"""The way in: the backends and jobs of a daemon."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import qiskit.providers

from pulsed.model.errors import InvalidValueError, NotFoundError
from pulsed.model.times import unix_time
from pulsed.provider import job_filters
from pulsed.provider.accounts import DEFAULT, Account, find_account, read_accounts, write_accounts
from pulsed.provider.backend import PulsedBackend
from pulsed.provider.errors import BackendNotFoundError, DaemonConnectionError, asks_daemon
from pulsed.provider.job import PulsedJob
from pulsed.provider.racks import Racks

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from qiskit.providers import JobStatus

    from pulsed.client import Client
    from pulsed.model.job import JobState


class BackendService:
    """The older spelling: ``provider.backend.<name>``, ``.jobs()``, ``.retrieve_job()``, and called ``get_backend``."""

    def __init__(self, provider: PulsedProvider) -> None:
        self._provider = provider

    def __call__(self, name: str | None = None, **filters: Any) -> PulsedBackend:
        """Return the backend called ``name``."""
        return self._provider.get_backend(name, **filters)

    def __getattr__(self, name: str) -> PulsedBackend:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._provider.get_backend(name)
        except BackendNotFoundError as error:
            raise AttributeError(str(error)) from error

    def __dir__(self) -> list[str]:
        return ["backends", "jobs", "retrieve_job", *self._provider.racks.clients()]

    def backends(self, name: str | None = None, **filters: Any) -> list[PulsedBackend]:
        """Return the backends, see :meth:`PulsedProvider.backends`."""
        return self._provider.backends(name, **filters)

    def jobs(self, **filters: Any) -> list[PulsedJob]:
        """Return jobs, see :meth:`PulsedProvider.jobs`."""
        return self._provider.jobs(**filters)

    def retrieve_job(self, job_id: str) -> PulsedJob:
        """Return a job, see :meth:`PulsedProvider.retrieve_job`."""
        return self._provider.retrieve_job(job_id)


_ProviderV1: Any = getattr(qiskit.providers, "ProviderV1", object)
"""Of Qiskit 1.4; Qiskit 2 has no class of providers."""


class PulsedProvider(_ProviderV1):  # type: ignore[misc]
    """The backends of a daemon, and of those that share its database. Nothing is connected before it is needed.

    A daemon that has gone takes its own rack out; one that ought to answer and does not gives a
    :class:`RackUnavailableWarning`.

    Args:
        url: ``"tcp://HOST:PORT"``; None finds the daemon that runs on this machine.
        key: a key file or the name of a key; None for the local one.
        account: the name of a saved account. Given none of the three, the account ``"default"`` if there is one.
        client: a connection to use instead.

    Calls raise :class:`DaemonConnectionError` when no daemon answers and :class:`NoSuchKeyError` without a key.

    """

    def __init__(
        self,
        url: str | None = None,
        key: Path | str | None = None,
        account: str | None = None,
        *,
        client: Client | None = None,
    ) -> None:
        self._url, self._key, self._account = url, key, account
        self._client = client
        self._racks: Racks | None = None
        # A backend keeps its provider, and not the other way round: dropping both closes the connection at once.
        self._backends: WeakValueDictionary[tuple[str, Client, bool], PulsedBackend] = WeakValueDictionary()

    __eq__ = object.__eq__  # Qiskit's would take any two providers of one name for the same
    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return _provider, (self._url, self._key, self._account, self._client)

    def __repr__(self) -> str:
        return f"<PulsedProvider({self._url or 'local'!r})>"

    def _repr_html_(self) -> str:
        from pulsed.provider.notebook import provider_html

        known = None if self._client is None else [
            (str(one.name), one.num_qubits, str(one.description or "")) for one in self.backends()
        ]  # fmt: skip
        return provider_html(repr(self), known)

    @property
    @asks_daemon
    def client(self) -> Client:
        """The connection to the daemon."""
        if self._client is None:
            from pulsed.client import Client  # zmq and pydantic are not needed to import the provider

            account = self._found_account()
            self._client = Client(self._url or account.url, self._key or account.key).connect()
        return self._client

    @property
    def racks(self) -> Racks:
        """The connections to the daemons of all racks."""
        if self._racks is None or self._racks.own is not self.client:
            self._racks = Racks(self.client)
        return self._racks

    # Accounts

    def _found_account(self) -> Account:
        if self._account is not None:
            return find_account(self._account)
        if self._url is not None or self._key is not None:
            return Account()
        return read_accounts().get(DEFAULT, Account())

    @staticmethod
    def save_account(
        url: str | None = None, key: Path | str | None = None, name: str = DEFAULT, overwrite: bool = False
    ) -> None:
        """Save where a daemon is and which key to use; only the name of the key or of its file is saved.

        Raises :class:`InvalidValueError` when there is another account of this name and ``overwrite`` is false.
        """
        accounts, account = read_accounts(), Account(url, None if key is None else str(key))
        if accounts.get(name, account) != account and not overwrite:
            raise InvalidValueError(
                "there is an account of this name; use overwrite=True to replace it", subject="name", value=name
            )
        write_accounts({**accounts, name: account})

    @staticmethod
    def saved_accounts() -> dict[str, dict[str, str | None]]:
        """Return ``url`` and ``key`` of each saved account, by name."""
        return {name: {"url": item.url, "key": item.key} for name, item in read_accounts().items()}

    @staticmethod
    def delete_account(name: str = DEFAULT) -> bool:
        """Forget an account. Return whether there was one."""
        accounts = read_accounts()
        there = accounts.pop(name, None) is not None
        if there:
            write_accounts(accounts)
        return there

    def active_account(self) -> dict[str, str | None] | None:
        """Return ``url`` and ``key`` of the connection, None before there is one."""
        if self._client is None:
            return None
        account = self._found_account()
        key = self._key or account.key
        return {"url": self._client.url, "key": None if key is None else str(key)}

    def close(self) -> None:
        """Close the connection; the next call makes a new one, backends taken before are no use any more."""
        if self._racks is not None:
            self._racks.close()
        if self._client is not None:
            self._client.close()
        self._client = self._racks = None
        self._backends.clear()

    def __enter__(self) -> PulsedProvider:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def active(self) -> bool:
        """Return whether there is a connection."""
        return self._client is not None

    # Backends

    @property
    def backend(self) -> BackendService:
        """The older spelling ``provider.backend.<name>``; ``provider.backend(name)`` is :meth:`get_backend`."""
        return BackendService(self)

    @asks_daemon
    def _backend(self, name: str, client: Client, fractional: bool = False) -> PulsedBackend:
        key = name, client, fractional
        found = self._backends.get(key)
        if found is None:
            found = PulsedBackend(
                client.device(name), client.calibration(), client, self, use_fractional_gates=fractional
            )
            found.follow()
            self._backends[key] = found
        return found

    @asks_daemon
    def backends(
        self,
        name: str | None = None,
        filters: Callable[[PulsedBackend], bool] | None = None,
        *,
        use_fractional_gates: bool = False,
        **kwargs: Any,
    ) -> list[PulsedBackend]:
        """Return the backends that fit.

        Args:
            name: only the one of this name.
            filters: a function of a backend.
            use_fractional_gates: have rx and rzz of any angle among the gates.
            kwargs: attributes of a backend and their values; ``min_num_qubits``; ``operational``.

        """
        clients = self._clients(name)
        return [
            backend
            for backend in (self._backend(item, clients[item], bool(use_fractional_gates)) for item in clients)
            if _fits(backend, kwargs) and (filters is None or filters(backend))
        ]

    @asks_daemon
    def _clients(self, name: str | None) -> dict[str, Client]:
        """Return the client of the backend ``name``, or of each; the others are not asked for one that is here."""
        if name in self.client.greeting.backends:
            return {str(name): self.client}
        return {item: client for item, client in self.racks.clients().items() if name in (None, item)}

    def least_busy(
        self, min_num_qubits: int | None = None, filters: Callable[[PulsedBackend], bool] | None = None, **kwargs: Any
    ) -> PulsedBackend:
        """Return the backend with the fewest jobs waiting, of those that are operational and fit; see :meth:`backends`.

        Raises :class:`BackendNotFoundError` when there is none.
        """
        if min_num_qubits is not None:
            kwargs["min_num_qubits"] = min_num_qubits
        found = self.backends(filters=filters, **{"operational": True, **kwargs})
        if not found:
            raise BackendNotFoundError(
                "no backend is operational and fits", subject="provider", value=kwargs or "any",
                legal=", ".join(self.racks.clients()),
            )  # fmt: skip
        return min(found, key=lambda backend: backend.status().pending_jobs)

    def get_backend(self, name: str | None = None, **kwargs: Any) -> PulsedBackend:
        """Return the one backend that fits; arguments as in :meth:`backends`.

        Raises:
            BackendNotFoundError: none fits, or more than one; it lists those there are.

        """
        found = self.backends(name, **kwargs)
        if len(found) == 1:
            return found[0]
        names = self.racks.clients()
        raise BackendNotFoundError(
            "more than one backend fits; give its name" if found else "no such backend", subject="provider",
            value=name if name is not None else kwargs or "no name", legal=", ".join(names) or "the daemon has none",
        )  # fmt: skip

    # Jobs

    @asks_daemon
    def jobs(
        self, limit: int | None = 10, skip: int = 0, backend_name: str | None = None,
        status: JobStatus | JobState | str | Sequence[JobStatus | JobState | str] | None = None,
        created_after: datetime | date | str | None = None, created_before: datetime | date | str | None = None,
        tags: Sequence[str] | None = None, session_id: str | None = None, **ibm_names: Any,
    ) -> list[PulsedJob]:  # fmt: skip
        """Return the newest jobs first, each once, whatever others hand in meanwhile.

        Args:
            limit: how many at most; None for all.
            skip: how many of those that fit to leave out first.
            backend_name: only those of this backend.
            status: only those in this status, or one of these: Qiskit's, or a state of the daemon's.
            created_after: with a ``datetime``, a ``date`` or ISO 8601 text; local time when it has no zone.
            created_before: likewise.
            tags: only those with all of these.
            session_id: only those of this session or batch.
            ibm_names: ``job_tags``, ``start_datetime`` and ``end_datetime`` instead of ``tags``, ``created_after``
                and ``created_before``.

        Raises:
            InvalidValueError: one of them is no such thing.
            TypeError: a filter that is none.

        """
        fields = job_filters.one_name_each(
            {"tags": tags, "created_after": created_after, "created_before": created_before}, ibm_names
        )
        after, before = (
            None if fields[name] is None else unix_time(fields[name], name)
            for name in ("created_after", "created_before")
        )
        wanted = None if status is None else job_filters.states(status)
        first = job_filters.count("skip", skip)
        last = None if limit is None else first + job_filters.count("limit", limit)
        clients = self._clients(backend_name)
        pages = [
            client.all_jobs(
                tags=job_filters.tags(fields["tags"]), created_after=after, created_before=before, session_id=session_id
            )
            for client in dict.fromkeys(clients.values())
        ]
        infos = heapq.merge(*pages, key=lambda info: info.created, reverse=True) if len(pages) > 1 else chain(*pages)
        fitting = (
            info
            for info in infos
            if (wanted is None or info.state in wanted)
            and backend_name in (None, info.backend)
            and session_id in (None, info.session_id)  # a daemon of an older version does not know this filter
        )
        return [
            PulsedJob(self._backend(info.backend, clients[info.backend]), info.job_id, clients[info.backend], info=info)
            for info in islice(fitting, first, last)
        ]

    @asks_daemon
    def retrieve_job(self, job_id: str) -> PulsedJob:
        """Return the job with this id; four letters or more of its beginning will do if no other has them.

        Raises :class:`UnknownIdError`, a :class:`pulsed.model.errors.NotFoundError`.
        """
        try:
            client = self.client
            info = client.job(job_id)
        except NotFoundError:
            others = [other for other in dict.fromkeys(self.racks.clients().values()) if other is not self.client]
            for client in others:
                with suppress(NotFoundError):
                    info = client.job(job_id)
                    break
            else:
                raise
        return PulsedJob(self._backend(info.backend, client), info.job_id, client, info=info)

    def job(self, job_id: str) -> PulsedJob:
        """Return the job with this id, as :meth:`retrieve_job`."""
        return self.retrieve_job(job_id)


def _provider(url: str | None, key: Path | str | None, account: str | None, client: Client | None) -> PulsedProvider:
    return PulsedProvider(url, key, account, client=client)


def _operational(backend: PulsedBackend) -> bool:
    try:
        return bool(backend.status().operational)
    except DaemonConnectionError:
        return False  # a daemon that has just gone does not keep the others from being listed


def _fits(backend: PulsedBackend, wanted: dict[str, Any]) -> bool:
    for name, value in wanted.items():
        if name == "min_num_qubits":
            fits = backend.num_qubits >= value
        elif name == "operational":
            fits = _operational(backend) == value
        else:
            fits = getattr(backend, name, None) == value
        if not fits:
            return False
    return True
