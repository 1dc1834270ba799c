"""A rack that nobody has calibrated: the daemon starts from the design sheet, and measures what one starts with."""

import numpy as np

from pulsed import pulse
from pulsed.cli.processes import OwnDaemon
from pulsed.cli.simulated_rack import ask_rack, find_control
from pulsed.model.device import load_device
from pulsed.provider import PulsedProvider
from pulsed.simulator.chip.random_rack import write_rack

SEED, QUBIT = 21, 2


def test_a_resonator_is_found_from_the_design_sheet(tmp_path):
    config = write_rack(tmp_path / "rack", SEED)
    probe = pulse.Schedule((0, pulse.Play(pulse.Constant(1600, 0.05), pulse.MeasureChannel(QUBIT))))
    probe = probe.insert(240, pulse.Acquire(1360, pulse.AcquireChannel(QUBIT), pulse.MemorySlot(QUBIT)))
    with OwnDaemon(tmp_path / "home", str(config)) as daemon, daemon.wait() as client:
        backend = PulsedProvider(client=client).get_backend(f"random-{SEED}-5")
        assert {"x", "measure", "ecr"}.isdisjoint(backend.target.operation_names)
        sheet = [q.design_readout_frequency for q in load_device(config).qubits]
        offsets = np.arange(-7e6, 7.01e6, 0.5e6)
        response = []
        for offset in offsets:
            frequencies = [f + (offset if q == QUBIT else 0.0) for q, f in enumerate(sheet)]
            job = backend.run(probe, shots=2000, meas_level=1, meas_return="avg", meas_lo_freq=frequencies)
            response.append(job.result().get_memory(0)[QUBIT])
        true = ask_rack(find_control(daemon.home), "truth")["qubits"][QUBIT]
    found = sheet[QUBIT] + offsets[np.argmax(np.abs(response))]
    # The resonance of 0 lies at -chi of the middle; the window's 1360 ns are good for 0.7 MHz, the step is 0.5 MHz.
    assert abs(found - (true["readout_frequency"] - true["chi"])) < 1e6, f"seed {SEED}"
