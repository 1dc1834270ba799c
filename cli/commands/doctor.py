"""`pulsed doctor`."""

from __future__ import annotations

import click

from pulsed.cli.options import as_json_option, config_option, daemon_options, home_option


@click.command()
@config_option
@home_option
@daemon_options
@as_json_option
@click.pass_context
def doctor(
    context: click.Context, config: str, home: str | None, url: str | None, key: str | None, as_json: bool
) -> None:
    """Find what is wrong with a daemon, running or not, and say what to do.

    It looks at configuration, home, keys, store, disk, clock and versions, and asks the daemon or, when none runs,
    whether one could. It changes nothing, and speaks to no instrument that a daemon has. The exit code is 1 when there
    is a problem. With --url it asks a daemon elsewhere, and leaves this machine alone.
    """
    from pulsed.cli.lab_part import require_lab_part

    require_lab_part()
    from pulsed.cli.screens.doctor import Verdict, doctor_screen
    from pulsed.cli.screens.terminal import loading, show_answer
    from pulsed.client.home import home_directory

    with loading("looking ..."):
        from pulsed.cli.doctor.examination import examine

        found = list(examine(config, home_directory(home), url, key))
    show_answer(found, doctor_screen(found), as_json=as_json)
    context.exit(int(any(one.verdict is Verdict.PROBLEM for one in found)))
