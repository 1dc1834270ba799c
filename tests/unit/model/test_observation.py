"""The tables that say who is told what of the daemon."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from pulsed.model.device import NOT_TOLD, load_device, read_tables
from pulsed.model.observation import Alerts, Mail, Metrics
from pulsed.testing.daemon_process import CONFIGS

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "watch-the-daemon.md"


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:9464", "192.0.2.1:9464", "localhost:9464", "127.0.0.1", "127.0.0.1:x", ":1"]
)
def test_figures_are_for_this_machine_alone(listen):
    with pytest.raises(ValidationError):
        Metrics(listen=listen)


@pytest.mark.parametrize("listen", ["127.0.0.1:9464", "[::1]:0", "127.0.0.2:65535"])
def test_an_address_of_this_machine_will_do(listen):
    assert Metrics(listen=listen).listen == listen


@pytest.mark.parametrize("url", ["file:///etc/passwd", "chat.example.org", "ftp://chat.example.org/x", "http://"])
def test_a_webhook_is_an_address_of_the_web(url):
    with pytest.raises(ValidationError):
        Alerts(webhooks=(url,))


@pytest.mark.parametrize("to", ["", "a@lab\nBcc: b@elsewhere", "a@lab\r"])
def test_an_address_of_mail_has_no_second_line(to):
    with pytest.raises(ValidationError):
        Mail(server="127.0.0.1:25", sender="pulsed@lab", to=(to,))


def test_the_tables_of_the_page_are_right():
    blocks = re.findall(r"```text\n(\[.*?)```", PAGE.read_text(), re.S)
    found = [tomllib.loads(text) for text in blocks]
    assert [Metrics(**table["metrics"]) for table in found if "metrics" in table]
    assert [Alerts(**table["alerts"]) for table in found if "alerts" in table]


def test_wrong_keys_are_named_with_the_legal_ones():
    data = tomllib.loads((CONFIGS / "sim5.toml").read_text())
    wrong = {**data, "alerts": {"instrument_gone": 3, "mail": {"servr": "x"}}, "metrics": {"listen": "0.0.0.0:1"}}
    problems = {problem.subject: problem for problem in read_tables(wrong).problems}
    assert "instrument_lost" in problems["alerts.instrument_gone"].legal
    assert "metrics.listen" in problems
    assert any(subject.startswith("alerts.mail.") for subject in problems)


def test_nobody_is_sent_what_concerns_the_daemon_alone():
    device = load_device(CONFIGS / "sim5.toml").model_copy(
        update={"alerts": Alerts(webhooks=("https://a.example/SECRET",))}
    )
    assert "SECRET" in device.model_dump_json()
    assert "SECRET" not in device.model_dump_json(exclude=NOT_TOLD)
