"""The operators' page in the process of a test, for a browser or for plain HTTP."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import uvicorn

from pulsed.testing.daemon_process import eventually
from pulsed.web.access.sign_in import SignIn
from pulsed.web.app import make_app
from pulsed.web.lab import Lab
from pulsed.web.notices import Notices
from pulsed.wire.roles import Role


class WebPage:
    """The pages of the daemon at ``home`` on a port of their own, in a thread; ``shift`` seconds ahead of the clock."""

    def __init__(self, home: Path, key: str) -> None:
        self.shift = 0.0
        self.notices, self.sign_in = Notices(), SignIn(lambda: time.time() + self.shift)
        self.lab = Lab(None, key, self.notices, str(home))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        app = make_app(self.lab, self.sign_in, self.notices, cookie="pulsed-test", hosts=("127.0.0.1", "localhost"))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self) -> WebPage:
        """Serve."""
        self._thread.start()
        eventually(lambda: not self.lab.problem, "the page has found the daemon")
        return self

    def __exit__(self, *failure: object) -> None:
        """Stop."""
        self._server.should_exit = True
        self._thread.join()

    @contextlib.contextmanager
    def visitor(self, role: Role | None = Role.ADMIN, person: str = "") -> Iterator[httpx.Client]:
        """A browser in which ``person`` is signed in, unless ``role`` is None."""
        with httpx.Client(base_url=self.base, timeout=60, trust_env=False) as browser:
            if role is not None:
                answer = browser.get("/sign-in", params={"link": self.sign_in.new_link(role, person)})
                assert answer.status_code == 200
            yield browser


def post(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Send a form as a person does who has just been given its page."""
    found = re.search(r'name="token" value="([^"]+)"', browser.get("/rack").text)
    assert found is not None
    return browser.post(path, data={"token": found[1], **fields}, headers={"Origin": str(browser.base_url).rstrip("/")})
