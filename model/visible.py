"""Text of other people: shown as it is written, never obeyed. Loads nothing heavy."""

from __future__ import annotations

import re
import unicodedata

_OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Kinds of characters that a terminal acts on instead of showing them: controls, directions, surrogates, line ends."""
_JOINERS = "\u200c\u200d"
"""Of the kinds above, but parts of words and emoji."""
_SUSPECTS = re.compile(r"[^\x20-\x7e\xa1-\xac\xae-\u02ff]")
_NAMED = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}


def visible(text: str) -> str:
    r"""Return ``text`` on one line, each character that a terminal would act on as its escape: ``\x1b``, ``\n``."""
    return _SUSPECTS.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if unicodedata.category(character) not in _OBEYED or character in _JOINERS:
        return character
    code = ord(character)
    return _NAMED.get(character) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )


def visible_json(text: str) -> str:
    """Return JSON in which each character that a terminal would act on, but for line ends, is JSON's own escape."""
    return _SUSPECTS.sub(_json_escape, text)


def _json_escape(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\n" or unicodedata.category(character) not in _OBEYED or character in _JOINERS:
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[k : k + 2].hex()}" for k in range(0, len(units), 2))
