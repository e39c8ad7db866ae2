"""The lines of a file of Claude Code, and which of its messages the model saw in the end.

Claude Code writes a tree: each line names the one before it. A turn that was taken back stays in the file as a branch
that leads nowhere. Calls that were made at once are branches, too, each with its result, and the conversation continues
from one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from .._entries import SkippedLine
from .._json import MAX_LINE, InvalidJson, loads
from .._reading.blocks import BLANK, Source, StrPath, is_compressed, unmarked_blocks
from .._reading.lines import AT_ONCE
from .._shapes import Wire

# Number and offset of a line, and its object, or why there is none.
Line: TypeAlias = tuple[int, int, Wire | str]


def lines_of(path: StrPath, end: int | None = None, digest: Any = None) -> Iterator[Line]:
    """Yield the lines of *path* as far as *end*; *digest* is updated with their bytes."""
    with Source(path, end) as source:
        for block in unmarked_blocks(source, MAX_LINE, AT_ONCE):
            offset = block.offset
            for number, line in enumerate(block.lines, block.number):
                if digest is not None:
                    digest.update(line)
                if block.problem is not None and not line.endswith(b"\n"):
                    # A last line without a newline is whole, or it was torn.
                    value = _parsed(line) if line else block.problem
                    yield number, offset, block.problem if isinstance(value, str) else value
                elif line.strip(BLANK):
                    yield number, offset, _parsed(line)
                offset += len(line)


def _parsed(line: bytes) -> Wire | str:
    """Return the object on *line*, or why there is none."""
    try:
        value = loads(line)
    except InvalidJson as error:
        return str(error)
    return value if type(value) is dict else "is not a JSON object"


def text(value: Any, key: str) -> str | None:
    """Return the text that *value* has at *key*, if it is an object and has one there."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) and found else None


def message_of(line: Wire) -> Wire | None:
    """Return the message of a line that holds one which a model saw or said; `None` for another line."""
    message = line.get("message")
    if line.get("type") not in ("user", "assistant") or not isinstance(message, dict):
        return None
    if line.get("isApiErrorMessage") is True or message.get("model") == "<synthetic>":
        return None  # Claude Code wrote it, for people
    if line.get("isVisibleInTranscriptOnly") is True and line.get("isCompactSummary") is not True:
        return None
    return message


def blocks_of(message: Wire) -> list[Wire]:
    """Return the blocks of the content of *message*."""
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


@attrs.define
class Survey:
    """Facts about all lines, which are needed before the first is converted.

    Attributes:
        own: the session's id.
        is_agent: whether the file is one of a sub-agent.
        live: the lines of the conversation as it is in the end, by their uuids.
        last_of: the number of the last line of each response, by its id. Each line has the usage as it was then, and
            the last is right.
        kept: the messages that a compaction kept, by their uuids.
        foreign: the id of the session that the first lines were copied from, and the number of the last of them.
        unread: the lines that are not objects.
        started, cwd, version, branch, instructions: the first of each.
        agent: the id of the sub-agent.
        end: how many bytes were read; `None` if all.
        digest: the SHA-256 of these, in hexadecimal digits.
    """

    own: str
    is_agent: bool
    live: set[str] = attrs.Factory(set)
    last_of: dict[str, int] = attrs.Factory(dict)
    kept: set[str] = attrs.Factory(set)
    unread: list[SkippedLine] = attrs.Factory(list)
    foreign: tuple[str, int] | None = None
    started: str | None = None
    cwd: str | None = None
    version: str | None = None
    branch: str | None = None
    instructions: str | None = None
    agent: str | None = None
    messages: int = 0
    lines: int = 0
    end: int | None = None
    digest: str = ""


def uuid_of(line: Wire, number: int) -> str:
    """Return the uuid of *line*; a line without one has its number."""
    return text(line, "uuid") or f"line {number}"


def survey(path: StrPath, own: str, is_agent: bool) -> Survey:
    """Read all lines of *path* once; *own* is the session's id, from the file's name."""
    digest = hashlib.sha256()
    found = Survey(own, is_agent)
    tree = _Tree()
    if not is_compressed(path):  # Claude Code may be writing to it
        with Source(path) as source:
            found.end = source.status().st_size
    for number, offset, line in lines_of(path, found.end, digest):
        found.lines += 1
        if not isinstance(line, dict):
            found.unread.append(SkippedLine(number, offset, line))
            continue
        _note_facts(found, line)
        found.kept.update(kept_by(line))
        message = message_of(line)
        if message is not None and (told := text(message, "id")) is not None:
            found.last_of[told] = number
        if found.is_agent or line.get("isSidechain") is not True:
            tree.add(line, number)
            if message is not None:
                found.messages += 1
                if not is_agent and (origin := _copied_from(line, own)) is not None:
                    found.foreign = (origin, number)
    found.digest = digest.hexdigest()
    found.live = tree.live()
    return found


