"""The pulses of a pair, by the propagators of a chip without noise: at all angles what the gate's matrix says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit.library import ECRGate, RZXGate

from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.cross_resonance import rzx_schedule
from pulsed.compiler.gates import gate_table
from pulsed.pulse import Play
from pulsed.pulse.exceptions import PulseError
from pulsed.testing.ideal_rack import ideal_calibration, ideal_chip
from pulsed.testing.played_unitary import PlayedUnitary, coherent_error, slow_first

PAIRS = [(0, 1), (2, 1), (2, 3), (4, 3)]


@pytest.fixture(scope="module")
def channel_map(device):
    return ChannelMap(device, ideal_calibration())


@pytest.fixture(scope="module")
def gates(channel_map):
    return gate_table(channel_map.device, channel_map.calibration)


@pytest.fixture(scope="module")
def played(channel_map):
    return PlayedUnitary(ideal_chip(), channel_map)


def rzx(channel_map, gates, pair, angle):
    flips = tuple(gates["x", (q,)].schedule for q in pair)
    return rzx_schedule(channel_map, *pair, angle, flips)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_calibrated_gate_is_echoed_cross_resonance(played, gates, pair):
    assert coherent_error(played(gates["ecr", pair].schedule, *pair), slow_first(ECRGate().to_matrix())) < 1e-4


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("angle", [math.pi / 2, -math.pi / 2, 1.0, -0.4, 0.1, 2.0, -2.9, math.pi, 0.0, 7.0, -50.3])
def test_stretched_cross_resonance_turns_by_the_angle(channel_map, played, gates, pair, angle):
    """Within 3e-4: a tone's effect is not quite in proportion to its height, which is 0.9 of full scale."""
    schedule = rzx(channel_map, gates, pair, angle)
    assert coherent_error(played(schedule, *pair), slow_first(RZXGate(angle).to_matrix())) < 3e-4


def test_an_angle_of_almost_nothing_is_nothing(channel_map, gates):
    for angle in (0.0, 1e-9, 2 * math.pi, -1e-8):
        assert rzx(channel_map, gates, (0, 1), angle).duration == 0


@given(st.floats(-10, 10), st.sampled_from(PAIRS))
@settings(deadline=None)
def test_stretched_tones_keep_to_the_grid_and_below_the_calibrated_height(channel_map, gates, angle, pair):
    schedule = rzx(channel_map, gates, pair, angle)
    ecr = gates["ecr", pair].schedule
    flips = [gates["x", (q,)].schedule.duration for q in pair]
    assert schedule.duration <= ecr.duration + flips[0] + 16
    highest = {}
    for _, item in ecr.instructions:
        if isinstance(item, Play) and item.channel.name[0] == "u":
            highest[item.channel] = abs(item.pulse.amp)
    for start, item in schedule.instructions:
        if isinstance(item, Play):
            assert start % 8 == 0
            assert item.duration % 8 == 0
            assert item.channel.name[0] != "u" or abs(item.pulse.amp) <= highest[item.channel] * (1 + 1e-12)
            assert np.abs(item.pulse.envelope()).max() <= 1


@pytest.mark.parametrize("angle", [math.nan, math.inf])
def test_what_is_no_angle_is_refused(channel_map, gates, angle):
    with pytest.raises(PulseError, match=r"rzx on \(0, 1\)"):
        rzx(channel_map, gates, (0, 1), angle)
