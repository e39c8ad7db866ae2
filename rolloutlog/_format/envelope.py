"""The envelope format: what stands around a record on a line, and what its readers want besides.

A record comes here as the wire dict that the flat format would write. An item becomes the payload of a
``response_item``, the meta that of a ``session_meta``, and a state or a log entry that of a type of our own, which real
readers skip.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from .._entries import OWN, utc_timestamp
from .._json import MAX_DEPTH, plain
from .._version import __version__

Wire = dict[str, Any]

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
        line: how JSON is written.
        clock: gives the time of each line, in seconds since the epoch.
    """

    def __init__(self, line: Callable[[Any], bytes], clock: Callable[[], float]) -> None:
        self._line = line
        self._clock = clock

    def line(self, record: Wire) -> bytes:
        """Return the line that wraps *record*; behind a message that people see, also the event that shows it.

        Raises:
            InvalidItemError: wrapped, it would be nested too deep.
            TypeError, ValueError, RecursionError: it is not plain JSON.
        """
        timestamp = utc_timestamp(self._clock())
        kind = line_type(record)
        if record.get("type") == "reasoning" and record.get("id", "") is None:
            # Codex from 0.34 to 0.135 writes none there, and skips the line where the id is null.
            record = {key: value for key, value in record.items() if key != "id"}
        line = self._line({"timestamp": timestamp, "type": kind, "payload": record})
        if kind == "response_item" and line.count(b"{") + line.count(b"[") > MAX_DEPTH:
            plain(record, record["type"], 1)  # raises if these stand inside each other
        event = event_of(record)
        if event is None:
            return line
        return line + self._line({"timestamp": timestamp, "type": "event_msg", "payload": event})


def line_type(record: Wire) -> str:
    """Return the type of the line that wraps *record*."""
    if "record_type" in record or record.get("type") == "log":
        return OWN
    return "response_item" if "type" in record else "session_meta"


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
    return {"type": event, "message": text} if text and not any(map(SURROUNDINGS.fullmatch, texts)) else None


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
