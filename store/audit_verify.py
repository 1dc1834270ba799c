"""Whether an audit log is as it was written: what was changed, removed, cut off or moved, and where."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pulsed.store.audit_log import NOTHING, AuditRecord, files_of, hash_of, read_head


class AuditFault(msgspec.Struct, frozen=True):
    """One place where the chain is not whole."""

    file: str
    line: int
    """From 1; 0 for the file as a whole."""
    what: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


class AuditReport(msgspec.Struct, frozen=True):
    """What was found."""

    records: int
    first: int
    """Number of the first record that is there, 0 when there is none."""
    last: int
    faults: tuple[AuditFault, ...]
    note: str = ""
    """What is no fault, and worth knowing."""


class _Line(msgspec.Struct):
    file: str
    number: int
    hash: str
    record: AuditRecord | None


def verify(directory: Path, first: int = 1) -> AuditReport:
    """Look at every line of the log in ``directory``, of which the records before ``first`` are kept elsewhere."""
    lines, note = _read(directory)
    numbers = {line.record.n for line in lines if line.record is not None}
    faults: list[AuditFault] = []
    before: _Line | None = None
    for line in lines:
        if line.record is None:
            faults.append(AuditFault(line.file, line.number, "cannot be read"))
        else:
            faults += _compare(before, line, line.record, first, numbers)
        before = line
    faults += _compare_head(directory, lines, first)
    known = [line.record.n for line in lines if line.record is not None]
    return AuditReport(len(known), known[0] if known else 0, known[-1] if known else 0, tuple(faults), note)


def _read(directory: Path) -> tuple[list[_Line], str]:
    lines: list[_Line] = []
    note = ""
    files = files_of(directory)
    for path in files:
        *whole, torn = path.read_bytes().split(b"\n")
        for number, line in enumerate(whole, 1):
            lines.append(_Line(path.name, number, hash_of(line), _record(line)))
        if torn and path == files[-1]:
            note = f"{path.name} ends in {len(torn)} bytes of a line that was cut off as it was written"
        elif torn:
            lines.append(_Line(path.name, len(whole) + 1, hash_of(torn), None))
    return lines, note


def _record(line: bytes) -> AuditRecord | None:
    try:
        return msgspec.json.decode(line, type=AuditRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _compare(before: _Line | None, line: _Line, record: AuditRecord, first: int, numbers: set[int]) -> list[AuditFault]:
    """Return what is wrong between a line and the one before it."""
    last = first - 1 if before is None else before.record.n if before.record is not None else None
    if last is None:  # that one cannot be read, which is told already
        return []
    if record.n <= last:
        return [AuditFault(line.file, line.number, f"record {record.n} stands after record {last}")]
    if record.n > last + 1:
        absent = [number for number in range(last + 1, min(record.n, last + 10_000)) if number not in numbers]
        if not absent:
            return [AuditFault(line.file, line.number, f"record {record.n} stands before record {last + 1}")]
        return [AuditFault(line.file, line.number, f"{_range(last + 1, record.n - 1)} removed before this line")]
    wanted = before.hash if before is not None else NOTHING if first == 1 else record.before
    if record.before != wanted:
        place = line if before is None else before
        return [AuditFault(place.file, place.number, "changed: the line behind it was written after another one")]
    return []


def _compare_head(directory: Path, lines: list[_Line], first: int) -> list[AuditFault]:
    head = read_head(directory)
    known = [line for line in lines if line.record is not None]
    if not (directory / "head.json").exists():
        missing = AuditFault("head.json", 0, "is not there: what was cut off the end would not be missed")
        return [missing] if lines else []
    last = max((line.record.n for line in known if line.record is not None), default=first - 1)
    if last < head.n:
        file, number = (known[-1].file, known[-1].number) if known else ("head.json", 0)
        return [AuditFault(file, number, f"{_range(last + 1, head.n)} cut off behind this line")]
    for line in known:
        if line.record is not None and line.record.n == head.n and line.hash != head.hash:
            return [AuditFault(line.file, line.number, "changed: head.json has another hash of it")]
    return []


def _range(first: int, last: int) -> str:
    return f"record {first} was" if first == last else f"records {first} to {last} were"
