"""Channels, instructions and what goes with them: values with equality, repr and typed errors."""

import importlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.circuit import Parameter
from qiskit.exceptions import QiskitError

from pulsed.model.errors import PulsedError, from_info
from pulsed.pulse import (
    Acquire,
    AcquireChannel,
    Constant,
    ControlChannel,
    Delay,
    Discriminator,
    DriveChannel,
    Gaussian,
    Kernel,
    LoConfig,
    LoRange,
    MeasureChannel,
    MemorySlot,
    Play,
    PulseError,
    RegisterSlot,
    Schedule,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
    Snapshot,
    SnapshotChannel,
    UnassignedReferenceError,
    exceptions,
    frames,
)
from pulsed.pulse.instructions import Reference, RelativeBarrier, TimeBlockade

KINDS = [DriveChannel, MeasureChannel, ControlChannel, AcquireChannel, MemorySlot, RegisterSlot, SnapshotChannel]
D0, D1 = DriveChannel(0), DriveChannel(1)


@given(st.sampled_from(KINDS), st.integers(0, 1000), st.sampled_from(KINDS), st.integers(0, 1000))
def test_channels_are_equal_as_kind_and_index(kind, index, other_kind, other_index):
    one, other = kind(index), other_kind(other_index)
    assert (one == other) == ((kind, index) == (other_kind, other_index))
    assert one == kind(np.int64(index))
    assert hash(one) == hash(kind(index))
    assert pickle.loads(pickle.dumps(one)) == one
    assert repr(one) == f"{kind.__name__}({index})"


def test_channel_names():
    assert [kind(3).name for kind in KINDS] == ["d3", "m3", "u3", "a3", "m3", "c3", "s3"]


@pytest.mark.parametrize("index", [-1, 1.5, "a", None, True, 2.0])
def test_channel_index_must_be_a_nonnegative_integer(index):
    with pytest.raises(PulseError, match="nonnegative integer") as caught:
        DriveChannel(index)
    assert caught.value.subject == "DriveChannel"


def test_channel_index_may_be_assigned_late():
    p = Parameter("p")
    line = DriveChannel(p + 1)
    assert line.is_parameterized()
    assert line.assigned({p: 2}) == DriveChannel(3)
    assert Play(Constant(4, 0.1), line).assigned({p: 0}).channel == D1
    with pytest.raises(PulseError, match="nonnegative"):
        line.assigned({p: -3})


def test_instructions_are_equal_by_value_and_not_by_name():
    one = Play(Gaussian(160, 0.1, 40, name="u"), D0)
    other = Play(Gaussian(160, 0.1, 40), D0, name="l")
    assert one == other
    assert hash(one) == hash(other)
    assert one.name == "u"
    assert one != Play(Gaussian(160, 0.1, 40), D1)
    assert ShiftPhase(1, D0) != SetPhase(1, D0)
    assert RelativeBarrier(D0, D1) == RelativeBarrier(D1, D0)
    assert hash(RelativeBarrier(D0, D1)) == hash(RelativeBarrier(D1, D0))


