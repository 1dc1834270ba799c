"""Brings alerts to webhooks and mailboxes: one thread for each, so that one that is dead holds up nobody else."""

from __future__ import annotations

import json
import queue
import smtplib
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from pulsed.daemon import logs
from pulsed.model.alerts import Alert, Receiver
from pulsed.model.observation import Alerts, Mail, host_and_port

SECONDS = 10.0
"""For each step of one attempt, such as to connect."""
PAUSES = (5.0, 30.0, 120.0, 600.0)
"""Seconds between attempts; after the last one an alert is given up."""
WAITING = 100
"""Alerts that may wait for one receiver; then the oldest goes."""

Send = Callable[[Alert], None]
"""Sends one alert, or raises."""


def webhook(url: str) -> Send:
    """Return what posts an alert as JSON to ``url``."""

    def send(alert: Alert) -> None:
        body = json.dumps({**msgspec.to_builtins(alert), "text": alert.line}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json", "User-Agent": "pulsed"})
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
                raise OSError(f"answered {answer.status}")

    return send


def mailbox(mail: Mail) -> Send:
    """Return what sends an alert by mail."""

    def send(alert: Alert) -> None:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = alert.line, mail.sender, ", ".join(mail.to)
        since = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(alert.since))
        message.set_content(f"{alert.message}\n\nrack: {alert.backend}\nrule: {alert.rule}\nsince: {since}\n")
        with _connected(mail) as server:
            if mail.user:
                server.login(mail.user, Path(mail.password_file).read_text(encoding="utf-8").strip())
            server.send_message(message)

    return send


def _connected(mail: Mail) -> smtplib.SMTP:
    host, port = host_and_port(mail.server)
    if mail.security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=ssl.create_default_context())
    server = smtplib.SMTP(host, port, timeout=SECONDS)
    if mail.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


class Courier:
    """One receiver and its thread, which ends with the process."""

    def __init__(self, name: str, send: Send, pauses: Sequence[float] = PAUSES) -> None:
        self.name = name
        self._send, self._pauses = send, pauses
        self._alerts: queue.Queue[Alert] = queue.Queue(WAITING)
        self._sent = self._failed = 0
        self._error = ""
        threading.Thread(target=self._run, name=f"alerts to {name}", daemon=True).start()

    @property
    def receiver(self) -> Receiver:
        """How it goes."""
        return Receiver(self.name, self._sent, self._failed, self._alerts.qsize(), self._error)

    def take(self, alert: Alert) -> None:
        """Send an alert when it is its turn; never waits."""
        while True:
            try:
                return self._alerts.put_nowait(alert)
            except queue.Full:
                try:
                    lost = self._alerts.get_nowait()
                except queue.Empty:
                    continue
                logs.get("alerts").error("an alert was given up, too many wait", receiver=self.name, alert=lost.line)

    def attempt(self, alert: Alert) -> str:
        """Send an alert now; return what went wrong, empty when nothing did. Takes as long as the receiver does."""
        try:
            self._send(alert)
        except Exception as error:  # noqa: BLE001 - whatever a receiver answers, the next alert goes out
            self._failed += 1
            self._error = f"{type(error).__name__}: {error}"
        else:
            self._sent += 1
            self._error = ""
        return self._error

    def _run(self) -> None:
        while True:
            alert = self._alerts.get()
            for pause in (*self._pauses, None):
                if not (error := self.attempt(alert)):
                    break
                logs.get("alerts").warning("not delivered", receiver=self.name, alert=alert.line, error=error)
                if pause is not None:
                    time.sleep(pause)


def couriers(alerts: Alerts) -> list[Courier]:
    """Return one for each receiver of the configuration."""
    found = [Courier(f"webhook {urlsplit(url).hostname}", webhook(url)) for url in alerts.webhooks]
    if alerts.mail is not None:
        found.append(Courier(f"mail {', '.join(alerts.mail.to)}", mailbox(alerts.mail)))
    return found
