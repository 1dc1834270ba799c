"""Programs: :class:`Schedule`, with absolute times, and :class:`ScheduleBlock`, with relative ones."""

from pulsed.pulse.schedule.block import BlockComponent, ScheduleBlock, instructions_of
from pulsed.pulse.schedule.references import ReferenceManager
from pulsed.pulse.schedule.timeline import Schedule, ScheduleComponent, TimedInstruction

__all__ = [
    "BlockComponent",
    "ReferenceManager",
    "Schedule",
    "ScheduleBlock",
    "ScheduleComponent",
    "TimedInstruction",
    "instructions_of",
]
