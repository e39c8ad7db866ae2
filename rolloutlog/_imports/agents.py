"""`import_agents`: the sessions in a database of the Agents SDK (`SQLiteSession`) as rollouts."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from .._format.coerce import to_item
from .._format.redact import Redact
from .._json import InvalidJson, loads
from .._reading.blocks import StrPath
from ..exceptions import InvalidItemError, InvalidSourceError
from .missing import missing
from .rollout import Carrier, Origin, made_id, text_of, write
from .value import Imported

SESSIONS, MESSAGES = "agent_sessions", "agent_messages"


def import_agents(
    path: StrPath,
    *,
    sessions: Collection[str] | None = None,
    home: StrPath | None = None,
    redact: Redact | None = None,
    again: bool = False,
) -> list[Imported]:
    """Import the sessions in a database that `SQLiteSession` of the OpenAI Agents SDK wrote: each becomes a rollout.

    All keys of the items are kept, and the time of each row, which the SDK keeps to the second. The database is only
    read. The SDK is not needed.

    Args:
        path: the database, with the tables ``agent_sessions`` and ``agent_messages``.
        sessions: the ids of the sessions to import; all if not given.
        home, redact, again: as for `import_claude`.

    Returns:
        One value for each session, oldest first.

    Raises:
        InvalidSourceError: it is not such a database, it has no session with one of those ids, or no session at all.
        SessionNotFoundError: there is no such file.
        RedactionError, SessionLockedError, OSError: as for `import_claude`.

    Example:
        >>> import contextlib, sqlite3, rolloutlog
        >>> with contextlib.closing(sqlite3.connect("sessions.db")) as database:  # as the SDK writes it
        ...     _ = database.executescript('''
        ...         CREATE TABLE agent_sessions (session_id, created_at);
        ...         CREATE TABLE agent_messages (id INTEGER PRIMARY KEY, session_id, message_data, created_at);
        ...         INSERT INTO agent_sessions VALUES ('trip', '2026-01-02 03:04:05');
        ...         INSERT INTO agent_messages VALUES (1, 'trip', '{"role": "user", "content": "Hi"}', NULL);
        ...     ''')
        >>> rolloutlog.import_agents("sessions.db")
        [Imported('sessions.db#trip', new, 1 item)]
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidSourceError(path, "is not a regular file") if file.exists() else missing(path)
    if isinstance(sessions, str):
        sessions = [sessions]
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True)) as database:
            database.execute("BEGIN")  # all reads see one state, also while an agent writes
            return _import_all(database, path, sessions, home, redact, again)
    except sqlite3.Error as error:
        raise InvalidSourceError(path, f"expected a database of SQLiteSession; SQLite says: {error}") from error


def _import_all(
    database: sqlite3.Connection,
    path: StrPath,
    wanted: Collection[str] | None,
    home: StrPath | None,
    redact: Redact | None,
    again: bool,
) -> list[Imported]:
    found = database.execute(f"SELECT session_id, created_at FROM {SESSIONS} ORDER BY created_at, rowid").fetchall()
    known = {str(session_id) for session_id, _ in found}
    if missing := sorted(set(wanted or ()) - known):
        raise InvalidSourceError(path, f"has no session {missing[0]!r}; it has {', '.join(sorted(known)) or 'none'}")
    if not found:
        raise InvalidSourceError(path, "the database has no session")
    return [
        _import(database, path, str(session_id), str(created), home, redact, again)
        for session_id, created in found
        if wanted is None or session_id in wanted
    ]


def _import(
    database: sqlite3.Connection,
    path: StrPath,
    session_id: str,
    created: str,
    home: StrPath | None,
    redact: Redact | None,
    again: bool,
) -> Imported:
    name = f"{text_of(path)}#{session_id}"
    rows = f"SELECT id, message_data, created_at FROM {MESSAGES} WHERE session_id = ? ORDER BY id"
    digest = hashlib.sha256()
    count = 0
    for _, data, _ in database.execute(rows, (session_id,)):
        digest.update(_bytes(data) + b"\n")
        count += 1
    if not count:
        return Imported(name, "empty", problem="the session has no messages")
    own_id = made_id("agents", f"{session_id} {created}")
    origin = Origin(
        "agents", name, session_id, own_id, digest.hexdigest(), _time(created), meta={"originator": "openai-agents"}
    )
    others = _rows_elsewhere(database, session_id)

    def lines(carrier: Carrier) -> Iterator[bytes]:
        for table, number in others.items():
            carrier.left_out[f"a row of the table {table}"] += number
        for number, data, when in database.execute(rows, (session_id,)):
            carrier.clock.hear(_time(str(when)))
            try:
                item = to_item(loads(_bytes(data)))
            except (InvalidJson, InvalidItemError) as error:
                carrier.skip(number, 0, str(error))
                continue
            yield from carrier.carry([item], number)

    return write(origin, lines, home, redact, again)


def _rows_elsewhere(database: sqlite3.Connection, session_id: str) -> dict[str, int]:
    """Return how many rows other tables have of the session; other classes of the SDK write some."""
    names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    found: dict[str, int] = {}
    for (name,) in names:
        quoted = '"' + name.replace('"', '""') + '"'
        columns = {column for _, column, *_ in database.execute(f"PRAGMA table_info({quoted})")}
        if name not in (SESSIONS, MESSAGES) and "session_id" in columns:
            select = f"SELECT count(*) FROM {quoted} WHERE session_id = ?"
            if count := database.execute(select, (session_id,)).fetchone()[0]:
                found[name] = count
    return found


def _bytes(data: object) -> bytes:
    return data if isinstance(data, bytes) else str(data).encode("utf-8", "surrogatepass")


def _time(text: str) -> str:
    """Return a time of SQLite, which is in UTC and does not say so, as ISO 8601."""
    return text if "+" in text or text.endswith("Z") else f"{text}Z"
