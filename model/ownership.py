"""Who owns what in a rack: each physical setting has one owner, and each player one trigger path to one leader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pulsed.model.draft import asked, meant, named
from pulsed.model.errors import ConfigError
from pulsed.model.instrument_roles import AWG, DIGITIZER, LOCAL_OSCILLATOR, ROLES, InstrumentRole, players
from pulsed.model.references import Problems

_BOARD = re.compile(r"^tcpip\d*::")
_HISLIP = re.compile(r"::hislip0(?:,4880)?(?:::instr)?$")


def ownership(device: Any) -> Iterator[Problems]:
    """Yield the rules about owners and triggers."""
    yield _addresses(device)
    yield _roles(device)
    yield _sources(device)
    yield _pairs(device)
    for name, port in named(device, "ports").items():
        yield _baseband(device, name, port)
        yield _level(name, port)
        yield _safety(name, port)
    for name, oscillator in named(device, "oscillators").items():
        yield _max_power(name, oscillator)
    for name in named(device, "instruments"):
        yield _own_trigger(device, name)
        yield _path(device, name)
    yield _leader(device)


def _addresses(device: Any) -> Problems:
    """Two instruments at one address are one box, and each would be told what is meant for the other."""
    seen: dict[str, str] = {}
    for name, instrument in named(device, "instruments").items():
        address = asked(instrument, "address")
        if address is None:
            continue
        plain = _HISLIP.sub("::hislip0", _BOARD.sub("tcpip::", address.casefold()))
        other = seen.setdefault(plain, name)
        if other != name:
            message = f"this is the address of instruments.{other} already"
            yield ConfigError(message, subject=f"instruments.{name}.address", value=address, legal="one of its own")


def _roles(device: Any) -> Problems:
    """An instrument is one thing, what most of its owners use it as, or a box with outputs, inputs and their LOs.

    Whether a driver is one of such a box is asked in :mod:`pulsed.drivers.rack.validation`.
    """
    uses: dict[str, dict[InstrumentRole, list[tuple[str, str]]]] = {}
    for role in ROLES:
        for use in role.uses(device):
            uses.setdefault(use.instrument, {}).setdefault(role, []).append((use.key, use.owner))
    for instrument, found in uses.items():
        main = max(found, key=lambda role: len(found[role]))
        if found.keys() <= {AWG, DIGITIZER, LOCAL_OSCILLATOR} and found.keys() != {LOCAL_OSCILLATOR}:
            yield from _inner(device, instrument, [owner for _, owner in found.get(LOCAL_OSCILLATOR, [])])
            continue
        for role, owners in found.items():
            for key, _ in owners if role != main else ():
                word = " by its direction" if role in (AWG, DIGITIZER) else ""
                message = (
                    f"the instrument belongs to {found[main][0][1]} already, as {main.name}, and here{word} it is "
                    f"{role.name}"
                )
                yield ConfigError(
                    message, subject=key, value=instrument, legal=f"an instrument that is {role.name} alone"
                )


def _inner(device: Any, box: str, oscillators: list[str]) -> Problems:
    """An LO inside of a box is one for the box's own ports alone: it has no way out."""
    for owner in oscillators:
        ports = named(device, "ports")
        if any(asked(port, "lo", "?") == "?" for port in ports.values()):
            return
        users = {name: port for name, port in ports.items() if owner == f"oscillators.{port.lo}"}
        outside = [name for name, port in users.items() if asked(port, "instrument", box) != box]
        if outside or not users:
            message = "the LO inside of a box mixes its own ports"
            message += f", and ports.{outside[0]} is another's" if outside else ", and none of them names it"
            yield ConfigError(
                message, subject=f"{owner}.instrument", value=box, legal="a source, or the instrument of its ports"
            )


def _sources(device: Any) -> Problems:
    """A source makes one frequency, and one current: the last of two would win."""
    boxes = players(device)
    for role in ROLES:
        first: dict[str, str] = {}
        for use in role.uses(device) if role.makes else ():
            if role == LOCAL_OSCILLATOR and use.instrument in boxes:
                continue  # one for each of its ports
            other = first.setdefault(use.instrument, use.owner)
            if other != use.owner:
                message = f"the instrument belongs to {other} already, and makes {role.makes}"
                legal = role.legal.format(owner=other.partition(".")[2])
                yield ConfigError(message, subject=use.key, value=use.instrument, legal=legal)


def _pairs(device: Any) -> Problems:
    seen: dict[tuple[Any, Any, Any], str] = {}
    for name, port in named(device, "ports").items():
        own = asked(port, "instrument"), asked(port, "pair"), asked(port, "direction")
        if None not in own and seen.setdefault(own, name) != name:
            message = f"the pair belongs to port {seen[own]} already"
            yield ConfigError(message, subject=f"ports.{name}.pair", value=port.pair)


