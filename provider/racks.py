"""The racks behind a provider: that of its daemon, and those whose daemons share its database."""

from __future__ import annotations

import ipaddress
import warnings
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pulsed.model.errors import PulsedError

if TYPE_CHECKING:
    from pulsed.client import Client


class RackUnavailableWarning(UserWarning):
    """A rack of the database is left out, because its daemon does not answer or does not know the key."""


class Racks:
    """A client for each rack, connected when it is first asked for.

    ``own`` is the connection that tells of the others. The daemon of another rack has to know the same key.
    """

    def __init__(self, own: Client) -> None:
        self.own = own
        self._others: dict[str, Client] = {}
        self._warned: set[str] = set()

    def clients(self) -> dict[str, Client]:
        """Return the client of each rack that can be reached, by name, the provider's own first."""
        found = dict.fromkeys(self.own.greeting.backends, self.own)
        for address in self.own.racks():
            if address.rack in found:
                continue
            if not address.alive:
                self._forget(address.rack)
                continue
            if not _same_machine(self.own.url) and _same_machine(address.url):
                self._warn(address.rack, f"its daemon listens at {address.url}, for its own machine alone")
                continue
            client = self._others.get(address.rack)
            if client is None or client.url != address.url or not client.hears_daemon:
                self._forget(address.rack)  # one that has died is found out at once, not by an answer that never comes
                client = self._others[address.rack] = self.own.of_rack(address)
            try:
                client.connect()
            except PulsedError as error:
                self._forget(address.rack)
                self._warn(address.rack, str(error))
                continue
            self._warned.discard(address.rack)
            found[address.rack] = client
        return found

    def close(self) -> None:
        """Close the connections to the others."""
        for rack in list(self._others):
            self._forget(rack)

    def _forget(self, rack: str) -> None:
        client = self._others.pop(rack, None)
        if client is not None:
            client.close()

    def _warn(self, rack: str, why: str) -> None:
        if rack not in self._warned:
            self._warned.add(rack)
            warnings.warn(f"rack {rack} is left out: {why}", RackUnavailableWarning, stacklevel=2)


def _same_machine(url: str) -> bool:
    """Whether ``url`` is of the loopback interface."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
