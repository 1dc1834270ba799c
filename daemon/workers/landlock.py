"""Landlock, by which a Linux process gives up for good what it does not need (https://docs.kernel.org/userspace-api/landlock.html).

No library: three system calls, which the C library has no names for.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterator, Mapping
from enum import IntFlag
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38


class Access(IntFlag):
    """What may be done with a file, or with everything in a directory."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Access.EXECUTE | Access.READ_FILE | Access.READ_DIR
WRITE = (
    READ | Access.WRITE_FILE | Access.TRUNCATE | Access.MAKE_REG | Access.MAKE_DIR | Access.REMOVE_FILE
    | Access.REMOVE_DIR | Access.REFER
)  # fmt: skip
_OF_FILES = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
_SINCE = {1: Access(0x1FFF), 2: Access.REFER, 3: Access.TRUNCATE, 5: Access.IOCTL_DEV}
"""What each version of the interface added."""
_NETWORK, _NETWORK_SINCE = 0b11, 4
"""To bind and to connect TCP sockets."""
_SCOPES, _SCOPES_SINCE = 0b11, 6
"""To connect abstract Unix sockets of others, and to send signals to others."""


def version() -> int:
    """Return the version of the interface; 0 where the system has none."""
    if sys.platform != "linux":
        return 0
    return max(0, _call(_CREATE_RULESET, None, 0, _ASK_VERSION))


def restrict(allowed: Mapping[Path, Access]) -> int:
    """Let this thread, and all that it starts, do with files what ``allowed`` says alone; return the version.

    Where the version knows them, TCP connections and signals to other processes end, too. A path that does not exist
    is passed over. Raises ``OSError`` where the system refuses.
    """
    known = version()
    handled = Access(0)
    for since, access in _SINCE.items():
        if since <= known:
            handled |= access
    attributes = struct.pack(
        "=QQQ", handled, _NETWORK if known >= _NETWORK_SINCE else 0, _SCOPES if known >= _SCOPES_SINCE else 0
    )
    attributes = attributes[: 8 if known < _NETWORK_SINCE else 16 if known < _SCOPES_SINCE else 24]
    with _closing(_checked(_CREATE_RULESET, attributes, len(attributes), 0)) as rules:
        for path, access in allowed.items():
            _allow(rules, path, access & handled)
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        _checked(_RESTRICT_SELF, rules, 0)
    return known


def _allow(rules: int, path: Path, access: Access) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    with _closing(handle):
        if not path.is_dir():
            access &= _OF_FILES
        _checked(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", access, handle), 0)


@contextlib.contextmanager
def _closing(handle: int) -> Iterator[int]:
    try:
        yield handle
    finally:
        os.close(handle)


def _call(number: int, *arguments: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return int(library.syscall(ctypes.c_long(number), *(_as_c(one) for one in arguments)))


def _as_c(value: object) -> object:
    return ctypes.c_long(value) if isinstance(value, int) else value


def _checked(number: int, *arguments: object) -> int:
    result = _call(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return result
