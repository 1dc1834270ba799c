"""Sessions and batches: functions on one connection, within the transaction that the caller has opened."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from pulsed.model.errors import NotFoundError
from pulsed.model.session import SessionInfo, SessionState
from pulsed.store.tables import session

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SessionInfo).decode


def put(connection: Connection, rack: str, info: SessionInfo) -> None:
    """Store a session, in place of what there is of its id."""
    connection.execute(delete(session).where(session.c.rack == rack, session.c.session_id == info.session_id))
    connection.execute(
        insert(session).values(
            rack=rack, session_id=info.session_id, state=info.state.value, created=info.created, info=_encode(info)
        )
    )


def get(connection: Connection, rack: str, session_id: str) -> SessionInfo:
    """Return one session. Raises :class:`NotFoundError`."""
    query = select(session.c.info).where(session.c.rack == rack, session.c.session_id == session_id)
    found: bytes | None = connection.execute(query).scalar()
    if found is None:
        raise NotFoundError("no such session", subject=f"rack {rack}", value=session_id)
    return _decode(found)


def newest(connection: Connection, rack: str, limit: int, start: str = "") -> list[SessionInfo]:
    """Return the newest sessions, at most ``limit``, of those whose ids begin with ``start``."""
    query = select(session.c.info).where(session.c.rack == rack)
    if start:
        query = query.where(func.substr(session.c.session_id, 1, len(start)) == start)
    return [
        _decode(data) for data in connection.execute(query.order_by(session.c.created.desc()).limit(limit)).scalars()
    ]


def unended(connection: Connection, rack: str) -> list[SessionInfo]:
    """Return every session that has not ended, the oldest first."""
    states = [state.value for state in SessionState if state is not SessionState.ENDED]
    query = select(session.c.info).where(session.c.rack == rack, session.c.state.in_(states))
    return [_decode(data) for data in connection.execute(query.order_by(session.c.created)).scalars()]
