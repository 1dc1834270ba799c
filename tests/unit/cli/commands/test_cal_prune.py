"""`pulsed cal prune` deletes no file that is not one of its own."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from pulsed.cli.commands.cal_prune import within
from pulsed.cli.main import cli


def test_only_data_in_the_folder_and_their_figures(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "deep").mkdir(parents=True)
    for name in ("a.nc", "a.png", "deep/b.nc", "notes.txt"):
        (runs / name).touch()
    (tmp_path / "outside.nc").touch()
    (runs / "link.nc").symlink_to(tmp_path / "outside.nc")
    named = [str(runs / name) for name in ("a.nc", "deep/b.nc", "gone.nc", "notes.txt", "../outside.nc", "link.nc")]
    assert within(runs, [*named, "/etc/passwd", str(tmp_path / "outside.nc"), "a.nc"]) == [
        runs / "a.nc", runs / "a.png", runs / "deep" / "b.nc",
    ]  # fmt: skip


def test_how_old_has_to_be_a_time() -> None:
    for days in ("0", "-3", "x"):
        assert CliRunner().invoke(cli, ["cal", "prune", "--older", days]).exit_code == 2
