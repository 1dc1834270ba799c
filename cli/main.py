"""The command `pulsed`. Each command is imported when it is used: `pulsed --help` loads click and nothing else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

import pulsed
from pulsed.cli.lazy import LazyGroup
from pulsed.cli.screens.text import note, say

if TYPE_CHECKING:
    from pulsed.model.errors import PulsedError

_INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells have it."""

COMMANDS = {
    "demo": ("demo:demo", "Measure a Bell state on the simulated rack, step by step."),
    "serve": ("serve:serve", "Run the daemon until Ctrl-C or SIGTERM."),
    "status": ("status:status", "Show the daemon, its instruments and its queue."),
    "events": (
        "events:events",
        "Show what the daemon tells as it happens: jobs, sessions, instruments, calibration sets, alerts.",
    ),
    "web": ("web:web", "Serve the operators' page: rack and queue, live, in a browser."),
    "doctor": ("doctor:doctor", "Find what is wrong with a daemon, running or not, and say what to do."),
    "self-test": (
        "self_test:self_test",
        "Play a tone on every port and record it: which is alive, which is dead, which nothing hears.",
    ),
    "run": ("run:run", "Run the circuits of an OpenQASM or QPY file and show the counts."),
    "scan": ("scan:scan", "Sweep one or two parameters by hand, and watch."),
    "pulses": (
        "pulses:pulses",
        "Show what a job or a file of circuits plays: a row per port, or per channel, that one can zoom.",
    ),
    "jobs": ("jobs:jobs", "List jobs, newest first, and say how many more there are."),
    "job": ("jobs:job", "Show one job: its state, its times, its error."),
    "cancel": ("jobs:cancel", "Cancel a job that has not ended; JOB is its id, or the beginning of it."),
    "sessions": (
        "sessions:sessions",
        "List the sessions and batches that have not ended.",
    ),
    "session": (
        "sessions:session",
        "Show, book or end one session or batch; SESSION is its id, or the beginning of it.",
    ),
    "instrument": (
        "instrument:instrument",
        "Read and set instruments, play a tone, look at what an input records.",
    ),
    "note": (
        "note:note",
        "Write something down about a qubit (Q0), a pair (Q0-Q1), a run or a calibration set (their ids).",
    ),
    "notes": ("note:notes", "List what was written down about a qubit, a pair, a run or a set, or about all of them."),
    "alerts": ("alerts:alerts", "Show what needs a person and who is told, or send a test message."),
    "queue": ("queue:queue", "Show the queue in order: who is next and why; pause, drain or lock it."),
    "users": ("users:users", "Show what each user has queued, and used of the rack today against their quota."),
    "interlock": ("interlock:interlock", "Show the interlocks, and arm one again that has tripped."),
    "stop": ("serve:stop", "Stop the daemon: outputs off, workers ended."),
    "rack": ("rack:rack", "Run the simulated rack alone, for use with other programs."),
    "import": (
        "imports:import_files",
        "Write a rack and a calibration set from the FILES of another stack; a folder stands for the files in it.",
    ),
    "config": ("config:config", "Check rack configurations."),
    "cal": ("cal:cal", "Show, measure and change calibration sets."),
    "audit": (
        "audit:audit",
        "Show or check the audit log of this machine's daemon: who did what, from where, when, and with what outcome.",
    ),
    "logs": ("logs:logs", "Show the log of this machine's daemon and of its workers."),
    "keys": ("keys:keys", "Manage the keys of this machine's daemon: who may connect, and with which role."),
}
"""By name, in the order of the help: where the command is, and the first sentence of its help."""


@click.group(
    cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(pulsed.__version__, prog_name="pulsed")
def cli() -> None:
    """The daemon that owns the control electronics of a superconducting-qubit lab, and its terminal."""


def _root_of_errors() -> type[PulsedError]:
    from pulsed.model.errors import PulsedError

    return PulsedError


def _run(arguments: list[str]) -> int:
    """Run one command line. Raises :class:`MissingPackageError` for one that needs what is not installed."""
    try:
        return int(cli.main(args=arguments, prog_name="pulsed", standalone_mode=False) or 0)
    except ModuleNotFoundError as error:
        from pulsed.cli.lab_part import missing_part

        missing = missing_part(error)
        if missing is None:
            raise
        raise missing from error


def invoke(arguments: list[str]) -> int:
    """Run one command line and return its exit code: 0, 1 for an error, 2 for wrong usage, 130 after Ctrl-C."""
    try:
        return _run(arguments)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        note("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        say(f"error: {error.filename}: {error.strerror}", error=True)
        return 1
    except _root_of_errors() as error:  # evaluated only when something was raised
        say(f"error: {error}", error=True)
        return 1


def main() -> None:
    """Entry point of the console script."""
    sys.exit(invoke(sys.argv[1:]))
