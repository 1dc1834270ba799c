"""The simulated rack: the virtual instruments of a device description, in a process of its own.

``python -m pulsed.simulator.rack --device configs/sim5.toml`` prints one line of JSON when all of them answer, and
ends on SIGINT, SIGTERM, or with ``--exit-with-stdin`` at the end of its standard input. Of the device description it
reads how the fridge is cabled: the ports are named as the lines of the chip.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pulsed.compute.numba_start import begin_without_linear_algebra
from pulsed.model.device import DeviceDescription, InstrumentDescription, PortDescription, load_device
from pulsed.model.errors import ConfigError, PulsedError
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.instruments.awg8 import VirtualAwg
from pulsed.simulator.instruments.conductor import Conductor
from pulsed.simulator.instruments.control import Control
from pulsed.simulator.instruments.dig2 import VirtualDigitizer
from pulsed.simulator.instruments.gs200 import VirtualGs200
from pulsed.simulator.instruments.monitors import build_monitors, monitor_addresses
from pulsed.simulator.instruments.n9030b import VirtualN9030b
from pulsed.simulator.instruments.parts import RATE, Acquiring, Carrier, Playing
from pulsed.simulator.instruments.run import OutputCable
from pulsed.simulator.instruments.server import InstrumentServer, ServesInstrument
from pulsed.simulator.instruments.sgs100a import VirtualSgs100a
from pulsed.simulator.instruments.spectrum import Tap
from pulsed.simulator.instruments.virtual_instrument import (
    ListPlayer,
    TriggerBus,
    VirtualIdentity,
    VirtualInstrument,
)

Factory = Callable[[VirtualIdentity, TriggerBus, InstrumentDescription], VirtualInstrument]


def _cluster(identity: VirtualIdentity, bus: TriggerBus, described: InstrumentDescription) -> VirtualInstrument:
    try:
        from pulsed.simulator.instruments.qblox.cluster import VirtualCluster, models_of
    except ImportError as error:
        raise ConfigError(
            f"a Cluster is emulated with its maker's assembler: {error}", subject="qblox-instruments",
            value="not installed", legal="pip install 'pulsed[qblox]'",
        ) from error  # fmt: skip
    return VirtualCluster(identity, bus, models_of(described.options))


MODELS: dict[str, tuple[str, str, Factory]] = {
    "awg": ("pulsed", "AWG8", lambda identity, bus, _: VirtualAwg(identity, bus)),
    "digitizer": ("pulsed", "DIG2", lambda identity, bus, _: VirtualDigitizer(identity, bus)),
    "sgs100a": ("Rohde&Schwarz", "SGS100A", lambda identity, _bus, _: VirtualSgs100a(identity)),
    "n9030b": ("Keysight Technologies", "N9030B", lambda identity, _bus, _: VirtualN9030b(identity)),
    "gs200": ("YOKOGAWA", "GS210", lambda identity, _bus, _: VirtualGs200(identity)),
    "qblox": ("Qblox", "Cluster MM", _cluster),
}
"""Vendor, model and virtual instrument for each driver."""
_ADDRESS = re.compile(r"TCPIP\d*::([^:]+)::(?:(\d+)::SOCKET|hislip0,(\d+)::INSTR)")
_CLUSTER, _CLUSTER_PORT = "qblox", 5025
_SWITCH_INTERVAL = 5e-4
"""Seconds after which the chip's thread lets the instruments answer."""


def build_instruments(device: DeviceDescription, bus: TriggerBus) -> dict[str, VirtualInstrument]:
    """Return a virtual instrument for each one of the description."""
    instruments = {}
    for number, (name, described) in enumerate(device.instruments.items(), 1):
        if described.driver not in MODELS:
            legal = ", ".join(sorted(MODELS))
            subject = f"instruments.{name}.driver"
            raise ConfigError(
                "no virtual instrument for this driver", subject=subject, value=described.driver, legal=legal
            )
        vendor, model, factory = MODELS[described.driver]
        given = described.identity
        identity = VirtualIdentity(given.vendor or vendor, given.model or model, given.serial or f"{number:06d}")
        instruments[name] = factory(identity, bus, described)
    return instruments


