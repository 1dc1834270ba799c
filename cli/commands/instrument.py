"""`pulsed instrument`: what one does at the front panel of an instrument, done through the daemon that has it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from pulsed.cli.measuring import stoppable
from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.instrument import readings_screen, record_screen
from pulsed.cli.screens.terminal import Terminal, loading, show_answer
from pulsed.cli.screens.text import say, say_json
from pulsed.client import Client
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.model.instrument_roles import settings_of
from pulsed.model.units import parse_quantity

_UNITS = {"frequency": "Hz", "level": "A"}


@click.group()
def instrument() -> None:
    """Read and set instruments, play a tone, look at what an input records.

    All goes through the daemon and its limits, while no job plays: for operators, and for whoever's session holds the
    rack.
    """


@instrument.command()
@click.argument("name", metavar="INSTRUMENT")
@click.argument("parameter", required=False)
@daemon_options
@as_json_option
def get(name: str, parameter: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Read what an instrument was set to, or one PARAMETER of its QCoDeS driver."""
    with Client(url, key) as client:
        found = client.use_instrument(_called(name, client.device().instruments, "instrument"), reading=parameter or "")
    show_answer(found, readings_screen(found), as_json=as_json)


@instrument.command("set")
@click.argument("name", metavar="INSTRUMENT")
@click.argument("settings", metavar="SETTING=VALUE...", nargs=-1, required=True)
@daemon_options
@as_json_option
def set_(name: str, settings: tuple[str, ...], url: str | None, key: str | None, as_json: bool) -> None:
    """Set an oscillator (frequency=5.1GHz power=-10) or a bias source (level=0.2mA), and read it.

    What is not given is as the configuration has it. It holds until the next job, which sets what it needs.
    """
    with Client(url, key) as client:
        device = client.device()
        full = _called(name, device.instruments, "instrument")
        found = client.use_instrument(full, _read_settings(device, full, settings))
    show_answer(found, readings_screen(found), as_json=as_json)


@instrument.command()
@click.argument("port")
@click.option("--frequency", metavar="F", help="Such as 5.1GHz. Default: that of the port's first qubit.")
@click.option("--amplitude", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Of full scale.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="How long.")
@daemon_options
@as_json_option
def tone(
    port: str, frequency: str | None, amplitude: float, seconds: float, url: str | None, key: str | None, as_json: bool
) -> None:
    """Play a tone on a port for a while, as a job like others; Ctrl-C ends it.

    It is made of pulses with short gaps between them, and within the limits of the port.
    """
    with loading("loading ..."):
        from pulsed.calibration.executor import Executor
        from pulsed.calibration.front_panel import play_tone
    hertz = None if frequency is None else float(parse_quantity(frequency, "Hz"))
    with stoppable(), Client(url, key) as client:
        executor = Executor(client)
        played = play_tone(executor, _called(port, executor.device.ports, "port"), hertz, amplitude, seconds)
    if as_json:
        say_json(played)
    else:
        at = "" if played.frequency is None else f" at {played.frequency / 1e9:.6f} GHz"
        say(f"played {played.seconds:.3g} s on {played.port}{at}, amplitude {played.amplitude:g}: it is silent again")


@instrument.command()
@click.argument("port")
@click.option("--length", metavar="T", default="2us", show_default=True, help="Of the record.")
@click.option("--shots", type=click.IntRange(1), default=100, show_default=True, help="That are averaged.")
@click.option("--amplitude", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Of a readout tone that is played meanwhile, of full scale; 0: none.")  # fmt: skip
@click.option("--out", metavar="FILE", help="Draw it into a PNG, too.")
@daemon_options
@as_json_option
def scope(
    port: str, length: str, shots: int, amplitude: float, out: str | None, url: str | None, key: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show what an input port records, averaged over shots, as a job like others."""
    with loading("loading ..."):
        from pulsed.calibration.executor import Executor
        from pulsed.calibration.front_panel import draw_record, record_port
    seconds = float(parse_quantity(length, "s"))
    with stoppable(), Client(url, key) as client:
        executor = Executor(client)
        record = record_port(executor, _called(port, executor.device.ports, "port"), seconds, shots, amplitude)
    if out is not None:
        draw_record(record, Path(out))
    if as_json:
        say_json({"port": record.port, "step": record.step, "i": record.values.real.tolist(),
                  "q": record.values.imag.tolist(), "overrange": record.overrange, "shots": record.shots})  # fmt: skip
        return
    terminal = Terminal()
    terminal.print(record_screen(record.port, record.values, record.step, record.shots, terminal.width))
    if record.overrange:
        say("the input was beyond full scale: less gain, or a weaker tone", error=True)
    if out is not None:
        say(f"wrote {out}")


def _called(start: str, names: Iterable[str], what: str) -> str:
    """Return the one of ``names`` that is, or begins like, ``start``. Raises :class:`InvalidValueError`."""
    known = list(names)
    found = [start] if start in known else [name for name in known if name.startswith(start)]
    if len(found) == 1:
        return found[0]
    message = f"more than one {what} begins like this" if found else f"no such {what}"
    raise InvalidValueError(message, subject=what, value=start, legal=", ".join(found or known))


def _read_settings(device: DeviceDescription, instrument: str, given: tuple[str, ...]) -> dict[str, float]:
    legal = settings_of(device, instrument)
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if name not in legal or not equals:
            raise InvalidValueError(
                "cannot be set", subject=f"instrument {instrument}", value=text,
                legal=", ".join(f"{name}=VALUE" for name in legal) or "nothing of this instrument",
            )  # fmt: skip
        try:
            unit = _UNITS.get(name)
            number = value.strip().removesuffix("dBm")
            found[legal[name]] = float(number) if unit is None else float(parse_quantity(value, unit))
        except ValueError as error:
            raise InvalidValueError(
                "not a value", subject=f"{instrument} {name}", value=value,
                legal={"frequency": "such as 5.1GHz", "level": "such as 0.2mA"}.get(name, "dBm, such as -10"),
            ) from error  # fmt: skip
    return found
