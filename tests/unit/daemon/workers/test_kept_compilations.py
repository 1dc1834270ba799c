"""What was compiled lately: found by content, never for another one, within a bound of bytes."""

from __future__ import annotations

import msgspec
import pytest

from pulsed.daemon.workers import messages
from pulsed.daemon.workers.kept_compilations import ENTRY, SMALL, KeptCompilations
from pulsed.model.job import Bindings, RunOptions

REQUEST = messages.Compile("job", ("qpy",), 1, RunOptions(shots=10), (), "set")
CHUNK = messages.ChunkInfo(1, 0, 1, 0, 10, 0.1)
COMPILED = messages.Compiled("job", (CHUNK,), 0.02)


def test_the_same_content_is_found_for_another_job() -> None:
    kept = KeptCompilations()
    key = kept.key(REQUEST, [b"program"])
    assert kept.find(key, "job") is None
    kept.keep(key, (COMPILED, [b"chunk"]))
    again = msgspec.structs.replace(REQUEST, job_id="other")
    found = kept.find(kept.key(again, [memoryview(b"program")]), "other")
    assert found == (messages.Compiled("other", (CHUNK,), 0.0), [b"chunk"])


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, [b"another"]),
        ({}, [b"pro", b"gram"]),
        ({"kinds": ("schedule",)}, [b"program"]),
        ({"num_programs": 2}, [b"program"]),
        ({"options": RunOptions(shots=11)}, [b"program"]),
        ({"gates": (("x", (0,), ()),)}, [b"program"]),
        ({"calibration_id": "another"}, [b"program"]),
        ({"bindings": (Bindings(0, ("a",), 1),)}, [b"program"]),
    ],
)
def test_another_content_is_not_found(changes, parts) -> None:
    kept = KeptCompilations()
    kept.keep(kept.key(REQUEST, [b"program"]), (COMPILED, [b"chunk"]))
    assert kept.find(kept.key(msgspec.structs.replace(REQUEST, **changes), parts), "job") is None


def test_what_is_large_is_not_kept() -> None:
    kept = KeptCompilations()
    assert kept.key(REQUEST, [bytes(SMALL), b"1"]) == b""
    kept.keep(b"", (COMPILED, [b"chunk"]))
    kept.keep(b"key", (COMPILED, [bytes(SMALL + 1)]))
    assert kept.find(b"", "job") is kept.find(b"key", "job") is None


def test_those_used_last_stay() -> None:
    kept = KeptCompilations(limit=3 * (ENTRY + 100))
    for name in (b"a", b"b", b"c"):
        kept.keep(name, (COMPILED, [bytes(100)]))
    kept.keep(b"c", (COMPILED, [bytes(100)]))  # is there, and counts once
    assert kept.find(b"a", "job") is not None
    kept.keep(b"d", (COMPILED, [bytes(100)]))
    assert [kept.find(name, "job") is not None for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