def _driven_by(driver: str) -> str:
    """Return which instruments are legal."""
    return f"an instrument with the driver {driver}"


def _carrier(device: DeviceDescription, name: str, instruments: dict[str, VirtualInstrument]) -> Carrier | None:
    """Return the LO of a port: an instrument, or the one inside of the port's own; None for a flux line."""
    port = device.ports[name]
    if port.lo is None:
        return None
    source, instrument = instruments[device.oscillators[port.lo].instrument], instruments[port.instrument]
    inner = None
    if source is instrument and port.direction == "output" and isinstance(instrument, Playing):
        inner = instrument.carrier(port.pair)
    elif source is instrument and isinstance(instrument, Acquiring):
        inner = instrument.input_carrier(port.pair)
    if inner is None and not isinstance(source, VirtualSgs100a):
        raise ConfigError(
            "this instrument is no local oscillator", subject=f"ports.{name}.lo", value=port.lo,
            legal=_driven_by("sgs100a"),
        )  # fmt: skip
    return inner if inner is not None else source  # type: ignore[return-value]


def _check_port(subject: str, port: PortDescription, instrument: VirtualInstrument) -> None:
    if port.clock != RATE:
        raise ConfigError(
            "this instrument has one clock", subject=f"{subject}.clock", value=str(port.clock), legal="1 GHz"
        )
    if port.direction == "output" and isinstance(instrument, Playing):
        numbers = instrument.pair_numbers
    elif port.direction == "input" and isinstance(instrument, Acquiring):
        numbers = instrument.input_numbers
    else:
        message = f"this instrument has no {port.direction}"
        legal = _driven_by("awg" if port.direction == "output" else "digitizer")
        raise ConfigError(message, subject=f"{subject}.instrument", value=port.instrument, legal=legal)
    if port.pair not in numbers:
        legal = f"1 to {len(numbers)}" if numbers == tuple(range(1, len(numbers) + 1)) else ", ".join(map(str, numbers))
        raise ConfigError("no such pair", subject=f"{subject}.pair", value=port.pair, legal=legal)


def _check_flux(name: str, port: PortDescription, chip: Chip, instruments: dict[str, VirtualInstrument]) -> None:
    """Refuse a baseband port whose line reaches no coupler, or whose direct current comes from something else."""
    if chip.wire(name).flux is None:
        legal = ", ".join(wire.name for wire in chip.wires if wire.flux is not None) or "a chip with flux lines"
        raise ConfigError("the chip has no flux line of this name", subject=f"ports.{name}", value=name, legal=legal)
    if port.bias is not None and not isinstance(instruments[port.bias.instrument], VirtualGs200):
        subject = f"ports.{name}.bias.instrument"
        raise ConfigError(
            "this instrument is no bias source", subject=subject, value=port.bias.instrument, legal=_driven_by("gs200")
        )


def _connect_inputs(
    device: DeviceDescription, chip: Chip, inputs: list[str], instruments: dict[str, VirtualInstrument]
) -> dict[ListPlayer, int]:
    """Return which section of the chip each digitizer hears: that of the readout line of the qubits on its input."""
    lines, found = [line for line, _ in chip.sections], dict[ListPlayer, int]()
    if len(inputs) != len(lines):
        raise ConfigError(
            "each readout line of the chip has one output line", subject="ports", value=", ".join(inputs),
            legal="one input" if len(lines) == 1 else f"{len(lines)} inputs",
        )  # fmt: skip
    for name in inputs:
        port, instrument = device.ports[name], instruments[device.ports[name].instrument]
        used = sorted({qubit.readout for qubit in device.qubits if qubit.acquire == name})
        if len(used) != 1 or used[0] not in lines:
            raise ConfigError(
                "an input hears one readout line", subject=f"ports.{name}", value=", ".join(used) or "none",
                legal=f"qubits on one of {', '.join(lines)}",
            )  # fmt: skip
        for q, qubit in enumerate(device.qubits):
            if qubit.acquire == name and q not in chip.sections[lines.index(used[0])].qubits:
                line = chip.qubits[q].feedline
                raise ConfigError(
                    "the resonator is on another line", subject=f"qubits.{q}.readout", value=used[0], legal=line
                )
        if device.ports[used[0]].lo != port.lo:
            raise ConfigError(
                "readout is mixed up and down with one LO", subject=f"ports.{name}.lo",
                value=f"{device.ports[used[0]].lo}, {port.lo}",
                legal="the same LO for the readout line and the input",
            )  # fmt: skip
        if not isinstance(instrument, ListPlayer) or instrument in found:
            raise ConfigError(
                "a digitizer here hears one readout line", subject=f"ports.{name}.instrument", value=port.instrument,
                legal="an instrument of its own",
            )  # fmt: skip
        found[instrument] = lines.index(used[0])
    return found


