"""The last release's side of the wire against today's, both ways, and today's against what may come."""

from __future__ import annotations

import enum
import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect as kinds

import pulsed
from pulsed.client.reading import read_device, read_result
from pulsed.model import calibration as sets
from pulsed.model import result as results
from pulsed.model.device import DeviceDescription, check_device, load_device
from pulsed.model.errors import IncompatibleError
from pulsed.wire import messages as m
from pulsed.wire import protocol as p
from pulsed.wire.base import PROTOCOL, REVISION
from pulsed.wire.revisions import DEVICE_KEYS, REQUESTS, readable
from pulsed.wire.roles import Role

from .record import keys, structs
from .recorded import release_0_1_0 as last

ROOT = Path(__file__).parents[3]
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))
UNIONS = ("AnyRequest", "AnyReply", "AnyEvent")


def filled(kind: Any) -> Any:
    """Return a value of a type of msgspec's inspection, with everything in it that can be, nothing at its default."""
    match kind:
        case kinds.IntType():
            return 7
        case kinds.FloatType():
            return 1.5
        case kinds.StrType():
            return "text"
        case kinds.BytesType():
            return b'{"a": 1}'
        case kinds.BoolType():
            return True
        case kinds.LiteralType():
            return kind.values[-1]
        case kinds.EnumType():
            return list(kind.cls)[-1]
        case kinds.DictType():
            return {filled(kind.key_type): filled(kind.value_type)}
        case kinds.VarTupleType():
            return (filled(kind.item_type), filled(kind.item_type))
        case kinds.TupleType():
            return tuple(map(filled, kind.item_types))
        case kinds.UnionType():
            return filled(next(one for one in kind.types if not isinstance(one, kinds.NoneType)))
        case kinds.StructType():
            return kind.cls(**{field.name: flipped(field) for field in kind.fields})
        case kinds.NamedTupleType():
            return kind.cls(*(filled(field.type) for field in kind.fields))
    raise NotImplementedError(kind)


def flipped(field: kinds.Field) -> Any:
    return not field.default if isinstance(field.default, bool) else filled(field.type)


def example(struct: type) -> Any:
    return filled(kinds.type_info(struct))


def fields(value: Any) -> dict[str, Any] | None:
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    return value._asdict() if hasattr(value, "_asdict") else None


