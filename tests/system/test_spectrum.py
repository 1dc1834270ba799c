"""A job that looks: the analyser sees a tone on a drive line, its image and the leakage of its LO."""

from __future__ import annotations

import uuid
from pathlib import Path

import msgspec
import numpy as np
import pytest

import pulsed.configs
from pulsed import pulse
from pulsed.client import Client
from pulsed.client.keys import add_client
from pulsed.model.errors import InstrumentLimitError, InvalidValueError, LoweringError, NotAllowedError
from pulsed.model.job import JobRequest, RunOptions, Spectrum
from pulsed.model.payload import read_array
from pulsed.pulse.serialize import dumps
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.lines import mixed

LEVEL = 0.4


def tone(level=LEVEL):
    return pulse.Schedule((0, pulse.Play(pulse.Constant(8000, level), pulse.DriveChannel(0))), name="tone")


def look(client, frequencies, *programs, rbw=1e6, **options):
    spectrum = Spectrum("d0", tuple(map(float, frequencies)), rbw)
    request = JobRequest(
        uuid.uuid4().hex, ("schedule",) * len(programs), len(programs), RunOptions(spectrum=spectrum, **options)
    )
    client.submit(request, [dumps(program) for program in programs])
    info, result, parts = client.finished(request.job_id, 30)
    assert all(program.bits is program.iq is None for program in result.programs)
    return info, np.array([read_array(program.spectrum, parts) for program in result.programs])


@pytest.fixture(scope="module")
def places(lab):
    """Return the frequencies of the tone, of the leakage and of the image."""
    device, calibration = lab[1].device(), lab[1].calibration()
    lo, carrier = device.oscillators["drive"].frequency, calibration.number("Q0.f01")
    return np.array([carrier, lo, 2 * lo - carrier])


def candidate(client, offset, correction):
    base = client.calibration()
    new = {
        name: msgspec.structs.replace(base.values[name], value=value)
        for name, value in (("d0.mixer.offset", offset), ("d0.mixer.correction", correction))
    }
    return client.put_calibration(base.with_values(new, uuid.uuid4().hex))


def test_leakage_and_image_move_with_the_mixer_values_of_a_candidate_set(lab, places):
    client = lab[1]
    full_scale = client.device().ports["d0"].full_scale
    calibration = client.calibration()
    offset, correction = (calibration.numbers(f"d0.mixer.{what}") for what in ("offset", "correction"))
    info, ((carrier, leakage, image),) = look(client, places, tone())
    assert info.calibration_id == calibration.calibration_id
    # The DAC's own roll-off and the line's filter take about a decibel at 130 MHz.
    assert -1.5 < carrier - (full_scale + 20 * np.log10(LEVEL)) < 0
    assert leakage < carrier - 50
    assert image < carrier - 40
    # What is added to a nulled offset leaks as it is.
    for step in (0.01, 0.03):
        pushed = candidate(client, (offset[0] + step, offset[1]), correction)
        info, ((_, pushed_leakage, same_image),) = look(client, places, tone(), calibration_id=pushed)
        assert info.calibration_id == pushed
        assert pushed_leakage == pytest.approx(full_scale + 20 * np.log10(step), abs=0.7)
        assert same_image < carrier - 40
    plain = candidate(client, offset, (1.0, 0.0, 0.0, 1.0))
    _, ((_, same_leakage, plain_image),) = look(client, places, tone(), calibration_id=plain)
    wire = load_chip(Path(pulsed.configs.__file__).parent / "chips" / "sim5.toml").wire("d0")
    direct, mirrored, _ = map(abs, mixed(wire, (1.0, 0.0, 0.0, 1.0), (0.0, 0.0)))
    assert plain_image - carrier == pytest.approx(20 * np.log10(mirrored / direct), abs=1)
    assert same_leakage < carrier - 50
    assert client.calibration() == calibration, "candidates are not active"


def test_each_program_is_looked_at_by_itself_and_a_trace_is_one_sweep(lab, places):
    frequencies = np.linspace(places[0] - 5e6, places[0] + 5e6, 201)
    _, traces = look(lab[1], frequencies, tone(0.1), tone(0.4), tone(0.2))
    assert traces.shape == (3, 201)
    assert np.all(abs(frequencies[traces.argmax(axis=1)] - places[0]) <= 1e6)
    peaks = traces.max(axis=1)
    assert peaks - peaks[0] == pytest.approx([0, 20 * np.log10(4), 20 * np.log10(2)], abs=0.3)


def test_settings_move_the_oscillator_for_one_job_alone(lab, places):
    client, (carrier, lo, image) = lab[1], places
    moved = 20e6
    where = [carrier, lo, lo + moved, image, image + 2 * moved]
    _, ((tone_at, old, new, _, _),) = look(
        client, where, tone(), settings={"oscillators.drive.frequency": float(lo + moved)}, calibration_id=candidate(
            client, (0.03, 0.0), (1.0, 0.0, 0.0, 1.0)
        ),
    )  # fmt: skip
    assert tone_at > -10, "the tone stays where the qubit is"
    assert new > old + 20
    _, ((tone_again, leak_again, not_there, _, _),) = look(
        client, where, tone(), calibration_id=candidate(client, (0.03, 0.0), (1.0, 0.0, 0.0, 1.0))
    )
    assert tone_again == pytest.approx(tone_at, abs=0.5)
    assert leak_again > not_there + 20


def test_a_job_measures_after_one_that_looked(lab, backend, places):
    from qiskit import QuantumCircuit

    look(lab[1], places, tone())
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    counts = backend.run(circuit, shots=500).result().get_counts()
    assert counts.get("1", 0) > 450


def test_what_cannot_be_looked_at_is_refused_by_name(lab, places):
    client = lab[1]
    for spectrum, message in (
        (Spectrum("in", (5e9,)), "this port has no oscillator"),
        (Spectrum("d0", ()), "invalid list of frequencies"),
        (Spectrum("d0", (float("nan"),)), "invalid list of frequencies"),
        (Spectrum("d0", (5e9,), 0.0), "spectrum.rbw: out of range"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            client.submit(
                JobRequest(uuid.uuid4().hex, ("schedule",), 1, RunOptions(spectrum=spectrum)), [dumps(tone())]
            )
    with pytest.raises(InstrumentLimitError, match="rbw is out of range"):
        look(client, places, tone(), rbw=9e6)
    for settings, message in (
        ({"oscillators.nowhere.power": 1.0}, "no such setting"),
        ({"oscillators.drive.frequency": -1.0}, "out of range"),
        ({"oscillators.drive.power": float("inf")}, "invalid value"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            look(client, places, tone(), settings=settings)
    with pytest.raises(InstrumentLimitError, match="power is out of range"):
        look(client, places, tone(), settings={"oscillators.drive.power": 60.0})
    request = JobRequest(uuid.uuid4().hex, ("schedule",), 1, RunOptions())
    client.submit(request, [dumps(tone())])
    with pytest.raises(LoweringError, match="no Acquire"):
        client.result(request.job_id, 20)


def test_an_experimenter_may_look_and_not_touch(lab, places):
    daemon = lab[0]
    key = add_client(daemon.home, "visitor", "experimenter")
    with Client(home=daemon.home, key=key) as visitor:
        look(visitor, places, tone())
        with pytest.raises(NotAllowedError, match="settings of instruments"):
            look(visitor, places, tone(), settings={"oscillators.drive.power": 10.0})
