"""A shorter start for processes that run kernels: numba without the linear algebra of scipy.

Before the first kernel of a process numba imports ``scipy.linalg``, to learn whether there is a BLAS: a quarter of what
that kernel waits for, and 17 MiB. A kernel that calls a BLAS finds it all the same: numba looks up each routine at its
first call.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

_ASKED_FOR = "scipy.linalg.cython_blas"
_ASKING = "numba.np.arraymath"


def begin_without_linear_algebra() -> None:
    """Have numba load what kernels need, and take for granted that the scipy that is installed has a BLAS.

    Nothing is done where it has asked already. It still refuses a scipy with integers of another width.
    """
    if _ASKED_FOR in sys.modules or _ASKING in sys.modules:
        return
    sys.modules[_ASKED_FOR] = ModuleType(_ASKED_FOR)
    try:
        importlib.import_module(_ASKING)
    finally:
        del sys.modules[_ASKED_FOR]
