"""Writes one session of another program as a rollout: whole, or not at all, and once."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from .._convert import Clock, batches
from .._entries import LogEntry, OtherEntry, SessionMeta, SkippedLine, utc_timestamp
from .._format.lines import LineEncoder, TakenBack
from .._format.redact import Redact
from .._item import Item
from .._json import MAX_LINE
from .._lookup import find_by_id
from .._open import id_lock
from .._paths import NAMESPACE, resolve_home, rollout_path
from .._reading.blocks import StrPath
from .._reading.lines import read_head
from .._shapes import Wire
from .._writing.file import Journal
from .._writing.lines import longest
from ..exceptions import InvalidItemError, RolloutError, SessionExistsError
from .value import Imported, State

FROM = "imported_from"
"""The key of a meta that says where the session came from: kind, source, id, and the digest of its content."""


@attrs.frozen
class Origin:
    """A session as another program has it.

    Attributes:
        kind: the program or the format: ``"claude"``, ``"messages"`` or ``"agents"``.
        source: the file, and the session in it.
        id: the session's id there; empty if it has none.
        session_id: its id here, the same each time.
        digest: the SHA-256 of its content, in hexadecimal digits.
        started: when it began, ISO 8601; `None` if that is not known.
        instructions: the system prompt, or `None`.
        meta: more keys for the meta line.
        provider: who runs the model. It is not the meta's ``model_provider``, which names a setting of Codex: the real
            one refuses to resume a session whose provider is not among its settings.
    """

    kind: str
    source: str
    id: str
    session_id: str
    digest: str
    started: str | None = None
    instructions: str | None = None
    meta: Mapping[str, Any] = attrs.field(factory=dict)
    provider: str | None = None


def made_id(kind: str, text: str) -> str:
    """Return the id of a session of another program whose own id is not a UUID."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}\n{text}".encode("utf-8", "replace").decode()))


class Carrier:
    """Turns what an importer finds into lines, and counts what became of it."""

    def __init__(self, encoder: LineEncoder, clock: Clock, kind: str) -> None:
        self.clock = clock
        self.items = self.responses = 0
        self.logged: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.skipped: list[SkippedLine] = []
        self._encoder = encoder
        self._kind = kind

    def carry(self, items: Iterable[Item], number: int) -> Iterator[bytes]:
        """Yield the lines of *items*, which come from the line or row of that *number*."""
        for item in items:
            try:
                lines, _ = self._encoder.items([item])
            except InvalidItemError as error:
                self.skip(number, 0, str(error))
                continue
            for line in lines:
                if _is_readable(line):
                    self.items += 1
                    yield line
                else:
                    self.left_out[f"a {item.type} that is longer than a line may be"] += 1

    def log(self, name: str, value: Wire) -> Iterator[bytes]:
        """Yield the log entry that keeps *value*, of the kind *name*."""
        entry = LogEntry(utc_timestamp(self.clock()), "INFO", self._kind, name, extra=value)
        line = self._encoder.log(entry)
        if line and _is_readable(line):
            self.logged[name] += 1
            yield line
        elif line:
            self.left_out[f"{name}, longer than a line may be"] += 1

    def keep_response(self, kept: Wire) -> Iterator[bytes]:
        """Yield the line that keeps *kept* of a response."""
        self.responses += 1
        yield self._encoder.response(kept)

    def take_back(self, what: TakenBack) -> Iterator[bytes]:
        """Yield the line that takes items back."""
        yield self._encoder.taken_back(what)

    def compact(self, summary: str, instead: list[Item]) -> Iterator[bytes]:
        """Yield the line that puts *instead* in place of all items before it."""
        payload = {"message": summary, "replacement_history": [item.to_dict() for item in instead]}
        stamp = utc_timestamp(self.clock())
        line = self._encoder.other(OtherEntry({"timestamp": stamp, "type": "compacted", "payload": payload}))
        if _is_readable(line):
            yield line
        else:
            self.left_out["a compaction that is longer than a line may be"] += 1

    def leave_out(self, what: str) -> None:
        """Count a value that is not in the rollout."""
        self.left_out[what] += 1

    def result(self, source: str, session_id: str, path: Path) -> Imported:
        """Return what became of the session of *source*, whose rollout is at *path*."""
        return Imported(
            source,
            "new",
            session_id,
            path,
            items=self.items,
            responses=self.responses,
            logged=dict(self.logged.most_common()),
            left_out=dict(self.left_out.most_common()),
            skipped=tuple(self.skipped),
        )

    def skip(self, number: int, offset: int, reason: str) -> None:
        """Report what could not be read."""
        self.skipped.append(SkippedLine(number, offset, reason))


