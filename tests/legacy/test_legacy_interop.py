"""Programs of Qiskit 1.4 into ours and back: nothing is lost, and both languages give them the same times.

One recipe builds the same program in both languages, for their names are the same.
"""

import numpy as np
import pytest
import qiskit.pulse
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import Parameter

import pulsed.pulse
from pulsed.pulse import interop_pulses
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.interop import from_qiskit, is_qiskit_program, to_qiskit
from pulsed.pulse.library.shape_cache import SHAPE_CACHE
from pulsed.pulse.library.shapes import SHAPES as OUR_SHAPES
from pulsed.testing.programs import program_values, timed_values

LANGUAGES = (qiskit.pulse, pulsed.pulse)
AMP, PHASE, TIME = Parameter("amp"), Parameter("phase"), Parameter("time")

amplitudes = st.floats(0.01, 0.4)  # Sech of no amplitude is NaN in qiskit.pulse
angles = st.floats(-3.0, 3.0)
lengths = st.integers(40, 160)
sigmas = st.floats(8.0, 30.0)
names = st.none() | st.sampled_from(["a", "b"])


def shape(name, **parameters):
    fields = {"duration": lengths, "amp": amplitudes, "angle": angles, "name": names, **parameters}
    return st.tuples(st.just(name), st.fixed_dictionaries(fields))


SQUARE = {"sigma": st.floats(4.0, 9.0), "width": st.integers(0, 30)}
WAVE = {"freq": st.floats(0.01, 0.4), "phase": angles}
SHAPES = {
    "Constant": {},
    "Gaussian": {"sigma": sigmas},
    "GaussianDeriv": {"sigma": sigmas},
    "Drag": {"sigma": sigmas, "beta": st.floats(-3.0, 3.0)},
    "GaussianSquare": SQUARE,
    "GaussianSquareDrag": {**SQUARE, "beta": st.floats(-2.0, 2.0)},
    # each half needs a flat top of no negative width
    "gaussian_square_echo": {
        **SQUARE,
        "duration": st.integers(40, 60),
        "width": st.integers(30, 40),
        "active_amp": amplitudes,
        "active_angle": angles,
    },
    "Sech": {"sigma": sigmas, "zero_ends": st.booleans()},
    "SechDeriv": {"sigma": sigmas},
    **dict.fromkeys(("Sin", "Cos", "Sawtooth", "Triangle", "Square"), WAVE),
}
pulses = st.one_of(shape(name, **parameters) for name, parameters in SHAPES.items()) | st.tuples(
    st.just("Waveform"),
    st.fixed_dictionaries(
        {"samples": st.lists(st.complex_numbers(max_magnitude=0.99), min_size=1, max_size=20), "name": names}
    ),
)
free_pulses = pulses | shape("Gaussian", amp=st.just(AMP / 2), sigma=sigmas)

lines = st.tuples(st.sampled_from(["DriveChannel", "ControlChannel", "MeasureChannel"]), st.integers(0, 1))
frames = st.sampled_from(["ShiftPhase", "SetPhase", "ShiftFrequency", "SetFrequency"])
acquisitions = st.tuples(
    st.just("Acquire"),
    lengths,
    st.integers(0, 1),
    st.integers(0, 3),
    st.none() | st.fixed_dictionaries({"name": st.sampled_from(["boxcar", "matched"]), "start": st.integers(0, 9)}),
    names,
)


def moves(pulses, delays, phases):
    return (
        st.tuples(st.just("Play"), pulses, lines, names)
        | st.tuples(st.just("Delay"), delays, lines, names)
        | st.tuples(frames, phases, lines, names)
        | acquisitions
    )


bound_moves = moves(pulses, st.integers(0, 200), angles)
free_moves = moves(free_pulses, st.integers(0, 200) | st.just(TIME), angles | st.just(2 * PHASE))
extras = (
    st.tuples(st.just("RelativeBarrier"), st.lists(lines, min_size=1, max_size=3, unique=True), names)
    | st.tuples(st.just("TimeBlockade"), st.integers(0, 90), lines)
    | st.tuples(
        st.just("Snapshot"), st.sampled_from(["one", "two"]), st.sampled_from(["statevector", "unitary"]), names
    )
)
plain_contexts = st.sampled_from(["AlignLeft", "AlignRight", "AlignSequential"])
contexts = plain_contexts | st.tuples(st.sampled_from(["AlignEquispaced", "AlignFunc"]), st.just(100_000))
metadata = st.dictionaries(st.sampled_from(["x", "y"]), st.integers(), max_size=2)


