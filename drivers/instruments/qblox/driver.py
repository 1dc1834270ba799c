"""The driver of a Qblox Cluster: QCM, QRM, QCM-RF and QRM-RF modules in one frame (docs/instruments/qblox.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pulsed.drivers.contract import (
    Capabilities,
    Fetched,
    Handle,
    InstrumentIdentity,
    InstrumentState,
    OutputSettings,
    after,
    check_step,
    remaining,
)
from pulsed.drivers.instruments.qblox.connection import ClusterConnection, load_maker
from pulsed.drivers.instruments.qblox.contents import ClusterPlan, Place
from pulsed.drivers.instruments.qblox.feedback import LATENCY
from pulsed.drivers.instruments.qblox.frame import ClusterFrame
from pulsed.drivers.instruments.qblox.limits import check_work
from pulsed.drivers.instruments.qblox.modules import (
    BINS,
    LO_RANGE,
    SEQUENCERS,
    SLOTS,
    WAVEFORM_SAMPLES,
    WAVEFORMS,
    ModuleModel,
    read_modules,
    slot_of,
)
from pulsed.drivers.instruments.qblox.plan import make_plan
from pulsed.drivers.programs import PlayerWork, Rows, Transceived
from pulsed.model.device import InstrumentDescription
from pulsed.model.errors import (
    ConfigError,
    InstrumentChangedError,
    InstrumentError,
    InstrumentMemoryLostError,
    InstrumentOverheatedError,
    InstrumentReferenceLostError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    WrongInstrumentError,
)

_S = InstrumentState
_WAIT_SLICE, _POLL = 0.25, 0.002
"""Seconds after which a wait comes back, and between two looks at the sequencers."""
_GRACE = 3.0
"""Seconds that are left to ask a frame that has answered who it is."""
T = TypeVar("T")


class ClusterDriver:
    """Plays and records on the modules that the options name: ``slot4 = "QRM-RF"``; pairs are numbered by slot."""

    option_names = tuple(f"slot{slot}" for slot in range(1, SLOTS + 1))

    def __init__(self, name: str, description: InstrumentDescription) -> None:
        self.name, self.description = name, description
        load_maker()  # which takes seconds, so that it is not part of any deadline
        self.connection = ClusterConnection(name, description.address)
        self.modules = read_modules(name, description.options)
        if description.trigger is not None:
            raise ConfigError(
                "a Cluster starts by itself", subject=f"instruments.{name}.trigger", value=description.trigger,
                legal="none",
            )  # fmt: skip
        self.frame = ClusterFrame(self.connection, self.modules)
        self.identity: InstrumentIdentity | None = None
        self.capabilities = capabilities_of(self.modules)
        self.epoch = 0
        self._state = _S.CLOSED
        self._held: dict[Place, str] = {}
        """Hash of what each sequencer holds."""
        self._set: dict[tuple[int, str], Any] = {}
        """What parameters of modules were set to, and shall have."""
        self._changed: set[tuple[int, str]] = set()
        """Those of which somebody else has changed some."""
        self._planned: tuple[PlayerWork, ClusterPlan] | None = None
        self._uploaded: tuple[str, PlayerWork, ClusterPlan] | None = None

    @property
    def subject(self) -> str:
        """The subject of its errors."""
        return self.connection.subject

    @property
    def state(self) -> InstrumentState:
        """Where the driver knows the instrument to be."""
        return self._state

    @property
    def instrument(self) -> Any:
        """The maker's QCoDeS instrument, None without a connection."""
        return self.connection.cluster

    def _step(self, new: InstrumentState) -> None:
        check_step(self.name, self._state, new)
        self._state = new

    def _do(self, deadline: float, what: str, task: Callable[[], T]) -> T:
        """Talk to the instrument; a failure puts the driver into the state fault."""
        if self.connection.cluster is None:
            raise InstrumentUnreachableError("is not connected", subject=self.subject, value=self.connection.address)
        try:
            with self.connection.talking(deadline, what):
                return task()
        except (InstrumentChangedError, InstrumentMemoryLostError):
            raise
        except InstrumentError as error:
            if isinstance(error, InstrumentTimeoutError | InstrumentUnreachableError):
                self.connection.close()  # what it still answers is not to be taken for another answer
                self._step(_S.FAULT)
                raise
            with suppress(Exception):  # what is left in the queue would fail whatever is asked next
                self.connection.drain_errors()
            self._step(_S.FAULT)
            self._raise_condition(deadline)  # a frame that is unwell refuses this and that
            raise

    def _raise_condition(self, deadline: float) -> None:
        """Raise the error of what the frame itself says is wrong, if anything."""
        try:
            with self.connection.talking(deadline, "its status"):
                self.frame.check_conditions()
        except (InstrumentOverheatedError, InstrumentReferenceLostError):
            raise
        except InstrumentError:  # it is the first error that counts
            pass

    # --- connection ----------------------------------------------------------------------------------------------

    def connect(self, deadline: float) -> None:
        """Connect, check frame and modules, and bring the instrument to idle, its outputs off."""
        self.close()
        try:
            self.connection.open(deadline)
            # The maker's object makes 1600 parameters, which is no fault of the instrument's.
            deadline = max(deadline, after(_GRACE))
            self.identify(deadline)
            with self.connection.talking(deadline, "its modules"):
                self.frame.check_modules()
                self.frame.switch_off()
                self.connection.drain_errors()
        except BaseException:
            self.close()
            raise
        self._step(_S.IDLE)

    def identify(self, deadline: float) -> InstrumentIdentity:
        """Ask who it is. Raises :class:`WrongInstrumentError`."""
        if self.connection.cluster is None:
            raise InstrumentUnreachableError("is not connected", subject=self.subject, value=self.connection.address)
        with self.connection.talking(deadline, "its identity"):
            idn = self.connection.cluster.get_idn()
        firmware = str(idn.get("firmware", {}).get("application", {}).get("version", ""))
        identity = InstrumentIdentity(idn["manufacturer"], idn["model"], str(idn["serial_number"]), firmware)
        want = self.description.identity
        pairs = ((want.vendor, identity.vendor), (want.model, identity.model), (want.serial, identity.serial))
        if any(one and one.lower() != other.lower() for one, other in pairs):
            raise WrongInstrumentError(
                "another instrument than the configuration names answers here", subject=self.subject,
                value=str(identity), legal=",".join(one or "any" for one, _ in pairs),
            )  # fmt: skip
        if self.identity is not None and self.identity.firmware != identity.firmware:
            raise WrongInstrumentError(
                "came back with another firmware; restart the daemon to accept it", subject=self.subject,
                value=str(identity), legal=str(self.identity),
            )  # fmt: skip
        self.identity = identity
        return identity

    def close(self) -> None:
        """Close. Idempotent, never raises."""
        self.connection.close()
        self._forget()
        self._state = _S.CLOSED

    def _forget(self) -> None:
        """Take nothing for held, and no setting for sent."""
        self.epoch += 1
        self.frame.forget()
        self._held.clear()
        self._set.clear()
        self._changed.clear()

    def reset(self, deadline: float) -> None:
        """Bring the instrument to the state after power-on and connect to it again."""
        self._do(deadline, "*RST", self.frame.reset)
        self.connect(deadline)

    def safe_state(self, deadline: float) -> None:
        """Stop, disconnect the outputs and switch the LOs off; connects again when there is no connection."""
        if self.connection.cluster is None:
            self.connect(deadline)
            return
        self._do(deadline, "switching off", self.frame.switch_off)
        self._forget()
        self._step(_S.IDLE)

    def drain_errors(self, deadline: float) -> list[str]:
        """Empty the error queue and return what was in it."""
        return self._do(deadline, "its errors", self.connection.drain_errors)

    def status(self, deadline: float) -> InstrumentState:
        """Ask the instrument where it is. Raises the error of what is wrong."""
        self._do(deadline, "its status", self.frame.check_conditions)
        self._do(deadline, "its memory", partial(self._check_left, tuple(self._held)))
        return self._state

    # --- settings ------------------------------------------------------------------------------------------------

    def configure(self, settings: OutputSettings, deadline: float) -> None:
        """Set the LOs of the pairs that are used and switch them on; only differences are sent."""
        wanted: dict[tuple[int, str], Any] = {}
        for pair, frequency in (*settings.los.items(), *settings.input_los.items()):
            slot, number = slot_of(pair)
            name = self.modules[slot].lo(number)
            wanted[slot, f"{name}_freq"], wanted[slot, f"{name}_en"] = round(frequency), True

        def apply() -> None:
            for (slot, name), value in wanted.items():
                if self._set.get((slot, name)) != value or (slot, name) in self._changed:
                    self._set.pop((slot, name), None)
                    getattr(self.connection.cluster.modules[slot - 1], name)(value)
                    self._set[slot, name] = value
                    self._changed.discard((slot, name))
            self.frame.check_queue()

        self._do(deadline, "setting its LOs", apply)

    def _check_left(self, places: Sequence[Place]) -> None:
        """Raise the error about sequencers that hold nothing any more, and LOs that are not as they were left."""
        lost = self.frame.lost(places)
        if lost is not None:
            self._forget()
            raise InstrumentMemoryLostError(
                "what was uploaded is no longer there", subject=self.subject,
                value=f"module {lost[0]}, sequencer {lost[1]} is as after power-on", legal="its program",
            )  # fmt: skip
        for (slot, name), value in list(self._set.items()):
            found = getattr(self.connection.cluster.modules[slot - 1], name).get()
            if found != value:
                self._changed.add((slot, name))
                raise InstrumentChangedError(
                    "was changed by somebody else", subject=self.subject, value=f"module {slot} {name} {found}",
                    legal=f"{value}",
                )  # fmt: skip

    # --- work ----------------------------------------------------------------------------------------------------

    def validate(self, work: PlayerWork) -> None:
        """Check every limit. Raises :class:`InstrumentLimitError`."""
        check_work(work, self.capabilities, self.modules, self.subject)
        self._planned = work, make_plan(work, self.modules, self.subject)

    def upload(self, work: PlayerWork, deadline: float) -> Handle:
        """Send what the sequencers do not hold."""
        check_step(self.name, self._state, _S.IDLE)
        if self._state in (_S.ARMED, _S.FAULT):
            self.stop(deadline)
        if self._planned is None or self._planned[0] is not work:
            self._planned = work, make_plan(work, self.modules, self.subject)
        plan = self._planned[1]
        wanted = {one.place for one in plan.sequencers}
        for place in [place for place in self._held if place not in wanted]:
            del self._held[place]
            self._do(deadline, "taking a sequencer out", partial(self.frame.take_out, place))
        for one in plan.sequencers:
            if self._held.get(one.place) != one.name:
                self._held.pop(one.place, None)
                self._do(deadline, f"{one.title}: uploading", partial(self.frame.send, one))
                self._held[one.place] = one.name
        self._step(_S.IDLE)
        self._uploaded = plan.name, work, plan
        return Handle(self.name, plan.name, self.epoch, tuple(range(len(entries_of(work)))))

    def verify(self, handle: Handle, deadline: float) -> None:
        """Ask whether the sequencers of ``handle`` hold something. Raises :class:`InstrumentMemoryLostError`."""
        plan = self._plan_of(handle)[1]
        self._do(deadline, "its memory", partial(self._check_left, [one.place for one in plan.sequencers]))

    def _plan_of(self, handle: Handle) -> tuple[PlayerWork, ClusterPlan]:
        if self._uploaded is None or handle.epoch != self.epoch or handle.name != self._uploaded[0]:
            raise InstrumentMemoryLostError(
                "what was uploaded is no longer there", subject=self.subject, value=f"memory epoch {handle.epoch}",
                legal=f"memory epoch {self.epoch}",
            )  # fmt: skip
        return self._uploaded[1:]

    # --- runs ----------------------------------------------------------------------------------------------------

    def arm(self, handle: Handle, deadline: float) -> None:
        """Arm the sequencers of ``handle``, their bins empty."""
        check_step(self.name, self._state, _S.ARMED)
        plan = self._plan_of(handle)[1]
        self._do(deadline, "its memory", partial(self._check_left, [one.place for one in plan.sequencers]))
        self._do(deadline, "arming", partial(self.frame.arm, plan))
        self._step(_S.ARMED)

    def start(self, deadline: float) -> None:
        """Start all armed sequencers together."""
        check_step(self.name, self._state, _S.RUNNING)

        def start() -> None:
            self.connection.cluster.start_sequencer()
            self.frame.check_queue()

        self._do(deadline, "starting", start)
        self._step(_S.RUNNING)

    def stop(self, deadline: float) -> None:
        """Stop and disarm."""
        self._do(deadline, "stopping", self.frame.stop)
        self._step(_S.IDLE)

    def wait_done(self, deadline: float) -> bool:
        """Wait until the run is done, or a fraction of a second has passed. Returns whether it is done."""
        if self._state is _S.DONE:
            return True
        check_step(self.name, self._state, _S.DONE)
        assert self._uploaded is not None, "what was armed was uploaded"
        plan, until = self._uploaded[2], time.monotonic() + min(_WAIT_SLICE, remaining(deadline))
        while True:
            if not remaining(deadline):
                raise InstrumentTimeoutError("the run is not done within the deadline", subject=self.subject)
            if self._do(deadline, "waiting", partial(self.frame.all_stopped, plan)):
                self._step(_S.DONE)
                return True
            if time.monotonic() > until:
                return False
            time.sleep(_POLL)

    def fetch(self, handle: Handle, deadline: float) -> Fetched:
        """Return the integrals of the run that is done, one array per entry."""
        check_step(self.name, self._state, _S.DONE)
        work, plan = self._plan_of(handle)
        values: dict[Place, npt.NDArray[np.complex128]] = {}
        over = False
        for one in plan.sequencers:
            if one.bins:
                values[one.place], beyond = self._do(deadline, "fetching", partial(self.frame.integrals, one))
                over = over or beyond
        arrays = []
        for shots, columns in zip(entries_of(work)["shots"].tolist(), plan.columns, strict=True):
            array = np.empty((shots, len(columns)), np.complex64)
            for number, column in enumerate(columns):
                own = values[column.place][column.first :: column.stride][:shots]
                array[:, number] = np.conj(own) * column.factor
            arrays.append(array)
        return Fetched("integrate", tuple(arrays), "full scale", (over,) * len(arrays))


