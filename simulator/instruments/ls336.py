"""A Lakeshore 336 temperature controller, as far as its stock QCoDeS driver reads it; docs/instruments/ls336.md.

Its thermometers show what they are told to: the simulated chip has no fridge.
"""

from __future__ import annotations

from pulsed.simulator.instruments.scpi import ChoiceParameter, Command
from pulsed.simulator.instruments.virtual_instrument import VirtualIdentity, VirtualInstrument

INPUTS = ("A", "B", "C", "D")
BASE = 0.012
"""K, that every thermometer shows at the beginning."""
_HIGHEST = 330.0
_NO_FAULT = "000"


class VirtualLs336(VirtualInstrument):
    """One Model 336. Its answers end with a carriage return before the line feed, as the manual has it."""

    abilities = frozenset()
    firmware = "2.9"

    def __init__(self, identity: VirtualIdentity) -> None:
        self.temperatures = dict.fromkeys(INPUTS, BASE)
        """By input, K; a reboot does not change how cold it is."""
        super().__init__(identity)

    def show(self, channel: str, kelvin: float) -> None:
        """Let the thermometer at an input show a temperature. Raises ``ValueError``."""
        if channel not in INPUTS or not 0 <= kelvin <= _HIGHEST:
            raise ValueError(f"an input of {', '.join(INPUTS)} and 0 to {_HIGHEST:g} K")
        self.temperatures[channel] = kelvin

    def _kelvin(self, channel: str) -> str:
        return f"{self.temperatures[channel]:+E}\r"

    def _celsius(self, channel: str) -> str:
        return f"{self.temperatures[channel] - 273.15:+E}\r"

    def _line(self) -> str:
        return f"{self._identify()}\r"

    _INPUT = ChoiceParameter("input", INPUTS)
    COMMANDS = (
        Command("*IDN?", _line),
        Command("*RST", VirtualInstrument._reset),
        Command("*CLS", VirtualInstrument._clear_status),
        Command("*OPC", VirtualInstrument._complete),
        Command("*OPC?", lambda _: "1\r"),
        Command("*TST?", lambda _: "0\r"),
        Command("KRDG?", _kelvin, (_INPUT,)),
        Command("CRDG?", _celsius, (_INPUT,)),
        Command("RDGST?", lambda *_: f"{_NO_FAULT}\r", (_INPUT,)),
    )
