"""Nothing in the repository names a machine that may exist: what is copied from here reaches no stranger."""

import ipaddress
import re
import socket
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMBERS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
NAMED = re.compile(r"(?:TCPIP\d*::|tcp://)([A-Za-z][\w-]*(?:\.[\w-]+)+)")
"""A host with its domain; a bare name stands for a machine of the reader's."""
RESERVED = (".invalid", ".example", ".test", ".example.com", ".example.org")
"""RFC 2606."""
DOCUMENTATION = ipaddress.ip_network("192.0.2.0/24")
TEXT = {".py", ".md", ".toml", ".json", ".txt", ".qasm", ".ini", ".yml", ".yaml", ".cfg", ""}


def files():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    return [ROOT / name for name in listed if name and (ROOT / name).is_file() and Path(name).suffix in TEXT]


def is_harmless(text):
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True  # four numbers that are none
    return address.is_loopback or address.is_unspecified or address in DOCUMENTATION


def test_addresses_are_loopback_or_of_the_documentation_range():
    found = files()
    assert len(found) > 100
    strangers = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in found
        for text in NUMBERS.findall(path.read_text(encoding="utf-8", errors="replace"))
        if not is_harmless(text)
    ]
    assert strangers == []


def test_hosts_of_instruments_and_daemons_are_reserved_names():
    strangers = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files()
        for name in NAMED.findall(path.read_text(encoding="utf-8", errors="replace"))
        if not name.endswith(RESERVED)
    ]
    assert strangers == []


def test_a_test_that_dials_a_stranger_fails():
    with socket.socket() as dialling, pytest.raises(PermissionError, match=r"192\.0\.2\.1"):
        dialling.connect(("192.0.2.1", 9))
