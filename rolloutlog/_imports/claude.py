"""`import_claude`: sessions of Claude Code as rollouts."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import attrs

from .._chat.incoming import Incoming
from .._format.redact import Redact
from .._item import Item
from .._json import InvalidJson, loads
from .._paths import UUID
from .._reading.blocks import StrPath
from .._reading.lines import INHERITED
from .._shapes import Wire
from ..exceptions import InvalidItemError, InvalidRolloutError, InvalidSourceError, SessionNotFoundError
from .claude_lines import Survey, kept_by, lines_of, message_of, survey, text, uuid_of
from .missing import missing
from .rollout import Carrier, Origin, made_id, text_of, write
from .usage import kept_of
from .value import Imported

# The keys of a line that are carried in some way, or say how lines are linked.
_READ = frozenset(
    {"type", "uuid", "parentUuid", "logicalParentUuid", "sessionId", "timestamp", "message", "isSidechain", "cwd"}
    | {"version", "gitBranch", "agentId", "userType", "isCompactSummary", "isVisibleInTranscriptOnly"}
    | {"requestSessionId", "forkedFrom"}
)


def import_claude(
    path: StrPath, *, home: StrPath | None = None, redact: Redact | None = None, again: bool = False
) -> list[Imported]:
    r"""Import sessions of Claude Code: each becomes a new rollout, with its times, models, usage and folder.

    The rollout has the session's own id. Messages, calls, outputs, pictures and thinking become items. Each response is
    counted once. Turns that were taken back, and what a compaction replaced, are in `SavedSession.items` and not in its
    `context`. Other lines are kept as log entries of the logger ``claude``. Sub-agents become sessions of their own,
    which name their parent. Signatures of thinking are left out, because they mean nothing to another program.

    A rollout gets its name when it is whole, so a kill leaves no partial session. A session that *home* has already is
    not imported twice.

    Args:
        path: a file of Claude Code, as in ``~/.claude/projects``; with it, its sub-agents are imported. Or a folder,
            with all sessions in it.
        home: the folder for the rollouts, as for `RolloutRecorder.create`.
        redact: a hook that sees each record before it is written; see `RecorderOptions`.
        again: import a session under a new id if *home* has it already.

    Returns:
        One value for each file, in the order of their paths.

    Raises:
        InvalidSourceError: *path* is one file, and holds no message of Claude Code.
        SessionNotFoundError: there is no such file or folder.
        RedactionError: the hook failed; there is no rollout of this session.
        SessionLockedError: another process creates the same session, and takes more than 30 seconds.
        OSError: a file cannot be read, or a rollout cannot be written; then nothing of it is left.

    Example:
        >>> import json, pathlib, rolloutlog
        >>> line = {"type": "user", "uuid": "u1", "parentUuid": None, "timestamp": "2026-01-02T03:04:05.678Z",
        ...         "sessionId": "0b0f7dc2-4d0c-4f57-a2f0-6f9b0d0a4a11", "message": {"role": "user", "content": "Hi"}}
        >>> file = pathlib.Path("0b0f7dc2-4d0c-4f57-a2f0-6f9b0d0a4a11.jsonl")
        >>> _ = file.write_text(json.dumps(line) + "\n")
        >>> [done] = rolloutlog.import_claude(file)
        >>> done.state, rolloutlog.load_session(done.path).items[0].text
        ('new', 'Hi')
        >>> rolloutlog.import_claude(file)[0].state
        'known'
    """
    files = claude_files(path)
    if Path(path).is_dir():
        return [import_file(file, home=home, redact=redact, again=again) for file in files]
    first, *agents = files
    done = import_file(first, home=home, redact=redact, again=again, is_only=True)
    return [done, *(import_file(agent, home=home, redact=redact, again=again) for agent in agents)]


def claude_home() -> Path:
    """Return the folder in which Claude Code keeps its sessions."""
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or "~/.claude").expanduser() / "projects"


def claude_files(path: StrPath) -> list[Path]:
    """Return the files at *path*: a file and those of its sub-agents, or all in a folder."""
    given = Path(path)
    if given.is_dir():
        return sorted(file for file in given.rglob("*.jsonl") if file.is_file())
    return [given, *sorted(given.with_suffix("").glob("subagents/**/*.jsonl"))]


def import_file(
    path: Path, *, home: StrPath | None, redact: Redact | None, again: bool, is_only: bool = False
) -> Imported:
    """Import the session in the file *path*.

    Args:
        path, home, redact, again: as for `import_claude`.
        is_only: raise an error if it holds none, or cannot be read. Where there are others, that is their result.
    """
    is_agent = path.name.startswith("agent-")
    own = path.name.partition(".")[0]
    parent = _parent_of(path) if is_agent else None
    try:
        found = survey(path, own, is_agent)
    except SessionNotFoundError:
        if is_only:
            raise missing(path) from None
        return Imported(text_of(path), "empty", problem="the file was removed before it was read")
    except (InvalidRolloutError, OSError) as error:
        if is_only:
            raise
        return Imported(text_of(path), "empty", problem=getattr(error, "problem", None) or str(error))
    if not found.messages:
        problem = f"expected a session of Claude Code; none of its {found.lines:,} lines is a message of one"
        if is_only:
            raise InvalidSourceError(path, problem)
        return Imported(text_of(path), "empty", problem=problem)
    if is_agent:
        own = found.agent or own
        session_id = made_id("claude agent", f"{parent} {own}")
    else:
        session_id = own.lower() if re.fullmatch(UUID, own.lower()) else made_id("claude", own)
    origin = Origin(
        "claude",
        text_of(path),
        own,
        session_id,
        found.digest,
        found.started,
        found.instructions,
        _meta(found),
        "anthropic",
    )
    if is_agent:
        origin = attrs.evolve(origin, meta={**origin.meta, "source": _spawned(path, parent)})
    elif found.foreign is not None:
        source, last = found.foreign
        copied = sum(len(items) for number, items in _Conversation(path, found).items() if number <= last)
        origin = attrs.evolve(origin, meta={**origin.meta, "forked_from_id": source.lower(), INHERITED: copied})
    # To convert the messages again, only to find those of no known shape, would take several times as long.
    return write(origin, _Conversation(path, found).lines, home, redact, again, found.unread)


def _meta(found: Survey) -> Wire:
    meta: Wire = {"originator": "claude-code", "cli_version": found.version or "unknown"}
    if found.cwd is not None:
        meta["cwd"] = found.cwd
    if found.branch is not None:
        meta["git"] = {"branch": found.branch}
    return meta


def _parent_of(path: Path) -> str | None:
    """Return the id of the session whose agent began the one in *path*: from a folder's name, or from its lines."""
    for folder in path.parents:
        if re.fullmatch(UUID, folder.name.lower()):
            return folder.name.lower()
    told = (text(line, "sessionId") for _, _, line in lines_of(path) if isinstance(line, dict))
    return next((one.lower() for one in told if one is not None and _is_uuid(one)), None)