Lines: TypeAlias = Callable[[Carrier], Iterator[bytes]]


def write(
    origin: Origin,
    lines: Lines,
    home: StrPath | None,
    redact: Redact | None,
    again: bool,
    unread: Sequence[SkippedLine] | None = None,
) -> Imported:
    """Write the session *origin* as a new rollout, unless *home* has one of it.

    The rollout gets its name when it is whole, so a kill at any point leaves none, or a whole one.

    Args:
        origin: the session.
        lines: yields the lines of the rollout after its meta.
        home: the folder for the rollout, as for `RolloutRecorder.create`.
        redact: the hook that sees each record before it is written.
        again: write it under a new id if *home* has one.
        unread: what to report of a session that *home* has; if not given, its lines are made again to find it.
    """
    where = resolve_home(home).absolute()
    clock = Clock(origin.started or "")
    started = dt.datetime.fromtimestamp(clock(), dt.UTC)
    if started.year < 1000:  # names of files and folders have four digits for it
        clock = Clock("")
        started = dt.datetime.fromtimestamp(clock(), dt.UTC)
    encoder = LineEncoder(format="envelope", clock=clock, redact=redact)
    with id_lock(where, origin.session_id, rollout_path(where, started, origin.session_id)):
        found = find_by_id(where, origin.session_id)
        if found is None or again:
            session_id = origin.session_id if found is None else str(uuid.uuid4())
            session = SessionMeta(session_id, utc_timestamp(clock()), origin.instructions, _meta(origin))
            path = rollout_path(where, started, session_id)
            journal = Journal(path, header=encoder.meta(encoder.completed(session)), fsync="flush")
            carrier = Carrier(encoder, clock, origin.kind)
            try:
                journal.create(batches(lines(carrier)))
            except FileExistsError:
                raise SessionExistsError(session_id, path) from None
            finally:
                journal.close()
            return carrier.result(origin.source, session_id, path)
    state: State = "known" if _has(found, origin) else "changed"
    skipped = _unread(lines, clock, origin.kind) if unread is None else tuple(unread)
    return Imported(origin.source, state, origin.session_id, found, skipped=skipped)


def _unread(lines: Lines, clock: Clock, kind: str) -> tuple[SkippedLine, ...]:
    """Return what cannot be read of a session that is not written, so that each import reports it."""
    carrier = Carrier(LineEncoder(format="envelope", clock=clock), clock, kind)
    deque(lines(carrier), maxlen=0)
    return tuple(carrier.skipped)


def _meta(origin: Origin) -> Wire:
    told = {"kind": origin.kind, "source": origin.source, "id": origin.id, "sha256": origin.digest}
    if origin.provider is not None:
        told["provider"] = origin.provider
    # A rollout must name a folder, and that of this process would be wrong.
    return {"cwd": "/", **origin.meta, FROM: told}


def _has(path: Path, origin: Origin) -> bool:
    """Whether the rollout at *path* was made of the same content."""
    try:
        told = read_head(path).session.extra.get(FROM)
    except (RolloutError, OSError):
        return False
    return isinstance(told, Mapping) and told.get("sha256") == origin.digest


def _is_readable(lines: bytes) -> bool:
    """Whether a reader reads *lines*: a wrapped line is longer than it was."""
    return len(lines) <= MAX_LINE or longest(lines) <= MAX_LINE


def text_of(path: StrPath) -> str:
    """Return *path* as text that can be written."""
    return os.fspath(path).encode("utf-8", "replace").decode()
