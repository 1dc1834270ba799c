"""The pages over HTTP without a daemon: its greeting is made up, and so is what commands print."""

import asyncio
import uuid
from pathlib import Path
from types import SimpleNamespace

import httpx
import msgspec
import pytest

from pulsed.client.home import RunningDaemon
from pulsed.model.device import load_device
from pulsed.model.errors import ConnectionFailedError
from pulsed.model.queue import QueueControl
from pulsed.testing.daemon_process import CONFIGS
from pulsed.web.access.sign_in import SignIn
from pulsed.web.app import make_app
from pulsed.web.lab import Lab
from pulsed.web.notices import TOPICS, Notices
from pulsed.wire.messages import Greeting
from pulsed.wire.queue_messages import QueueReply
from pulsed.wire.roles import Role

DEVICE = load_device(CONFIGS / "sim5.toml")
GREETING = Greeting(0, 1, "0", (1, 2), ("sim5",), "web", "admin", "tcp://*:2", 0, "", 1000)


class MadeUpLab(Lab):
    """A lab whose daemon has just greeted; what commands are asked to do is in ``asked``."""

    def __init__(self, home):
        super().__init__("tcp://127.0.0.1:1", "web", Notices(), str(home))
        self.begin()

    def begin(self):
        """Begin anew."""
        self.problem, self.asked, self.commands.ask = "", [], self._ask
        self._forget(*TOPICS)
        greeting = msgspec.structs.replace(GREETING, instance=uuid.uuid4().hex)
        self.daemon = SimpleNamespace(greeting=greeting, url="tcp://127.0.0.1:1", device=lambda: DEVICE)

    @property
    def client(self):
        if self.problem:
            raise ConnectionFailedError(self.problem)
        return self.daemon

    def queue(self):
        return QueueReply(0, QueueControl(), (), 0, ())

    def _ask(self, url, *words, good=(0,)):
        self.asked.append(words)
        return b'{"records": 0}' if "verify" in words else b"[]" if "--json" in words else b"done"


class Browser:
    """Somebody signed in as ``role``."""

    def __init__(self, app, sign_in, role, person):
        self._app = app
        self.cookie, self.who = sign_in.use_link(sign_in.new_link(role, person))

    def get(self, path):
        """Ask for a page."""
        return asyncio.run(self.request("GET", path))

    def send(self, path, **fields):
        """Send a form as a person does who was given its page."""
        return asyncio.run(self.request("POST", path, data={"token": self.who.token, **fields}))

    async def request(self, method, path, **more):
        """Ask among other things."""
        transport, cookies = httpx.ASGITransport(self._app), {"pulsed-test": self.cookie}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", cookies=cookies) as client:
            return await client.request(method, path, **more)


@pytest.fixture(scope="session")
def sign_in():
    return SignIn(lambda: 1000.0)


@pytest.fixture(scope="session")
def made_up_lab(tmp_path_factory):
    return MadeUpLab(tmp_path_factory.mktemp("web"))


@pytest.fixture(scope="session")
def app(made_up_lab, sign_in):
    """The pages, made once: their templates take a second."""
    return make_app(made_up_lab, sign_in, Notices(), cookie="pulsed-test", hosts=("127.0.0.1",))


@pytest.fixture
def lab(app, made_up_lab):
    """The lab of the pages, beside its daemon."""
    made_up_lab.begin()
    here = RunningDaemon("tcp://127.0.0.1:1", 1, "sim5", "0", 0.0, instance=made_up_lab.greeting.instance)
    Path(made_up_lab.home, "daemon.json").write_bytes(msgspec.json.encode(here))
    return made_up_lab


@pytest.fixture
def visit(app, lab, sign_in):
    """Who comes as a role."""
    return lambda role=Role.ADMIN, person="anna": Browser(app, sign_in, role, person)