def blocks(leaves, inner_contexts=contexts):
    def block(parts, contexts=inner_contexts):
        return st.tuples(st.just("block"), contexts, st.lists(parts, min_size=1, max_size=4), names, metadata)

    return block(st.recursive(leaves, lambda inner: block(inner) | inner, max_leaves=8), contexts)


def middle(j):
    """Place of part j of an AlignFunc."""
    return 0.1 + 0.1 * j


def channel(pulse, line):
    return getattr(pulse, line[0])(line[1])


def instruction(pulse, recipe):
    kind, *rest = recipe
    if kind == "Play":
        (shape_name, fields), line, name = rest
        return pulse.Play(getattr(pulse.library, shape_name)(**fields), channel(pulse, line), name=name)
    if kind == "Acquire":
        duration, index, slot, kernel, name = rest
        return pulse.Acquire(
            duration, pulse.AcquireChannel(index), pulse.MemorySlot(slot), pulse.RegisterSlot(slot),
            kernel=None if kernel is None else pulse.Kernel(**kernel),
            discriminator=pulse.Discriminator("linear", axis=np.arange(2.0)), name=name,
        )  # fmt: skip
    if kind == "RelativeBarrier":
        return pulse.instructions.RelativeBarrier(*(channel(pulse, line) for line in rest[0]), name=rest[1])
    if kind == "TimeBlockade":
        return pulse.instructions.TimeBlockade(rest[0], channel(pulse, rest[1]))
    if kind == "Snapshot":
        return pulse.instructions.Snapshot(*rest)
    value, line, name = rest
    return getattr(pulse, kind)(value, channel(pulse, line), name=name)


def program(pulse, recipe):
    """The program of a recipe; nested parts named b are called as subroutines in every second place."""
    _, context, parts, name, kept = recipe
    kind, *operands = context if isinstance(context, tuple) else (context,)
    if kind == "AlignFunc":
        operands.append(middle)
    block = pulse.ScheduleBlock(name or "block", dict(kept), getattr(pulse.transforms, kind)(*operands))
    for place, part in enumerate(parts):
        if part[0] != "block":
            block.append(instruction(pulse, part))
        elif place % 2:
            block.append(program(pulse, part))
        else:
            keys = ("sub", f"{place}{abs(hash(str(part)))}")
            block.append(pulse.instructions.Reference(*keys))
            block.assign_references({keys: program(pulse, part)})
    return block


@given(blocks(free_moves | extras))
@settings(deadline=None, max_examples=80, print_blob=True)
def test_a_block_goes_over_and_comes_back_with_all_that_is_in_it(recipe):
    theirs, ours = (program(pulse, recipe) for pulse in LANGUAGES)
    assert program_values(from_qiskit(theirs)) == program_values(ours) == program_values(theirs)
    assert from_qiskit(theirs) == ours
    assert program_values(to_qiskit(ours)) == program_values(theirs)
    assert to_qiskit(ours) == theirs
    assert from_qiskit(theirs).parameters == theirs.parameters


@given(blocks(bound_moves | extras, plain_contexts))
@settings(deadline=None, max_examples=80, print_blob=True)
def test_blocks_have_the_same_times_in_both_languages(recipe):
    theirs, ours = (pulse.transforms.block_to_schedule(program(pulse, recipe)) for pulse in LANGUAGES)
    assert program_values(from_qiskit(theirs)) == program_values(theirs)
    # Each language leaves barriers of its own behind. Two instructions of no duration at one time on one channel
    # have no order in qiskit.pulse.
    played = [sorted(map(str, timed_values(pulse.transforms.remove_directives(schedule))))
              for pulse, schedule in zip(LANGUAGES, (theirs, ours), strict=True)]  # fmt: skip
    assert played[0] == played[1]