def _note_facts(found: Survey, line: Wire) -> None:
    found.started = found.started or text(line, "timestamp")
    found.cwd = found.cwd or text(line, "cwd")
    found.version = found.version or text(line, "version")
    found.branch = found.branch or text(line, "gitBranch")
    found.agent = found.agent or text(line, "agentId")
    if found.instructions is None:
        found.instructions = _instructions(line)


def _instructions(line: Wire) -> str | None:
    """Return the system prompt, if *line* tells it."""
    attached = line.get("attachment")
    if isinstance(attached, dict) and attached.get("type") == "prompt_snapshot":
        parts = attached.get("systemPrompt")
    elif line.get("type") == "api-request-shape" and isinstance(line.get("shape"), dict):
        parts = line["shape"].get("system")
    else:
        return None
    given = [part.get("text") if isinstance(part, dict) else part for part in parts] if isinstance(parts, list) else []
    return "\n\n".join(part.strip("\n") for part in given if isinstance(part, str)) or None


def kept_by(line: Wire) -> list[str]:
    """Return the uuids of the messages that a compaction kept as they are, if *line* begins one that did."""
    if line.get("subtype") != "compact_boundary":
        return []
    told = line.get("compactMetadata")
    kept = told.get("preservedMessages") if isinstance(told, dict) else None
    uuids = kept.get("uuids") if isinstance(kept, dict) else None
    return [one for one in uuids if isinstance(one, str)] if isinstance(uuids, list) else []


def _copied_from(line: Wire, own: str) -> str | None:
    """Return the id of the session that *line* was copied from, when the session was forked."""
    told = line.get("forkedFrom")
    found = text(told, "sessionId") or text(line, "requestSessionId") or text(line, "sessionId")
    return found if found is not None and found.lower() != own.lower() else None


class _Tree:
    """The lines of the conversation as the file links them."""

    def __init__(self) -> None:
        self._parents: dict[str, tuple[str | None, str | None]] = {}  # the line before: by the link, and by the file
        self._logical: dict[str, str] = {}  # the line before a compaction
        self._responses: dict[str, set[str]] = {}  # by the id of a response: its lines
        self._response_of: dict[str, str] = {}
        self._calls: dict[str, set[str]] = {}  # by line: the ids of the calls in it
        self._results: dict[str, set[str]] = {}  # by the id of a call: the lines with its result
        self._last: str | None = None
        self._leaf: str | None = None

    def add(self, line: Wire, number: int) -> None:
        message = message_of(line)
        uuid = uuid_of(line, number)
        if (message is None and "uuid" not in line) or uuid in self._parents:
            return
        has_link = "parentUuid" in line
        self._parents[uuid] = (text(line, "parentUuid") if has_link else self._last, self._last)
        self._last = uuid
        if (logical := text(line, "logicalParentUuid")) is not None:
            self._logical[uuid] = logical
        if message is None:
            return
        self._leaf = uuid
        if line["type"] == "assistant" and (told := text(message, "id")) is not None:
            self._responses.setdefault(told, set()).add(uuid)
            self._response_of[uuid] = told
        for block in blocks_of(message):
            if block.get("type") == "tool_use" and (call := text(block, "id")) is not None:
                self._calls.setdefault(uuid, set()).add(call)
            elif block.get("type") == "tool_result" and (call := text(block, "tool_use_id")) is not None:
                self._results.setdefault(call, set()).add(uuid)

    def live(self) -> set[str]:
        """Return the lines from the last message back to the first, and the calls and results beside them."""
        found: set[str] = set()
        at = self._leaf
        while at is not None and at not in found:
            found.add(at)
            at = self._before(at)
        for uuid in list(found):
            if (told := self._response_of.get(uuid)) is not None:
                found |= self._responses[told]
        for uuid in list(found):
            for call in self._calls.get(uuid, ()):
                found |= self._results.get(call, set())
        return found

    def _before(self, uuid: str) -> str | None:
        linked, last = self._parents[uuid]
        if linked is None:
            linked = self._logical.get(uuid)
        # A line that is linked to and cannot be read must not cost all lines before it.
        return linked if linked is None or linked in self._parents else last
