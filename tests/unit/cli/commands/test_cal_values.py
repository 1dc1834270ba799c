"""Values by hand: only while the set that somebody saw is the active one."""

from pathlib import Path
from types import SimpleNamespace

import pytest

import pulsed.configs
from pulsed.cli.main import invoke
from pulsed.model.calibration import design_sheet
from pulsed.model.device import load_device

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")


class Daemon:
    """Has one set."""

    def __init__(self, *key):
        self.greeting = SimpleNamespace(user="me")

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        pass

    def device(self):
        return DEVICE

    def calibration(self):
        return design_sheet(DEVICE)


@pytest.mark.parametrize(
    "words", [("set", "Q0.f01", "4.9GHz", "--why", "so"), ("disable", "Q0", "--why", "so"), ("enable", "Q0")]
)
def test_nothing_is_changed_when_somebody_else_was_first(monkeypatch, capsys, words):
    committed = []
    daemon = Daemon()
    monkeypatch.setattr("pulsed.cli.commands.cal_values.Client", lambda *key: daemon)
    monkeypatch.setattr(
        "pulsed.cli.commands.cal_values.commit_set",
        lambda client, current, wanted, *rest, **more: committed.append(wanted),
    )
    assert invoke(["cal", *words, "--expected", "older"]) != 0
    said = capsys.readouterr().err
    assert "not the active set any more" in said
    assert design_sheet(DEVICE).calibration_id in said
    assert committed == []
    code = invoke(["cal", *words, "--expected", design_sheet(DEVICE).calibration_id])
    if words[0] == "enable":
        assert "not marked as faulty" in capsys.readouterr().err, "it was looked at"
    else:
        assert (code, len(committed)) == (0, 1)
