"""One module of an emulated Cluster: the maker's dummy, made to refuse what the hardware refuses and to hold data."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from qblox_instruments import ClusterType
from qblox_instruments.ieee488_2.module_dummy_transport import ModuleDummyTransport

from pulsed.simulator.instruments.qblox.assembler import assemble

TYPES = {
    "QCM": ClusterType.CLUSTER_QCM,
    "QRM": ClusterType.CLUSTER_QRM,
    "QCM-RF": ClusterType.CLUSTER_QCM_RF,
    "QRM-RF": ClusterType.CLUSTER_QRM_RF,
}
SAMPLES, WAVEFORMS, WEIGHTS, ACQUISITIONS, BINS = 16384, 1024, 32, 32, 131072
"""What a sequencer holds: samples of waveforms and of weights, how many of each, and bins of all acquisitions."""
_FULL_SCALE = 2.0**22
"""Of an integral, in the maker's numbers: (2^11)^2 for one sample."""
_BIN = np.dtype([("valid", "<u8"), ("i", "<i8"), ("q", "<i8"), ("threshold", "<u4"), ("count", "<u4")])


@dataclass
class _Lo:
    """A local oscillator inside, as it is set now."""

    frequency: float
    on: bool


class EmulatedModule(ModuleDummyTransport):  # type: ignore[misc]  # qblox-instruments has no types
    """A module; its sequencers are numbered as text, as in the maker's tables."""

    def __init__(self, model: str) -> None:
        super().__init__(TYPES[model])
        self.model = model
        self.programs: dict[str, str] = {}
        self._integrals: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
        self.overrange = False
        self.cut = False
        """Whether half of the data that it sends next are missing."""

    # --- what an emulation asks of it ----------------------------------------------------------------------------

    @property
    def outputs(self) -> int:
        """How many IQ pairs, or RF outputs, it has."""
        return 2 if self.is_qcm_type else 1

    @property
    def inputs(self) -> int:
        """How many inputs it has."""
        return 1 if self.is_qrm_type else 0

    @property
    def sequencers(self) -> tuple[str, ...]:
        """Its sequencers."""
        return tuple(str(number) for number in range(self._num_seq))

    def state(self, sequencer: str) -> str:
        """Return the state of a sequencer: ``"ARMED"``."""
        return str(self._sequencer_status.get(sequencer, "OKAY;IDLE;;;;")).split(";")[1]

    def set_state(self, sequencer: str, state: str, errors: str = "", log: str = "") -> None:
        """Set the state of a sequencer."""
        done = state == "STOPPED" and not errors
        info = "ACQ_BINNING_DONE," if done and self.is_qrm_type else ""
        warnings = "ACQ_INTEGRATOR_OUT_OF_RANGE_PATH_0," if done and self.overrange else ""
        shown = log.replace(";", ",").replace("\n", " ")
        status = "ERROR" if errors else "OKAY"
        self._sequencer_status[sequencer] = f"{status};{state};{info};{warnings};{errors};{shown}"

    def lo(self, number: int) -> _Lo:
        """Return the LO of output ``number``, from 1."""
        port = self._port_cfg.get(f"out{number - 1 if self.is_qcm_type else 1}", {})
        return _Lo(float(port.get("lo_freq", 0)), str(port.get("lo_ena", "0")) == "1")

    def switch_off(self) -> None:
        """Switch the LOs off."""
        for port in self._port_cfg.values():
            port["lo_ena"] = "0"

    def output_of(self, sequencer: str) -> int:
        """Return the output that a sequencer is connected to, from 1; 0 for none."""
        return _pair(self._channelmap[sequencer])

    def listens(self, sequencer: str) -> bool:
        """Whether a sequencer is connected to the input."""
        return _pair(self._acq_channelmap.get(sequencer, [[], []])) > 0

    def settings(self, sequencer: str) -> dict[str, Any]:
        """Return the configuration of a sequencer, as the maker's driver writes it."""
        self._get_sequencer_config([sequencer], [], b"")
        found: dict[str, Any] = json.loads(self._decode_bin(self._bin_out))
        return found

    def waveforms(self, sequencer: str) -> dict[int, np.ndarray[Any, Any]]:
        """Return the waveforms by index, as the DAC has them: 16 bits of full scale."""
        found = _arrays(self._awg_waveforms.get(sequencer, {}), "wave")
        return {index: np.rint(data * 32767) / 32767 for index, data in found.items()}

    def weights(self, sequencer: str) -> dict[int, np.ndarray[Any, Any]]:
        """Return the weights by index."""
        return _arrays(self._acq_weights.get(sequencer, {}), "wave")

    def bins(self, sequencer: str, index: int) -> np.ndarray[Any, Any] | None:
        """Return the bins of an acquisition by its index, to be added to; None where there is none."""
        for name, held in self._acq_metadata.get(sequencer, {}).items():
            if int(held["index"]) == index:
                return self._integrals[sequencer][name]
        return None

    @staticmethod
    def add(bins: np.ndarray[Any, Any], which: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> None:
        """Add integrals, complex and in full scales times samples, to ``bins``."""
        np.add.at(bins["i"], which, np.rint(values.real * _FULL_SCALE).astype(np.int64))
        np.add.at(bins["q"], which, np.rint(values.imag * _FULL_SCALE).astype(np.int64))
        np.add.at(bins["count"], which, 1)
        bins["valid"][which] = 1

    # --- commands ------------------------------------------------------------------------------------------------

    def _set_sequencer_program(self, params: list[Any], args: list[Any], block: bytes) -> None:
        text = self._decode_bin(block).decode()
        self._asm_status, self._asm_log = assemble(text)
        self.programs.pop(params[0], None)
        if self._asm_status:
            self.programs[params[0]] = text
        else:
            self._system_error.append("Assembly failed.")

    def _add_awg_waveform(self, params: list[Any], args: list[Any], block: bytes) -> None:
        self._refuse_more(self._awg_waveforms.get(params[0], {}), "waveforms", args, WAVEFORMS, SAMPLES)
        super()._add_awg_waveform(params, args, block)

    def _add_acq_weight(self, params: list[Any], args: list[Any], block: bytes) -> None:
        self._refuse_more(self._acq_weights.get(params[0], {}), "weights", args, WEIGHTS, SAMPLES)
        super()._add_acq_weight(params, args, block)

    def _refuse_more(self, held: Mapping[str, Any], what: str, args: list[Any], most: int, samples: int) -> None:
        size = int(args[1]) + sum(len(one["wave"]) // 4 for one in held.values())
        if len(held) >= most or size > samples:
            self._system_error.append(f"{len(held) + 1} {what} of {size} samples, at most {most} of {samples}.")

    def _set_awg_waveform_index(self, params: list[Any], args: list[Any], block: bytes) -> None:
        if int(args[1]) >= WAVEFORMS:
            self._system_error.append(f"Waveform index {args[1]}, at most {WAVEFORMS - 1}.")
        super()._set_awg_waveform_index(params, args, block)

    def _add_acq_acquisition(self, params: list[Any], args: list[Any], block: bytes) -> None:
        held = self._acq_metadata.get(params[0], {})
        count = int(args[1]) + sum(int(one["bins"]) for one in held.values())
        if count > BINS or len(held) >= ACQUISITIONS:
            size = f"{len(held) + 1} acquisitions with {count} bins"
            self._system_error.append(f"{size}, at most {ACQUISITIONS} with {BINS}.")
            return
        super()._add_acq_acquisition(params, args, block)
        self._integrals.setdefault(params[0], {})[args[0]] = np.zeros(int(args[1]), _BIN)

    def _del_acq_acquisition(self, params: list[Any], args: list[Any], block: bytes) -> None:
        super()._del_acq_acquisition(params, args, block)
        held = self._acq_metadata.get(params[0], {})
        self._integrals[params[0]] = {n: b for n, b in self._integrals.get(params[0], {}).items() if n in held}

    def _del_acq_acquisition_data(self, params: list[Any], args: list[Any], block: bytes) -> None:
        for name, bins in self._integrals.get(params[0], {}).items():
            if args[0] in ("all", name):
                bins[:] = 0

    def _get_acq_acquisitions(self, params: list[Any], args: list[Any], block: bytes) -> None:
        held = self._integrals.get(params[0], {})
        pieces = [self._encode_bin(struct.pack("I", len(held)), not held)]
        for number, (name, bins) in enumerate(held.items(), 1):
            index = int(self._acq_metadata[params[0]][name]["index"])
            pieces += [self._encode_bin(piece, False) for piece in (name.encode(), struct.pack("I", index))]
            for _ in range(2):
                scope = (b"", struct.pack("?", self.overrange), struct.pack("I", 0))
                pieces += [self._encode_bin(piece, False) for piece in scope]
            sent = bins[: len(bins) // 2] if self.cut else bins
            self.cut = False
            pieces.append(self._encode_bin(sent.tobytes(), number == len(held)))
        self._bin_out = b"".join(pieces)

    def _arm(self, params: list[Any], args: list[Any], block: bytes) -> None:
        sequencer = str(params[0])
        if sequencer in self.programs:
            self.set_state(sequencer, "ARMED")
        else:
            self._system_error.append(f"Sequencer {sequencer} holds no program.")

    def _start(self, params: list[Any], args: list[Any], block: bytes) -> None:
        sequencer = str(params[0])
        if self.state(sequencer) == "ARMED":
            self.set_state(sequencer, "RUNNING")

    def _stop(self, params: list[Any], args: list[Any], block: bytes) -> None:
        sequencer = str(params[0])
        if self.state(sequencer) in ("ARMED", "RUNNING"):
            self.set_state(sequencer, "STOPPED")


def _arrays(table: Mapping[str, Any], key: str) -> dict[int, np.ndarray[Any, Any]]:
    """Return arrays of the maker's table by their indices; those that were sent as text are left out."""
    return {int(one["index"]): np.frombuffer(bytes(one[key]), "<f4").astype(float) for one in table.values()}


def _pair(channels: Any) -> int:
    """Return the output or input, from 1, that I and Q of a sequencer are connected to; 0 for none."""
    i, q = channels
    return int(i[0]) // 2 + 1 if len(i) == 1 and q == [i[0] + 1] else 0
