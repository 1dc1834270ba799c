"""The maker's assembler of Q1ASM, which comes with ``qblox-instruments``."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import qblox_instruments

_BINARY = Path(qblox_instruments.__file__).parent / "assemblers" / "q1asm_linux"


def assemble(text: str) -> tuple[bool, str]:
    """Return whether ``text`` assembles, and what the assembler says of it."""
    with tempfile.TemporaryDirectory(prefix="q1asm") as directory:
        source = Path(directory) / "program.q1asm"
        source.write_text(text)
        done = subprocess.run(
            [_BINARY, "-o", "program", source.name], cwd=directory, check=False, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    return done.returncode == 0, done.stdout
