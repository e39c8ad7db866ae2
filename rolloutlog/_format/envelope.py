"""The envelope format: the line around a record, and the events and numbers that its readers need besides.

An item becomes the payload of a ``response_item``, the meta that of a ``session_meta``, and a state or a log entry that
of a type of our own, which real readers skip. The bytes of the payload are those that the flat format would write.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from .._checks import Wire
from .._entries import OWN, utc_timestamp
from .._item import Item
from .._json import MAX_DEPTH, dumps, plain
from .._version import __version__

# What stands before the type on a line of ours: 24 characters of time between two quotes.
_TYPE_AT = len('{"timestamp":"YYYY-MM-DDThh:mm:ss.mmmZ",')
_OURS = f'"type":"{OWN}"'.encode()
_UNNUMBERED = b'"type":"'


def required_meta() -> Wire:
    """Return the keys without which a real reader gives up the whole file, with what we say there."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:  # the program's folder was removed under it
        folder = "/"
    return {"cwd": folder, "originator": OWN, "cli_version": __version__}


class Envelope:
    """Writes records as lines of the envelope format. Immutable, and safe from any thread.

    Args:
        clock: gives the time of each line, in seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def item(self, item: Item) -> bytes:
        """Return the line that wraps *item*; after a message that people see, also the event that shows it.

        Raises:
            InvalidItemError: wrapped, it would be nested too deep.
        """
        data = item.json
        if len(data) > 2 * MAX_DEPTH and data.count(b"{") + data.count(b"[") >= MAX_DEPTH:
            plain(item.to_dict(), item.type, 1)  # raises if these are inside each other
        event = None
        if item.type == "reasoning" and (value := item._read()).get("id", "") is None:
            # Codex from 0.34 to 0.135 writes no id there, and skips a line where it is null.
            data = dumps({key: held for key, held in value.items() if key != "id"})
        elif item.type == "message":
            event = event_of(item._read())
        timestamp = utc_timestamp(self._clock()).encode()
        line = _LINE % (timestamp, b"response_item", data)
        return line if event is None else line + _LINE % (timestamp, b"event_msg", dumps(event))

    def record(self, record: Wire, data: bytes) -> bytes:
        """Return the line that wraps another *record*, whose JSON is *data*."""
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
    | <hook_prompt\s[^<>]*\bhook_run_id=["'][^<>]+>[^<&]+</hook_prompt>
    | Warning:\ apply_patch\ was\ requested\ via\ .*Use\ the\ apply_patch\ tool\ instead\ of\ exec_command\.
    | Warning:\ The\ maximum\ number\ of\ unified\ exec\ processes\ you\ can\ keep\ open\ is.*
    | Warning:\ Your\ account\ was\ flagged\ for\ potentially\ high-risk\ cyber\ activity.*
    )\s*""",
    re.DOTALL | re.VERBOSE,
)
"""The whole text of a part of a message in which Codex, in the name of the user, says something of its own accord."""


def is_surroundings(text: str) -> bool:
    """Whether *text*, all of a part of a message, is such a text."""
    return text.lstrip()[:1] in ("<", "#", "W") and SURROUNDINGS.fullmatch(text) is not None


_EVENTS = {"user": ("user_message", "input_text"), "assistant": ("agent_message", "output_text")}


def event_of(record: Wire) -> Wire | None:
    """Return the event by which Codex shows *record*; `None` for what it does not show.

    Without them it neither lists a session nor shows what was said, though its model sees all of it. What it says of
    its surroundings it does not show: that would be the title of the session.
    """
    if record.get("type") != "message" or "record_type" in record:
        return None
    event, part_type = _EVENTS.get(record["role"], ("", ""))
    texts = [part["text"] for part in record["content"] if part.get("type") == part_type]
    text = "".join(texts)
    return {"type": event, "message": text} if text and not any(map(is_surroundings, texts)) else None


class Numbering:
    """Numbers lines on their way into a file of the real one's whose lines are numbered.

    Its readers take the file only if the last line that they know has a number, and some show a session only as far as
    no number is missing or stands twice. Lines of our own type they do not know: these have none.

    Args:
        following: the number of the next line.
    """

    # Owned by whoever has the writer's turn.

    def __init__(self, following: int) -> None:
        self.following = following

    def __call__(self, lines: bytes) -> bytes:
        """Return *lines*, whole ones, with a number in each that wants one; themselves, if none does any more."""
        numbered = b"\n".join([self._numbered(line) for line in lines.split(b"\n")])
        return lines if len(numbered) == len(lines) else numbered

    def _numbered(self, line: bytes) -> bytes:
        if not line.startswith(_UNNUMBERED, _TYPE_AT) or line.startswith(_OURS, _TYPE_AT):
            return line
        number, self.following = self.following, self.following + 1
        return b'%s"ordinal":%d,%s' % (line[:_TYPE_AT], number, line[_TYPE_AT:])