@pytest.mark.parametrize(
    ("instruction", "text", "duration", "channels"),
    [
        (Play(Constant(4, 0.1), D0), "Play(Constant(duration=4, amp=0.1, angle=0.0), DriveChannel(0))", 4, (D0,)),
        (Delay(7, D0, name="n"), "Delay(7, DriveChannel(0), name='n')", 7, (D0,)),
        (
            Acquire(9, AcquireChannel(1), MemorySlot(2)),
            "Acquire(9, AcquireChannel(1), MemorySlot(2), , , )",
            9,
            (AcquireChannel(1), MemorySlot(2)),
        ),
        (SetFrequency(5e9, D0), "SetFrequency(5000000000.0, DriveChannel(0))", 0, (D0,)),
        (ShiftFrequency(-1e6, D0), "ShiftFrequency(-1000000.0, DriveChannel(0))", 0, (D0,)),
        (SetPhase(0.1, D0), "SetPhase(0.1, DriveChannel(0))", 0, (D0,)),
        (ShiftPhase(0.1, D0), "ShiftPhase(0.1, DriveChannel(0))", 0, (D0,)),
        (Snapshot("a"), "Snapshot(a, statevector, name='a')", 0, (SnapshotChannel(0),)),
        (RelativeBarrier(D0, D1), "RelativeBarrier(DriveChannel(0), DriveChannel(1))", 0, (D0, D1)),
        (TimeBlockade(3, D0), "TimeBlockade(3, DriveChannel(0))", 3, (D0,)),
    ],
)
def test_instruction_shows_its_operands(instruction, text, duration, channels):
    assert repr(instruction) == text
    assert instruction.duration == duration
    assert instruction.channels == channels
    assert pickle.loads(pickle.dumps(instruction)) == instruction
    with pytest.raises(AttributeError):
        instruction.operands = ()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Play(Constant(4, 0.1), AcquireChannel(0)), "pulse channel"),
        (lambda: Play(3, D0), "pulse or samples"),
        (lambda: Delay(-1, D0), "non-negative"),
        (lambda: Delay(1.5, D0), "integer"),
        (lambda: Delay(True, D0), "integer"),
        (lambda: Delay(3, 0), "a channel"),
        (lambda: Acquire(9, AcquireChannel(0)), "neither"),
        (lambda: Acquire(9, D0, MemorySlot(0)), "acquire channel"),
        (lambda: Acquire(9, AcquireChannel(0), AcquireChannel(0)), "memory slot"),
        (lambda: ShiftPhase(0.1, MemorySlot(0)), "pulse channel"),
        (lambda: ShiftPhase(float("nan"), D0), "finite"),
        (lambda: SetFrequency(1j, D0), "real"),
        (lambda: SetFrequency("a", D0), "real"),
        (lambda: Snapshot(1), "string"),
        (lambda: Reference(1), "string"),
        (lambda: Reference("a,b"), "reserved"),
        (lambda: RelativeBarrier(0), "wrong kind"),
        (lambda: TimeBlockade(Parameter("p"), D0), "not a parameter"),
    ],
)
def test_bad_operands_are_refused(make, words):
    with pytest.raises(PulseError, match=words):
        make()


def test_reference_knows_nothing_until_assigned():
    assert repr(Reference("a", "q0")) == "Reference(a,q0)"
    for attribute in ("duration", "channels"):
        with pytest.raises(UnassignedReferenceError, match="a"):
            getattr(Reference("a"), attribute)


def test_instructions_combine_to_schedules():
    play, delay = Play(Constant(10, 0.1), D0), Delay(3, D1)
    assert play.shift(3) == play << 3 == Schedule((3, play))
    assert play + play == Schedule(play, (10, play))
    assert play | delay == Schedule(play, delay)
    assert play.insert(5, delay) == Schedule(play, (5, delay))
    assert play.ch_duration(D1) == 0
    assert play.ch_stop_time(D0) == play.stop_time == 10


def test_errors_are_of_both_roots_and_cross_the_wire():
    error = PulseError("one", "two", subject="thing", value=3, legal="4")
    assert isinstance(error, PulsedError)
    assert isinstance(error, QiskitError)
    assert str(error) == "thing: one two; got 3; legal: 4"
    names = [name for name in vars(exceptions) if isinstance(getattr(exceptions, name), type)]
    kinds = [kind for kind in map(vars(exceptions).get, names) if issubclass(kind, PulseError)]
    assert len({kind.code for kind in kinds}) == len(kinds) >= 6
    for kind in kinds:
        again = from_info(kind("x", subject="s").to_info())
        assert type(again) is kind
        assert str(again) == str(kind("x", subject="s")) == str(pickle.loads(pickle.dumps(again)))


def test_kernels_are_equal_by_value():
    assert Kernel("k", w=np.arange(3)) == Kernel("k", w=np.arange(3))
    assert Kernel("k", w=np.arange(3)) != Kernel("k", w=np.arange(4))
    nested = {"a": [np.arange(3), {"b": (1, np.float64(2))}]}
    assert Kernel("k", w=nested) == Kernel("k", w={"a": [np.arange(3), {"b": [1, 2.0]}]})
    assert Kernel("k", w=nested) != Kernel("k", w={"a": [np.arange(3), {"b": [1, 3.0]}]})
    assert Kernel("k", w=[np.arange(3)]) != Kernel("k", w=[np.arange(4)])
    assert Kernel("k", w=[np.arange(3)]) != Kernel("k", w=3)
    assert Kernel("k") != Discriminator("k")
    assert repr(Kernel("k", a=1)) == "Kernel('k', a=1)"


