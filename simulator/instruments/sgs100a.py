"""A Rohde & Schwarz SGS100A microwave source, as far as its stock QCoDeS driver goes. Manual: docs/instruments/lo.md.

Only frequency and RF output reach the chip. The source is used as a plain LO, so that modulation is off; its phase
is common to all that it mixes, which no shot can see; and the mixers are driven to saturation.
"""

from __future__ import annotations

from pulsed.simulator.instruments.faults import OVERHEATED
from pulsed.simulator.instruments.settings import SettingsInstrument, Value, choice, commands, real, switch, without

_REFERENCES = ("10MHz", "100MHz", "1000MHz")
SETTINGS = (
    real("frequency", "[SOURce]:FREQuency[:CW]", 1e6, 12.75e9, 1e9),
    real("phase", "[SOURce]:PHASe", 0, 360, 0.0),
    real("power", "[SOURce]:POWer[:LEVel][:IMMediate][:AMPLitude]", -120, 25, -30.0),
    switch("output", "OUTPut[:STATe]"),
    switch("iq", "[SOURce]:IQ:STATe"),
    switch("impairments", "[SOURce]:IQ:IMPairment[:STATe]"),
    real("i_offset", "[SOURce]:IQ:IMPairment:LEAKage:I", -10, 10, 0.0),
    real("q_offset", "[SOURce]:IQ:IMPairment:LEAKage:Q", -10, 10, 0.0),
    real("imbalance", "[SOURce]:IQ:IMPairment:IQRatio[:MAGNitude]", -1, 1, 0.0),
    real("quadrature", "[SOURce]:IQ:IMPairment:QUADrature[:ANGLe]", -8, 8, 0.0),
    switch("pulm", "[SOURce]:PULM:STATe"),
    choice("pulm_source", "[SOURce]:PULM:SOURce", "EXTernal", "INTernal"),
    real("pulm_delay", "[SOURce]:PULM:DELay", 0, 100, 0.0),
    real("pulm_double_delay", "[SOURce]:PULM:DOUBle:DELay", 40e-9, 100, 2e-6),
    real("pulm_double_width", "[SOURce]:PULM:DOUBle:WIDTh", 20e-9, 100, 2e-6),
    choice("pulm_mode", "[SOURce]:PULM:MODE", "SINGle", "DOUBle"),
    real("pulm_period", "[SOURce]:PULM:PERiod", 100e-9, 100, 10e-6),
    real("pulm_width", "[SOURce]:PULM:WIDTh", 20e-9, 100, 2e-6),
    choice("pulm_polarity", "[SOURce]:PULM:POLarity", "NORMal", "INVerted"),
    choice("gate_polarity", "[SOURce]:PULM:TRIGger:EXTernal:GATE:POLarity", "NORMal", "INVerted"),
    choice("trigger_impedance", "[SOURce]:PULM:TRIGger:EXTernal:IMPedance", "G50", "G10K"),
    choice("trigger_slope", "[SOURce]:PULM:TRIGger:EXTernal:SLOPe", "POSitive", "NEGative"),
    choice("trigger_mode", "[SOURce]:PULM:TRIGger:MODE", "AUTO", "EXTernal", "EGATe"),
    choice("operation_mode", "[SOURce]:OPMode", "NORMal", "BBBYpass"),
    choice("reference", "[SOURce]:ROSCillator:SOURce", "INTernal", "EXTernal"),
    choice("reference_output", "[SOURce]:ROSCillator:OUTPut:FREQuency", *_REFERENCES),
    choice("reference_input", "[SOURce]:ROSCillator:EXTernal:FREQuency", *_REFERENCES),
    choice("lo_source", "[SOURce]:LOSCillator:SOURce", "INTernal", "EXTernal"),
    choice("ref_lo_output", "CONNector:REFLo:OUTPut", "REF", "LO", "OFF"),
    choice("trigger_connector", "CONNector:TRIGger:OMODe", "SVALid", "SNVALid", "PVOut", "PETrigger", "PEMSource"),
)


class VirtualSgs100a(SettingsInstrument):
    """One SGS100A."""

    SETTINGS = SETTINGS

    def change(self, name: str, value: Value) -> None:
        """Set a value; the RF output stays off while it is hot."""
        if name == "output" and value:
            self.check_health(OVERHEATED)
        super().change(name, value)

    def switch_off(self) -> None:
        """Switch the RF output off."""
        self.values["output"] = False

    @property
    def frequency(self) -> float:
        """LO frequency, Hz."""
        return self.number("frequency")

    @property
    def on(self) -> bool:
        """Whether the RF output is on."""
        return bool(self.values["output"])

    COMMANDS = (*without(SettingsInstrument.COMMANDS, "SYSTem:EPOCh?"), *commands(SETTINGS))
