"""Laws of the table of run options: each row is read alike at both ends, travels, and is in the documentation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pulsed.configs
from pulsed.daemon.jobs.admission import check_submission
from pulsed.model.device import load_device
from pulsed.model.errors import InvalidValueError
from pulsed.model.job import JobRequest, RunOptions, Spectrum
from pulsed.model.option_readers import (
    AbsentReader,
    ChoiceReader,
    FrequenciesReader,
    IntegerReader,
    SecondsReader,
    SettingsReader,
    SpectrumReader,
    TextReader,
    TextsReader,
    TimeReader,
    UnreadReader,
    frequency_range,
)
from pulsed.model.run_options import RUN_OPTIONS, LocalOptions, RunOption
from pulsed.provider.errors import OptionValueError
from pulsed.provider.options import DEFAULTS, PER_CALL, PulsedOptions
from pulsed.wire.messages import AnyRequest, Submit
from pulsed.wire.protocol import DaemonProtocol, Received, frames_of
from pulsed.wire.roles import Role

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "run-options.md"
ROWS = [pytest.param(row, id=row.name) for row in RUN_OPTIONS.values()]
ELSEWHERE = {"job_name": "name", "job_tags": "tags", "priority": "priority", "due": "due"}
"""Fields of the request that some options travel in."""


def good_and_bad(row: RunOption) -> tuple[list[Any], list[Any]]:
    """Return values at the bounds of a row and values just beyond them, all of the type that travels."""
    limits = DEVICE.limits
    match row.option.reader:
        case IntegerReader(low, high, limit):
            high = getattr(limits, limit) if limit else high
            return [low, high], [low - 1, high + 1]
        case ChoiceReader(values):
            strange = ["none of them"] if isinstance(values[0], str) else []
            return list(values), strange
        case SecondsReader(low, high):
            low, high = getattr(limits, low), getattr(limits, high)
            return [None, low, high], [math.nextafter(low, 0), math.nextafter(high, 1), math.nan]
        case FrequenciesReader(port):
            bands = [frequency_range(DEVICE, getattr(qubit, port)) for qubit in DEVICE.qubits]
            lows, highs = (tuple(band[i] for band in bands) for i in (0, 1))
            over = (*highs[:-1], math.nextafter(highs[-1], math.inf))
            return [None, lows, highs], [lows[1:], over, (*lows[:-1], math.nan)]
        case TextReader(most):
            return [None, "x" * most], ["x" * (most + 1), "a\0b"]
        case TextsReader(most, letters):
            return [(), ("x" * letters,) * most], [("x",) * (most + 1), ("x" * (letters + 1),), ("a\0b",)]
        case SettingsReader():
            names = DEVICE.setting_names
            return [{}, dict.fromkeys(names, 5e9)], [{"nothing": 0.0}, {names[0]: math.inf}, {names[0]: 0.0}]
        case SpectrumReader():
            port = DEVICE.qubits[0].drive
            return [None, Spectrum(port, (5e9,))], [
                Spectrum("nowhere", (5e9,)),
                Spectrum(port, ()),
                Spectrum(port, (5e9,), 0.0),
            ]
        case TimeReader():
            return [None, 1e9, 5e-324], [0.0, -1.0, 1e11, math.nan]
        case AbsentReader():
            return [None], []
        case UnreadReader():
            return [row.default], []
    raise AssertionError(f"no case for the reader of {row.name}")


def daemon_says(row: RunOption, value: Any) -> InvalidValueError | None:
    """Return what the daemon says to a job with the option, None when it takes it."""
    options, fields = RunOptions(dry_run=True), {}
    if row.travels:
        options = msgspec.structs.replace(options, **{row.name: value})
    elif row.name in ELSEWHERE:
        fields[ELSEWHERE[row.name]] = "" if value is None and row.name == "job_name" else value
    request = JobRequest("job", ("schedule",), 1, options, **fields)
    sent = DaemonProtocol(1000).receive(frames_of(Submit(1, request), [b"x"]), "user", Role.EXPERIMENTER)
    assert isinstance(sent, Received), row.name
    try:
        check_submission(sent.message.job, sent.parts, DEVICE, 17)
    except InvalidValueError as error:
        return error
    return None


def provider_says(row: RunOption, value: Any) -> InvalidValueError | None:
    try:
        PulsedOptions(DEVICE).checked({row.name: value})
    except OptionValueError as error:
        return error
    return None


@pytest.mark.parametrize("row", ROWS)
def test_both_ends_have_the_same_bounds_and_the_same_error(row: RunOption) -> None:
    good, bad = good_and_bad(row)
    assert good, "a row without a legal value does nothing"
    for value in good:
        assert provider_says(row, value) is None
        assert daemon_says(row, value) is None
    for value in bad:
        here = provider_says(row, value)
        assert here is not None, value
        if row.travels or row.name in ELSEWHERE:
            there = daemon_says(row, value)
            assert there is not None, value
            assert here.to_info() == there.to_info()


@pytest.mark.parametrize("row", ROWS)
def test_the_default_is_legal_and_of_the_type(row: RunOption) -> None:
    assert provider_says(row, row.default) is None
    msgspec.convert(row.default, row.type)
    assert row.travels == (row.name in RunOptions.__struct_fields__) != (row.name in LocalOptions.__struct_fields__)


@pytest.mark.parametrize("row", ROWS)
def test_the_documentation_has_default_bounds_and_meaning(row: RunOption) -> None:
    (line,) = [line for line in REFERENCE.read_text().splitlines() if line.startswith(f"| `{row.name}` |")]
    assert row.option.help in line
    assert row.option.reader.describe() in line
    assert f"`{row.default!r}`" in line
    assert row.option.help.endswith(".")


@pytest.mark.parametrize("row", [row for row in ROWS if row.values[0].option.of != "routine"])
def test_run_takes_it(row: RunOption) -> None:
    assert row.name in {*DEFAULTS, *PER_CALL}


@given(st.integers(), st.integers(1, 10**9))
def test_an_integer_is_read_within_its_bounds_alone(value: int, high: int) -> None:
    reader = IntegerReader(1, high)
    if 1 <= value <= high:
        assert reader.read("n", value, None) == reader.read("n", float(value), None) == value
    else:
        with pytest.raises(
            InvalidValueError, match=f"n: out of range; got {value}; legal: an integer from 1 to {high}"
        ):
            reader.read("n", value, None)


def test_a_band_moves_with_its_oscillator() -> None:
    name = DEVICE.ports[DEVICE.qubits[0].drive].lo
    _, high = frequency_range(DEVICE, DEVICE.qubits[0].drive)
    beyond = (high + 1e6,) * DEVICE.num_qubits
    moved = {f"oscillators.{name}.frequency": DEVICE.oscillators[name].frequency + 2e6}
    options = PulsedOptions(DEVICE)
    with pytest.raises(OptionValueError, match=r"qubit_lo_freq\[0\]: out of range"):
        options.checked({"qubit_lo_freq": beyond})
    assert options.checked({"qubit_lo_freq": beyond, "settings": moved})["qubit_lo_freq"] == beyond
    options = RunOptions(qubit_lo_freq=beyond, settings=moved)
    check_submission(JobRequest("job", ("schedule",), 1, options), [b"x"], DEVICE, 17)


def test_every_row_that_travels_is_a_field_of_the_message() -> None:
    submit = next(kind for kind in get_args(AnyRequest) if kind is Submit)
    job = next(field.type for field in msgspec.inspect.type_info(submit).fields if field.name == "job").cls
    options = next(field.type for field in msgspec.inspect.type_info(job).fields if field.name == "options").cls
    assert {row.name for row in RUN_OPTIONS.values() if row.travels} == set(options.__struct_fields__)


@pytest.mark.parametrize(("name", "value"), [("job_name", "\ud800"), ("job_tags", ["fine", "\ud800"])])
def test_half_a_letter_is_refused_in_words_that_can_be_sent(name: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"cannot be shown; got '\\ud800'") as caught:
        RUN_OPTIONS[name].read(value)
    str(caught.value).encode()
