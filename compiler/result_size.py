"""How many bytes a chunk brings back, before it is played."""

from __future__ import annotations

from pulsed.compiler.program import Chunk
from pulsed.model.result_size import program_bytes


def result_bytes(chunk: Chunk) -> int:
    """Return the bytes of the arrays of all results of ``chunk``, or more where a record is not brought back.

    What is averaged over shots in several chunks counts in the first of them alone.
    """
    settings = chunk.settings
    averaged = settings.spectrum is not None or (settings.meas_level < 2 and settings.meas_return == "avg")
    if averaged and chunk.head.first_shot > 0:
        return 0
    levels = any(item.two is not None for item in settings.discriminators.values())
    total = 0
    for program in chunk.programs:
        records = settings.meas_level == 0 and settings.spectrum is None
        longest = int(chunk.array(program.acquisitions)["length"].max(initial=0)) if records else 0
        total += program.count * program_bytes(settings, program.memory_slots, longest, levels=levels)
    return total
