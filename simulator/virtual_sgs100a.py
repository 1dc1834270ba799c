"""A Rohde & Schwarz SGS100A microwave source, as far as its stock QCoDeS driver goes. Manual: docs/instruments/lo.md.

Only frequency and RF output reach the chip. The source is used as a plain LO, so that modulation is off; its phase
is common to all that it mixes, which no shot can see; and the mixers are driven to saturation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pulsed.simulator.faults import OVERHEATED
from pulsed.simulator.scpi import Choice, Command, Real, Switch
from pulsed.simulator.virtual_instrument import VirtualInstrument

Value = float | bool | str


@dataclass(frozen=True)
class Setting:
    """One thing that can be set and asked for: header, parameter, value after reset."""

    name: str
    header: str
    parameter: Real | Switch | Choice
    default: Value


def _switch(name: str, header: str) -> Setting:
    return Setting(name, header, Switch(name), False)


def _real(name: str, header: str, low: float, high: float, default: float) -> Setting:
    return Setting(name, header, Real(name, low, high), default)


def _choice(name: str, header: str, *words: str) -> Setting:
    choice = Choice(name, words)
    return Setting(name, header, choice, choice.parse(words[0].encode()))


_REFERENCES = ("10MHz", "100MHz", "1000MHz")
SETTINGS = (
    _real("frequency", "[SOURce]:FREQuency[:CW]", 1e6, 12.75e9, 1e9),
    _real("phase", "[SOURce]:PHASe", 0, 360, 0.0),
    _real("power", "[SOURce]:POWer[:LEVel][:IMMediate][:AMPLitude]", -120, 25, -30.0),
    _switch("output", "OUTPut[:STATe]"),
    _switch("iq", "[SOURce]:IQ:STATe"),
    _switch("impairments", "[SOURce]:IQ:IMPairment[:STATe]"),
    _real("i_offset", "[SOURce]:IQ:IMPairment:LEAKage:I", -10, 10, 0.0),
    _real("q_offset", "[SOURce]:IQ:IMPairment:LEAKage:Q", -10, 10, 0.0),
    _real("imbalance", "[SOURce]:IQ:IMPairment:IQRatio[:MAGNitude]", -1, 1, 0.0),
    _real("quadrature", "[SOURce]:IQ:IMPairment:QUADrature[:ANGLe]", -8, 8, 0.0),
    _switch("pulm", "[SOURce]:PULM:STATe"),
    _choice("pulm_source", "[SOURce]:PULM:SOURce", "EXTernal", "INTernal"),
    _real("pulm_delay", "[SOURce]:PULM:DELay", 0, 100, 0.0),
    _real("pulm_double_delay", "[SOURce]:PULM:DOUBle:DELay", 40e-9, 100, 2e-6),
    _real("pulm_double_width", "[SOURce]:PULM:DOUBle:WIDTh", 20e-9, 100, 2e-6),
    _choice("pulm_mode", "[SOURce]:PULM:MODE", "SINGle", "DOUBle"),
    _real("pulm_period", "[SOURce]:PULM:PERiod", 100e-9, 100, 10e-6),
    _real("pulm_width", "[SOURce]:PULM:WIDTh", 20e-9, 100, 2e-6),
    _choice("pulm_polarity", "[SOURce]:PULM:POLarity", "NORMal", "INVerted"),
    _choice("gate_polarity", "[SOURce]:PULM:TRIGger:EXTernal:GATE:POLarity", "NORMal", "INVerted"),
    _choice("trigger_impedance", "[SOURce]:PULM:TRIGger:EXTernal:IMPedance", "G50", "G10K"),
    _choice("trigger_slope", "[SOURce]:PULM:TRIGger:EXTernal:SLOPe", "POSitive", "NEGative"),
    _choice("trigger_mode", "[SOURce]:PULM:TRIGger:MODE", "AUTO", "EXTernal", "EGATe"),
    _choice("operation_mode", "[SOURce]:OPMode", "NORMal", "BBBYpass"),
    _choice("reference", "[SOURce]:ROSCillator:SOURce", "INTernal", "EXTernal"),
    _choice("reference_output", "[SOURce]:ROSCillator:OUTPut:FREQuency", *_REFERENCES),
    _choice("reference_input", "[SOURce]:ROSCillator:EXTernal:FREQuency", *_REFERENCES),
    _choice("lo_source", "[SOURce]:LOSCillator:SOURce", "INTernal", "EXTernal"),
    _choice("ref_lo_output", "CONNector:REFLo:OUTPut", "REF", "LO", "OFF"),
    _choice("trigger_connector", "CONNector:TRIGger:OMODe", "SVALid", "SNVALid", "PVOut", "PETrigger", "PEMSource"),
)


def _text(value: Value) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _commands() -> Iterator[Command]:
    for setting in SETTINGS:

        def store(self: VirtualSgs100a, value: Value, name: str = setting.name) -> None:
            if name == "output" and value:
                self.check_health(OVERHEATED)
            self.values[name] = value

        def show(self: VirtualSgs100a, name: str = setting.name) -> str:
            return _text(self.values[name])

        yield Command(setting.header, store, (setting.parameter,))
        yield Command(setting.header + "?", show)


class VirtualSgs100a(VirtualInstrument):
    """One SGS100A."""

    def clear_memory(self) -> None:
        """Set every value to what it is after reset."""
        self.values: dict[str, Value] = {setting.name: setting.default for setting in SETTINGS}

    def switch_off(self) -> None:
        """Switch the RF output off."""
        self.values["output"] = False

    @property
    def frequency(self) -> float:
        """LO frequency, Hz."""
        return float(self.values["frequency"])

    @property
    def on(self) -> bool:
        """Whether the RF output is on."""
        return bool(self.values["output"])

    COMMANDS = (*VirtualInstrument.COMMANDS, *_commands())
