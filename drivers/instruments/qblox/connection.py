"""The maker's ``Cluster`` with errors of ours: every call has a deadline, and what fails names the instrument."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from typing import Any

from pulsed.drivers.contract import remaining
from pulsed.drivers.scpi.driver import qcodes_name
from pulsed.model.errors import (
    ConfigError,
    InstrumentError,
    InstrumentRefusedError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    WrongInstrumentError,
)

_NUMBERS = count(1)
"""QCoDeS has each name once in a process."""
_MOMENT = 0.05
"""Seconds that an answer may lie about which nobody has read."""
_ADDRESS = re.compile(r"(?i)TCPIP\d*::([^:]+)::(\d+)::SOCKET")


def load_maker() -> Any:
    """Return the package ``qblox_instruments``. Raises :class:`ConfigError` that names the extra to install."""
    try:
        import qblox_instruments
    except ImportError as error:
        raise ConfigError(
            f"the package of the maker is missing: {error}", subject="qblox-instruments", value="not installed",
            legal="pip install 'pulsed[qblox]'",
        ) from error  # fmt: skip
    return qblox_instruments


@cache
def _closing(cluster: Any) -> Any:
    """Return the maker's class such that what does not come to be closes its socket, and not the garbage collector."""

    def make(self: Any, *args: Any, **options: Any) -> None:
        try:
            cluster.__init__(self, *args, **options)
        except BaseException:
            with suppress(Exception):  # the socket may not have come to be either
                self._transport.close()
            raise

    return type(cluster.__name__, (cluster,), {"__init__": make, "__doc__": cluster.__doc__})


class ClusterConnection:
    """A connection to one Cluster; the constructor does no I/O."""

    def __init__(self, name: str, address: str) -> None:
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise ConfigError(
                "not the address of a Cluster", subject=f"instruments.{name}.address", value=address,
                legal="TCPIP::HOST::5025::SOCKET",
            )  # fmt: skip
        self.name, self.address = name, address
        self.host, self.port = match.group(1), int(match.group(2))
        self.cluster: Any = None

    @property
    def subject(self) -> str:
        """The subject of errors."""
        return f"instrument {self.name}"

    def open(self, deadline: float) -> Any:
        """Connect and return the maker's object. Raises :class:`WrongInstrumentError` for another firmware."""
        maker = load_maker()
        with self.talking(deadline, "connecting"):
            self._ask_first(deadline)
            try:
                kind = _closing(maker.Cluster)
                self.cluster = kind(f"{qcodes_name(self.name)}_{next(_NUMBERS)}", self.host, port=self.port)
            except ConnectionError as error:
                if "firmware" not in str(error):
                    raise
                raise WrongInstrumentError(
                    "its firmware is not that of the installed qblox-instruments", subject=self.subject,
                    value=" ".join(str(error).split())[:400], legal="firmware that the package knows",
                ) from error  # fmt: skip
        return self.cluster

    def _ask_first(self, deadline: float) -> None:
        """Ask who is there before the maker's driver does, which would wait a minute for each answer."""
        with socket.create_connection((self.host, self.port), timeout=remaining(deadline)) as peer:
            peer.sendall(b"*IDN?\n")
            with peer.makefile("rb") as answers:
                answer = answers.readline(1000)
        if not answer.lower().startswith(b"qblox,"):
            what = answer.decode("ascii", "replace").strip()[:80]
            if not answer:
                raise EOFError("it hangs up")
            raise WrongInstrumentError("not a Qblox instrument", subject=self.subject, value=what, legal="Qblox")

    def close(self) -> None:
        """Close. Idempotent, never raises."""
        cluster, self.cluster = self.cluster, None
        if cluster is not None:
            with suppress(Exception):  # it is given up, whatever it says
                cluster.close()

    @contextmanager
    def talking(self, deadline: float, what: str) -> Iterator[None]:
        """Do some calls of the maker's; what they raise becomes an error of ours, about ``what`` it was doing."""
        left = remaining(deadline)
        if not left:
            raise InstrumentTimeoutError(f"no time is left: {what}", subject=self.subject)
        # The maker's driver takes no deadline, and has nothing public to set its timeout with.
        transport = getattr(self.cluster, "_transport", None)
        if transport is not None:
            transport.timeout = left
        try:
            yield
        except InstrumentError:
            raise
        except TimeoutError as error:
            raise InstrumentTimeoutError(f"no answer: {what}", subject=self.subject, value=self.address) from error
        except (OSError, EOFError) as error:
            raise InstrumentUnreachableError(
                f"no connection, or it broke: {what}: {error}", subject=self.subject, value=self.address
            ) from error
        except Exception as error:
            if self._has_gone():
                raise InstrumentUnreachableError(
                    f"the instrument hung up: {what}", subject=self.subject, value=self.address
                ) from error
            text = " ".join(str(error).split())
            raise InstrumentRefusedError(f"refused: {what}", subject=self.subject, value=text[:400]) from error

    def _has_gone(self) -> bool:
        """Return whether the other side has hung up, which the maker's driver takes for an empty answer."""
        transport = getattr(self.cluster, "_transport", None)
        if transport is None:
            return False
        transport.timeout = _MOMENT
        try:
            return not transport.readline()
        except TimeoutError:
            return False
        except OSError:
            return True

    def drain_errors(self) -> list[str]:
        """Empty the error queue of the frame and return what was in it."""
        found: list[str] = []
        while self.cluster.get_num_system_error() > 0 and len(found) < 100:
            found.append(str(self.cluster.get_system_error()))
        return found
