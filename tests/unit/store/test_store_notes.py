"""Notes in the store."""

import pytest

from pulsed.model.calibration import RunRecord
from pulsed.model.errors import InvalidValueError, NotFoundError
from pulsed.model.notes import MOST_NOTES, Note


def test_notes_are_kept_newest_first_by_what_they_are_about(store):
    store.put_run(RunRecord("run 1", "t1", "Q3", "calibrate", "good", 1.0, 2.0))
    for number, about in enumerate(("Q0", "run 1", "Q0")):
        store.add_note(Note(about, f"note {number}", "anna", float(number)), known=about == "Q0")
    assert [note.text for note in store.notes("Q0")] == ["note 2", "note 0"]
    assert [note.text for note in store.notes()] == ["note 2", "note 1", "note 0"]
    assert [note.text for note in store.notes(limit=1)] == ["note 2"]
    assert store.notes("run 1")[0] == Note("run 1", "note 1", "anna", 1.0)


def test_a_note_is_about_something_that_is_there(store):
    with pytest.raises(NotFoundError, match="nobody"):
        store.add_note(Note("nobody", "x", "anna", 1.0))
    assert store.notes() == []


def test_notes_about_one_thing_are_bounded(store, monkeypatch):
    monkeypatch.setattr("pulsed.store.notes.MOST_NOTES", 2)
    assert MOST_NOTES > 2
    for number in range(2):
        store.add_note(Note("Q0", str(number), "anna", 1.0), known=True)
    with pytest.raises(InvalidValueError, match="too many notes"):
        store.add_note(Note("Q0", "x", "anna", 1.0), known=True)
