"""`training`: each session as one row of messages, with the columns that data sets and trainers of chat models take."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Any

from .._chat.outgoing import converted
from .._face.titles import typed_text
from .._json import InvalidJson, dumps, loads
from .._plain import stringified
from .._reading.blocks import StrPath
from .._reading.reader import load_session
from .._reading.saved import SavedSession
from .._shapes import Wire
from ..exceptions import InvalidRolloutError, SessionNotFoundError
from ..items import ResponseItem
from ._arrow import Batch, Table, pyarrow
from ._files import groups_in, moment
from ._rules import Values
from ._sql import sql

_ROWS, _BYTES = 256, 8 * 1024 * 1024


def training(
    home: StrPath | None = None, *, where: str | None = None, since: dt.date | None = None, inherited: bool = False
) -> Table:
    """Return the table of all sessions in *home* as conversations, to train a model on: one row for each.

    The columns are those of data sets with tools that Hugging Face `datasets` and TRL read: ``session_id``, ``prompt``
    (the first words of a person), ``messages``, ``tools`` and ``metadata``. A message has ``role``, ``content``,
    ``reasoning_content``, ``tool_calls`` and ``tool_call_id``. ``tools``, ``metadata`` and the arguments of calls are
    JSON (the Arrow type ``arrow.json``), which `datasets` gives back as objects. ``tools`` is null where the session
    does not say which tools there were.

    The messages are what the model saw in the end, after the instructions. Those that a fork has from its parent are in
    the parent's row alone. If the fork was compacted, the text that replaced its history may repeat some of them.
    ``metadata`` has the number of ``inherited`` items, and, in ``left_out``, what could not be carried, by kind.
    Nothing is redacted: see `rolloutlog.redaction`.

    Args:
        home: the folder that holds all sessions; else as for `RolloutRecorder.create`.
        where: only sessions for which this condition is true, in SQL over the columns of `sessions`, such as
            ``"failures = 0 AND kind = 'user'"``. It needs the extra "duckdb".
        since: only sessions that began at that time or later, by the names of their files, in UTC if it names no zone.
        inherited: whether the messages of a fork begin with those of its parent.

    Raises:
        MissingExtraError: the extra "arrow" is not installed, or "duckdb" with *where*.
        ValueError: *where* is not a condition; raised when rows are read.

    >>> from rolloutlog import Message, RolloutRecorder, tables
    >>> with RolloutRecorder.create() as recorder:
    ...     recorder.record(Message.user("Plan a day in Rome"), Message.assistant("Gladly."))
    >>> for batch in tables.training().batches():
    ...     print(batch.num_rows, batch.column("prompt").to_pylist())
    1 ['Plan a day in Rome']
    """
    pyarrow()
    return Table(_schema(), lambda: _batches(_paths(home, where, since), inherited), "training")


def _schema() -> Any:
    """Return the Arrow schema."""
    arrow = pyarrow()
    text, json = arrow.string(), arrow.json_(arrow.string())
    function = arrow.struct([("name", text), ("arguments", json)])
    call = arrow.struct([("id", text), ("type", text), ("function", function)])
    message = arrow.struct(
        [
            ("role", text),
            ("content", text),
            ("reasoning_content", text),
            ("tool_calls", arrow.list_(call)),
            ("tool_call_id", text),
        ]
    )
    columns = [("session_id", text), ("prompt", text), ("messages", arrow.list_(message))]
    return arrow.schema([*columns, ("tools", json), ("metadata", json)])


def _paths(home: StrPath | None, where: str | None, since: dt.date | None) -> Iterator[str]:
    """Yield the newest file of each session."""
    wanted = None
    if where is not None:
        found = sql(f"SELECT session_id FROM sessions WHERE ({where}\n)", home)
        wanted = set(found.column("session_id").to_pylist())
    for group in groups_in(home, moment(since)):
        if wanted is None or group[-1].id in wanted:
            yield str(group[-1].path)


def _batches(paths: Iterator[str], inherited: bool) -> Iterator[Batch]:
    rows: list[Values] = []
    size = 0
    for path in paths:
        try:
            row = _row(load_session(path), inherited)
        except (InvalidRolloutError, SessionNotFoundError):
            continue  # it is a row of the kind `skipped` in `entries`
        rows.append(row)
        size += sum(len(message["content"] or "") for message in row["messages"])
        if len(rows) >= _ROWS or size >= _BYTES:
            yield _batch(rows)
            rows, size = [], 0
    if rows:
        yield _batch(rows)


def _batch(rows: list[Values]) -> Batch:
    """Return *rows* as a batch: made with strings, because JSON inside of lists can only be cast to."""
    arrow, schema = pyarrow(), _schema()
    plain = arrow.schema([(field.name, _without_json(arrow, field.type)) for field in schema])
    made = arrow.RecordBatch.from_pylist(rows, schema=plain)
    arrays = [array.cast(field.type) for array, field in zip(made.columns, schema, strict=True)]
    return arrow.RecordBatch.from_arrays(arrays, schema=schema)


def _without_json(arrow: Any, type: Any) -> Any:
    """Return *type* with strings in place of JSON."""
    if isinstance(type, arrow.BaseExtensionType):
        return type.storage_type
    if arrow.types.is_list(type):
        return arrow.list_(_without_json(arrow, type.value_type))
    if arrow.types.is_struct(type):
        return arrow.struct([(field.name, _without_json(arrow, field.type)) for field in type])
    return type


# --- one session ------------------------------------------------------------------------------------------------------


def _row(saved: SavedSession, inherited: bool) -> Values:
    messages, told = converted(saved.context if inherited else saved._own_context(), "chat", "close", True)
    left_out = Counter(what for _, what in told)
    rows = [_message(message, left_out) for message in messages]
    if saved.session.instructions:
        rows.insert(0, {"role": "system", "content": saved.session.instructions})
    tools = saved.session.extra.get("tools")
    return {
        "session_id": saved.session_id,
        "prompt": _prompt(saved.items if inherited else saved.items[saved.inherited :]),
        "messages": rows,
        "tools": _json(tools) if isinstance(tools, list) else None,
        "metadata": _json(_metadata(saved, left_out)),
    }


def _message(message: Wire, left_out: Counter[str]) -> Values:
    content = message.get("content")
    if isinstance(content, list):
        for part in content:
            if part["type"] not in ("text", "refusal"):
                left_out[f"a part of the type {part['type']!r}"] += 1
        content = "".join(str(part.get("text") or part.get("refusal") or "") for part in content)
    row: Values = {"role": message["role"], "content": content}
    row |= {key: message[key] for key in ("reasoning_content", "tool_call_id") if key in message}
    if "tool_calls" in message:
        row["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return row


def _call(call: Wire) -> Values:
    """Return a call as one of a function, whose arguments are an object."""
    given = call.get("function") or call["custom"]
    text = given.get("arguments", given.get("input"))
    try:
        value = loads(text.encode())
    except (InvalidJson, ValueError):
        value = None
    arguments = text if isinstance(value, dict) else _json({"input": text})
    return {"id": call["id"], "type": "function", "function": {"name": given["name"], "arguments": arguments}}


def _prompt(items: list[ResponseItem]) -> str | None:
    """Return the first words of a person."""
    messages = (item.to_dict() for item in items if item.type == "message")
    typed = (typed_text(message) for message in messages if message["role"] == "user")
    return next(filter(None, typed), None)


def _metadata(saved: SavedSession, left_out: Counter[str]) -> Values:
    session = saved.session
    facts = {key: session.extra.get(key) for key in ("cwd", "originator", "cli_version", "model_provider")}
    models = dict.fromkeys(response.model for response in saved.responses if response.model is not None)
    told = {
        "path": str(saved.path),
        "started": session.timestamp,
        "name": session.name,
        "parent_id": session.parent_id,
        **facts,
        "models": list(models),
        "inherited": saved.inherited,
        "skipped": len(saved.skipped),
        "left_out": dict(left_out),
    }
    return {key: value for key, value in told.items() if value is not None}


def _json(value: Any) -> str:
    return dumps(stringified(value)).decode()