def agree(one: Any, other: Any) -> bool:
    """Whether two versions of a value say the same where both say something."""
    mine, theirs = fields(one), fields(other)
    if mine is not None and theirs is not None:
        return bool(mine.keys() & theirs.keys()) and all(agree(mine[k], theirs[k]) for k in mine.keys() & theirs.keys())
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(agree(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(agree, one, other))
    return str(one) == str(other) if isinstance(one, enum.Enum) else one == other


def union_of(module: Any, union: str) -> Any:
    """Return the union of a module's messages; 0.1 called events notices."""
    return getattr(module, union) if hasattr(module, union) else getattr(module, {"AnyEvent": "AnyNotice"}[union])


def by_tag(module: Any, union: str) -> dict[str, type]:
    return {str(kind.__struct_config__.tag): kind for kind in union_of(module, union).__args__}


@pytest.mark.parametrize("union", UNIONS)
def test_what_the_last_release_says_is_understood_today(union: str) -> None:
    today = msgspec.msgpack.Decoder(getattr(m, union))
    for tag, kind in by_tag(last, union).items():
        said = example(kind)
        assert agree(said, today.decode(msgspec.msgpack.encode(said))), tag
    for kind, read in [
        (last.CalibrationSet, lambda data: sets.from_json(msgspec.json.encode(msgspec.msgpack.decode(data)))),
        (last.JobResult, lambda data: results.decode([data])[0]),
    ]:
        said = msgspec.structs.replace(example(kind), **({"format": 1} if kind is last.CalibrationSet else {}))
        assert agree(said, read(msgspec.msgpack.encode(said)))


@pytest.mark.parametrize("union", UNIONS)
def test_what_is_said_today_is_understood_by_the_last_release(union: str) -> None:
    """But for an option of a job that it does not know, and which it has to refuse."""
    then = msgspec.msgpack.Decoder(union_of(last, union))
    known = by_tag(last, union)
    for tag, kind in by_tag(m, union).items():
        said = without_new_options(example(kind))
        if tag in known:
            assert agree(said, then.decode(msgspec.msgpack.encode(said))), tag
        elif union == "AnyRequest":
            with pytest.raises(msgspec.ValidationError, match=tag):
                then.decode(msgspec.msgpack.encode(said))


class Whole(msgspec.Struct):
    job: Any


def without_new_options(value: Any) -> Any:
    if hasattr(value, "jobs"):
        return msgspec.structs.replace(value, jobs=tuple(without_new_options(Whole(job)).job for job in value.jobs))
    job = getattr(value, "job", None)
    if job is None:
        return value
    news = set(job.options.__struct_fields__) - set(last.RunOptions.__struct_fields__)
    defaults = {name: getattr(type(job.options)(), name) for name in news}
    options = msgspec.structs.replace(job.options, **defaults)
    return msgspec.structs.replace(value, job=msgspec.structs.replace(job, options=options))


def later(value: Any) -> Any:
    """Return a value as a later version may write it: with one more field in each struct."""
    if isinstance(value, msgspec.Struct):
        inner = [later(getattr(value, name)) for name in value.__struct_fields__]
        if value.__struct_config__.array_like:
            return [*inner, {"later": [1]}]
        tag = {} if value.__struct_config__.tag is None else {"type": value.__struct_config__.tag}
        return tag | dict(zip(value.__struct_encode_fields__, inner, strict=True)) | {"later": {"a": [1, None]}}
    if isinstance(value, dict):
        return {key: later(item) for key, item in value.items()}
    return [later(item) for item in value] if isinstance(value, tuple | list) else value


@pytest.mark.parametrize("union", UNIONS)
def test_a_field_that_is_not_known_is_passed_over_in_every_struct(union: str) -> None:
    today = msgspec.msgpack.Decoder(getattr(m, union))
    for tag, kind in by_tag(m, union).items():
        said = example(kind)
        assert today.decode(msgspec.msgpack.encode(later(said))) == said, tag
    said = example(results.JobResult)
    assert read_result([msgspec.msgpack.encode(later(said)), b"1"], "9.9") == (said, [b"1"])


def test_a_request_with_unknown_fields_is_served_and_an_unknown_one_answered() -> None:
    daemon = p.DaemonProtocol(1000)
    for tag, kind in by_tag(m, "AnyRequest").items():
        said = example(kind)
        if kind is m.Hello:
            said = msgspec.structs.replace(said, protocol=PROTOCOL)
        written = later(said)
        if kind is m.Submit:
            del written["job"]["options"]["later"], written["job"]["options"]["spectrum"]["later"]
        outcome = daemon.receive([msgspec.msgpack.encode(written)], "me", Role.ADMIN)
        assert isinstance(outcome, p.Received), tag
        assert outcome.message == said
    outcome = daemon.receive([msgspec.msgpack.encode({"type": "later", "id": 3})], "me", Role.ADMIN)
    assert isinstance(outcome, p.Refused)
    answer = msgspec.msgpack.decode(outcome.frames[0], type=last.AnyReply)
    assert isinstance(answer, last.ErrorReply)
    assert (answer.id, answer.error.code, answer.error.value) == (3, "protocol", "later")


def test_an_answer_that_cannot_be_read_fails_its_request_alone() -> None:
    client = p.ClientProtocol("0.2.0")
    client.connected()
    hello = msgspec.msgpack.decode(client.outbox[0][0])["id"]
    greeting = m.Greeting(hello, PROTOCOL, "9.9", (13, 18), ("a",), "me", "admin", "", 0, "i", 1)
    client.receive(p.frames_of(greeting))
    first, second, third = (client.request(m.GetStatus) for _ in range(3))
    for request_id, said in [(first, {"type": "later.reply"}), (second, {"type": "status.reply", "status": 5})]:
        (failed,) = client.receive([msgspec.msgpack.encode(said | {"id": request_id})])
        assert isinstance(failed, p.Failed)
        assert (failed.id, failed.error.code, failed.error.subject) == (request_id, "incompatible", "daemon 9.9")
        assert "install the daemon's version" in failed.error.message
    answered = client.receive(p.frames_of(m.StatusReply(third, m.Status("a", "9.9", True))))
    assert [type(event) for event in answered] == [p.Answered]


def test_every_new_request_has_its_revision() -> None:
    new = {kind.__name__ for tag, kind in by_tag(m, "AnyRequest").items() if tag not in by_tag(last, "AnyRequest")}
    assert new == set(REQUESTS), "new requests go into wire/revisions.py, with the revision of the wire"
    assert all(0 < since <= REVISION for since in REQUESTS.values())


# Device descriptions


def paths(tree: Any, above: str = "") -> set[str]:
    """Return the dotted keys of a tree of them."""
    found = set()
    for name, below in (tree or {}).items():
        here = f"{above}.{name}" if above else name
        found |= {here} | paths(below, here)
    return found


def test_every_new_key_of_the_device_description_has_its_revision() -> None:
    today, then = paths(keys(DeviceDescription)), paths(last.DEVICE_KEYS)
    new = {path for path in today - then if path.rpartition(".")[0] in then | {""} and not path.endswith("*")}
    assert new == set(DEVICE_KEYS), "new keys go into wire/revisions.py, with the revision of the wire"
    assert all(0 < since <= REVISION for since in DEVICE_KEYS.values())


def fits(value: Any, tree: Any) -> bool:
    """Whether a description has no key that is not in ``tree``."""
    if tree is None:
        return True
    if isinstance(value, list):
        return all(fits(item, tree["*"]) for item in value)
    if isinstance(value, dict):
        return all(
            ("*" in tree or key in tree) and fits(item, tree.get(key, tree.get("*"))) for key, item in value.items()
        )
    return True


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_client_of_the_last_release_gets_the_keys_it_knows(config: Path) -> None:
    whole = load_device(config).model_dump(mode="json")
    assert fits(readable(whole, 0), last.DEVICE_KEYS)
    assert readable(whole, REVISION) == whole
    new = json.loads(json.dumps(whole))
    for port in new["ports"].values():
        port["later"] = {"a": 1}
    new["timing"]["later"] = 2
    since = {**DEVICE_KEYS, "ports.*.later": 2, "timing.later": 2, "nowhere.*.at.all": 2}
    assert readable(new, 1, since) == whole
    assert readable(new, 2, since) == new


def sprinkled(value: Any) -> Any:
    """Return a description with a key in every table of it that nobody knows."""
    if isinstance(value, dict):
        return {key: sprinkled(item) for key, item in value.items()} | {"later": {"a": [1]}}
    return [sprinkled(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_keys_that_are_not_known_are_passed_over_from_a_daemon_and_refused_in_a_file(
    config: Path, tmp_path: Path
) -> None:
    device = load_device(config)
    plain = device.model_dump(mode="json")
    newer = sprinkled(plain)
    for name in ("instruments", "ports", "oscillators", "interlocks"):
        del newer[name]["later"]  # names of a person's choice: no key, but one more instrument
    for name in ("sharing", "quotas"):
        del newer[name]["users"]["later"]  # of a key
    for instrument in newer["instruments"].values():
        del instrument["options"]["later"]
    assert read_device(json.dumps(newer).encode(), "9.9") == device
    text = config.read_text().replace("[timing]", "[timing]\nlater = 1", 1)
    assert "later" in tomllib.loads(text)["timing"]
    (tmp_path / "rack.toml").write_text(text)
    _, problems = check_device(tmp_path / "rack.toml")
    assert [(one.subject, one.value) for one in problems] == [("timing.later", "later")]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"dt": "a fortnight"}, "dt"),
        ({"dt": "a fortnight", "later": 1}, "dt"),
        ({"qubits": None}, "qubits"),
    ],
)
def test_a_description_that_cannot_be_read_names_both_versions(change: dict[str, Any], why: str) -> None:
    content = load_device(CONFIGS[-1]).model_dump(mode="json") | change
    with pytest.raises(IncompatibleError, match=f"cannot read the daemon's device description.*{why}") as caught:
        read_device(json.dumps(content).encode(), "9.9")
    assert (caught.value.subject, caught.value.value) == ("daemon 9.9", f"client {pulsed.__version__}")
    with pytest.raises(IncompatibleError, match="result"):
        read_result([b"\xc1"], "9.9")


