"""An instrument of QCoDeS that reads what a file says: a number, a word, ``broken`` or ``hangs``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from qcodes.instrument import Instrument

DRIVER = "pulsed.testing.scripted_monitor:ScriptedMonitor"


class ScriptedMonitor(Instrument):  # type: ignore[misc]  # qcodes is not followed by mypy
    """``value`` is what the file at ``address`` says."""

    def __init__(self, name: str, address: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._path = Path(address)
        self.add_parameter("value", unit="K", get_cmd=self._read)
        self.add_parameter("command", get_cmd=False, set_cmd=lambda _: None)
        self.add_parameter("pair", get_cmd=lambda: (1.0, 2.0))

    def _read(self) -> float | str:
        text = self._path.read_text().strip()
        if text == "broken":
            raise RuntimeError("the cable is out")
        if text == "hangs":
            time.sleep(3600)
        try:
            return float(text)
        except ValueError:
            return text
