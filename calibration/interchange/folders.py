"""Folders that are there whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pulsed.model.errors import InvalidValueError


def write_folder(folder: Path, files: Mapping[str, bytes], option: str) -> None:
    """Write ``files`` by name into ``folder``: all of them or none, beside it first, and then under its name.

    Raises :class:`InvalidValueError`, which names ``option``, when there is something in ``folder``.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidValueError("is there already", subject=option, value=str(folder), legal="a new or empty directory")
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in files.items():
            (half / name).write_bytes(content)
        half.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        half.rename(folder)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise
