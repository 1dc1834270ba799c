"""What is older than the configuration keeps is forgotten, little by little, beside everything else."""

from __future__ import annotations

import asyncio
import math
import time

from pulsed.daemon import logs
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.errors import StoreError
from pulsed.model.job import PrunedJobs
from pulsed.model.policies import Retention
from pulsed.store.store import Store

EVERY = 3600.0
"""Seconds between two rounds; the first is when the daemon has started."""
AT_ONCE = 50
"""Jobs of one transaction: whoever waits for the store waits for these."""
_DAY = 86400.0


async def prune(store: StoreThread, *, results: float, jobs: float, keep: tuple[str, ...], dry: bool) -> PrunedJobs:
    """Forget results of jobs from before ``results``, and jobs from before ``jobs``; minus infinity: none.

    With ``dry`` only say how much that would be.
    """
    total = PrunedJobs()
    for method, before in ((Store.prune_jobs, jobs), (Store.prune_results, results)):
        while before > -math.inf:
            limit = 1 << 31 if dry else AT_ONCE
            found = await store.call_patiently(method, before, keep, time.time(), limit, dry=dry)
            total = total + found
            if dry or found.jobs + found.results < limit:
                break
            await asyncio.sleep(0)
    return total


class RetentionKeeper:
    """Keeps what ``plan`` says; the store thread works for it in small steps."""

    def __init__(self, plan: Retention, store: StoreThread) -> None:
        self.plan, self.store = plan, store

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            try:
                await self._round()
            except StoreError as error:
                logs.get("retention").error("not everything could be forgotten", error=str(error))
            await asyncio.sleep(EVERY)

    async def _round(self) -> None:
        plan, now = self.plan, time.time()
        results, jobs = (-math.inf if days is None else now - days * _DAY for days in (plan.results, plan.jobs))
        if plan.size is not None:
            results = max(results, await self.store.call_patiently(Store.results_beyond, plan.size, plan.keep))
        found = await prune(self.store, results=results, jobs=jobs, keep=plan.keep, dry=False)
        if found != PrunedJobs():
            logs.get("retention").info("forgotten", jobs=found.jobs, results=found.results, bytes=found.bytes)
