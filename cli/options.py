"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a screen.")
why_option = click.option("--why", metavar="TEXT", required=True, help="Kept in the log.")
expected_option = click.option("--expected", metavar="ID", help="Only while this is the active set.")
live_option = click.option("--live", is_flag=True, help="Let others see how it grows: at the page, in `pulsed events`.")
yes_option = click.option("--yes", is_flag=True, help="Run it even if it takes longer than limits.rack_time.")
config_option = click.option(
    "--config", metavar="FILE|NAME", default="sim5", show_default=True, help="Rack: a TOML file or a shipped name."
)
home_option = click.option(
    "--home", metavar="DIR", help="Where keys, jobs and results are. Default: $PULSED_HOME, else per user."
)
data_option = click.option(
    "--data", metavar="DIR", help="Where the data of runs are. Default: `runs` in $PULSED_HOME, else per user."
)


def daemon_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which daemon to speak to."""
    url = click.option("--url", metavar="URL", help="Daemon, e.g. tcp://lab:5810. Default: this machine's.")
    key = click.option("--key", metavar="FILE|NAME", help="Key to connect with. Default: this machine's own.")
    return url(key(command))
