"""What changes the active set by hand: a value, the mark of a fault, with a reason; and what somebody else changed."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pulsed.model.errors import ConflictError, InvalidValueError
from pulsed.web.children import asking
from pulsed.web.lab import Lab
from pulsed.web.pages.chip import names
from pulsed.web.site import Site, field
from pulsed.wire.messages import CommitCalibration

_NAMED = 12
"""Values that are named of what somebody else changed."""


def check_unchanged(lab: Lab, expected: str) -> None:
    """Raise :class:`ConflictError`, which says what changed and by whom, unless ``expected`` is the active set."""
    client = lab.client
    active = client.calibration()
    if active.calibration_id == expected:
        return
    changed, who = list[str](), list[str]()
    for entry in client.calibration_log(50):
        if entry.calibration_id == expected:
            break
        changed += [name for name in entry.changed if name not in changed]
        who.append(f"{entry.by or 'somebody'}: {entry.why or 'no reason given'}")
    named = ", ".join(changed[:_NAMED]) + (f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else "")
    raise ConflictError(
        f"the set has changed since you opened the page ({'; '.join(who[:5])}); changed: "
        f"{named or 'nothing that is left'}. Nothing was done: look at it again, "
        "and send yours once more if it still holds",
        subject="calibration set", value=expected, legal=active.calibration_id,
    )  # fmt: skip


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab = site.lab

    def checked(request: Request) -> tuple[dict[str, str], str, str]:
        """Return the form, its reason and the set it was made for, if that is active and the visitor may commit."""
        form: dict[str, str] = request.state.form
        why = field(form, "reason", "a sentence, kept in the log")
        expected = field(form, "expected", "the active set")
        lab.check(request.state.visitor, CommitCalibration(0, "", expected, why))
        check_unchanged(lab, expected)
        return form, why, expected

    def change(what: str, why: str, expected: str, *words: str) -> None:
        """Let a command change the set that the visitor saw, or say what somebody else changed in that moment."""
        try:
            lab.ask("cal", what, f"--why={why}", f"--expected={expected}", *words)
        except InvalidValueError:
            check_unchanged(lab, expected)
            raise

    def set_value(request: Request) -> Response:
        form, why, expected = checked(request)
        name = field(form, "name", "a value, such as Q0.f01")
        value = field(form, "value", "a number with its unit, such as 4.91GHz")
        force = ("--force",) if form.get("force") == "1" else ()
        change("set", why, expected, *force, "--", name, value)
        subject = name.partition(".")[0]
        of_chip = subject in set().union(*names(lab.device()))
        return site.done(f"/chip/{subject}" if of_chip else "/calibration", f"{name} is {value} now.")

    def fault(request: Request) -> Response:
        form, why, expected = checked(request)
        subject = field(form, "subject", "a qubit or a pair")
        if form.get("what") == "enable":
            change("enable", why, expected, "--", subject)
            return site.done(f"/chip/{subject}", f"{subject} is used again.")
        change("disable", why, expected, "--", subject)
        return site.done(f"/chip/{subject}", f"{subject} is marked as faulty: it is not used.")

    return [
        Route("/calibration/value", asking(set_value), methods=["POST"]),
        Route("/calibration/fault", asking(fault), methods=["POST"]),
    ]
