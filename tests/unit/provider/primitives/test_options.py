"""Options of the primitives: what they take, and what they say of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from pulsed.provider import PulsedBackend, PulsedEstimator, PulsedSampler
from pulsed.provider.errors import OptionValueError, UnknownOptionError
from pulsed.provider.primitives import EstimatorOptions, SamplerOptions


def test_dictionaries_attributes_and_objects_are_the_same(backend: PulsedBackend) -> None:
    first = PulsedEstimator(backend, {"twirling": {"enable_gates": True}, "default_precision": 0.1})
    second = PulsedEstimator(backend)
    second.options.twirling.enable_gates = True
    second.options.update(default_precision=0.1)
    assert first.options == second.options == PulsedEstimator(backend, first.options).options
    assert first.options.twirling.num_randomizations == 32
    first.options.update({"twirling": {"num_randomizations": 4}})
    assert (first.options.twirling.enable_gates, first.options.twirling.num_randomizations) == (True, 4)


def test_options_are_ones_own(backend: PulsedBackend) -> None:
    shared = SamplerOptions()
    sampler = PulsedSampler(backend, shared)
    shared.twirling.enable_gates = True
    assert not sampler.options.twirling.enable_gates
    assert not PulsedSampler(backend).options.twirling.enable_gates


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"shots": 3}, UnknownOptionError, "got shots; legal: default_precision, resilience, dynamical_decoupling"),
        ({"resilience": {"zne": True}}, UnknownOptionError, r"options.resilience.*got zne; legal: measure_mitigation$"),
        ({"resilience": True}, OptionValueError, "a dictionary or ResilienceOptions"),
        ({"resilience": {"measure_mitigation": 1}}, OptionValueError, "measure_mitigation.*legal: True or False"),
        (
            {"dynamical_decoupling": {"sequence_type": "YY"}},
            OptionValueError,
            "got YY; legal: 'XX' or 'XpXm' or 'XY4' or 'ZZ'",
        ),
        ({"twirling": {"num_randomizations": 0}}, OptionValueError, "got 0; legal: an integer from 1 to 1000"),
        ({"twirling": {"seed": -1}}, OptionValueError, "twirling.seed"),
        ({"default_precision": 0}, OptionValueError, "default_precision.*got 0; legal: a number above 0"),
        ({"default_precision": float("nan")}, OptionValueError, "legal: a number above 0"),
        ({"run_options": {"shots": 5}}, UnknownOptionError, "options.run_options.*got shots; legal: rep_delay"),
        ({"run_options": 5}, OptionValueError, "a dictionary of options of run"),
    ],
)
def test_what_is_not_legal_is_named(
    backend: PulsedBackend, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        PulsedEstimator(backend, given)
    options = EstimatorOptions()
    with pytest.raises(error, match=message):
        options.update(given)
    assert options == EstimatorOptions()


def test_a_sampler_has_shots(backend: PulsedBackend) -> None:
    sampler = PulsedSampler(backend, {"default_shots": 7})
    with pytest.raises(OptionValueError, match=r"options.default_shots.*got 0; legal: an integer from 1"):
        sampler.options.default_shots = 0
    with pytest.raises(UnknownOptionError, match=r"got default_precision; legal: default_shots, dyn"):
        sampler.options.default_precision = 0.1  # type: ignore[attr-defined]
    assert sampler.options.default_shots == 7
    with pytest.raises(OptionValueError, match=r"run_options.meas_level.*got 0; legal: 1 or 2"):
        sampler.options.run_options = {"meas_level": 0}
    with pytest.raises(UnknownOptionError, match="got meas_level; legal: rep_delay"):
        EstimatorOptions().run_options = {"meas_level": 1}
