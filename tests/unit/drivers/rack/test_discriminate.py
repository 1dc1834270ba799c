"""Points to states: against distances and likelihoods written down again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.drivers.rack.discriminate import classify, rule
from pulsed.model.errors import InvalidValueError

POINT = st.complex_numbers(max_magnitude=1, allow_nan=False)
CENTROIDS = st.lists(POINT, min_size=2, max_size=3)
SEEDS = st.integers(0, 2**32 - 1)


def cloud(random, *shape):
    return (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(np.complex64)


def clear(scores, margin):
    """Return which points have one best score by more than ``margin``; ``scores`` (..., states)."""
    ordered = np.sort(scores, axis=-1)
    return ordered[..., -1] - ordered[..., -2] > margin


@given(st.lists(CENTROIDS, min_size=1, max_size=4), SEEDS, st.integers(0, 300))
@settings(deadline=None)
def test_a_point_belongs_to_the_nearest_centroid(columns, seed, shots):
    iq = cloud(np.random.default_rng(seed), shots, len(columns))
    levels = classify(iq, [rule(centroids) for centroids in columns])
    assert levels.shape == iq.shape
    assert levels.dtype == np.uint8
    for column, centroids in enumerate(columns):
        scores = -(np.abs(iq[:, column, None] - np.array(centroids)) ** 2)
        sure = clear(scores, 1e-4)
        assert np.array_equal(levels[sure, column], scores.argmax(axis=-1)[sure]), f"seed {seed}"


def matrices(random, count):
    """Return covariances between 0.01 and about 1, with correlation."""
    roots = random.normal(size=(count, 2, 2)) * 0.4
    return roots @ roots.transpose(0, 2, 1) + 0.01 * np.eye(2)


@given(st.integers(2, 3), st.booleans(), SEEDS)
@settings(deadline=None)
def test_the_likeliest_gaussian(states, shared, seed):
    random = np.random.default_rng(seed)
    centroids, covariances = cloud(random, states), matrices(random, 1 if shared else states)
    iq = cloud(random, 500, 1)
    levels = classify(iq, [rule(centroids.tolist(), covariances[0] if shared else covariances)])[:, 0]
    scores = np.empty((500, states))
    for k, (centroid, covariance) in enumerate(
        zip(centroids, np.broadcast_to(covariances, (states, 2, 2)), strict=True)
    ):
        d = np.stack([(iq - centroid).real, (iq - centroid).imag], axis=-1)[:, 0].astype(float)
        distance = np.einsum("ni,ij,nj->n", d, np.linalg.inv(covariance), d)
        scores[:, k] = -distance / 2 - np.log(2 * np.pi * np.sqrt(np.linalg.det(covariance)))
    sure = clear(scores, 1e-5 * np.abs(scores).max())
    assert sure.mean() > 0.9
    assert np.array_equal(levels[sure], scores.argmax(axis=1)[sure]), f"seed {seed}"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_any_unit_will_do(scale):
    random = np.random.default_rng(3)
    centroids, iq = [0.1 + 0.2j, -0.3 + 0.1j, 0.2 - 0.4j], cloud(random, 2000, 1)
    covariances = matrices(random, 3)
    for given_ in (None, covariances[0], covariances):
        unit = classify(iq, [rule(centroids, given_)])
        other = [scale * centroid for centroid in centroids]
        scaled = classify((iq * scale).astype("c8"), [rule(other, None if given_ is None else given_ * scale**2)])
        assert (unit != scaled).mean() < 1e-3
        assert set(np.unique(unit)) == {0, 1, 2}


def test_fidelity_of_known_clouds():
    """Three round clouds at the corners of a triangle: the share of wrong ones is what the normal distribution says."""
    random = np.random.default_rng(8)
    side, sigma, shots = 1.0, 0.25, 200_000
    corners = side / np.sqrt(3) * np.exp(2j * np.pi * np.arange(3) / 3)
    states = random.integers(0, 3, shots)
    iq = (corners[states] + sigma * cloud(random, shots)).astype(np.complex64)
    wrong = (classify(iq[:, None], [rule(corners.tolist())])[:, 0] != states).mean()
    # Two half planes at side / 2 each, less the wedge beyond both, by integration on a grid of the plane.
    x, y = np.meshgrid(*[np.linspace(-6 * sigma, 6 * sigma, 1201)] * 2)
    density = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    z = corners[0] + x + 1j * y
    missed = np.abs(z[..., None] - corners).argmin(axis=-1) != 0
    expected = density[missed].sum() / density.sum()
    assert wrong == pytest.approx(expected, abs=5 * np.sqrt(expected / shots) + 1e-3)


def test_ties_and_single_centroids():
    assert classify(np.array([[0.5 + 0j]], "c8"), [rule([0, 1])])[0, 0] == 0
    assert not classify(cloud(np.random.default_rng(0), 50, 1), [rule([0.2, 0.2])]).any()
    assert classify(np.zeros((0, 2), "c8"), [rule([0, 1])] * 2).shape == (0, 2)


def test_columns_of_any_layout():
    random = np.random.default_rng(2)
    iq = cloud(random, 1001, 6)
    rules = [rule([0, 1]), rule([0, 1j, 1])] * 3
    whole = classify(iq, rules)
    assert np.array_equal(classify(np.asfortranarray(iq), rules), whole)
    assert np.array_equal(classify(iq[:, ::2], rules[::2]), whole[:, ::2])
    assert np.array_equal(np.concatenate([classify(iq[:7], rules), classify(iq[7:], rules)]), whole)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_number_of_states_that_cannot_be_told(count):
    with pytest.raises(InvalidValueError) as caught:
        rule([1j] * count)
    assert (caught.value.value, caught.value.legal) == (count, "2 or 3") or caught.value.value == str(count)


@pytest.mark.parametrize(
    "covariances",
    [np.ones((2, 2, 2)) * 2, np.diag([1.0, -1.0]), np.diag([-1.0, -1.0]), [[1.0, 0.2], [0.1, 1.0]], np.eye(3),
     np.full((2, 2), np.nan), [np.eye(2)] * 3],
    ids=["singular", "negative", "both", "lopsided", "three", "nan", "too many"],
)  # fmt: skip
def test_what_is_no_covariance(covariances):
    with pytest.raises(InvalidValueError) as caught:
        rule([0, 1], covariances)
    assert caught.value.subject == "covariances"
    assert caught.value.legal