@given(st.lists(st.tuples(st.integers(0, 500), bound_moves), max_size=8), names, metadata)
@settings(deadline=None, max_examples=80, print_blob=True)
def test_a_schedule_goes_over_and_comes_back_with_its_times(recipe, name, kept):
    theirs, ours = (pulse.Schedule(name=name or "s", metadata=dict(kept)) for pulse in LANGUAGES)
    for gap, move in recipe:
        for pulse, schedule in zip(LANGUAGES, (theirs, ours), strict=True):
            inner = pulse.Schedule((3, instruction(pulse, move)), name="inner")
            schedule.insert(schedule.duration + gap, inner, inplace=True)
    assert program_values(from_qiskit(theirs)) == program_values(ours) == program_values(theirs)
    assert from_qiskit(theirs) == ours
    assert program_values(to_qiskit(ours)) == program_values(theirs)
    assert to_qiskit(ours) == theirs
    assert timed_values(ours) == timed_values(theirs)


@pytest.mark.parametrize("name", SHAPES)
@given(st.data())
@settings(deadline=None, max_examples=25, print_blob=True)
def test_a_shape_has_the_same_samples_in_both_languages(name, data):
    _, fields = data.draw(shape(name, **SHAPES[name]))
    theirs, ours = (getattr(pulse.library, name)(**fields).get_waveform().samples for pulse in LANGUAGES)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-12


def test_a_subroutine_without_a_program_stays_open():
    with qiskit.pulse.build(name="main") as theirs:
        qiskit.pulse.reference("x", "q0")
        with qiskit.pulse.align_right():
            qiskit.pulse.reference("x", "q0")
    ours = from_qiskit(theirs)
    assert ours.references.unassigned() == (("x", "q0"),)
    assert program_values(to_qiskit(ours)) == program_values(theirs)
    inner = pulsed.pulse.ScheduleBlock(name="inner")
    inner.append(pulsed.pulse.Delay(8, pulsed.pulse.DriveChannel(0)))
    ours.assign_references({("x", "q0"): inner})
    assert from_qiskit(to_qiskit(ours)) == ours
    assert to_qiskit(ours).duration == ours.duration == 16


def test_parameters_are_the_same_objects():
    with qiskit.pulse.build() as theirs:
        qiskit.pulse.play(qiskit.pulse.Gaussian(160, AMP, 40), qiskit.pulse.ControlChannel(Parameter("pair")))
    ours = from_qiskit(theirs)
    assert ours.parameters == theirs.parameters
    assert to_qiskit(ours).parameters == theirs.parameters
    assert not ours.assign_parameters({AMP: 0.1, "pair": 2}, inplace=False).is_parameterized()


t, height, slope = sympy.symbols("t, height, slope")


def user_pulse(height_value, **options):
    return qiskit.pulse.library.SymbolicPulse(
        "ramp", 64, {"height": height_value, "slope": 0.01}, envelope=height * sympy.tanh(slope * t),
        constraints=height > 0, valid_amp_conditions=height <= 1, **options,
    )  # fmt: skip


def carried(pulse):
    theirs = qiskit.pulse.Schedule((0, qiskit.pulse.Play(pulse, qiskit.pulse.DriveChannel(0))))
    ((_, play),) = from_qiskit(theirs).instructions
    assert to_qiskit(from_qiskit(theirs)) == theirs
    return play.pulse


def test_a_formula_of_the_user_travels_as_a_function():
    ours = carried(user_pulse(0.7, name="mine"))
    times = np.arange(64) + 0.5
    assert np.allclose(ours.envelope(), 0.7 * np.tanh(0.01 * times), rtol=0, atol=1e-15)
    assert np.allclose(ours.envelope(), user_pulse(0.7).get_waveform().samples, rtol=0, atol=1e-15)
    assert (ours.pulse_type, ours.name, ours.height) == ("ramp", "mine", 0.7)
    late = from_qiskit(qiskit.pulse.ScheduleBlock()).append(
        pulsed.pulse.Play(carried(user_pulse(AMP)), pulsed.pulse.DriveChannel(0))
    )
    assert late.assign_parameters({AMP: 0.7}, inplace=False).blocks[0].pulse == ours
    with pytest.raises(PulseError, match="height"):
        late.assign_parameters({AMP: -0.7}, inplace=False)


