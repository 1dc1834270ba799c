"""An emulated Cluster: what its modules hold when it is started is executed, and played on the chip."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qblox_instruments.ieee488_2.cluster_dummy_transport import ClusterDummyTransport

from pulsed.simulator.instruments.awg8 import PairSettings
from pulsed.simulator.instruments.faults import OVERHEATED, REFERENCE_LOST
from pulsed.simulator.instruments.qblox.interpreter import Sequencer
from pulsed.simulator.instruments.qblox.module import EmulatedModule
from pulsed.simulator.instruments.qblox.part import ClusterPart, PlayedSequencer, TriggerRule
from pulsed.simulator.instruments.qblox.shots import ProgramError
from pulsed.simulator.instruments.scpi import ScpiError
from pulsed.simulator.instruments.virtual_instrument import (
    ListPlayer,
    RunState,
    TriggerBus,
    VirtualIdentity,
    VirtualInstrument,
)

_BLOCKS = re.compile(
    r"\*MODS\?|\*DESCribe\?|.*ASSEMbler:LOG\?|.*CONFiguration\?|.*CHANnelmap\?|.*WLISt\?|.*ALISt\?|.*:DATA\?|"
    r".*TIMEstamp\?|.*CAPTure\?"
)
"""Queries that are answered with a block."""
_RUNS = re.compile(r"(?:SLOT\d*:)?SEQuencer\d*:(START|STOP|ARM)")
_BUILDS = ("fw", "kmod", "sw", "cfgMan")
_SCPI = "swSCPIVersion=1.0 cfgManSCPIVersion=1.0"
"""By which the maker's driver finds its layer; without, it asks for one firmware to the letter."""
_FLAGS = {OVERHEATED: "TEMPERATURE OUT OF RANGE", REFERENCE_LOST: "PLL UNLOCKED"}


class EmulatedTransport(ClusterDummyTransport):  # type: ignore[misc]  # qblox-instruments has no types
    """The maker's dummy of a frame, with modules of our own."""

    def __init__(self, models: Mapping[int, str]) -> None:
        super().__init__({})
        self.models = models
        self.modules: dict[int, EmulatedModule] = {}
        self.power_on()

    def power_on(self) -> None:
        """Start with modules that hold nothing."""
        self.close()
        self.modules = {slot: EmulatedModule(model) for slot, model in self.models.items()}
        self._modules.update({str(slot): module for slot, module in self.modules.items()})

    def exchange(self, command: str, block: bytes | None) -> bytes | None:
        """Carry out a command, and return the answer to a query."""
        self._data_out, self._bin_out = "", b""
        if block is None:
            self.write(command)
        else:
            self.write_binary(f"{command} #{len(str(len(block)))}{len(block)}".encode(), block)
        if "?" not in command:
            return None
        name = command.partition(" ")[0]
        return bytes(self._bin_out) if _BLOCKS.fullmatch(name) else f"{self._data_out}\n".encode()

    def refuse(self, message: str) -> None:
        """Put an error into the queue."""
        self._system_error.append(message)


