"""LabOne Q's compiler, run by the Python of its own environment: one JSON line in, one out.

{"make": [seed, ...], "qubits": q, "sequences": s, "pulses": p} builds experiments, each of ``s`` random sequences of
``p`` DRAG pulses of 32 ns on every qubit (two amplitudes, four phases) and a readout; a number compiles that
experiment for an SHFQC. Nothing is compiled twice, so no cache can help.
"""

import json
import logging
import math
import random
import sys
import warnings

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
    SectionAlignment,
    Session,
    SignalCalibration,
    create_connection,
    pulse_library,
)

DRAGS = [pulse_library.drag(uid=f"p{k}", length=32e-9, amplitude=a, beta=0.2) for k, a in enumerate((0.4, 0.8))]
READOUT = pulse_library.const(uid="ro", length=400e-9, amplitude=0.2)
KERNEL = pulse_library.const(uid="kernel", length=400e-9, amplitude=0.8)


def device_setup(qubits):
    setup = DeviceSetup("bench")
    setup.add_dataserver(host="localhost", port="8004")
    setup.add_instruments(SHFQC(uid="qc", address="DEV12000", device_options="SHFQC/QC6CH"))
    calibration = Calibration()
    for q in range(qubits):
        setup.add_connections(
            "qc",
            create_connection(to_signal=f"q{q}/drive", ports=f"SGCHANNELS/{q}/OUTPUT"),
            create_connection(to_signal=f"q{q}/measure", ports="QACHANNELS/0/OUTPUT"),
            create_connection(to_signal=f"q{q}/acquire", ports="QACHANNELS/0/INPUT"),
        )
        for line, kind in (("drive", "HARDWARE"), ("measure", "SOFTWARE"), ("acquire", "SOFTWARE")):
            oscillator = Oscillator(frequency=50e6 * (q + 1), modulation_type=ModulationType[kind])
            local = Oscillator(frequency=5e9 if line == "drive" else 6e9)
            calibration[f"q{q}/{line}"] = SignalCalibration(oscillator=oscillator, local_oscillator=local, range=10)
    setup.set_calibration(calibration)
    return setup


def experiment(qubits, sequences, pulses, seed):
    rng = random.Random(seed)
    signals = [(f"{line}{q}", f"q{q}/{line}") for q in range(qubits) for line in ("drive", "measure", "acquire")]
    result = Experiment("bench", signals=[ExperimentSignal(name, map_to=line) for name, line in signals])
    with result.acquire_loop_rt(
        uid="rt", count=1000, averaging_mode=AveragingMode.CYCLIC, acquisition_type=AcquisitionType.INTEGRATION
    ):
        for s in range(sequences):
            for q in range(qubits):
                with result.section(uid=f"g{s}_{q}", alignment=SectionAlignment.RIGHT):
                    for _ in range(pulses):
                        k = rng.randrange(8)
                        result.play(signal=f"drive{q}", pulse=DRAGS[k & 1], phase=(k >> 1) * math.pi / 2)
            for q in range(qubits):
                with result.section(uid=f"m{s}_{q}", play_after=[f"g{s}_{x}" for x in range(qubits)]):
                    result.play(signal=f"measure{q}", pulse=READOUT)
                    result.acquire(signal=f"acquire{q}", handle=f"h{q}", kernel=KERNEL)
            with result.section(uid=f"w{s}", play_after=[f"m{s}_{x}" for x in range(qubits)]):
                for q in range(qubits):
                    result.delay(signal=f"measure{q}", time=1e-6)
    return result


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    first = json.loads(sys.stdin.readline())
    session = Session(device_setup(first["qubits"]), log_level=logging.CRITICAL)
    session.connect(do_emulation=True)
    made = [experiment(first["qubits"], first["sequences"], first["pulses"], seed) for seed in first["make"]]
    print(len(made), flush=True)
    for line in sys.stdin:
        session.compile(made[json.loads(line)])
        print("true", flush=True)


if __name__ == "__main__":
    main()
