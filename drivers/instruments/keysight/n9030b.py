"""Keysight N9030B signal analyser behind a switch to the ports, by its stock QCoDeS driver; docs/instruments/sa.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qcodes.instrument_drivers.Keysight.Keysight_N9030B import KeysightN9030B

from pulsed.drivers.contract import Capabilities, InstrumentState, SpectrumSweep
from pulsed.drivers.scpi.driver import CONDITION_QUERIES, ScpiDriver, StockSessionIO, qcodes_name
from pulsed.drivers.scpi.io_coroutines import run_to_end
from pulsed.drivers.scpi.session import NEXT_ERROR, ScpiCommand
from pulsed.model.errors import InstrumentDataError, InstrumentLimitError

_NARROWEST, _FINEST, _WIDEST = 10.0, 1.0, 8e6
_POINTS = 20001


class _N9030b(StockSessionIO, KeysightN9030B):  # type: ignore[misc]  # qcodes is not followed by mypy
    """The stock driver over a session that is open."""


class N9030bDriver(ScpiDriver):
    """A spectrum analyser: one sweep at a time."""

    error_query = NEXT_ERROR
    option_names = ()
    capabilities = Capabilities(min_frequency=-80e6, max_frequency=27e9, max_length=_POINTS)

    def validate(self, work: SpectrumSweep) -> None:
        """Check the ranges. Raises :class:`InstrumentLimitError`."""
        can = self.capabilities
        for what, value, low, high, unit in (
            ("start", work.start, can.min_frequency, can.max_frequency - _NARROWEST, "Hz"),
            ("stop", work.stop, work.start + _NARROWEST, can.max_frequency, "Hz"),
            ("rbw", work.rbw, _FINEST, _WIDEST, "Hz"),
            ("points", work.points, 1, _POINTS, "points"),
        ):
            if not low <= value <= high:
                raise InstrumentLimitError(
                    f"the {what} is out of range",
                    subject=self.subject,
                    value=f"{value:.12g} {unit}",
                    legal=f"{low:.12g} to {high:.12g} {unit}",
                )

    def sweep(self, work: SpectrumSweep, deadline: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Sweep once and return frequencies (points,) in Hz and levels (points,) in dBm at the port."""
        self.validate(work)
        self._connected()
        commands = (
            f'INP:SEL "{work.port}"',
            f"SENS:FREQ:STAR {work.start!r}",
            f"SENS:FREQ:STOP {work.stop!r}",
            f"SENS:SWE:POIN {work.points}",
            f"SENS:BAND:RES {work.rbw!r}",
        )
        # A person's parameters may have changed behind our back, so all of it is sent.
        answers, errors = run_to_end(self._exchanging(commands, ("READ:SAN1?",), deadline))
        self.session.check(errors)
        self._forget_settings()
        block = answers[0] if len(answers) == 1 else ""
        if not isinstance(block, memoryview) or len(block) != 16 * work.points:
            self._fault()
            raise InstrumentDataError(
                "sent no trace", subject=self.subject, value=f"{len(block)} bytes", legal=f"{16 * work.points} bytes"
            )
        trace = np.frombuffer(block, "<f8").reshape(-1, 2)
        return trace[:, 0], trace[:, 1]

    def status(self, deadline: float) -> InstrumentState:
        """Ask whether it is well: raises when it is hot, unlocked, or was switched off and on."""
        self.check_conditions(*self._talk((), CONDITION_QUERIES, deadline))
        return self._state

    def _make_instrument(self) -> Any:
        return _N9030b(qcodes_name(self.name), self.session)

    def _on_connect(self, deadline: float) -> None:
        self._talk(("*CLS", "INIT:CONT OFF", "FORM REAL,64", "FORM:BORD SWAP"), (), deadline)

    def _safe_commands(self) -> Sequence[ScpiCommand]:
        return ("ABOR",)