def _baseband(device: Any, name: str, port: Any) -> Problems:
    if port.lo is None and port.direction == "input":
        legal = ", ".join(sorted(named(device, "oscillators"))) or "none defined"
        yield ConfigError("an input is mixed down with an LO", subject=f"ports.{name}.lo", value="none", legal=legal)
    if port.bias is not None and port.lo is not None:
        yield ConfigError("only a baseband port has a bias", subject=f"ports.{name}.lo", value=port.lo)


def _level(name: str, port: Any) -> Problems:
    if port.bias is not None and abs(port.bias.level) > port.bias.range:
        legal = f"within {port.bias.range:g} A"
        yield ConfigError("beyond its range", subject=f"ports.{name}.bias.level", value=port.bias.level, legal=legal)


def _safety(name: str, port: Any) -> Problems:
    """An input puts nothing out, so a limit there would guard nothing."""
    if port.safety is not None and port.direction == "input":
        yield ConfigError("an input puts nothing out", subject=f"ports.{name}.safety", value="input", legal="an output")


def _max_power(name: str, oscillator: Any) -> Problems:
    if oscillator.max_power is not None and oscillator.power > oscillator.max_power:
        yield ConfigError(
            "more than its own max_power", subject=f"oscillators.{name}.power", value=f"{oscillator.power:g} dBm",
            legal=f"up to {oscillator.max_power:g} dBm",
        )  # fmt: skip


# --- triggers --------------------------------------------------------------------------------------------------------


def _players(device: Any) -> dict[str, InstrumentRole]:
    """Return what plays or records, by name: an AWG, also a box with inputs beside its outputs, or a digitizer.

    Raises when that cannot be read of a port.
    """
    by_direction = {"output": AWG, "input": DIGITIZER}
    found: dict[str, InstrumentRole] = {}
    for port in named(device, "ports").values():
        role = by_direction[port.direction]
        found[port.instrument] = AWG if found.get(port.instrument) == AWG else role
    return found


def _loops(instruments: dict[str, Any], name: str) -> bool:
    passed, at = set(), instruments[name].trigger
    while at is not None and at not in passed:
        passed.add(at)
        at = meant(instruments, at).trigger
    return name in passed


def _leading(device: Any) -> str:
    """Return who may be waited for, in words."""
    players, instruments = _players(device), named(device, "instruments")
    fitting = sorted(n for n, role in players.items() if role == AWG and asked(instruments.get(n), "trigger") is None)
    return ", ".join(fitting) or "none: an AWG that waits for none leads"


def _own_trigger(device: Any, name: str) -> Problems:
    """An instrument that waits, by whatever detour, for its own trigger waits for ever."""
    instruments = named(device, "instruments")
    if _loops(instruments, name):
        yield ConfigError(
            "waits for its own trigger, so it never starts", subject=f"instruments.{name}.trigger",
            value=instruments[name].trigger, legal=f"an instrument that waits for none: {_leading(device)}",
        )  # fmt: skip


def _path(device: Any, name: str) -> Problems:
    """A player waits for the AWG that leads: only what is started with a run gives a trigger at each shot."""
    instruments, players = named(device, "instruments"), _players(device)
    giver = instruments[name].trigger
    if name not in players or giver not in instruments or _loops(instruments, name):
        return
    role = players.get(giver)
    if role != AWG:
        why = f"{giver} is {role.name if role else 'no AWG'}, which gives no trigger at a shot"
    elif instruments[giver].trigger is not None:
        why = f"{giver} waits for a trigger itself, and gives none on"
    else:
        return
    yield ConfigError(why, subject=f"instruments.{name}.trigger", value=giver, legal=_leading(device))


def _leader(device: Any) -> Problems:
    """One player leads. Another one without a trigger plays, or records, whenever it likes."""
    instruments = named(device, "instruments")
    players = {name: role for name, role in _players(device).items() if name in instruments}
    leaders = [name for name in players if instruments[name].trigger is None]
    generators = [name for name in leaders if players[name] == AWG]
    waited = [name for name in generators if any(item.trigger == name for item in instruments.values())]
    leader = next(iter(waited or generators), None)
    for name in leaders:
        if leader is None:
            message, legal = "no AWG leads: nobody would start this one", "the name of the AWG that leads"
        elif name != leader:
            message = f"waits for no trigger, as {leader} does: its shots would not be those of the rack"
            legal = _leading_but(device, name)
        else:
            continue
        yield ConfigError(message, subject=f"instruments.{name}.trigger", value="none", legal=legal)


def _leading_but(device: Any, name: str) -> str:
    return ", ".join(one for one in _leading(device).split(", ") if one != name) or "the AWG that leads"
