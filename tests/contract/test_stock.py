"""The stock QCoDeS drivers of the analyser and the bias source, at a plain address, and a mixer seen through them."""

from pathlib import Path

import numpy as np
import pytest
from qcodes.instrument_drivers.Keysight import KeysightN9030B
from qcodes.instrument_drivers.yokogawa import YokogawaGS200

from pulsed.compiler.program import PortSettings
from pulsed.drivers.contract import after
from pulsed.drivers.instruments.keysight.n9030b import SpectrumSweep
from pulsed.drivers.rack.rack import Rack
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.lines import ideal_correction, mixed
from pulsed.testing.chunks import make_chunk

CONFIG = Path(__file__).parents[2] / "configs" / "sim5.toml"


@pytest.fixture(params=["socket", "hislip"])
def analyser(rack_process, request):
    address = rack_process.addresses["sa"]
    if request.param == "hislip":
        _, host, port, _ = address.split("::")
        address = f"TCPIP::{host}::hislip0,{port}::INSTR"
    analyser = KeysightN9030B("stock_sa", address)
    yield analyser
    analyser.reset()
    analyser.close()


@pytest.fixture
def source(rack_process):
    # The rack is that of other tests too, and the driver takes the mode it finds for the mode there is.
    before = YokogawaGS200("stock_bias", rack_process.addresses["bias"])
    before.reset()
    before.close()
    source = YokogawaGS200("stock_bias", rack_process.addresses["bias"])
    yield source
    source.off()
    source.reset()
    source.close()


def test_the_stock_analyser_sets_and_reads_every_parameter(analyser):
    legal = {"start": 4e9, "stop": 6e9, "center": 5e9, "span": 1e8, "npts": 501, "mech_attenuation": 20,
             "res_bw": 1e5, "video_bw": 1e4, "sweep_time": 0.01}  # fmt: skip
    for name, parameter in analyser.sa.parameters.items():
        if name in ("freq_axis", "trace"):
            continue
        if name in legal:
            values = [legal[name]]
        else:
            mapping = parameter.val_mapping or {}
            values = [True, False] if True in mapping else list(mapping or parameter.vals.valid_values)
        for value in values:
            parameter.set(value)
            answer = parameter.get()
            assert answer == value or str(value).startswith(str(answer)), (name, value, answer)
            assert analyser.ask("SYST:ERR?") == '0,"No error"', (name, value)
    analyser.mode("SA")
    analyser.measurement("SAN")
    assert (analyser.mode(), analyser.measurement(), analyser.cont_meas()) == ("SA", "SAN", False)


def test_the_stock_analyser_reads_a_trace(analyser):
    analyser.sa.setup_swept_sa_sweep(5.0e9, 5.2e9, 1001)
    analyser.sa.res_bw(1e5)
    trace = analyser.sa.trace()
    assert trace.shape == analyser.sa.freq_axis().shape == (1001,)
    assert np.median(trace) == pytest.approx(-155 + 50 + 10, abs=2)
    analyser.auto_sweep(False)
    assert np.array_equal(analyser.sa.trace(), trace)
    analyser.sa.autotune()
    analyser.abort()
    assert analyser.ask("SYST:ERR?") == '0,"No error"'


def test_the_stock_bias_source_sets_and_ramps(source):
    assert source.get_idn()["vendor"] == "YOKOGAWA"
    assert source.output() == "off"
    source.voltage_range(1.0)
    source.on()
    source.voltage(0.25)
    assert (source.voltage(), source.voltage_range()) == (0.25, 1.0)
    source.ramp_step(0.0)
    source.ramp_rate(1.0)
    source.ramp_voltage(0.5)
    assert source.voltage() == pytest.approx(0.5)
    source.off()
    source.source_mode("CURR")
    source.current_range(1e-2)
    source.auto_range(True)
    source.current(5e-2)
    assert (source.current(), source.current_range()) == (5e-2, 0.1)
    for name in ("voltage_limit", "current_limit", "line_freq", "condition_register", "standard_event_register"):
        source.parameters[name].get()
    for name in ("four_wire", "guard"):
        source.parameters[name]("on")
        assert source.parameters[name]() == "on"
    source.BNC_out("ready")
    source.program.interval(0.5)
    assert source.program.interval() == 0.5
    assert source.ask("SYST:ERR?") == '0,"No error"'


def test_a_mixer_is_calibrated_by_what_the_analyser_sees(rack_process):
    """Leakage and image of the readout line are what the chip file says, and go with the settings that null them."""
    wire = load_chip(CONFIG.parent / "chips" / "sim5.toml").wire("ro")
    rack = Rack(rack_process.device)
    rack.connect(after(5))
    analyser = rack.drivers["sa"]
    lo = rack.device.oscillators["readout"].frequency
    full_scale = rack.device.ports["ro"].full_scale

    def look(settings):
        """Return the levels (dBm) of leakage and of the image of the tone of qubit 0."""
        rack.play(make_chunk(rack.device, ports={"ro": settings}))
        image = 2 * lo - rack.device.qubits[0].design_readout_frequency
        sweeps = [SpectrumSweep("ro", f - 2e6, f + 2e6, 101, 1e6) for f in (lo, image)]
        return np.array([analyser.sweep(sweep, after(5))[1].max() for sweep in sweeps])

    try:
        plain = look(PortSettings())
        direct, image, leakage = map(abs, mixed(wire, (1, 0, 0, 1), (0, 0)))
        assert plain[0] == pytest.approx(full_scale + 20 * np.log10(leakage), abs=0.5)
        carrier = analyser.sweep(SpectrumSweep("ro", 6.898e9, 6.902e9, 101, 1e6), after(5))[1].max()
        # The image of a square pulse lies on the skirts of the pulses of the other tones.
        assert plain[1] - carrier == pytest.approx(20 * np.log10(image / direct), abs=2)
        nulled = look(PortSettings(*ideal_correction(wire)))
        assert np.all(nulled < plain - 8)
    finally:
        rack.safe_state()
        rack.close()


def test_the_noise_is_seeded(rack_process, analyser):
    analyser.sa.setup_swept_sa_sweep(5.0e9, 5.2e9, 101)
    traces = []
    for seed in (3, 3, 4):
        rack_process.ask("seed", seed=seed)
        traces.append(analyser.sa.trace())
    assert np.array_equal(traces[0], traces[1])
    assert not np.array_equal(traces[1], traces[2])
