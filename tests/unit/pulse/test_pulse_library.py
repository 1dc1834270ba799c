"""Envelopes: against their formulas, closed-form integrals, derivatives, and values seen in Qiskit 1.4."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import Parameter

from pulsed.pulse import exceptions, library
from pulsed.pulse.library import shapes
from pulsed.pulse.library.shape_cache import SHAPE_CACHE, ShapeCache

# a few samples of each shape, printed by Qiskit 1.4.6
SEEN_IN_QISKIT = [
    (
        "Constant",
        (37, 0.7, 0.3),
        {
            0: (0.6687355423879241 + 0.20686414466293768j),
            6: (0.6687355423879241 + 0.20686414466293768j),
            23: (0.6687355423879241 + 0.20686414466293768j),
        },
    ),
    (
        "Gaussian",
        (37, 0.7, 9.0, 0.3),
        {
            0: (0.029356891747704453 + 0.009081150793430649j),
            6: (0.23328094157626839 + 0.07216225157260457j),
            23: (0.5629915091009864 + 0.1741536819873612j),
        },
    ),
    (
        "GaussianSquare",
        (37, 0.7, 4.0, 15, 0.3),
        {
            0: (0.014056353090832216 + 0.0043481395483066735j),
            6: (0.3516401540537771 + 0.10877504646714554j),
            23: (0.6687355423879241 + 0.20686414466293768j),
        },
    ),
    (
        "GaussianSquareDrag",
        (37, 0.7, 4.0, 1.5, 15, 0.3),
        {
            0: (0.009776153222967834 + 0.018184862122094633j),
            6: (0.30575068132545 + 0.25712323645858276j),
            23: (0.6687355423879241 + 0.20686414466293768j),
        },
    ),
    (
        "gaussian_square_echo",
        (80, 0.5, 6.0, 60, 0.3, 0.2, 0.1),
        {
            0: (0.08252555924683627 + 0.02045571066807334j),
            6: (0.5465687638458394 + 0.13547866376762072j),
            23: (0.6766690776184081 + 0.1677267866600354j),
        },
    ),
    (
        "GaussianDeriv",
        (37, 0.7, 9.0, 0.3),
        {
            0: (0.020111892008768797 + 0.006221337246546299j),
            6: (0.04072968897402456 + 0.012599169234991188j),
            23: (-0.035376807470292336 - 0.010943328946021933j),
        },
    ),
    (
        "Drag",
        (37, 0.7, 9.0, -2.5, 0.3),
        {
            0: (0.034401975521832585 - 0.007228233510849599j),
            6: (0.26000770141797375 - 0.01423809715934668j),
            23: (0.5361159408930602 + 0.261035087712822j),
        },
    ),
    (
        "Sin",
        (37, 0.7, 0.4, 0.07, 0.3),
        {
            0: (0.38851068610472994 + 0.12018043857289873j),
            6: (-0.07823413378226006 - 0.024200653535661868j),
            23: (-0.6463049552181086 - 0.19992555095128528j),
        },
    ),
    (
        "Cos",
        (37, 0.7, 0.4, 0.07, 0.3),
        {
            0: (0.5443038420177677 + 0.16837290913788514j),
            6: (-0.6641435431924415 - 0.2054436728535966j),
            23: (-0.17174728677155207 - 0.05312766157054035j),
        },
    ),
    (
        "Sawtooth",
        (37, 0.7, 0.4, 0.07, 0.3),
        {
            0: (0.13195754172097696 + 0.040819251063672395j),
            6: (-0.6437756874490149 - 0.19914315674533525j),
            23: (-0.38965618134160357 - 0.12053478177341888j),
        },
    ),
    (
        "Triangle",
        (37, 0.7, 0.4, 0.07, 0.3),
        {
            0: (0.26391508344195386 + 0.08163850212734478j),
            6: (-0.04991970987781841 - 0.015441975835204808j),
            23: (-0.5581587220926412 - 0.17265872577903757j),
        },
    ),
    (
        "Square",
        (37, 0.7, 0.4, 0.07, 0.3),
        {
            0: (0.6687355423879241 + 0.20686414466293768j),
            6: (-0.6687355423879241 - 0.20686414466293768j),
            23: (-0.6687355423879241 - 0.20686414466293768j),
        },
    ),
    (
        "Sech",
        (37, 0.7, 5.0, 0.3),
        {
            0: (0.009854319378424849 + 0.003048298198977383j),
            6: (0.09721436736782935 + 0.03007192780973649j),
            23: (0.4234509346017338 + 0.13098872400339018j),
        },
    ),
    (
        "SechDeriv",
        (37, 0.7, 5.0, 0.3),
        {
            0: (0.0072925878411523514 + 0.002255861772730809j),
            6: (0.023675529737035926 + 0.007323699576375808j),
            23: (-0.06601146686330256 - 0.020419739590723934j),
        },
    ),
]

finite = st.floats(-1, 1, allow_nan=False)
angles = st.floats(-10, 10, allow_nan=False)
durations = st.integers(1, 400)
sigmas = st.floats(0.5, 200)


def midpoints(duration):
    return np.arange(duration) + 0.5


def lifted(x, centre, sigma, foot):
    floor = math.exp(-0.5 * (foot / sigma) ** 2)
    return (math.exp(-0.5 * ((x - centre) / sigma) ** 2) - floor) / (1 - floor)


@pytest.mark.parametrize(("name", "arguments", "samples"), SEEN_IN_QISKIT)
def test_samples_are_those_of_qiskit(name, arguments, samples):
    envelope = getattr(library, name)(*arguments).envelope()
    assert len(envelope) == arguments[0]
    for n, value in samples.items():
        assert envelope[n] == pytest.approx(value, rel=1e-13, abs=1e-15)


def test_the_list_of_known_samples_names_every_shape():
    assert {name for name, *_ in SEEN_IN_QISKIT} == {key.partition(".")[0] for key in shapes.SHAPES}


@given(durations, finite, sigmas, angles)
@settings(deadline=None)
def test_gaussian_is_its_formula_at_the_midpoints(duration, amp, sigma, angle):
    pulse = library.Gaussian(duration, amp, sigma, angle)
    phase = complex(math.cos(angle), math.sin(angle))
    expected = [amp * phase * lifted(x, duration / 2, sigma, duration / 2 + 1) for x in midpoints(duration)]
    # the lift 1/(1 - floor) amplifies rounding when the pulse is much shorter than sigma
    floor = math.exp(-0.5 * ((duration / 2 + 1) / sigma) ** 2)
    assert np.allclose(pulse.envelope(), expected, rtol=0, atol=1e-14 / (1 - floor))


@given(st.integers(20, 400), st.floats(0.1, 0.4))
@settings(deadline=None)
def test_gaussian_area_is_that_of_the_error_function(duration, ratio):
    sigma = duration * ratio
    half = duration / 2
    floor = math.exp(-0.5 * ((half + 1) / sigma) ** 2)
    area = (sigma * math.sqrt(2 * math.pi) * math.erf(half / sigma / math.sqrt(2)) - duration * floor) / (1 - floor)
    # error of the midpoint rule: duration · max|f''| / 24, with |f''| ≤ 1/σ²
    bound = duration / (24 * sigma**2) / (1 - floor)
    assert abs(library.Gaussian(duration, 1, sigma).envelope().sum().real - area) <= bound


@given(st.integers(20, 400), st.floats(2, 50), st.sampled_from(["Gaussian", "Sech"]))
@settings(deadline=None)
def test_derivative_pulses_are_derivatives(duration, sigma, name):
    h = 1e-4
    t = midpoints(duration)
    plain = shapes.sech_unlifted if name == "Sech" else lambda t, d, s: np.exp(-0.5 * ((t - d / 2) / s) ** 2)
    slope = (plain(t + h, duration, sigma) - plain(t - h, duration, sigma)) / (2 * h)
    pulse = getattr(library, name + "Deriv")(duration, 1, sigma)
    # central difference: h²/6·max|f'''|, f''' ≤ 6/σ³ for both, and rounding/h
    assert np.allclose(pulse.envelope(), slope, rtol=0, atol=h**2 / sigma**3 + 1e-15 / h)


@given(durations, sigmas, st.floats(-5, 5))
@settings(deadline=None)
def test_drag_is_a_gaussian_tilted_by_beta(duration, sigma, beta):
    gaussian = library.Gaussian(duration, 0.1, sigma).envelope()
    drag = library.Drag(duration, 0.1, sigma, beta, limit_amplitude=False).envelope()
    tilt = beta * (midpoints(duration) - duration / 2) / sigma**2
    assert np.allclose(drag.real, gaussian.real, rtol=1e-13, atol=1e-16)
    assert np.allclose(drag.imag, -gaussian.real * tilt, rtol=1e-12, atol=1e-15)


@given(st.integers(8, 400), st.floats(0, 1), st.floats(1, 40))
@settings(deadline=None)
def test_gaussian_square_has_flat_top_and_even_flanks(duration, fraction, sigma):
    width = fraction * duration
    values = library.GaussianSquare(duration, 1.0, sigma, width).envelope().real
    t = midpoints(duration)
    rise = (duration - width) / 2
    top = (t >= rise) & (t < rise + width)
    assert np.all(values[top] == 1.0)
    assert np.allclose(values, values[::-1], rtol=0, atol=1e-12)
    assert np.all(np.diff(values[: duration // 2]) >= -1e-15)


def test_width_follows_from_the_ratio_of_flank_and_sigma():
    assert library.GaussianSquare(160, 0.1, 10, risefall_sigma_ratio=3).width == 100
    for arguments in ({}, {"width": 10, "risefall_sigma_ratio": 3}):
        with pytest.raises(exceptions.PulseError, match="exactly one"):
            library.GaussianSquare(160, 0.1, 10, **arguments)


def test_echo_is_two_halves_of_opposite_sign_and_an_active_tone():
    plain = library.gaussian_square_echo(80, 0.5, 6, 60).envelope()
    half = library.GaussianSquare(40, 0.5, 6, 20).envelope()
    assert np.array_equal(plain, np.concatenate([half, -half]))
    active = library.gaussian_square_echo(80, 0.0, 6, 60, active_amp=0.2, active_angle=0.7).envelope()
    assert np.allclose(active, library.GaussianSquare(80, 0.2, 6, 60, 0.7).envelope(), atol=1e-16)


@given(st.integers(4, 300), st.floats(0.01, 0.49), st.floats(-7, 7))
@settings(deadline=None)
def test_waves_follow_their_sine(duration, freq, phase):
    t = midpoints(duration)
    sine = np.sin(2 * np.pi * freq * t + phase)
    away = np.abs(sine) > 1e-9
    assert np.allclose(library.Sin(duration, 1, phase, freq).envelope(), sine, atol=1e-12)
    square = library.Square(duration, 1, phase, freq).envelope().real
    assert np.array_equal(square[away], np.sign(sine)[away])
    # arcsin of the sine is a triangle wave in step with it
    triangle = library.Triangle(duration, 1, phase, freq).envelope().real
    assert np.allclose(triangle, np.arcsin(np.clip(sine, -1, 1)) * 2 / np.pi, atol=1e-7)
    # half the angle: arctan of tan(x/2) is a sawtooth
    sawtooth = library.Sawtooth(duration, 1, phase, freq).envelope().real
    angle = np.angle(np.exp(1j * (2 * np.pi * freq * t + phase))) / np.pi
    close = np.abs(np.abs(angle) - 1) > 1e-9
    assert np.allclose(sawtooth[close], angle[close], atol=1e-9)


EXAMPLES = [
    library.Constant(32, 0.3, 1.1),
    library.Gaussian(33, 0.3, 8, 1.1),
    library.GaussianSquare(64, 0.3, 8, 30, -0.4),
    library.Drag(32, -0.3, 8, 2.0, 1.1),
    library.GaussianSquareDrag(64, 0.3, 8, 1.5, 30, 0.2),
    library.gaussian_square_echo(64, 0.3, 4, 50, 0.1, 0.05, 0.3),
    library.GaussianDeriv(32, 0.3, 8, 0.9),
    library.Sech(32, 0.3, 5, 0.1),
    library.Sech(32, 0.3, 5, 0.1, zero_ends=False),
    library.SechDeriv(32, 0.3, 5, 0.1),
    library.Sin(32, 0.3, 0.5, 0.1, 0.2),
    library.Cos(32, 0.3, 0.5, 0.1, 0.2),
    library.Sawtooth(32, 0.3, 0.5, 0.1, 0.2),
    library.Triangle(32, 0.3, 0.5, 0.1, 0.2),
    library.Square(32, 0.3, 0.5, 0.1, 0.2),
    library.Waveform([0.1, 0.2j, -0.3]),
    library.ScalableSymbolicPulse(
        "Ramp", 20, 0.5, 0.3, {"slope": 0.9}, envelope=lambda t, duration, slope: slope * t / duration
    ),
]


@pytest.mark.parametrize("pulse", EXAMPLES, ids=lambda pulse: type(pulse).__name__ + str(EXAMPLES.index(pulse)))
class TestEveryPulse:
    def test_envelope_is_scale_times_shape(self, pulse):
        assert np.array_equal(pulse.envelope(), pulse.scale * pulse.normalized())
        assert pulse.normalized().dtype == pulse.envelope().dtype == np.complex128
        assert pulse.envelope().shape == (pulse.duration,)
        assert not pulse.normalized().flags.writeable

    def test_waveform_plays_the_same(self, pulse):
        assert np.allclose(pulse.get_waveform().samples, pulse.envelope(), rtol=0, atol=1e-15)

    def test_copies_are_equal_and_have_the_same_key(self, pulse):
        copies = [copy.deepcopy(pulse)]
        if getattr(getattr(pulse, "shape", None), "builtin", True):
            copies.append(pickle.loads(pickle.dumps(pulse)))
        for other in copies:
            assert other == pulse
            assert hash(other) == hash(pulse)
            assert other.shape_key == pulse.shape_key

    def test_changing_the_envelope_changes_nothing_else(self, pulse):
        before = pulse.envelope()
        pulse.envelope()[:] = 9
        assert np.array_equal(pulse.envelope(), before)


def test_shape_key_tells_shapes_apart_and_forgets_the_amplitude():
    keys = [pulse.shape_key for pulse in EXAMPLES]
    assert len(set(keys)) == len(keys)
    assert library.Drag(32, 0.3, 8, 2.0).shape_key == library.Drag(32, -0.1, 8.0, 2, 0.4).shape_key
    assert library.Drag(32, 0.3, 8, 2.0).shape_key != library.Drag(32, 0.3, 8, 2.1).shape_key
    assert library.Drag(32, 0.3, 8, 2.0).shape_key != library.Drag(33, 0.3, 8, 2.0).shape_key


def test_equality_is_that_of_the_complex_amplitude():
    assert library.Gaussian(160, -0.1, 40) == library.Gaussian(160, 0.1, 40, angle=math.pi, name="other")
    assert library.Gaussian(160, 0.1, 40) != library.Gaussian(160, 0.1, 40, angle=0.1)
    assert library.Gaussian(160, 0.1, 40) != library.Drag(160, 0.1, 40, 0.0)
    assert library.Sech(32, 0.1, 5) != library.Sech(32, 0.1, 5, zero_ends=False)
    assert library.Constant(3, 0.1) != library.Waveform([0.1] * 3)


def test_repr_names_every_parameter():
    assert repr(library.Drag(160, 0.5, 40, 2.0)) == "Drag(duration=160, sigma=40, beta=2.0, amp=0.5, angle=0.0)"
    assert repr(library.Constant(3, 0.1, name="c")) == "Constant(duration=3, amp=0.1, angle=0.0, name='c')"
    assert repr(library.Waveform([0.5, 0.25j], name="w")) == "Waveform(array([0.5+0.j  , 0. +0.25j]), name='w')"


@pytest.mark.parametrize(
    "make",
    [
        lambda **k: library.Gaussian(160, 1.01, 40, **k),
        lambda **k: library.Drag(160, 0.99, 40, 200.0, **k),
        lambda **k: library.GaussianDeriv(160, 20.0, 10, **k),
        lambda **k: library.SechDeriv(160, 20.1, 10, **k),
        lambda **k: library.gaussian_square_echo(160, 0.6, 10, 100, active_amp=0.5, **k),
        lambda **k: library.Waveform([0.1, 1.01], **k),
        lambda **k: library.SymbolicPulse("two", 8, {}, envelope=lambda t, duration: 2 * np.ones(len(t)), **k),
    ],
)
def test_amplitude_above_one_is_refused_with_the_value_unless_allowed(make):
    with pytest.raises(exceptions.PulseError, match=r"norm [12]"):
        make()
    assert np.abs(make(limit_amplitude=False).envelope()).max() > 1


def test_amplitude_that_the_samples_keep_within_one_is_allowed():
    # bound by formula 1.09 · 0.9 < 1 fails at 0.95, but the lifted samples stay below one
    assert np.abs(library.Drag(160, 0.9, 40, 60.0).envelope()).max() < 1
    assert library.SechDeriv(160, 19.9, 10).amp == 19.9


def test_rounding_above_one_is_clipped():
    samples = library.Waveform([1 + 1e-8, (1 + 1e-8) * 1j, 0.5]).samples
    assert np.all(np.abs(samples) <= 1)
    assert samples[2] == 0.5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: library.Gaussian(160, float("nan"), 40), "finite"),
        (lambda: library.Gaussian(160, 0.1j, 40), "real number"),
        (lambda: library.Gaussian(160, 0.1, float("inf")), "finite"),
        (lambda: library.Gaussian(160, 0.1, 0), "0 < sigma"),
        (lambda: library.Gaussian(160.5, 0.1, 40), "integer"),
        (lambda: library.Gaussian(-1, 0.1, 40), "non-negative"),
        (lambda: library.GaussianSquare(160, 0.1, 10, 161), "width <= duration"),
        (lambda: library.Sin(160, 0.1, 0, freq=0.5), "freq < 0.5"),
        (lambda: library.Sin(0, 0.1, 0), "positive duration"),
        (lambda: library.Waveform([0.1, float("nan")]), "sample 1"),
        (lambda: library.Waveform([[0.1]]), "one-dimensional"),
        (lambda: library.Waveform(["a"]), "complex numbers"),
        (lambda: library.SymbolicPulse("Nonsense", 10, {"a": 1}), "no such shape"),
        (lambda: library.SymbolicPulse("w", 4, {}, envelope=lambda t, duration: t[1:]), "another shape"),
        (lambda: library.SymbolicPulse("w", 4, {}, envelope=lambda t, duration: t * np.nan), "not finite"),
        (
            lambda: library.SymbolicPulse(
                "w", 4, {"a": -1}, envelope=lambda t, duration, a: t, constraints=lambda duration, a: a > 0
            ),
            "constraint",
        ),
    ],
)
def test_bad_values_are_refused(make, words):
    with pytest.raises(exceptions.PulseError, match=words):
        make()


def test_parameters_are_assigned_late():
    amp, length = Parameter("amp"), Parameter("length")
    pulse = library.GaussianSquare(length, amp, 10, risefall_sigma_ratio=2)
    assert pulse.is_parameterized()
    assert pulse.free_parameters == {amp, length}
    with pytest.raises(exceptions.UnassignedParameterError, match="amp, length"):
        pulse.envelope()
    half = pulse.assigned({length: 100})
    assert half.duration == 100
    assert half.width == 60
    assert half.assigned({amp: 0.25}) == library.GaussianSquare(100, 0.25, 10, 60)
    with pytest.raises(exceptions.PulseError, match="amplitude"):
        half.assigned({amp: 1.5})
    assert pulse.is_parameterized()


def test_users_shape_is_sampled_by_its_function():
    def ramp(t, duration, slope):
        return slope * t / duration

    pulse = library.ScalableSymbolicPulse("Ramp", 4, 0.5, math.pi / 2, {"slope": 1.0}, envelope=ramp)
    assert np.allclose(pulse.envelope(), 0.5j * np.array([0.125, 0.375, 0.625, 0.875]))
    assert pulse.slope == 1.0
    assert pulse == library.ScalableSymbolicPulse("Ramp", 4, 0.5j.imag, math.pi / 2, {"slope": 1.0}, envelope=ramp)
    assert pulse != library.ScalableSymbolicPulse("Ramp", 4, 0.5, math.pi / 2, {"slope": 0.9}, envelope=ramp)


def test_shapes_are_sampled_once():
    first = library.Drag(1234, 0.1, 77, 2.0).normalized()
    assert library.Drag(1234, -0.7, 77, 2.0, 0.3).normalized() is first


def test_cache_stays_within_its_bytes():
    cache = ShapeCache(1000)
    for n in range(50):
        cache.get(bytes([n]), lambda: np.zeros(20, dtype=complex))
        assert cache.nbytes <= 1000
    kept = cache.get(bytes([49]), lambda: pytest.fail("was held"))
    assert len(kept) == 20
    large = cache.get(b"large", lambda: np.zeros(100, dtype=complex))
    assert len(large) == 100
    assert cache.get(bytes([49]), lambda: pytest.fail("was held")) is kept
    assert SHAPE_CACHE.nbytes <= 64 << 20