def connect_cables(
    device: DeviceDescription, chip: Chip, instruments: dict[str, VirtualInstrument], conductor: Conductor
) -> None:
    """Connect the instruments to the chip and to each other's triggers. ConfigError for an impossible cable."""
    outputs, inputs = [], []
    for name, port in device.ports.items():
        instrument = instruments[port.instrument]
        lo = _carrier(device, name, instruments)
        _check_port(f"ports.{name}", port, instrument)
        if port.direction == "input" or not isinstance(instrument, Playing):
            inputs.append(name)
        elif lo is not None:
            chip.wire(name)
            outputs.append(OutputCable(name, instrument, port.pair, lo))
        else:
            _check_flux(name, port, chip, instruments)
            bias = port.bias and instruments[port.bias.instrument]
            outputs.append(
                OutputCable(name, instrument, port.pair, None, bias if isinstance(bias, VirtualGs200) else None)
            )
    conductor.outputs = tuple(outputs)
    conductor.sections = _connect_inputs(device, chip, inputs, instruments)
    taps = {
        output.line: Tap(output, output.lo, chip.wire(output.line), device.ports[output.line].full_scale)
        for output in outputs
        if output.lo is not None
    }
    for instrument in instruments.values():
        if isinstance(instrument, VirtualN9030b):
            instrument.taps, instrument.last_run = taps, lambda: conductor.last
            instrument.seed(conductor.physics.seed)
    for name, described in device.instruments.items():
        leader, follower = instruments.get(described.trigger or ""), instruments[name]
        if isinstance(leader, ListPlayer) and isinstance(follower, ListPlayer):
            conductor.followers[leader] = (*conductor.followers.get(leader, ()), follower)


def wire_up(device: DeviceDescription, chip: Chip, seed: int = 0) -> tuple[Conductor, dict[str, VirtualInstrument]]:
    """Return the conductor and the instruments, wired to the chip; nothing listens yet. Raises ConfigError."""
    conductor = Conductor(Engine(chip, seed), lambda *_: None)
    instruments = build_instruments(device, conductor)
    connect_cables(device, chip, instruments, conductor)
    return conductor, instruments


