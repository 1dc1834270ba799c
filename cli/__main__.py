"""`python -m pulsed.cli` is `pulsed`."""

from pulsed.cli.main import main

main()
