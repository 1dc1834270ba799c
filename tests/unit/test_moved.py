"""Old names say what they are called now."""

import importlib
import re
import subprocess
import sys

import pytest

from pulsed.moved import MODULES, NAMES, new_name


def package(name):
    """Return whether a package stands where the module was."""
    try:
        return hasattr(importlib.import_module(f"pulsed.{name}"), "__path__")
    except ImportError:
        return False


@pytest.mark.parametrize("old", sorted(MODULES))
def test_an_import_of_an_old_module_names_the_new_one(old):
    new = importlib.import_module(f"pulsed.{MODULES[old]}")
    if package(old):
        name = next(name for name in vars(new) if name[0].isupper())
        with pytest.raises(ImportError, match=rf"is now pulsed\.{MODULES[old]}\.{name}"):
            exec(f"from pulsed.{old} import {name}")
    else:
        with pytest.raises(ImportError, match=rf"pulsed\.{old} is now pulsed\.{MODULES[old]}"):
            importlib.import_module(f"pulsed.{old}")


@pytest.mark.parametrize(("module", "old"), [(module, old) for module, names in NAMES.items() for old in names])
def test_an_old_name_in_a_module_names_the_new_one(module, old):
    new = new_name(module, old)
    home, _, last = new.rpartition(".")
    assert hasattr(importlib.import_module(home), last)
    with pytest.raises(ImportError, match=re.escape(f"pulsed.{module}.{old} is now {new}") + "$"):
        exec(f"from pulsed.{module} import {old}")


def test_what_never_was_is_not_there_as_ever():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'pulsed\.nothing'"):
        importlib.import_module("pulsed.nothing")
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec("from pulsed.simulator.chip import Nothing")


def test_the_table_is_read_when_an_old_name_is_asked_for():
    used = ("client", "compiler.program", "drivers.contract", "model.parameters", "provider", "pulse")
    imports = "; ".join(f"import pulsed.{name}" for name in used)
    code = f"import sys; {imports}; print('pulsed.moved' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "False\n"