def _endpoint(key: str, address: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ConfigError(
            "not an address of the rack", subject=f"{key}.address", value=address,
            legal="TCPIP::HOST::PORT::SOCKET, TCPIP::HOST::hislip0,PORT::INSTR",
        )  # fmt: skip
    return match.group(1), int(match.group(2) or match.group(3))


def choose_ports(device: DeviceDescription, ports: str) -> dict[str, tuple[str, int]]:
    """Return host and port of each instrument for the option ``--ports``; port 0 is any free one.

    Those of the rack come first, then those that only interlocks read.
    """
    monitors = monitor_addresses(device)
    names = [*device.instruments, *monitors]
    if ports == "fixed":
        found = {name: _endpoint(f"instruments.{name}", one.address) for name, one in device.instruments.items()}
        return found | {key: _endpoint(key, address) for key, address in monitors.items()}
    if ports == "ephemeral":
        return {name: _free_endpoint(_driver(device, name)) for name in names}
    numbers = ports.split(",")
    good = all(number.isascii() and number.isdigit() and int(number) < 1 << 16 for number in numbers)
    if not good or len(numbers) != len(names):
        legal = f"fixed, ephemeral, or {len(names)} port numbers with commas between"
        raise ConfigError("not a choice of ports", subject="--ports", value=ports, legal=legal)
    return {name: endpoint(_driver(device, name), int(number)) for name, number in zip(names, numbers, strict=True)}


def _driver(device: DeviceDescription, name: str) -> str:
    """Return the driver of an instrument of the rack; of what only interlocks read, none."""
    return device.instruments[name].driver if name in device.instruments else ""


def endpoint(driver: str, port: int) -> tuple[str, int]:
    """Return host and port of an instrument with this ``driver`` that has ``port`` of this machine to itself.

    The maker's driver finds the modules of a Cluster at ports of its own choice: it has a loopback address to itself.
    """
    if driver == _CLUSTER:
        return f"127.77.{port >> 8}.{port & 255}", _CLUSTER_PORT
    return "127.0.0.1", port


def _free_endpoint(driver: str) -> tuple[str, int]:
    if driver != _CLUSTER:
        return "127.0.0.1", 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return endpoint(driver, free.getsockname()[1])


@dataclass(frozen=True)
class RackOptions:
    """What the command line says."""

    device: Path
    chip: Path | None = None
    seed: int = 0
    ports: str = "fixed"
    real_time: bool = False
    exit_with_stdin: bool = False


def _load(settings: RackOptions) -> tuple[DeviceDescription, Chip]:
    device = load_device(settings.device)
    if settings.chip is None and device.simulator is None:
        subject, legal = f"simulator of {settings.device}", "a key simulator that names a chip file, or --chip"
        raise ConfigError("names no chip to simulate", subject=subject, value="absent", legal=legal)
    return device, load_chip(settings.chip or settings.device.parent / str(device.simulator))


def _stop_with_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set ``stop`` at the end of standard input; a thread, because not every kind of input can be selected on."""

    def read() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=read, name="stdin", daemon=True).start()


def _server(name: str, instrument: VirtualInstrument) -> ServesInstrument:
    if not hasattr(instrument, "exchange"):
        return InstrumentServer(name, instrument)
    from pulsed.simulator.instruments.qblox.server import ClusterServer

    return ClusterServer(name, instrument)  # type: ignore[arg-type]  # the only one that speaks so


async def serve(settings: RackOptions) -> None:
    """Serve the rack until a signal, or the end of standard input, stops it."""
    device, chip = _load(settings)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    # A daemon's companion leaves Ctrl-C, which reaches the whole group, to the daemon: outputs are switched off first.
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    for number in (signal.SIGTERM,) if ignored else (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    engine = Engine(chip, settings.seed)
    conductor = Conductor(engine, loop.call_soon_threadsafe, settings.real_time)
    instruments = build_instruments(device, conductor)
    connect_cables(device, chip, instruments, conductor)
    instruments |= build_monitors(device)
    servers = {name: _server(name, instrument) for name, instrument in instruments.items()}
    control = Control(conductor, servers)
    endpoints = choose_ports(device, settings.ports)
    try:
        addresses = {}
        for name, server in servers.items():
            host, wanted = endpoints[name]
            addresses[name] = f"TCPIP::{host}::{await server.open(host, wanted)}::SOCKET"
        control_port = await control.open("127.0.0.1")
        # Ready means that no shot waits for a compiler.
        await asyncio.wrap_future(conductor.submit(engine.warm_up))
        print(json.dumps({"addresses": addresses, "control": f"127.0.0.1:{control_port}"}), flush=True)
        if settings.exit_with_stdin:
            _stop_with_stdin(loop, stop)
        await stop.wait()
    finally:
        await control.close()
        for server in servers.values():
            await server.close()
        conductor.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the rack; return the exit code of the process."""
    parser = argparse.ArgumentParser("pulsed.simulator.rack", description="Serve the simulated rack.")
    parser.add_argument("--device", type=Path, required=True, help="device description (TOML)")
    parser.add_argument("--chip", type=Path, help="chip file; else the one that the device description names")
    parser.add_argument("--seed", type=int, default=0, help="of all random streams")
    parser.add_argument("--ports", default="fixed", help="fixed (of the description), ephemeral, or p1,p2,...")
    parser.add_argument("--real-time", action="store_true", help="a shot takes as long as it takes")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input does")
    sys.setswitchinterval(_SWITCH_INTERVAL)
    begin_without_linear_algebra()
    try:
        asyncio.run(serve(RackOptions(**vars(parser.parse_args(argv)))))
    except PulsedError as error:
        print(f"rack: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a plain exit would wait for the thread that simulates the chip
