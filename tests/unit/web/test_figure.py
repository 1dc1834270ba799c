"""The script that draws figures."""

from pathlib import Path

import pulsed.web


def test_every_number_is_written_by_what_knows_that_it_may_be_missing():
    text = (Path(pulsed.web.__file__).parent / "static" / "figure.js").read_text(encoding="utf-8")
    assert text.count("toPrecision") == 1
    (line,) = (line for line in text.splitlines() if "toPrecision" in line)
    assert line.strip().startswith("const short = (value, digits = 6) => (value === null ")
    assert ".map(short)" not in text, "map hands on the place, too: digits"