def test_lo_settings_are_checked_against_their_range():
    config = LoConfig({D0: 5e9, MeasureChannel(0): 7e9}, {D0: (4e9, 6e9)})
    assert config.qubit_los == {D0: 5e9}
    assert config.meas_los == {MeasureChannel(0): 7e9}
    assert config.channel_lo(D0) == 5e9
    assert LoRange(1, 2) == LoRange(1, 2)
    for wrong in (
        lambda: LoConfig({D0: 5e9}, {D0: (1e9, 2e9)}),
        lambda: config.add_lo(D0, 7e9),
        lambda: config.channel_lo(D1),
        lambda: LoConfig({AcquireChannel(0): 1e9}),
    ):
        with pytest.raises(PulseError):
            wrong()


def test_signs_of_field_and_frames():
    # d·e^{iφ}·e^{−i2πft} of a channel shifted by +δ is that of the higher frequency
    t, f, shift = 3.3e-8, 5.1e9, 2e6
    assert frames.carrier(f, t) * frames.carrier(shift, t) == pytest.approx(frames.carrier(f + shift, t), abs=1e-6)
    assert frames.carrier(1.0, 0.25) == pytest.approx(-1j)
    # rz(λ) then a drive along x is a drive along −λ in the equator: e^{iφ} with φ = rz_phase(λ)
    assert frames.rz_phase(0.3) == -0.3
    p = Parameter("p")
    assert frames.rz_phase(p).assign(p, 2).numeric() == -2


def test_names_of_qiskit_are_there():
    # what an old program imports from qiskit.pulse 1.4 and its submodules
    modules = {
        "": "Acquire AcquireChannel BackendNotSet Constant ControlChannel Cos Delay Discriminator Drag "
        "DriveChannel Gaussian GaussianDeriv GaussianSquare GaussianSquareDrag Instruction "
        "InstructionScheduleMap Kernel LoConfig LoRange MeasureChannel MemorySlot NoActiveBuilder Play "
        "PulseError RegisterSlot Sawtooth ScalableSymbolicPulse Schedule ScheduleBlock Sech SechDeriv "
        "SetFrequency SetPhase ShiftFrequency ShiftPhase Sin Snapshot SnapshotChannel Square SymbolicPulse "
        "Triangle UnassignedDurationError UnassignedReferenceError Waveform acquire acquire_channel "
        "Call Reference TimeBlockade append_instruction append_schedule calibration_entries functional_pulse inline "
        "parser reference_manager "
        "active_backend align_equispaced align_func align_left align_right align_sequential barrier build "
        "builder call channels configuration control_channels delay delay_qubits drive_channel exceptions "
        "filters frequency_offset gaussian_square_echo instruction_schedule_map instructions library macro "
        "macros measure measure_all measure_channel num_qubits phase_offset play qubit_channels reference "
        "samples_to_seconds schedule seconds_to_samples set_frequency set_phase shift_frequency shift_phase "
        "snapshot transforms utils",
        "builder": "append_instruction append_schedule general_transforms",
        "channels": "Channel ClassicalIOChannel PulseChannel",
        "filters": "composite_filter filter_instructions with_channels with_instruction_types with_intervals",
        "instructions": "Directive Reference RelativeBarrier TimeBlockade",
        **{
            f"instructions.{name.lower()}": name
            for name in ("Acquire", "Delay", "Play", "Snapshot", "Reference", "Call")
        },
        "instructions.directives": "Directive RelativeBarrier TimeBlockade",
        "instructions.frequency": "SetFrequency ShiftFrequency",
        "instructions.phase": "SetPhase ShiftPhase",
        "instructions.instruction": "Instruction",
        "calibration_entries": "CalibrationEntry CalibrationPublisher CallableDef ScheduleDef",
        "parser": "PulseExpression parse_string_expr",
        "reference_manager": "ReferenceManager",
        "transforms.alignments": "AlignEquispaced AlignFunc AlignLeft AlignRight AlignSequential AlignmentKind",
        "transforms.base_transforms": "target_qobj_transform",
        "transforms.canonicalization": "block_to_schedule compress_pulses flatten inline_subroutines",
        "library": "Pulse",
        "library.samplers": "functional_pulse",
        "macros": "measure measure_all",
        "transforms": "AlignEquispaced AlignFunc AlignLeft AlignRight AlignSequential AlignmentKind "
        "add_implicit_acquires "
        "align_measures block_to_schedule compress_pulses flatten inline_subroutines pad remove_directives "
        "remove_trivial_barriers target_qobj_transform",
        "utils": "format_meas_map format_parameter_value instruction_duration_validation",
    }
    for module, wanted in modules.items():
        found = importlib.import_module("pulsed.pulse" + (f".{module}" if module else ""))
        assert [name for name in wanted.split() if not hasattr(found, name)] == []
