"""`import_messages`: lists of messages of Chat Completions or of Anthropic's API as rollouts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from .._chat.incoming import Incoming
from .._entries import SkippedLine
from .._format.redact import Redact
from .._item import Item
from .._json import InvalidJson, dumps, loads
from .._plain import stringified
from .._reading.blocks import BLANK, StrPath
from .._shapes import Wire
from ..exceptions import InvalidItemError, InvalidSourceError, SessionNotFoundError
from .claude_lines import lines_of
from .missing import missing
from .rollout import Carrier, Origin, made_id, text_of, write
from .usage import kept_of
from .value import Imported

# The keys of a conversation that are carried.
_READ = frozenset({"messages", "system", "tools", "model"})
# The keys of a message that tell its time.
_TIMES = ("timestamp", "created_at")


@attrs.define
class _Conversation:
    """Messages, each with the number of its line, or its place in the list from 1; and what was beside them.

    Attributes:
        number: where it is in a source that can hold several: its first line, or its place in the list from 1.
        problem: why the line or element of that number holds no conversation.
    """

    number: int
    messages: list[tuple[int, Any]] = attrs.Factory(list)
    beside: Wire = attrs.Factory(dict)
    unread: list[tuple[int, str]] = attrs.Factory(list)
    problem: str | None = None


def import_messages(
    source: StrPath | Iterable[Any],
    *,
    home: StrPath | None = None,
    redact: Redact | None = None,
    again: bool = False,
) -> list[Imported]:
    """Import messages of the Chat Completions API or of Anthropic's: each conversation becomes a new rollout.

    Messages become items as `from_messages` says; thinking and ``reasoning_content`` become reasoning. A message that
    tells its ``model`` and ``usage`` is kept as a response; a ``timestamp`` or ``created_at`` in ISO 8601 is its
    time. A conversation that *home* has already is not imported twice. It is known by its content, so one that has
    grown becomes a new session.

    Args:
        source: a list of messages (dicts, or objects with a ``to_dict()``), or the path of a file: JSON with a list of
            messages, or with an object that has ``messages`` (as requests have, with ``system`` and ``tools``), or
            with a list of such objects; or JSON lines, each a message, or an object with ``messages``.
        home, redact, again: as for `import_claude`.

    Returns:
        One value for each conversation, and one with the state ``"empty"`` for each line or element that is not a row
        where others are.

    Raises:
        InvalidSourceError: there is no message in it.
        SessionNotFoundError: there is no such file.
        RedactionError, SessionLockedError, OSError: as for `import_claude`.

    Example:
        >>> import rolloutlog
        >>> [done] = rolloutlog.import_messages([{"role": "user", "content": "Hi"}])
        >>> done
        Imported('messages', new, 1 item)
        >>> rolloutlog.load_session(done.path).to_messages()
        [{'role': 'user', 'content': 'Hi'}]
    """
    if isinstance(source, str | os.PathLike):
        name, found = text_of(source), _read(source)
    elif isinstance(source, Mapping):
        raise InvalidItemError("messages", f"expected a list of messages or a path; got {type(source).__name__}")
    else:
        name, found = "messages", [_Conversation(1, list(enumerate(source, 1)))]
    is_single = len(found) == 1
    done = [_import(one, name if is_single else f"{name}#{one.number}", home, redact, again) for one in found]
    if all(one.state == "empty" for one in done):
        where = "" if is_single or not found else f"number {found[0].number}: "
        raise InvalidSourceError(name, f"{where}{done[0].problem or 'is empty'}" if done else "is empty")
    return done


def _read(path: StrPath) -> list[_Conversation]:
    """Return the conversations in the file at *path*."""
    data = Path(path).read_bytes() if Path(path).is_file() else b""
    if data.lstrip(BLANK)[:1] in (b"[", b"{"):
        try:
            value = loads(data)
        except InvalidJson:
            pass  # it is JSON lines, or damaged
        else:
            return _of_value(value)
    return _of_lines(path)


def _of_value(value: Any) -> list[_Conversation]:
    given = value if isinstance(value, list) else [value]
    if any(map(_is_row, given)):
        return [_of_row(number, one) for number, one in enumerate(given, 1)]
    return [_Conversation(1, list(enumerate(given, 1)))]


def _is_row(line: Any) -> bool:
    return isinstance(line, dict) and isinstance(line.get("messages"), list)


def _of_row(number: int, row: Any) -> _Conversation:
    if not _is_row(row):
        return _Conversation(number, problem="has no list of messages")
    beside = {key: row[key] for key in row if key != "messages"}
    return _Conversation(number, list(enumerate(row["messages"], 1)), beside)


def _of_lines(path: StrPath) -> list[_Conversation]:
    """Return the conversations of JSON lines: one on each line, or one of which each line is a message."""
    try:
        lines = [(number, line) for number, _, line in lines_of(path)]
    except SessionNotFoundError:
        raise missing(path) from None
    has_rows = any(_is_row(line) for _, line in lines)
    found: list[_Conversation] = []
    whole: _Conversation | None = None
    for number, line in lines:
        if has_rows and isinstance(line, str):
            found.append(_Conversation(number, problem=line))
            continue
        if has_rows and (_is_row(line) or "role" not in line):
            found.append(_of_row(number, line))
            continue
        if whole is None:
            whole = _Conversation(number)
            found.append(whole)
        if isinstance(line, str):
            whole.unread.append((number, line))
        else:
            whole.messages.append((number, line))
    return found


def _import(one: _Conversation, name: str, home: StrPath | None, redact: Redact | None, again: bool) -> Imported:
    if one.problem is not None:
        skipped = (SkippedLine(one.number, 0, one.problem),)
        return Imported(name, "empty", problem=one.problem, skipped=skipped)
    system, incoming = one.beside.get("system"), Incoming(reasoning=True)
    said: list[tuple[int, list[Item], Wire]] = []
    for number, value in one.messages:
        before = len(incoming.items)
        try:
            message = _wire(value)
            incoming.add({key: held for key, held in message.items() if key not in _TIMES}, "messages")
        except InvalidItemError as error:
            del incoming.items[before:]
            one.unread.append((number, str(error)))
            continue
        said.append((number, incoming.items[before:], message))
    if not incoming.items:
        why = f"; number {one.unread[0][0]}: {one.unread[0][1]}" if one.unread else ""
        return Imported(name, "empty", problem=f"expected messages of Chat Completions or of Anthropic's API{why}")
    digest = hashlib.sha256(dumps(stringified([one.beside, [message for *_, message in said]]))).hexdigest()
    started = next((when for *_, message in said if (when := _time(message)) is not None), None)
    origin = Origin("messages", name, "", made_id("messages", digest), digest, started, _text_of(system), _meta(one))

    def lines(carrier: Carrier) -> Iterator[bytes]:
        for number, reason in one.unread:
            carrier.skip(number, 0, reason)
        for _, what in incoming.told:
            carrier.leave_out(what)
        for key in one.beside.keys() - _READ:
            carrier.leave_out(f"the key {str(key)[:60]} beside the messages")
        for number, items, message in said:
            carrier.clock.hear(_time(message) or "")
            yield from carrier.carry(items, number)
            if message.get("role") == "assistant" and (kept := kept_of(message)) is not None:
                yield from carrier.keep_response(kept)

    return write(origin, lines, home, redact, again)


def _wire(value: Any) -> Wire:
    """Return a message as a dict; raise `InvalidItemError` for anything else."""
    convert = getattr(value, "to_dict", None)
    given = convert() if callable(convert) else value
    if not isinstance(given, Mapping):
        raise InvalidItemError("messages", f"expected a dict or an object with to_dict(); got {type(value).__name__}")
    return dict(given)


def _time(message: Wire) -> str | None:
    return next((told for key in _TIMES if isinstance(told := message.get(key), str)), None)


def _text_of(system: Any) -> str | None:
    """Return the text that Anthropic's API takes beside the messages."""
    parts = system if isinstance(system, list) else [system]
    texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    return "\n\n".join(one for one in texts if isinstance(one, str)) or None


def _meta(one: _Conversation) -> Wire:
    meta: Wire = {"originator": "messages"}
    if isinstance(one.beside.get("tools"), list):
        meta["tools"] = one.beside["tools"]
    if isinstance(one.beside.get("model"), str):
        meta["model"] = one.beside["model"]
    return meta
