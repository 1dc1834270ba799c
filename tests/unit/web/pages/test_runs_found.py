"""Runs: one is found by its id, and a list says among how many it looked."""

from types import SimpleNamespace

import pytest

from pulsed.client.calibration_calls import CalibrationCalls
from pulsed.model.calibration import RunRecord
from pulsed.model.errors import NotFoundError
from pulsed.web.pages.runs import SEARCHED, routes
from pulsed.wire.messages import RunsReply
from pulsed.wire.roles import Role

RECORDS = [
    RunRecord(f"r{k}", "t1", "Q0", "calibrate", "good" if k % 4 else "failed", k, k + 1.0) for k in range(1200, 0, -1)
]
"""The newest first."""


class Daemon(CalibrationCalls):
    """Answers of the records; one of revision 0 does not know what ``run_id`` is."""

    def __init__(self, revision=1, number=1200):
        self._revision, self._records = revision, RECORDS[:number]

    def _call(self, reply, request, parts=(), *, limit, run_id=None, routine=None, target=None):
        found = [one for one in self._records if self._revision == 0 or run_id in (None, one.run_id)]
        return RunsReply(0, tuple(found[:limit])), ()


@pytest.mark.parametrize("revision", [0, 1])
def test_a_run_is_found_by_its_id(revision):
    client = Daemon(revision)
    assert client.run_record("r1200") == RECORDS[0]
    assert client.run_record("r201") == RECORDS[999]
    with pytest.raises(NotFoundError, match=r"no such run.*r9999"):
        client.run_record("r9999")
    if revision:
        assert client.run_record("r1") == RECORDS[-1]


@pytest.mark.parametrize("number", [800, 1200])
def test_a_list_says_among_how_many_it_looked(number):
    client = Daemon(number=number)
    lab = SimpleNamespace(
        keep=lambda name, ask, seconds: ask(client),
        notes=lambda about: [],
        may=lambda visitor, request: True,
        home=None,
    )
    site = SimpleNamespace(lab=lab, page=lambda request, template, **shown: SimpleNamespace(**shown))
    pages = {route.path: route.endpoint for route in routes(site)}
    found = pages["/runs"](SimpleNamespace(query_params={"outcome": "failed"}))
    looked = min(number, SEARCHED)
    assert (found.number, found.looked) == (looked // 4, looked if number > SEARCHED else 0)
    oldest = RECORDS[number - 1].run_id
    state = SimpleNamespace(visitor=None)
    one = pages["/runs/{id:path}"](SimpleNamespace(path_params={"id": oldest}, query_params={}, state=state))
    assert one.run.run_id == oldest


@pytest.mark.parametrize(("number", "said"), [(1000, "250 of the last 1000<"), (800, ">200<")])
def test_the_page_says_so(lab, visit, number, said):
    lab.daemon.runs = lambda *_: RECORDS[200 : 200 + number]
    assert said in visit(Role.VIEWER).get("/runs?outcome=failed").text
