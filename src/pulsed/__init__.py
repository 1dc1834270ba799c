"""pulsed: the daemon that owns the control electronics of a superconducting-qubit lab.

The folders at the root of the repository are the subpackages of this one; see
``docs/explanation/architecture.md`` for the floors and what may import what.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

__version__ = "0.2.0"


class _OldNames:
    """The last finder that is asked for a module: knows what modules were called before."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: ModuleType | None = None) -> None:
        if name.startswith("pulsed."):
            from pulsed.moved import check_module

            check_module(name)


def old_names(module: str) -> Callable[[str], NoReturn]:
    """Return the ``__getattr__`` of a module of which names were renamed, or that is a package where a module was.

    The table of what was renamed is read when such a name is asked for.
    """

    def missing(name: str) -> NoReturn:
        if not name.startswith("_"):
            from pulsed.moved import check_name

            check_name(module, name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return missing


sys.meta_path.append(_OldNames)
