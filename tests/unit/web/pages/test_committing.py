"""Changes by hand from the page: of the set that the visitor saw, and of no other."""

import asyncio
from types import SimpleNamespace

import pytest

from pulsed.model.errors import ConflictError, InvalidValueError
from pulsed.web.pages.committing import routes

PATHS = {
    "/calibration/value": {"name": "Q0.t1", "value": "20us"},
    "/calibration/fault": {"subject": "Q0", "what": "disable"},
    "/calibration/fault?": {"subject": "Q0", "what": "enable"},
}


class Lab:
    """One whose active set another person changes between the look of the page and that of the command."""

    def __init__(self, first):
        self.active, self.first, self.asked, self.client = "seen", first, [], self

    def calibration(self):
        return SimpleNamespace(calibration_id=self.active)

    def calibration_log(self, limit):
        return [SimpleNamespace(calibration_id="new", changed=("Q3.f01",), by="bea (web)", why="hers")]

    def check(self, visitor, request):
        return self

    def device(self):
        return SimpleNamespace(num_qubits=1, couplings=[])

    def ask(self, *words):
        self.asked.append(words)
        if self.first:
            self.active = "new"
            raise InvalidValueError("is not the active set any more", subject="the command")
        raise InvalidValueError("no such value", subject="the command")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_committed_between_two_looks_is_seen(path, first):
    lab = Lab(first)
    found = {route.path: route.endpoint for route in routes(SimpleNamespace(lab=lab))}
    form = {**PATHS[path], "reason": "so", "expected": "seen"}
    request = SimpleNamespace(state=SimpleNamespace(form=form, visitor=None))
    with pytest.raises(ConflictError if first else InvalidValueError, match=r"Q3\.f01" if first else "no such value"):
        asyncio.run(found[path.rstrip("?")](request))
    (words,) = lab.asked
    assert "--expected=seen" in words
