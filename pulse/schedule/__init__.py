"""Programs: :class:`Schedule`, with absolute times, and :class:`ScheduleBlock`, with relative ones."""

from pulsed.pulse.schedule.timeline import Schedule, ScheduleComponent, TimedInstruction

__all__ = ["Schedule", "ScheduleComponent", "TimedInstruction"]
