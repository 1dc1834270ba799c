"""Samples of single pulses from LabOne Q: run by the Python of its own environment, ``laboneq_samples.py FILE``.

Reads one JSON list of cases from standard input, {"line": "drive" | "measure", "shape", "parameters", "length",
"amplitude", "phase", "frequency", "starts"} in seconds, rad and Hz, and writes the samples of each case at 2 GS/s to
FILE (.npz): ``start{i}``, the sample in which the first pulse begins, and ``wave{i}``. Everything is compiled for
real and then emulated: no instrument, no data server.
"""

import json
import logging
import sys

import numpy as np
from laboneq.simple import (
    SHFQC,
    AcquisitionType,
    AveragingMode,
    Calibration,
    DeviceSetup,
    Experiment,
    ExperimentSignal,
    ModulationType,
    Oscillator,
    Session,
    SignalCalibration,
    create_connection,
    pulse_library,
)
from laboneq.simulator.output_simulator import OutputSimulator

LENGTH = 8e-6


def setup(frequency):
    device = DeviceSetup("peers")
    device.add_dataserver(host="localhost", port="8004")
    device.add_instruments(SHFQC(uid="qc", address="DEV12001", device_options="SHFQC/QC6CH"))
    device.add_connections(
        "qc",
        create_connection(to_signal="q/drive", ports="SGCHANNELS/0/OUTPUT"),
        create_connection(to_signal="q/measure", ports="QACHANNELS/0/OUTPUT"),
        create_connection(to_signal="q/acquire", ports="QACHANNELS/0/INPUT"),
    )
    calibration = Calibration()
    for line, lo in (("drive", 5e9), ("measure", 7e9), ("acquire", 7e9)):
        # A mark in software: what the compiler multiplies into the samples, and the emulator therefore shows.
        calibration[f"q/{line}"] = SignalCalibration(
            oscillator=Oscillator(f"{line}_if", frequency=frequency, modulation_type=ModulationType.SOFTWARE),
            local_oscillator=Oscillator(f"{line}_lo" if line == "drive" else "readout_lo", frequency=lo),
            range=10 if line == "drive" else 5,
        )
    device.set_calibration(calibration)
    return device


def samples(case):
    device = setup(case["frequency"])
    lines = ("drive", "measure", "acquire")
    experiment = Experiment("case", signals=[ExperimentSignal(line, map_to=f"q/{line}") for line in lines])
    shape = getattr(pulse_library, case["shape"])
    pulse = shape(uid="pulse", length=case["length"], amplitude=case["amplitude"], **case["parameters"])
    kernel = pulse_library.const(uid="kernel", length=200e-9, amplitude=1.0)
    with experiment.acquire_loop_rt(
        count=1, averaging_mode=AveragingMode.CYCLIC, acquisition_type=AcquisitionType.INTEGRATION
    ):
        if case["line"] == "drive":
            with experiment.section(uid="play"):
                now = 0.0
                for start in case["starts"]:
                    experiment.delay("drive", start - now)
                    experiment.play("drive", pulse, phase=case["phase"])
                    now = start + case["length"]
            with experiment.section(uid="read", play_after="play"):
                experiment.acquire("acquire", "h", kernel=kernel)
        else:
            with experiment.section(uid="play"):
                experiment.delay("measure", case["starts"][0])
                experiment.delay("acquire", case["starts"][0])
                experiment.play("measure", pulse, phase=case["phase"])
                experiment.acquire("acquire", "h", kernel=kernel)
        with experiment.section(uid="rest", play_after="play"):
            experiment.delay("measure", 1e-6)
    session = Session(device, log_level=logging.CRITICAL)
    session.connect(do_emulation=True)
    compiled = session.compile(experiment)
    physical = device.logical_signal_groups["q"].logical_signals[case["line"]].physical_channel
    wave = OutputSimulator(compiled).get_snippet(physical, start=0, output_length=LENGTH, get_wave=True).wave
    return np.asarray(wave)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    np.savez(sys.argv[1], **{f"wave{i}": samples(case) for i, case in enumerate(json.load(sys.stdin))})