def _is_uuid(value: str) -> bool:
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return True


def _spawned(path: Path, parent: str | None) -> Wire:
    """Return how the meta of a sub-agent names its parent, as Codex does."""
    try:
        told = loads(path.with_name(f"{path.stem}.meta.json").read_bytes())
    except (OSError, InvalidJson):
        told = {}
    depth = told.get("spawnDepth") if isinstance(told, dict) else None
    spawn: Wire = {"parent_thread_id": parent, "depth": depth if type(depth) is int else 1}
    if (role := text(told, "agentType")) is not None:
        spawn["agent_role"] = role
    return {"subagent": {"thread_spawn": spawn}}


class _Conversation:
    """The lines of one file, in order, as lines of a rollout."""

    def __init__(self, path: Path, found: Survey) -> None:
        self._path = path
        self._found = found
        self._told: list[tuple[str, str]] = []

    def items(self) -> Iterator[tuple[int, list[Item]]]:
        """Yield the items of each line with a message, and the line's number."""
        for number, _, line in lines_of(self._path, self._found.end):
            if isinstance(line, dict) and self._is_own(line) and (message := message_of(line)) is not None:
                if line.get("isCompactSummary") is True and uuid_of(line, number) in self._found.live:
                    continue
                try:
                    yield number, _converted(message)[0]
                except InvalidItemError:
                    continue

    def _is_own(self, line: Wire) -> bool:
        return self._found.is_agent or line.get("isSidechain") is not True

    def lines(self, carrier: Carrier) -> Iterator[bytes]:
        """Yield the lines of the rollout after its meta."""
        found = self._found
        seen: set[str] = set()
        kept: dict[str, list[Item]] = {}  # by uuid: what a compaction will keep
        keeps: list[str] = []  # the uuids that the next compaction keeps
        dead = 0  # the last items that were recorded and are not part of the conversation
        for number, offset, line in lines_of(self._path, found.end):
            if not isinstance(line, dict):
                carrier.skip(number, offset, line)
                continue
            carrier.clock.hear(text(line, "timestamp") or "")
            self._note_folder(line, carrier)
            message, uuid = message_of(line), uuid_of(line, number)
            if message is None or uuid in seen or not self._is_own(line):
                keeps = kept_by(line) or keeps
                yield from carrier.log(self._name(line, uuid in seen), line)
                if message is not None and uuid not in seen:
                    yield from self._response(message, number, carrier)
                continue
            seen.add(uuid)
            is_live = uuid in found.live
            try:
                items, told = _converted(message)
            except InvalidItemError as error:
                carrier.skip(number, offset, str(error))
                continue
            for what in told:
                carrier.leave_out(what)
            self._leave_out_keys(line, carrier)
            if is_live and dead:
                yield from carrier.take_back(dead)
                dead = 0
            if is_live and line.get("isCompactSummary") is True:
                summary = "\n".join(getattr(item, "text", "") for item in items)
                yield from carrier.compact(summary, [*items, *(item for one in keeps for item in kept.get(one, ()))])
                keeps = []
                continue
            before = carrier.items
            yield from carrier.carry(items, number)
            dead += 0 if is_live else carrier.items - before
            if uuid in found.kept:
                kept[uuid] = items
            yield from self._response(message, number, carrier)
        if dead:
            yield from carrier.take_back(dead)

    def _response(self, message: Wire, number: int, carrier: Carrier) -> Iterator[bytes]:
        """Yield the line that keeps the usage of a response, after the last line of it."""
        told = text(message, "id")
        if message.get("role") != "assistant" or (told is not None and self._found.last_of.get(told) != number):
            return
        kept = kept_of(message)
        if kept is None:
            return
        if self._found.foreign is not None and number <= self._found.foreign[1]:
            carrier.leave_out("the usage of a response of the session that it was forked from, where it is counted")
        else:
            yield from carrier.keep_response(kept)

    def _name(self, line: Wire, is_repeated: bool) -> str:
        """Return the name of a line that is kept as a log entry."""
        name = text(line, "type") or "a line without a type"
        if is_repeated:
            return f"{name}, repeated"
        if not self._is_own(line):
            return f"{name} of a sub-agent"
        detail = text(line, "subtype") or text(line.get("attachment"), "type")
        if name == "assistant":
            detail = "written by Claude Code"
        return name if detail is None else f"{name}/{detail}"

    def _note_folder(self, line: Wire, carrier: Carrier) -> None:
        cwd = text(line, "cwd")
        if cwd is not None and cwd != self._found.cwd:
            carrier.leave_out("the folder of a line, which is another than the first")

    def _leave_out_keys(self, line: Wire, carrier: Carrier) -> None:
        for key in line.keys() - _READ:
            if line[key] not in (None, [], {}, "", False):
                carrier.leave_out(f"the key {key[:60]} of a line")


def _converted(message: Wire) -> tuple[list[Item], list[str]]:
    """Return the items of *message*, and what of it is not carried."""
    incoming = Incoming(reasoning=True)
    incoming.add(message, "message")
    return incoming.items, [what for _, what in incoming.told]
