"""From circuits to schedules, and from schedules to the programs that a rack plays."""
