"""Alerts over real HTTP and SMTP, to servers of the test on this machine."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller

from pulsed.daemon.observe.alert_center import AlertCenter
from pulsed.daemon.observe.delivery import WAITING, Courier, couriers, mailbox, webhook
from pulsed.daemon.observe.snapshot import DaemonSnapshot
from pulsed.model.alerts import Alert, AlertState
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import load_device
from pulsed.model.errors import BusyError
from pulsed.model.observation import Alerts, Mail
from pulsed.testing.daemon_process import CONFIGS, eventually
from pulsed.wire.messages import Status

ALERT = Alert("disk_low", "disk", AlertState.FIRING, "3 MiB\nare free", "sim5", 1e9, 1e9)
SIM5 = load_device(CONFIGS / "sim5.toml")


class Web:
    """A web server that keeps what it is posted, and answers with ``status``."""

    def __init__(self):
        self.posts, self.status, self.delay = [], 200, 0.0
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                time.sleep(web.delay)
                web.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                with contextlib.suppress(OSError):
                    self.send_response(web.status)
                    self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def web():
    found = Web()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.05,))
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture
def post():
    """A mail server on a free port, and the messages that it got."""

    messages = []

    class Handler:
        async def handle_DATA(self, _server, _session, envelope):
            messages.append(envelope)
            return "250 taken"

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    yield f"127.0.0.1:{port}", messages
    controller.stop()


def test_a_webhook_gets_the_alert_and_a_line_for_chats(web):
    webhook(web.url)(ALERT)
    (posted,) = web.posts
    assert posted["text"] == "[sim5] firing: 3 MiB are free"
    assert (posted["rule"], posted["subject"], posted["state"], posted["since"]) == ("disk_low", "disk", "firing", 1e9)


def test_a_mailbox_gets_the_alert(post):
    address, messages = post
    mailbox(Mail(server=address, sender="pulsed@lab", to=("a@lab", "b@lab"), security="none"))(ALERT)
    (message,) = messages
    assert (message.mail_from, message.rcpt_tos) == ("pulsed@lab", ["a@lab", "b@lab"])
    text = message.content.decode()
    assert "Subject: [sim5] firing: 3 MiB are free" in text
    assert "rule: disk_low" in text


def test_a_mail_server_without_the_encryption_asked_for_gets_nothing(post):
    address, messages = post
    courier = Courier("mail", mailbox(Mail(server=address, sender="pulsed@lab", to=("a@lab",))))
    assert "STARTTLS" in courier.attempt(ALERT)
    assert not messages


def test_what_is_not_delivered_is_tried_again(web):
    web.status = 503
    courier = Courier("hook", webhook(web.url), pauses=(0.05, 0.05, 0.05))
    courier.take(ALERT)
    eventually(lambda: courier.receiver.failed, "the first attempt", 10)
    assert "503" in courier.receiver.error
    web.status = 200
    eventually(lambda: courier.receiver.sent == 1 and not courier.receiver.error, "it arrives", 10)


def test_an_alert_that_nobody_takes_is_given_up_and_the_next_one_is_sent(web):
    web.status = 500
    courier = Courier("hook", webhook(web.url), pauses=(0.01,))
    courier.take(ALERT)
    eventually(lambda: courier.receiver.failed == 2, "two attempts", 10)
    web.status = 200
    courier.take(ALERT)
    eventually(lambda: courier.receiver.sent == 1, "the next one", 10)
    assert courier.receiver.failed == 2


def test_a_receiver_that_is_dead_holds_up_nobody_and_costs_bounded_memory(web):
    with socket.socket() as silent:  # takes connections and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        dead = Courier("dead", webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/"))
        live = Courier("live", webhook(web.url))
        began = time.monotonic()
        for _ in range(3 * WAITING):
            dead.take(ALERT)
        assert time.monotonic() - began < 5.0  # ten seconds are given to one attempt: none was waited for
        live.take(ALERT)
        eventually(lambda: live.receiver.sent == 1, "the other one gets it", 10)
        assert dead.receiver.waiting <= WAITING


def test_secrets_of_addresses_are_not_in_the_names_of_receivers():
    named = [one.name for one in couriers(Alerts(webhooks=("https://chat.example.org/hooks/SECRET",)))]
    assert named == ["webhook chat.example.org"]


def center(**alerts):
    changes = []
    found = AlertCenter(SIM5.model_copy(update={"alerts": Alerts(**alerts)}), lambda: changes.append(1))
    return found, changes


def quiet():
    return DaemonSnapshot(time.time(), Status("sim5", "0.2.0", True), CalibrationSet("sim5", {}, "2026-11-21"))


async def test_the_center_tells_what_begins_and_what_is_over(web):
    alerts, changes = center(webhooks=(web.url,))
    free = [2**20]
    running = asyncio.create_task(alerts.run(lambda: replace(quiet(), free_disk=free[0])))
    await asyncio.to_thread(eventually, lambda: len(web.posts) == 1, "told", 10)
    assert [alert.subject for alert in alerts.active] == ["disk"]
    free[0] = 2**40
    await asyncio.to_thread(eventually, lambda: len(web.posts) == 2, "told that it is over", 10)
    running.cancel()
    assert [post["state"] for post in web.posts] == ["firing", "over"]
    assert len(changes) == 2
    assert alerts.receivers[0].sent == 2


async def test_a_test_message_says_what_came_of_it(web, monkeypatch):
    monkeypatch.setattr("pulsed.daemon.observe.alert_center._TEST_SECONDS", 0.5)
    alerts, _ = center(webhooks=(web.url, "http://127.0.0.1:9/"))
    running = asyncio.create_task(alerts.run(quiet))
    await asyncio.sleep(0)
    good, bad = await alerts.test("ada")
    assert (good.sent, good.error) == (1, "")
    assert "refused" in bad.error.lower()
    assert "sent by ada" in web.posts[0]["text"]
    web.delay = 2.0
    slow, _ = await alerts.test("ada")
    assert slow.error == "no answer within 0.5 s"
    with pytest.raises(BusyError):
        await alerts.test("ada")
    running.cancel()
