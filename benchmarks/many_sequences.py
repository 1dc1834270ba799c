"""A process that compiles 10,000 and 20,000 sequences of 100 pulses and says what that took, as one line of JSON."""

from __future__ import annotations

import json
import resource
import sys

from benchmarks.figures import paired, times
from benchmarks.workloads import rotations, sim5
from pulsed.compiler.compile import Compiler
from pulsed.model.job import RunOptions

SEQUENCES, PULSES, DISTINCT = 20_000, 100, 500


def peak() -> float:
    """Return the most memory that this process ever held, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Compile one job after the other; each job's chunks are gone before the next."""
    backend = sim5()
    compiler, options = Compiler(backend.device, backend.calibration_set), RunOptions(shots=10)
    made = [rotations(1, PULSES, seed) for seed in range(DISTINCT)]
    # Copies, so that every sequence holds its own gates as one that came with a job does.
    circuits = [made[i % DISTINCT].copy() for i in range(SEQUENCES)]
    before = peak()
    chunks = compiler.compile(circuits, options)
    events = sum(len(chunk.array(program.events)) for chunk in chunks for program in chunk.programs)
    assert events == SEQUENCES * (PULSES + 1), "a pulse or a readout is missing"
    sizes = sum(len(part) for chunk in chunks for part in chunk.encode()) / 2**20
    after = peak()
    del chunks
    half = circuits[: SEQUENCES // 2]
    pair = paired(
        lambda: compiler.compile(circuits, options), times(2, lambda: compiler.compile(half, options)), pairs=5
    )
    json.dump({"before": before, "peak": after, "chunks": sizes, "all": pair.ours, "halves": pair.reference,
               "ratio": pair.ratio}, sys.stdout)  # fmt: skip


if __name__ == "__main__":
    main()
