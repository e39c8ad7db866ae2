"""The envelope format: the line around a record, and the events and line numbers that its readers need.

An item is the payload of a ``response_item``, the meta of a ``session_meta``. A state or a log entry is the payload of
our own type, which real readers skip. The payload has the same bytes as the line in the flat format.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable

from .._entries import OWN, utc_timestamp
from .._item import Item
from .._json import MAX_DEPTH, dumps, parse
from .._plain import plain
from .._shapes import SHAPES, Wire
from .._version import __version__

TYPE_AT = len('{"timestamp":"YYYY-MM-DDThh:mm:ss.mmmZ",')
"""The offset of the type in a line of Codex or of ours that has no number."""

_OURS = f'"type":"{OWN}"'.encode()
_UNNUMBERED = b'"type":"'


def required_meta() -> Wire:
    """Return the keys of the meta that real readers require to read a file, with our values."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:  # the program's working directory was removed
        folder = "/"
    return {"cwd": folder, "originator": OWN, "cli_version": __version__}


class Envelope:
    """Writes records as lines of the envelope format. Immutable and thread-safe.

    Args:
        clock: returns the time of a line, in seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def item(self, item: Item) -> bytes:
        """Return the line that wraps *item*; for a message that Codex shows to people, also its event.

        Raises:
            InvalidItemError: the wrapped item would be nested too deep.
        """
        data = item.json
        if len(data) > 2 * MAX_DEPTH and data.count(b"{") + data.count(b"[") >= MAX_DEPTH:
            plain(item.to_dict(), item.type, 1)  # raises if they are nested too deep
        event = None
        if item.type == "reasoning" and parse(data).get("id", "") is None:
            # Codex from 0.34 to 0.135 writes no id for reasoning, and skips a line with a null id.
            data = dumps({key: held for key, held in item.to_dict().items() if key != "id"})
        elif item.type == "message":
            event = event_of(parse(data))  # large integers, which this may change, are not in an event
        timestamp = utc_timestamp(self._clock()).encode()
        line = _LINE % (timestamp, b"response_item", data)
        return line if event is None else line + _LINE % (timestamp, b"event_msg", dumps(event))

    def record(self, record: Wire, data: bytes) -> bytes:
        """Return the line that wraps *record*, which is not an item and whose JSON is *data*."""
        kind = OWN if "record_type" in record or record.get("type") == "log" else "session_meta"
        return _LINE % (utc_timestamp(self._clock()).encode(), kind.encode(), data)


_LINE = b'{"timestamp":"%b","type":"%b","payload":%b}\n'

_TAGS = (
    "environment_context|skill|user_shell_command|turn_aborted|subagent_notification|goal_context|recommended_plugins"
    "|agent_message_board_notification"
)
SURROUNDINGS = re.compile(
    rf"""\s*(?: (?i:<({_TAGS})>.*</\1> | \#\ AGENTS\.md\ instructions.*</INSTRUCTIONS>)
    | <codex_internal_context\ source="[a-z0-9_]+">.*</codex_internal_context>
    | <hook_prompt\s(?=[^<>]*\bhook_run_id=["'][^<>])[^<>]*+>[^<&]++</hook_prompt>
    | Warning:\ apply_patch\ was\ requested\ via\ .*Use\ the\ apply_patch\ tool\ instead\ of\ exec_command\.
    | Warning:\ The\ maximum\ number\ of\ unified\ exec\ processes\ you\ can\ keep\ open\ is.*
    | Warning:\ Your\ account\ was\ flagged\ for\ potentially\ high-risk\ cyber\ activity.*
    )\s*""",
    re.DOTALL | re.VERBOSE,
)
"""Matches the whole text of a message's part that Codex wrote by itself in the user's name. No text takes more than
linear time: what repeats is followed by something that it cannot match, or gives nothing back (``*+``)."""


def is_surroundings(text: str) -> bool:
    """Whether *text*, all of a part of a message, is such a text."""
    return text.lstrip()[:1] in ("<", "#", "W") and SURROUNDINGS.fullmatch(text) is not None


_EVENTS = {"user": ("user_message", "input_text"), "assistant": ("agent_message", "output_text")}


def event_of(record: Wire) -> Wire | None:
    """Return the event with which Codex shows *record* to people; `None` if it does not show it.

    Without events Codex neither lists a session nor shows its messages, although its model sees all of them. Codex
    writes no event for its own messages about the environment, because such an event would become the session's title.
    """
    if record.get("type") != "message" or "record_type" in record:
        return None
    event, part_type = _EVENTS.get(record["role"], ("", ""))
    texts = [part["text"] for part in record["content"] if part.get("type") == part_type]
    text = "".join(texts)
    return {"type": event, "message": text} if text and not any(map(is_surroundings, texts)) else None


def is_wrapped(value: Wire) -> bool:
    """Whether *value*, the object of a line, is of the envelope format, where an item is the payload of a line."""
    return "payload" in value and "timestamp" in value and str(value.get("type")) not in SHAPES


class Numbering:
    """Numbers the lines that are appended to a file of Codex whose lines are numbered.

    Codex refuses such a file if the last line of a type that it knows has no number, and some releases show a session
    only up to a number that is missing or repeated. Lines of our own type get no number, because Codex ignores them.

    Args:
        number_of: returns the number of a line, or `None`.
        following: the number of the next line.
    """

    # Owned by the thread that holds the commit lock.

    def __init__(self, number_of: Callable[[bytes], int | None], following: int = 0) -> None:
        self._number_of = number_of
        self.following = following

    def continue_after(self, lines: Iterable[bytes]) -> None:
        """Continue after the last numbered line of a file, whose *lines* these are, from the last to the first."""
        numbers = map(self._number_of, lines)
        self.following = next((number + 1 for number in numbers if number is not None), 0)

    def __call__(self, lines: bytes) -> bytes:
        """Return *lines*, which are whole, with a number in each that needs one; unchanged if none does."""
        numbered = b"\n".join([self._numbered(line) for line in lines.split(b"\n")])
        return lines if len(numbered) == len(lines) else numbered

    def _numbered(self, line: bytes) -> bytes:
        if not line.startswith(_UNNUMBERED, TYPE_AT) or line.startswith(_OURS, TYPE_AT):
            return line
        number, self.following = self.following, self.following + 1
        return b'%s"ordinal":%d,%s' % (line[:TYPE_AT], number, line[TYPE_AT:])