def capabilities_of(modules: dict[int, ModuleModel]) -> Capabilities:
    """Return what a frame with ``modules`` can do."""
    outputs = tuple(10 * slot + k for slot, model in modules.items() for k in range(1, model.outputs + 1))
    inputs = tuple(10 * slot + k for slot, model in modules.items() for k in range(1, model.inputs + 1))
    return Capabilities(
        sample_rate=Fraction(10**9), granularity=1, min_length=4, max_length=WAVEFORM_SAMPLES // 2, pairs=len(outputs),
        pair_numbers=outputs, input_numbers=inputs, oscillators=SEQUENCERS, max_frequency=500e6, bits=16, min_gap=4,
        oscillator_events=16384 // 3, oscillator_waveform_memory=WAVEFORM_SAMPLES // 2,
        oscillator_waveforms=WAVEFORMS // 2, result_memory=8 * BINS * SEQUENCERS * max(1, len(inputs)),
        weights="real", correction="none", modes=("integrate",),
        branching=True, own_bits=True, feedback_bits=255, decisions=True, feedback_latency=LATENCY,
        lo_frequency=LO_RANGE if any(model.rf for model in modules.values()) else (0.0, 0.0),
    )  # fmt: skip


def entries_of(work: PlayerWork) -> Rows:
    """Return the list of what is played or recorded."""
    return work.playback.entries if isinstance(work, Transceived) else work.entries