def test_a_set_keeps_the_id_that_a_newer_daemon_gave_it() -> None:
    known = sets.CalibrationSet("sim5", {"Q0.f01": sets.Value(5e9, "Hz")}, "2026-11-21")
    content = json.loads(known.to_json()) | {"later": {"dt": 1}}
    read = sets.from_json(json.dumps(content).encode()).known_as("newer")
    assert (read.calibration_id, read.values) == ("newer", known.values)
    assert read.with_values({}, "2026-11-22").parent == "newer"
    assert read.with_values({}, "2026-11-22").calibration_id != "newer"
    assert sets.from_json(known.to_json()).known_as(known.calibration_id).calibration_id == known.calibration_id


# Versions


def test_versions_move_with_changes() -> None:
    """Of what crosses the wire: an error can say which side is older only when the two say different things."""
    then = (Path(last.__file__)).read_text()
    changed = structs(ROOT) not in then or keys(DeviceDescription) != last.DEVICE_KEYS
    if changed:
        assert getattr(last, "REVISION", 0) < REVISION, "raise wire.base.REVISION"
        assert pulsed.__version__ != last.VERSION, "raise pulsed.__version__"
    assert PROTOCOL == last.PROTOCOL, "a new protocol drops the last release's clients: keep it for six months"


def id_of_the_last_release(data: bytes) -> str:
    """Return the id that a client of the last release works out of what it gets, and names the set by in its jobs."""
    read = msgspec.json.decode(data, type=last.CalibrationSet)
    content = msgspec.json.encode(read, order="deterministic")
    if not read.faults:
        content = content.removesuffix(b',"faults":{}}') + b"}"
    return hashlib.sha256(content).hexdigest()[:16]


@pytest.mark.parametrize("faults", [{}, {"Q1": sets.Fault("noisy")}])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_client_of_the_last_release_names_sets_as_the_daemon_does(path, faults):
    """Or each of its jobs and of its commits is refused: no such calibration set."""
    shipped = sets.load_calibration(path.parent / "calibrations" / f"{path.stem}.json")
    known = msgspec.structs.replace(shipped, faults=faults)
    assert known.made_for is not None
    assert id_of_the_last_release(known.to_json()) == known.calibration_id
    child = known.with_values({}, "2026-11-22")
    assert id_of_the_last_release(child.to_json()) == child.calibration_id != known.calibration_id
