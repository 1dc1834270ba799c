import socket
import sys

import pytest

from pulsed.cli.lab_part import WEB_PACKAGES, require_web_part
from pulsed.client.keys import make_keys
from pulsed.model.errors import InvalidValueError, KeyFileError, MissingPackageError
from pulsed.web.__main__ import main
from pulsed.web.main import WebOptions, check, is_loopback, run


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_for_itself(host):
    assert is_loopback(host)
    check(WebOptions(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "lab.example", ""])
def test_beyond_it_only_over_tls(host):
    assert not is_loopback(host)
    with pytest.raises(InvalidValueError, match="over TLS alone"):
        check(WebOptions(host=host))
    check(WebOptions(host=host, certificate="c.pem", private_key="k.pem"))
    for half in ({"certificate": "c.pem"}, {"private_key": "k.pem"}):
        with pytest.raises(InvalidValueError, match="belong together"):
            check(WebOptions(host=host, **half))


def test_a_port_that_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("PULSED_HOME", str(tmp_path))
    make_keys(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidValueError, match=f"127.0.0.1 port {port}"):
            run(WebOptions(port=port, key="local", browser=False))


def test_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("PULSED_HOME", str(tmp_path))
    with pytest.raises(KeyFileError, match="there is no such file"):
        run(WebOptions(port=0, browser=False))


@pytest.mark.parametrize("options", ['{"colour": "red"}', '{"port": "many"}', "no json"])
def test_options_that_are_none(options, capsys):
    assert main([options]) == 1
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("name", WEB_PACKAGES)
def test_a_package_that_is_missing_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=r"pulsed\[web\]"):
        require_web_part()
