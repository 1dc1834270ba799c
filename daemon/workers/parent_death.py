"""A child that ends with its parent, even when the parent is killed with SIGKILL.

Run as ``python parent_death.py PARENT COMMAND ...`` it asks for the signal and becomes the command. It imports
nothing of pulsed, so that this costs some milliseconds only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def set_parent_death_signal(parent: int, number: int = signal.SIGKILL) -> None:
    """Ask the kernel for signal ``number`` when the process ``parent`` ends; exit when it has ended already.

    Only Linux can do this; elsewhere a worker still sees the end of its pipe.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def main(argv: list[str]) -> None:
    """Become the command ``argv[1:]``, which ends with the process ``argv[0]``."""
    # The signal survives exec. SIGINT from a terminal is for the daemon alone, which then ends its children.
    set_parent_death_signal(int(argv[0]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.execvp(argv[1], argv[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
