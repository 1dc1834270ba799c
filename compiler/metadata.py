"""A circuit's metadata as JSON, the form in which it travels to the daemon and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np


class MetadataEncoder(json.JSONEncoder):
    """JSON of a circuit's metadata: arrays as lists; what is left, and keys that JSON has not, as text."""

    def default(self, o: Any) -> Any:
        """Return what JSON has in place of ``o``."""
        if isinstance(o, np.ndarray | np.generic):
            return o.tolist() if not np.iscomplexobj(o) else str(o)
        return str(o)

    def encode(self, o: Any) -> str:
        """Return ``o`` as JSON."""
        try:
            return super().encode(o)
        except TypeError:
            return super().encode(_with_plain_keys(o))


def _with_plain_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_plain_key(key): _with_plain_keys(item) for key, item in value.items()}
    return [_with_plain_keys(item) for item in value] if isinstance(value, list | tuple) else value


def _plain_key(key: Any) -> Any:
    key = key.item() if isinstance(key, np.generic) else key
    return key if key is None or isinstance(key, str | int | float) else str(key)
