"""The modules of a Cluster, as data: their outputs and inputs, how they are named, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pulsed.model.errors import ConfigError

SLOTS = 20
SEQUENCERS = 6
"""Of a module."""
WAVEFORM_SAMPLES, WAVEFORMS = 16384, 1024
"""Of a sequencer; an envelope takes two of them, I and Q."""
WEIGHT_SAMPLES, WEIGHTS = 16384, 32
BINS = 131072
"""Of a sequencer."""
LO_RANGE = (2e9, 18.5e9)
"""Hz."""
RF_SWITCHES = 3
"""Value of the markers that lets both RF outputs of a module through."""


@dataclass(frozen=True)
class ModuleModel:
    """One model of module. Pairs count from 1 within the module."""

    name: str
    outputs: int
    """IQ pairs, or RF outputs."""
    inputs: int
    rf: bool
    """Whether mixers and LOs are inside."""
    instructions: int = 16384

    def connection(self, output: int, input_: int) -> str:
        """Return how a sequencer is connected to an output and an input, 0 for none, as the maker writes it."""
        number = (output or input_) - 1
        way = "io" if output and input_ else "out" if output else "in"
        return f"{way}{number}" if self.rf else f"{way}{2 * number}_{2 * number + 1}"

    def lo(self, number: int) -> str:
        """Return the beginning of the names of an LO's parameters."""
        return "out0_in0_lo" if self.inputs else f"out{number - 1}_lo"


MODELS = {
    model.name: model
    for model in (
        ModuleModel("QCM", 2, 0, False),
        ModuleModel("QRM", 1, 1, False, 12288),
        ModuleModel("QCM-RF", 2, 0, True),
        ModuleModel("QRM-RF", 1, 1, True, 12288),
    )
}


def slot_of(pair: int) -> tuple[int, int]:
    """Return slot and number within the module of a pair: 42 is the second one of slot 4."""
    return divmod(pair, 10)


def read_modules(name: str, options: dict[str, Any]) -> dict[int, ModuleModel]:
    """Return the module of each slot from an instrument's ``options``: ``slot4 = "QRM-RF"``. Raises ConfigError."""
    found = {}
    for slot in range(1, SLOTS + 1):
        given = options.get(f"slot{slot}")
        if given is not None and given not in MODELS:
            raise ConfigError(
                "no such module", subject=f"instruments.{name}.options.slot{slot}", value=str(given),
                legal=", ".join(MODELS),
            )  # fmt: skip
        if given is not None:
            found[slot] = MODELS[str(given)]
    if not found:
        raise ConfigError(
            "no module is named", subject=f"instruments.{name}.options", value="no slot",
            legal='slot1 to slot20, such as slot4 = "QRM-RF"',
        )  # fmt: skip
    return found
