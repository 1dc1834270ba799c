"""The users of a rack: their roles, shares and quotas, what they have used and what they have in the queue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pulsed.daemon.jobs.quotas import Demand, Demands, check_quota
from pulsed.daemon.jobs.usage import Usage
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.job import JobInfo, JobRequest
from pulsed.model.policies import Quotas, Sharing
from pulsed.model.queue import UserQuota, UserShare
from pulsed.model.result_size import least_bytes
from pulsed.store.store import Store
from pulsed.wire.roles import Role


def nobody(_user: str) -> Role | None:
    """Return the role of a user where none is known."""
    return None


class Accounts:
    """What is known of users beside their jobs.

    Args:
        store: where their use is kept.
        sharing: how they share the rack.
        quotas: what they may ask for.
        role_of: the role of a user's key; None for one that is not let in.

    """

    def __init__(
        self, store: StoreThread, sharing: Sharing | None = None, quotas: Quotas | None = None,
        role_of: Callable[[str], Role | None] = nobody,
    ) -> None:  # fmt: skip
        self.sharing, self._quotas = sharing or Sharing(), quotas or Quotas()
        self._store, self._role_of = store, role_of
        self.usage = Usage(self.sharing.half_life, self.weight)
        self.demands = Demands()

    def weight(self, user: str) -> float:
        """Return the share that a user is due, relative to others."""
        return self.sharing.weight(user, self._role(user))

    def is_operator(self, user: str) -> bool:
        """Whether a user is an operator, or an admin."""
        role = self._role_of(user)
        return role is not None and role >= Role.OPERATOR

    def check(self, request: JobRequest, size: int, seconds: float, user: str) -> None:
        """Raise :class:`QuotaError` for a job that would take its user above a quota.

        Args:
            request: the job.
            size: bytes of the submission.
            seconds: that it is expected to keep the rack.
            user: who hands it in.

        """
        check_quota(
            user, self._quotas.of(user, self._role(user)), self.demand(request, size, seconds),
            shots=request.num_programs * request.options.shots, priority=request.priority + (request.due is not None),
            queued=self.demands.of(user), today=self.usage.day(user, time.time()),
        )  # fmt: skip

    @staticmethod
    def demand(request: JobRequest | JobInfo, size: int, seconds: float) -> Demand:
        """Return what a job asks for; for the arguments see :meth:`check`."""
        shots = request.num_programs * request.options.shots
        return Demand(1, seconds, size + least_bytes(request.num_programs, request.options), shots)

    def charge(self, user: str, seconds: float, size: int = 0) -> asyncio.Future[None]:
        """Add rack seconds and bytes to what a user has used; it is kept with the next write that is waited for."""
        return self._store.write_later(Store.put_usage, self.usage.charge(user, seconds, size, time.time()))

    async def recover(self) -> None:
        """Take over what the store has."""
        self.usage.restore(await self._store.call(Store.usage), time.time())

    def listed(self) -> list[UserShare]:
        """Return what everybody has used and queued who has used or queued something, by name, with their quotas."""
        now = time.time()
        rows = []
        for user in sorted({*self.usage.users(), *self.demands.users()}):
            day, queued, role = self.usage.day(user, now), self.demands.of(user), self._role(user)
            quota = UserQuota(**dict(self._quotas.of(user, role)))
            rows.append(UserShare(
                user, self.weight(user), self.usage.counted(user, now), queued.jobs, day.seconds, day.bytes, role,
                queued.seconds, queued.shots, queued.bytes, quota,
            ))  # fmt: skip
        return rows

    def _role(self, user: str) -> str:
        role = self._role_of(user)
        return "" if role is None else str(role)
