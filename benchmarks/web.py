"""The operators' page: how soon it paints, how soon an event reaches it, and what open pages cost.

It needs Chromium and Playwright (`make test-web` installs the latter); without them it says so and has no figures.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Figure, limit
from pulsed.client.keys import add_client
from pulsed.testing.daemon_process import DaemonProcess
from pulsed.testing.jobs import PATIENCE, flip, job, packed

_PAGES = ("/rack", "/queue", "/chip", "/chip/Q1", "/calibration", "/runs", "/history", "/scan", "/pulses", "/alerts")
_ROUNDS = 3
_OPEN = 10
"""Pages that are open at once."""
_EVENTS = 40
_TICKS = os.sysconf("SC_CLK_TCK")


def run() -> Iterator[Figure]:
    """Yield the figures."""
    chromium = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        print("web: needs Chromium and Playwright; left out", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        daemon = DaemonProcess(Path(folder)).start()
        add_client(daemon.home, "web", "operator")
        options = json.dumps({"browser": False, "port": 0, "person": "bench"})
        web = subprocess.Popen(
            [sys.executable, "-m", "pulsed.web", options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PULSED_HOME": str(daemon.home)},
        )  # fmt: skip
        try:
            link = _link(web)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                yield from _figures(browser, link, daemon, web)
                browser.close()
        finally:
            web.terminate()
            web.wait()
            daemon.stop()


def _figures(browser: Any, link: str, daemon: DaemonProcess, web: subprocess.Popen[str]) -> Iterator[Figure]:
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    page.goto(link)
    page.wait_for_url("**/rack")
    base = link.partition("/sign-in")[0]
    for path in _PAGES:
        paints, sizes = zip(*(_paint(page, base + path) for _ in range(_ROUNDS)), strict=True)
        yield limit(f"web: first paint of {path}", median(paints), "ms", at_most=500)
        yield limit(f"web: bytes of {path}", max(sizes) / 1000, "kB", at_most=400)
    pages = [page, *(context.new_page() for _ in range(_OPEN - 1))]
    for one in pages:
        one.goto(f"{base}/queue")
    assert daemon.process is not None
    late, before, began = [], _cpu(daemon.process.pid), time.monotonic()
    with daemon.client() as client:
        for number in range(_EVENTS):
            name = f"event {number}"
            page.evaluate(_WATCH, name)
            job_id = client.submit(job(name=name), [packed(flip())]).job_id
            accepted = time.time()
            late.append(1000 * (page.evaluate("window.seen") - accepted))
            client.result(job_id, PATIENCE)
    spent = (_cpu(daemon.process.pid) - before) / (time.monotonic() - began)
    late.sort()
    yield limit(f"web: an event reaches a page, worst of {_EVENTS}, {_OPEN} open", late[-1], "ms", at_most=250)
    yield limit(f"web: the daemon while jobs play and {_OPEN} pages look", 100 * spent, "% of a core", at_most=100)
    began, before = time.monotonic(), _cpu(daemon.process.pid)
    time.sleep(5)
    idle = (_cpu(daemon.process.pid) - before) / (time.monotonic() - began)
    yield limit(f"web: the daemon while {_OPEN} pages look", 100 * idle, "% of a core", at_most=5)
    yield limit("web: memory of the process of the pages", _resident(web.pid), "MiB", at_most=150)


_WATCH = """name => {
  window.seen = new Promise(done => {
    const watch = new MutationObserver(() => {
      if (document.body.textContent.includes(name)) { watch.disconnect(); done(Date.now() / 1000); }
    });
    watch.observe(document.body, {subtree: true, childList: true, characterData: true});
  });
  return null;
}"""


def _paint(page: Any, address: str) -> tuple[float, float]:
    """Return the first contentful paint (ms) of a page, and the bytes of it and of all that it loads."""
    page.goto(address, wait_until="load")
    return page.evaluate(  # type: ignore[no-any-return]
        """async () => {
          const paint = await new Promise(done => new PerformanceObserver(list => {
            for (const entry of list.getEntries()) if (entry.name === "first-contentful-paint") done(entry.startTime);
          }).observe({type: "paint", buffered: true}));
          const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
          return [paint, all.reduce((sum, entry) => sum + entry.encodedBodySize, 0)];
        }"""
    )


def _link(web: subprocess.Popen[str]) -> str:
    assert web.stdout is not None
    for line in web.stdout:
        if found := re.search(r"http://\S+/sign-in\?link=\S+", line):
            return found[0]
    raise RuntimeError("the pages are not served")


def _cpu(pid: int) -> float:
    """Return the seconds that a process has computed."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / _TICKS


def _resident(pid: int) -> float:
    """Return the MiB that a process has of its own."""
    found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
