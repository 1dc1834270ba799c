"""`python -m pulsed.web OPTIONS`, the options as JSON: what `pulsed web` starts."""

from __future__ import annotations

import sys

import msgspec

from pulsed.model.errors import PulsedError
from pulsed.model.visible import visible
from pulsed.web.main import WebOptions, run


def main(arguments: list[str]) -> int:
    """Run with the options of the first argument; return the exit code."""
    try:
        run(msgspec.json.decode(arguments[0] if arguments else "{}", type=WebOptions))
    except (PulsedError, msgspec.MsgspecError) as error:
        sys.stderr.write(f"error: {visible(str(error))}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
