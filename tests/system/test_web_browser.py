"""The operators' page in a real Chromium: what a person sees and presses. `make test-web` runs all of it.

In `make test` the short form runs where there is a Chromium and Playwright; WEB=full is for everything, and SHOTS names
a folder for pictures of each page at two widths.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pulsed.client.keys import add_client
from pulsed.model.calibration import Value
from pulsed.model.measurement import MeasurementInfo, Plot, PlotTrace
from pulsed.model.queue import QueueMode
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import flip, job, packed
from pulsed.testing.web_page import WebPage
from pulsed.wire.roles import Role

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: make test-web installs it")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
full = pytest.mark.skipif(os.environ.get("WEB") != "full", reason="part of make test-web")
PART = [packed(flip())]
PAGES = (
    "/rack", "/queue", "/chip", "/chip/Q1", "/chip/Q0-Q1", "/calibration", "/runs", "/history?value=Q0.f01+Q1.t1",
    "/scan", "/pulses", "/alerts", "/users", "/audit", "/logs",
)  # fmt: skip
SIZES = ((1600, 1000, "dark"), (820, 1180, "light"))
LONG = 60_000
"""Milliseconds: a crowded machine may be slow."""


@pytest.fixture(scope="module")
def served(daemon: DaemonProcess) -> Iterator[WebPage]:
    add_client(daemon.home, "browser", "operator")
    with WebPage(daemon.home, "browser") as page:
        yield page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Tab:
    """A tab that is signed in, and what its console complains about."""

    def __init__(self, browser: Any, served: WebPage, width: int = 1600, height: int = 1000, scheme: str = "dark",
                 role: Role = Role.ADMIN) -> None:  # fmt: skip
        self.base = served.base
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.page.set_default_timeout(LONG)
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)
        self.page.goto(f"{self.base}/sign-in?link={served.sign_in.new_link(role)}")
        self.page.wait_for_url("**/rack")

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def goto(self, path: str) -> Any:
        self.page.goto(self.base + path)
        return self.page


@pytest.fixture
def tab(chromium: Any, served: WebPage) -> Iterator[Tab]:
    opened = Tab(chromium, served)
    yield opened
    opened.context.close()
    assert opened.complaints == [], "the console complains: of the security policy, of a script"


def test_the_link_signs_in_and_every_page_is_quiet(tab):
    for path in PAGES:
        page = tab.goto(path)
        assert page.locator("h1").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{path} is too wide"
        assert page.evaluate("typeof htmx") == "object"


def test_a_job_appears_is_cancelled_and_the_page_never_loaded_anew(tab, client):
    client.set_queue(QueueMode.PAUSED, "so that it waits")
    try:
        page = tab.goto("/queue")
        page.evaluate("window.same = true")
        job_id = client.submit(job(name="<img src=x onerror=alert(1)>"), PART).job_id
        row = page.locator(f"#job-{job_id}")
        row.wait_for()
        assert "<img src=x" in row.inner_text()
        assert page.locator("#live img").count() == 0
        client.cancel(job_id)
        row.wait_for(state="detached")
        assert page.evaluate("window.same") is True, "it heard of it, nobody loaded it again"
    finally:
        client.set_queue(QueueMode.OPEN)


def test_progress_goes_on_by_itself(tab, client, daemon):
    daemon.tell("hold")
    try:
        page = tab.goto("/queue")
        job_id = client.submit(job(shots=9000, options={"rep_delay": 10e-3}), PART).job_id  # of several chunks
        bar = page.locator("#progress progress")
        bar.wait_for()
        page.evaluate("htmx.trigger(document.body, 'lab:progress')")
        page.wait_for_timeout(500)
        assert bar.is_visible(), "what is asked for is put in its place"
        assert "of 4 chunks" in page.locator("#progress").inner_text()
    finally:
        daemon.untell("hold")
    eventually(lambda: str(client.job(job_id).state) == "done", "the job is played")
    bar.wait_for(state="detached")


@full
def test_pause_by_the_keyboard_alone(tab, client):
    page = tab.goto("/queue")
    button = page.get_by_role("button", name="Pause…")
    button.focus()
    page.keyboard.press("Enter")
    page.locator("#mode-pause input[name=reason]").wait_for()
    assert page.evaluate("document.activeElement.name") == "reason", "the field is ready to be written in"
    page.keyboard.type("helium")
    page.keyboard.press("Enter")
    page.get_by_text("by browser: helium").first.wait_for()
    assert client.queue().control.mode is QueueMode.PAUSED
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("The queue is open again.").wait_for()
    assert client.queue().control.mode is QueueMode.OPEN


@full
def test_what_is_being_typed_stays_while_the_page_changes(tab, client):
    page = tab.goto("/queue")
    page.get_by_role("button", name="Drain…").click()
    page.keyboard.type("half a rea")
    client.set_queue(QueueMode.LOCKED, "meanwhile")
    page.locator("#bar", has_text="queue locked").wait_for()
    page.keyboard.type("son")
    assert page.locator("#mode-drain input[name=reason]").input_value() == "half a reason"
    client.set_queue(QueueMode.OPEN)


@full
def test_stop_now_asks_first(tab, client, daemon):
    daemon.tell("hold")
    try:
        page = tab.goto("/rack")
        job_id = client.submit(job(), PART).job_id
        page.locator(f'#live a[href="/jobs/{job_id}"]').wait_for()
        page.get_by_role("button", name="Stop now").click()
        page.keyboard.press("Escape")
        assert client.queue().control.mode is QueueMode.OPEN
        page.get_by_role("button", name="Stop now").click()
        page.keyboard.type("smoke")
        page.locator("#stop").get_by_role("button", name="Stop now").click()
        page.get_by_text("Stopped: the queue is paused").wait_for()
    finally:
        daemon.untell("hold")
        client.set_queue(QueueMode.OPEN)
    eventually(lambda: str(client.job(job_id).state) == "cancelled", "the job is cancelled")


@full
def test_the_map_changes_its_colours_and_leads_to_a_qubit(tab):
    page = tab.goto("/chip")
    before = page.locator(".map .qubit").evaluate_all("all => all.map(c => c.getAttribute('fill'))")
    page.locator("select[name=qubit]").select_option("t1")
    page.wait_for_url("**/chip?qubit=t1*")
    after = page.locator(".map .qubit").evaluate_all("all => all.map(c => c.getAttribute('fill'))")
    assert len(after) == 5
    assert before != after
    page.locator('.map a[href="/chip/Q2"]').focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/chip/Q2")
    page.get_by_text("Wiring").wait_for()


@full
def test_a_roll_back_and_the_graph(tab, client):
    first = client.calibration()
    new = first.with_values({"Q3.t1": Value(66e-6, "s", 1e-6, "2026-12-01T00:00:00+00:00", "t1")}, "2026-12-01")
    client.put_calibration(new)
    client.commit_calibration(new.calibration_id, first.calibration_id, "by the test")
    page = tab.goto("/calibration")
    page.locator(".node").first.wait_for(timeout=5 * LONG)
    assert page.locator(".node").count() > 50
    page.locator(f'a[href="/calibration/sets/{first.calibration_id}"]').first.click()
    page.get_by_role("button", name="Roll back to it…").click()
    page.keyboard.type("it was better")
    page.get_by_role("button", name="Roll back", exact=True).click()
    page.get_by_text("is active again").wait_for()
    assert client.calibration().calibration_id == first.calibration_id


@full
def test_a_pulse_is_zoomed_to_its_samples(tab, client):
    job_id = client.submit(job(name="flip"), PART).job_id
    page = tab.goto(f"/pulses?of={job_id}")
    sheet = page.locator("[data-sheet][data-drawn]")
    sheet.wait_for()
    whole = float(sheet.get_attribute("data-to"))
    page.locator(".sheet-rows").focus()
    for _ in range(12):
        page.keyboard.press("+")
    shown = float(sheet.get_attribute("data-to")) - float(sheet.get_attribute("data-from"))
    assert 0 < shown < 20e-9 < whole, "some samples fill the width"
    page.keyboard.press("0")
    assert float(sheet.get_attribute("data-to")) == whole
    page.get_by_text("events as a table").click()
    assert page.locator("[data-sheet] tbody tr").count() > 1


@full
def test_a_measurement_grows_on_an_open_page_which_catches_up(tab, client):
    def tell(done: int, outcome: str = "") -> None:
        x = tuple(map(float, range(done)))
        plot = Plot("delay (µs)", "population of 1", (PlotTrace("I", x, x, tuple(0.1 for _ in x)),))
        said = "t1 = 40 µs" if outcome else ""
        client.tell_measurement(MeasurementInfo(
            "grows", "t1", "Q1", "calibrate", 1.0, done=done, total=9, outcome=outcome, said=said, plot=plot
        ))  # fmt: skip

    tell(3)
    page = tab.goto("/calibration")
    card = page.locator('article[data-run="grows"]')
    card.get_by_text("3 of 9").wait_for()
    assert card.locator("canvas").count() == 1
    page.evaluate("window.same = true")
    tell(6)
    card.get_by_text("6 of 9").wait_for()
    tell(9, "good")
    card.get_by_text("t1 = 40 µs").wait_for()
    assert page.evaluate("window.same") is True


@full
def test_a_note_is_written_and_a_value_set(tab, client):
    page = tab.goto("/chip/Q3")
    page.locator("textarea[name=text]").fill("TLS near 5.01 GHz")
    page.get_by_role("button", name="Note it").click()
    page.get_by_text("Noted about Q3.").wait_for()
    page.locator(".note", has_text="TLS near").wait_for()
    page.get_by_role("button", name="Set a value…").click()
    page.locator("#set-value select[name=name]").select_option("Q3.t1")
    page.locator("#set-value input[name=value]").fill("44us")
    page.locator("#set-value input[name=reason]").fill("by the test")
    page.get_by_role("button", name="Set it").click()
    page.get_by_text("Q3.t1 is 44us now.").wait_for()
    assert client.calibration().number("Q3.t1") == 44e-6


@full
def test_a_daemon_that_stops_under_an_open_page(chromium, tmp_path):
    own = DaemonProcess(tmp_path).start()
    add_client(own.home, "web", "operator")
    with WebPage(own.home, "web") as page:
        tab = Tab(chromium, page)
        shown = tab.goto("/rack")
        shown.evaluate("window.same = true")
        own.stop()
        shown.locator("#bar .alarm").wait_for()
        assert "This page goes on by itself" in shown.locator("#bar").inner_text()
        own.start()
        shown.locator("#bar .alarm").wait_for(state="detached")
        assert "operational" in shown.locator("#bar").inner_text()
        assert shown.evaluate("window.same") is True
        tab.context.close()
    assert own.stop() == 0


@full
def test_a_viewer_sees_buttons_that_cannot_be_pressed(chromium, served):
    wall = Tab(chromium, served, role=Role.VIEWER)
    assert wall.page.get_by_role("button", name="Stop now").is_disabled()
    page = wall.goto("/queue")
    for name in ("Pause…", "Drain…", "Lock…", "Resume"):
        assert page.get_by_role("button", name=name).is_disabled()
    wall.context.close()


@full
@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size[0]))
@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_accessible_and_as_wide_as_the_screen(chromium, served, path, size):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tab = Tab(chromium, served, *size)
    page = tab.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=Path(folder) / f"{path.strip('/').partition('?')[0].replace('/', '-')}-{size[0]}.png")
    found = axe.run(page).response["violations"]
    bad = [(item["id"], [node["html"][:120] for node in item["nodes"]][:3]) for item in found
           if item["impact"] in ("serious", "critical")]  # fmt: skip
    tab.context.close()
    assert bad == []