def test_a_scalable_formula_keeps_its_amplitude_apart():
    amp, angle = sympy.symbols("amp, angle")
    theirs = qiskit.pulse.library.ScalableSymbolicPulse(
        "ramp", 64, 0.5, 0.3, envelope=amp * sympy.exp(sympy.I * angle) * t / 64
    )
    ours = carried(theirs)
    assert ours.scale == pytest.approx(0.5 * np.exp(0.3j))
    assert np.allclose(ours.envelope(), theirs.get_waveform().samples, rtol=0, atol=1e-15)


def test_a_library_name_with_another_formula_is_not_taken_for_the_library():
    amp = sympy.Symbol("amp")
    theirs = qiskit.pulse.library.SymbolicPulse("Gaussian", 64, {"amp": 0.5, "sigma": 9.0}, envelope=amp * t / 64)
    assert np.allclose(carried(theirs).envelope(), theirs.get_waveform().samples, rtol=0, atol=1e-15)


def test_amplitudes_above_one_that_were_allowed_stay_allowed():
    assert carried(qiskit.pulse.Gaussian(64, 1.5, 16, limit_amplitude=False)).amp == 1.5
    wave = carried(qiskit.pulse.Waveform(np.full(16, 1.5), limit_amplitude=False))
    assert wave.samples[0] == 1.5


def test_a_python_function_becomes_its_samples_and_one_with_parameters_is_refused():
    def ramp(times, duration, height):
        return height * times / duration

    def played(height):
        pulse = pulsed.pulse.SymbolicPulse("ramp", 32, {"height": height}, envelope=ramp)
        return pulsed.pulse.ScheduleBlock().append(pulsed.pulse.Play(pulse, pulsed.pulse.DriveChannel(0)))

    (play,) = to_qiskit(played(0.5)).blocks
    assert np.array_equal(play.pulse.samples, 0.5 * (np.arange(32) + 0.5) / 32)
    with pytest.raises(PulseError, match=r"ramp.*amp"):
        to_qiskit(played(AMP))


def test_what_has_no_counterpart_is_named():
    class Own(qiskit.pulse.DriveChannel):
        pass

    class Context(pulsed.pulse.transforms.AlignmentKind):
        def times(self, parts):
            return [0 for _ in parts]

    with pytest.raises(PulseError, match=r"Own.*no counterpart"):
        from_qiskit(qiskit.pulse.Schedule((0, qiskit.pulse.Delay(8, Own(0)))))
    with pytest.raises(PulseError, match=r"Context.*no counterpart"):
        to_qiskit(pulsed.pulse.ScheduleBlock(alignment_context=Context()))
    with pytest.raises(PulseError, match=r"from_qiskit.*int"):
        from_qiskit(3)
    with pytest.raises(PulseError, match=r"to_qiskit.*Schedule"):
        to_qiskit(qiskit.pulse.Schedule())
    assert is_qiskit_program(qiskit.pulse.Schedule())
    assert not is_qiskit_program(pulsed.pulse.Schedule())


def test_a_converted_pulse_is_a_shape_not_samples():
    before = SHAPE_CACHE.nbytes
    with qiskit.pulse.build() as theirs:
        qiskit.pulse.play(qiskit.pulse.Drag(50_000, 0.1, 9_000, 3.0), qiskit.pulse.DriveChannel(0))
    from_qiskit(theirs)
    assert SHAPE_CACHE.nbytes == before


def test_a_shape_that_qiskit_lacks_goes_there_as_samples_and_spoils_no_other(monkeypatch):
    monkeypatch.setitem(OUR_SHAPES, "Mine", OUR_SHAPES["Gaussian"])
    interop_pulses._library.cache_clear()
    try:
        pulse = pulsed.pulse.Gaussian(64, 0.5, 16.0)
        assert interop_pulses.pulse_from_qiskit(interop_pulses.pulse_to_qiskit(pulse)) == pulse
        assert "Mine" not in interop_pulses._library()
    finally:
        interop_pulses._library.cache_clear()
