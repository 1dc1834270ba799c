"""What a rack does with chunks before it speaks to an instrument."""

import msgspec
import pytest

from pulsed.drivers.rack import rack as rack_module
from pulsed.drivers.rack.rack import Rack
from pulsed.model.errors import InstrumentLimitError
from pulsed.testing.chunks import make_chunk


@pytest.fixture
def checked(monkeypatch):
    """Return the chunks that were checked, in order."""
    chunks, validate = [], rack_module.validate
    monkeypatch.setattr(rack_module, "validate", lambda *given: chunks.append(given[1]) or validate(*given))
    return chunks


@pytest.fixture
def rack(lab):
    rack = Rack(lab.device)
    yield rack
    rack.close()


def test_a_chunk_that_comes_again_is_checked_once(rack, lab, checked):
    first = rack.validate(make_chunk(lab.device, (0.1,)))
    assert rack.validate(make_chunk(lab.device, (0.1,))) is first
    assert not any(rows.flags.writeable for work in first.playbacks.values() for rows in work.tables)
    other = rack.validate(make_chunk(lab.device, (0.2,)))
    assert len(checked) == 2
    assert other is not first


def test_one_number_more_or_less_is_another_chunk(rack, lab, checked):
    chunk = make_chunk(lab.device, (0.1,))
    rack.validate(chunk)
    settings = msgspec.structs.replace(chunk.settings, shots=chunk.settings.shots + 1)
    rack.validate(type(chunk)(msgspec.structs.replace(chunk.head, settings=settings), chunk.parts))
    parts = [bytearray(part) for part in chunk.parts]
    parts[0][-1] ^= 1
    changed = type(chunk)(chunk.head, parts)
    assert changed.content() != chunk.content()
    assert len(checked) == 2


def test_what_was_refused_is_refused_again(rack, lab, checked, monkeypatch):
    chunk = make_chunk(lab.device, (0.1,))

    def refuse(work):
        raise InstrumentLimitError("is too long", subject="instrument awg1")

    monkeypatch.setattr(rack.connections.generators["awg1"], "validate", refuse)
    for _ in range(2):
        with pytest.raises(InstrumentLimitError):
            rack.validate(chunk)
    assert len(checked) == 2


def test_few_and_small_chunks_are_kept(rack, lab, checked, monkeypatch):
    monkeypatch.setattr(rack_module, "_KNOWN", 2)
    for angle in (0.1, 0.2, 0.1, 0.3, 0.1, 0.2):  # 0.2 was used least of late when 0.3 came
        rack.validate(make_chunk(lab.device, (angle,)))
    assert len(checked) == 4
    monkeypatch.setattr(rack_module, "_SMALL", 0)
    for _ in range(2):
        rack.validate(make_chunk(lab.device, (0.2,)))
    assert len(checked) == 6