class VirtualCluster(ListPlayer):
    """One Cluster. ``models``: of the module in each slot."""

    COMMANDS = VirtualInstrument.COMMANDS
    abilities = frozenset({"reference", "input", "blocks", "data"})

    def __init__(self, identity: VirtualIdentity, bus: TriggerBus, models: Mapping[int, str]) -> None:
        self.transport = EmulatedTransport(models)
        self._part: ClusterPart | None = None
        super().__init__(identity, bus)

    def clear_memory(self) -> None:
        """Forget everything."""
        super().clear_memory()
        self.transport.power_on()

    @property
    def modules(self) -> dict[int, EmulatedModule]:
        """The modules by slot."""
        return self.transport.modules

    @property
    def pair_numbers(self) -> tuple[int, ...]:
        """Of the outputs: 42 is the second one of slot 4."""
        return tuple(10 * s + k for s, module in self.modules.items() for k in range(1, module.outputs + 1))

    @property
    def input_numbers(self) -> tuple[int, ...]:
        """Of the inputs."""
        return tuple(10 * s + k for s, module in self.modules.items() for k in range(1, module.inputs + 1))

    def output(self, pair: int) -> PairSettings:
        """Return how an output is set: an RF output is on where the markers let it through."""
        slot, number = divmod(pair, 10)
        own = [p for p in self._part.sequencers if (p.slot, p.output) == (slot, number)] if self._part else []
        switch = number if self.modules[slot].is_rf_type else 0  # bit 0 lets the first one through, bit 1 the second
        return PairSettings(on=any(not switch or shot.marker & switch for p in own for shot in p.shots))

    def carrier(self, pair: int) -> Any:
        """Return the LO of an output, None where its mixer is outside."""
        slot, number = divmod(pair, 10)
        return _InnerLo(self, slot, number) if self.modules[slot].is_rf_type else None

    def input_carrier(self, number: int) -> Any:
        """Return the LO of an input, None where its mixer is outside."""
        return self.carrier(number)

    def report(self, code: int, detail: str = "") -> None:
        """Put an entry into the error queue."""
        super().report(code, detail)
        self.transport.refuse(detail or str(code))

    def switch_off(self) -> None:
        """Switch all LOs off, and have no sequencer play."""
        for module in self.modules.values():
            module.switch_off()

    # --- commands ------------------------------------------------------------------------------------------------

    def exchange(self, command: str, block: bytes | None) -> bytes | None:
        """Carry out a command of the maker's driver, and return the answer to a query."""
        if command == "*RST":
            self.clear_memory()
            return None
        if command == "*IDN?":
            build = "{0}Version={1} {0}Build=01/12/2026-00:00:00 {0}Hash=0x1 {0}Dirty=0"
            builds = " ".join(build.format(one, self.firmware) for one in _BUILDS)
            return f"Qblox,Cluster MM,{self.identity.serial},{builds} {_SCPI}\n".encode()
        if command == "STATus:GENeral:STATE?":
            flags = "".join(f"{_FLAGS[code]}," for code in self.faults.conditions)
            return f"{'ERROR' if flags else 'OKAY'};{flags}\n".encode()
        modules = self.modules.values()
        for module in modules:
            module.cut = "short" in self.faults
        answer = self.transport.exchange(command, block)
        if not all(module.cut for module in modules):
            self.faults.take("short")
        done = _RUNS.fullmatch(command)
        if done:
            {"ARM": self._armed, "START": self._started, "STOP": self._stopped}[done[1]]()
        return answer

    def _in(self, state: str) -> list[tuple[int, EmulatedModule, str]]:
        return [
            (slot, module, sequencer)
            for slot, module in self.modules.items() for sequencer in module.sequencers
            if module.state(sequencer) == state
        ]  # fmt: skip

    def _armed(self) -> None:
        if self.faults.conditions:
            self.transport.refuse("the frame is not well: " + ", ".join(self.faults.conditions.values()))
            for _, module, sequencer in self._in("ARMED"):
                module.set_state(sequencer, "STOPPED")
        if self.state in (RunState.IDLE, RunState.DONE) and self._in("ARMED"):
            self.step("arm")

    def _started(self) -> None:
        running = self._in("RUNNING")
        if not running or self.state is not RunState.ARMED:
            return
        try:
            self._part = ClusterPart(self, self.modules, [self._execute(*one) for one in running])
            self.list = self._part.entries()
            self.bus.start(self)
        except (ProgramError, ScpiError) as error:
            self.transport.refuse(str(error))
            self.step("fail")

    def _stopped(self) -> None:
        if self.state in (RunState.ARMED, RunState.RUN, RunState.FAULT) and not self._in("ARMED"):
            self.abort()

    def _execute(self, slot: int, module: EmulatedModule, sequencer: str) -> PlayedSequencer:
        """Execute the program of a sequencer. Raises :class:`ProgramError`."""
        settings = module.settings(sequencer)
        if not settings["seq_proc"]["sync_en"]:
            raise ProgramError(f"slot {slot}, sequencer {sequencer}: is not synchronized with the others")
        waveforms, weights = module.waveforms(sequencer), module.weights(sequencer)
        integration = int(settings["acq"][0]["th_acq"]["non_weighed_integration_len"])
        lengths = ({index: len(data) for index, data in table.items()} for table in (waveforms, weights))
        counters = settings["seq_proc"]["trg"]
        if any(int(one["count_threshold"]) != 1 for one in counters):
            raise ProgramError(f"slot {slot}, sequencer {sequencer}: counts triggers to another number than 1")
        inverted = {k for k, one in enumerate(counters, 1) if one["threshold_invert"]}
        machine = Sequencer(next(lengths), integration, next(lengths), inverted)
        try:
            shots = machine.run(module.programs[sequencer])
        except ProgramError as error:
            module.set_state(sequencer, "STOPPED", "SEQUENCE_PROCESSOR_Q1_ILLEGAL_INSTRUCTION,", str(error))
            raise ProgramError(f"slot {slot}, sequencer {sequencer}: {error}") from None
        played = any(shot.bursts for shot in shots)
        if played and not settings["awg"][0]["mixer"]["en"]:
            raise ProgramError(f"slot {slot}, sequencer {sequencer}: its oscillator is off, which is not emulated")
        return PlayedSequencer(
            slot, sequencer, module.output_of(sequencer), module.listens(sequencer), shots, waveforms, weights,
            integration, TriggerRule.of(settings["acq"][0]),
        )  # fmt: skip

    def step(self, event: str) -> None:
        """Change the state, and that of the sequencers with it."""
        super().step(event)
        for _, module, sequencer in self._in("RUNNING"):
            if self.state in (RunState.DONE, RunState.IDLE):
                module.set_state(sequencer, "STOPPED")
            elif self.state is RunState.FAULT:
                module.set_state(sequencer, "STOPPED", "FORCED_STOP,")

    def played(self, lines: Mapping[int, int]) -> ClusterPart:
        """Return what it plays."""
        assert self._part is not None, "a run begins with the start of its leader"
        self._part.lines = lines
        return self._part

    def recorded(self) -> ClusterPart | None:
        """Return what it records."""
        return self._part


@dataclass(frozen=True)
class _InnerLo:
    """The LO of one output or input as it is set now."""

    cluster: VirtualCluster
    slot: int
    number: int

    @property
    def frequency(self) -> float:
        """Hz."""
        return self.cluster.modules[self.slot].lo(self.number).frequency

    @property
    def on(self) -> bool:
        """Whether it is on."""
        return self.cluster.modules[self.slot].lo(self.number).on


def models_of(options: Mapping[str, Any]) -> dict[int, str]:
    """Return the module of each slot from the options of a description: ``slot4 = "QRM-RF"``."""
    return {int(key[4:]): str(value) for key, value in options.items() if re.fullmatch(r"slot\d+", key)}
