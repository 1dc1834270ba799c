"""A Keysight N9030B signal analyser in its swept mode, as far as its stock QCoDeS driver goes; docs/instruments/sa.md.

Its input is switched to a coupler at one port at a time. It sweeps in no time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pulsed.simulator.instruments.run import Run
from pulsed.simulator.instruments.scpi import (
    BlockAnswer,
    ChoiceParameter,
    Command,
    IntegerParameter,
    RealParameter,
    ScpiError,
    TextParameter,
)
from pulsed.simulator.instruments.settings import (
    SettingsInstrument,
    Value,
    choice,
    commands,
    integer,
    real,
    switch,
    without,
)
from pulsed.simulator.instruments.spectrum import Tap, levels
from pulsed.simulator.instruments.virtual_instrument import VirtualIdentity

LOWEST, HIGHEST = -80e6, 27e9
_NARROWEST = 10.0
SETTINGS = (
    integer("points", "[SENSe]:SWEep:POINts", 1, 20001, 1001),
    integer("attenuation", "[SENSe]:POWer[:RF]:ATTenuation", 0, 70, 10),
    choice("preamp", "[SENSe]:POWer[:RF]:GAIN:BAND", "LOW", "FULL"),
    switch("preamp_on", "[SENSe]:POWer[:RF]:GAIN[:STATe]"),
    real("rbw", "[SENSe]:BANDwidth[:RESolution]", 1, 8e6, 3e6),
    real("vbw", "[SENSe]:BANDwidth:VIDeo", 1, 50e6, 3e6),
    choice("filter", "[SENSe]:BANDwidth:TYPE", "DB3", "DB6", "IMPulse", "NOISe"),
    choice("detector", "[SENSe]:DETector:TRACe", "NORMal", "AVERage", "POSitive", "SAMPle", "NEGative"),
    choice("average", "[SENSe]:AVERage:TYPE", "LOG", "RMS", "SCALar"),
    real("sweep_time", "[SENSe]:SWEep:TIME", 1e-6, 6000, 1e-3),
    switch("auto_time", "[SENSe]:SWEep:TIME:AUTO", True),
    choice("sweep_type", "[SENSe]:SWEep:TYPE", "FFT", "SWEep"),
    switch("auto_type", "[SENSe]:SWEep:TYPE:AUTO", True),
    switch("continuous", "INITiate:CONTinuous", True),
    choice("byte_order", "FORMat:BORDer", "NORMal", "SWAPped"),
    choice("mode", "INSTrument[:SELect]", "SA"),
)


class VirtualN9030b(SettingsInstrument):
    """One N9030B. ``taps``: the ports that its input can be switched to; ``last_run`` returns what was played last."""

    SETTINGS = SETTINGS
    abilities = frozenset({"data", "blocks", "reference"})

    def __init__(self, identity: VirtualIdentity) -> None:
        self.taps: Mapping[str, Tap] = {}
        self.last_run: Callable[[], Run | None] = lambda: None
        self.seed(0)
        super().__init__(identity)

    def seed(self, seed: int) -> None:
        """Seed the noise."""
        self._noise = np.random.default_rng(np.random.SeedSequence((seed, 9030)))

    def clear_memory(self) -> None:
        """Set every value to what it is after reset, and forget the trace."""
        super().clear_memory()
        self.start, self.stop = 10e6, HIGHEST
        self.port = ""
        self._trace = np.empty((0, 2))

    def _sweep(self) -> None:
        points, rbw = int(self.number("points")), self.number("rbw")
        frequencies = np.linspace(self.start, self.stop, points)
        tap = self.taps.get(self.port)
        seen, full_scale = np.zeros(points), 0.0
        if tap:
            seen = tap.amplitudes(self.last_run(), frequencies - tap.lo.frequency, rbw)
            full_scale = tap.full_scale
        shown = levels(seen, full_scale, rbw, self.number("attenuation"), self._noise.standard_normal)
        self._trace = np.column_stack([frequencies, shown])

    def _fetch(self, number: int) -> BlockAnswer:
        if number != 1:
            raise ScpiError(-224, f"trace {number}, legal 1")
        if not len(self._trace):
            raise ScpiError(-221, "there is no trace yet")
        order = "<f8" if self.values["byte_order"] == "SWAP" else ">f8"
        return BlockAnswer((np.ascontiguousarray(self._trace, order).reshape(-1).view(np.uint8).data,))

    def _read(self, number: int) -> BlockAnswer:
        self._sweep()
        return self._fetch(number)

    def _set_edge(self, start: float, stop: float) -> None:
        """Set both edges; one that conflicts with the other or is out of range is moved."""
        start = min(max(start, LOWEST), HIGHEST - _NARROWEST)
        self.start, self.stop = start, min(max(stop, start + _NARROWEST), HIGHEST)

    def _set_stop(self, stop: float) -> None:
        self.stop = max(stop, LOWEST + _NARROWEST)
        self.start = min(self.start, self.stop - _NARROWEST)

    def _set_center(self, center: float) -> None:
        half = min((self.stop - self.start) / 2, center - LOWEST, HIGHEST - center)
        self._set_edge(center - half, center + half)

    def _set_span(self, span: float) -> None:
        center = (self.start + self.stop) / 2
        self._set_edge(center - span / 2, center + span / 2)

    def _tune(self) -> None:
        """Centre on the strongest signal."""
        self._sweep()
        self._set_center(float(self._trace[np.argmax(self._trace[:, 1]), 0]))

    def _select(self, port: str) -> None:
        if port and port not in self.taps:
            raise ScpiError(-224, f"port {port}, legal {','.join(self.taps)} or an empty string")
        self.port = port

    def change(self, name: str, value: Value) -> None:
        """Set a value; one that is set by hand is automatic no longer."""
        super().change(name, value)
        automatic = {"sweep_time": "auto_time", "sweep_type": "auto_type"}.get(name)
        if automatic:
            self.values[automatic] = False

    _FREQUENCY = RealParameter("frequency", LOWEST, HIGHEST)
    COMMANDS = (
        *without(SettingsInstrument.COMMANDS, "SYSTem:EPOCh?", "SYSTem:ERRor:ALL?", "SYSTem:ERRor:COUNt?"),
        *commands(SETTINGS),
        Command("*OPT?", lambda _: '"526"'),
        Command("INSTrument:CATalog?", lambda _: '"SA"'),
        Command("CONFigure:CATalog?", lambda _: '"SAN"'),
        Command("CONFigure?", lambda _: "SAN"),
        Command("CONFigure:SAN", lambda _: None),
        Command(
            "FORMat[:TRACe][:DATA]",
            lambda *_: None,
            (ChoiceParameter("type", ("REAL",)), IntegerParameter("bits", 64, 64)),
        ),
        Command("[SENSe]:FREQuency:STARt", lambda self, start: self._set_edge(start, self.stop), (_FREQUENCY,)),
        Command("[SENSe]:FREQuency:STARt?", lambda self: repr(self.start)),
        Command("[SENSe]:FREQuency:STOP", _set_stop, (_FREQUENCY,)),
        Command("[SENSe]:FREQuency:STOP?", lambda self: repr(self.stop)),
        Command("[SENSe]:FREQuency:CENTer", _set_center, (_FREQUENCY,)),
        Command("[SENSe]:FREQuency:CENTer?", lambda self: repr((self.start + self.stop) / 2)),
        Command("[SENSe]:FREQuency:SPAN", _set_span, (RealParameter("span", _NARROWEST, HIGHEST),)),
        Command("[SENSe]:FREQuency:SPAN?", lambda self: repr(self.stop - self.start)),
        Command("[SENSe]:FREQuency:TUNE:IMMediate", _tune),
        Command("INITiate[:IMMediate]", _sweep),
        Command("ABORt", lambda _: None),
        Command("READ:SAN<6>?", _read),
        Command("FETCh:SAN<6>?", _fetch),
        Command("INPut:SELect", _select, (TextParameter("port", 64),)),
        Command("INPut:SELect?", lambda self: f'"{self.port}"'),
        Command("INPut:CATalog?", lambda self: f'"{",".join(self.taps)}"'),
    )
