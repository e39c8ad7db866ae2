"""The lines of a session, one by one, as turns and entries.

Only calls wait, for the output that follows them, so that a renderer gets both as one entry.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from .._entries import LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from .._item import Item
from .._reading.lines import RolloutLine
from .._responses.calls import answer_keys, call_keys
from .._responses.view import is_rewrite
from .calls import read_call
from .entries import (
    Call,
    Counts,
    Entry,
    Instruction,
    Logged,
    Note,
    Other,
    Output,
    Part,
    Picture,
    Said,
    Skipped,
    Thought,
    Turn,
    TurnEnd,
)
from .heads import Head
from .outputs import Image, image_of, read_output
from .titles import as_typed, title_of
from .values import as_json, file_of, part_text, text_at, text_of
from .waiting import Waiting
from .words import taken_back, turns_taken_back

_COMPACTED = "The history above was compacted for the model"


class Reader:
    """Turns the lines of a session, given one by one, into turns and entries.

    Args:
        head: the session's head.
        is_partial: whether the first lines are missing, so that turns cannot be numbered.
        waits: whether a call waits for its output. If not, as for a session that is followed, it is yielded at once,
            and its output later as an `Output`.

    Attributes:
        counts: the counts of the lines that were read so far.
    """

    def __init__(self, head: Head, *, waits: bool = True, is_partial: bool = False) -> None:
        self.counts = Counts()
        self._is_sub_agent = head.is_sub_agent
        self._waits = waits
        self._is_partial = is_partial
        self._waiting = Waiting()
        self._turn: Turn | None = None
        self._end = TurnEnd(number=0)
        self._number = 0
        self._has_meta = False
        self._model: str | None = None
        # Of the task that Codex is at: its times belong to a turn only if that is the only one in it.
        self._turns_in_task = 0
        self._seconds: float | None = None
        self._first: dt.datetime | None = None
        self._last: dt.datetime | None = None

    def read(self, line: RolloutLine) -> Iterator[Part]:
        """Yield what *line* adds, and the entries before it that waited for it."""
        if line.timestamp is not None and not line.inherited:
            self.counts.first = self.counts.first or line.timestamp
            self.counts.last = line.timestamp
        if isinstance(line.entry, Item):
            yield from self._read_item(line, line.entry)
        elif (entry := self._read_other(line)) is not None:
            yield from self._put(entry)

    def follow(self) -> Iterator[Part]:
        """Yield the entries that wait; from now on none does, because a person looks on."""
        self._waits = False
        for entry in self._waiting.flush():
            yield from self._give(entry)

    def end(self) -> Iterator[Part]:
        """Yield the entries that still wait, and the end of the last turn."""
        yield from self._end_turn()

    # -- items --------------------------------------------------------------------------------------------------------

    def _read_item(self, line: RolloutLine, item: Item) -> Iterator[Part]:
        if line.inherited:
            self.counts.inherited += 1
        else:
            self.counts.items += 1
        value = item._read()
        kind = item.type
        place = _place(line, len(item._bytes().strip()))  # `json` would be encoded for that
        if kind == "message":
            yield from self._read_message(value, place)
        elif kind == "reasoning":
            yield from self._put(_thought(value, place))
        elif kind == "agent_message":
            author = value.get("author")
            text = text_of(value.get("content"))
            said = Said(role="agent", text=text, author=author if isinstance(author, str) else None, **place)
            if self._is_sub_agent:
                yield from self._begin_turn("agent", said)
            yield from self._put(said)
        elif kind == "image_generation_call":
            result, prompt = read_output(value), value.get("revised_prompt")
            for image in result.images or (Image(None),):
                yield from self._put(Picture(image=image, prompt=prompt if isinstance(prompt, str) else "", **place))
        elif (keys := answer_keys(value)) is not None:
            output = self._waiting.answer(keys, Output(result=read_output(value), **place))
            if output is not None:
                yield from self._put(output)
            yield from self._ready()
        elif (keys := call_keys(value)) is not None:
            yield from self._put(Call(call=read_call(value), type=kind, **place), keys)
        elif kind.endswith("_call"):  # the API ran it, and its output is in it
            result = read_output(value)
            call = Call(call=read_call(value), result=result, result_line=line.number, type=kind, **place)
            yield from self._put(call)
        elif kind in ("compaction", "compaction_trigger"):
            yield from self._put(Note(text=_COMPACTED, **place))
        elif kind == "additional_tools":
            yield from self._put(Instruction(role="developer", text=as_json(value.get("tools")), type=kind, **place))
        else:
            yield from self._put(Other(name=kind, value=item.json.decode("utf-8", "replace"), **place))

    def _read_message(self, value: Mapping[str, Any], place: dict[str, Any]) -> Iterator[Part]:
        role = value["role"]
        parts = [part for part in value["content"] if isinstance(part, Mapping)]
        images = tuple(image_of(part) for part in parts if part.get("type") == "input_image")
        files = tuple(file_of(part) for part in parts if part.get("type") == "input_file")
        texts = [text for part in parts if (text := part_text(part))]
        if role == "assistant":
            final = value.get("phase") in ("final_answer", "final")
            yield from self._put(Said(role=role, text="\n".join(texts), images=images, is_final=final, **place))
            return
        if role != "user":
            yield from self._put(Instruction(role=str(role), text="\n\n".join(texts), **place))
            return
        typed = [own for text in texts if (own := as_typed(text))]
        if len(typed) < len(texts):
            added = "\n\n".join(text for text in texts if not as_typed(text))
            yield from self._put(Instruction(role=role, text=added, **place))
            if not (typed or images or files):
                return
        said = Said(role=role, text="\n\n".join(typed), images=images, files=files, **place)
        yield from self._begin_turn("user", said)
        yield from self._put(said)

    # -- other lines --------------------------------------------------------------------------------------------------

    def _read_other(self, line: RolloutLine) -> Entry | None:
        entry, place = line.entry, _place(line)
        if isinstance(entry, SkippedLine):
            self.counts.skipped += 1
            return Skipped(reason=entry.reason, offset=entry.offset, **place)
        if isinstance(entry, SessionMeta):
            return self._read_meta(entry, place)
        if isinstance(entry, LogEntry):
            if is_rewrite(entry):
                return Note(text=taken_back(entry.extra["taken_back"]), detail=entry.message, **place)
            details = "\n".join(filter(None, (entry.exception, entry.stack)))
            extra = dict(entry.extra)
            return Logged(
                level=entry.level, logger=entry.logger, text=entry.message, details=details, extra=extra, **place
            )
        if isinstance(entry, SessionStateSnapshot):
            return Other(name="state", value=entry, **place)
        assert isinstance(entry, OtherEntry)
        return self._read_event(entry, place)

    def _read_meta(self, meta: SessionMeta, place: dict[str, Any]) -> Entry | None:
        if self._has_meta:
            return Other(name="session_meta", value=meta.to_dict(), **place)
        self._has_meta = True
        # Newer Codex repeats these in an item, so only those of the older format are counted.
        size = len(meta.instructions or "")
        text = meta.instructions or text_at(meta.extra.get("base_instructions"), "text")
        return (
            None if not text else Instruction(role="system", text=text, type="session_meta", **place | {"size": size})
        )

    def _read_event(self, entry: OtherEntry, place: dict[str, Any]) -> Entry | None:
        payload = entry.raw.get("payload")
        if not isinstance(payload, Mapping):
            payload = {}
        if entry.type == "turn_context":
            before, self._model = self._model, text_at(payload, "model") or self._model
            if before is not None and self._model != before:
                return Note(text="The model is from here on", detail=self._model or "", **place)
        elif entry.type == "compacted":
            return Note(text=_COMPACTED, detail=text_at(payload, "message") or "", **place)
        elif entry.type == "event_msg":
            event = payload.get("type")
            if event == "task_started":
                self._turns_in_task = 0
            elif event == "task_complete":
                self._complete_task(payload)
            elif event == "thread_rolled_back":
                return Note(text=turns_taken_back(payload.get("num_turns")), **place)
            elif event == "turn_aborted":
                return Note(text="The turn was stopped", detail=text_at(payload, "reason") or "", **place)
            elif event in ("error", "stream_error", "warning"):
                return Note(text=f"Codex reports: {event}", detail=text_at(payload, "message") or "", **place)
        name = text_at(payload, "type") if entry.type == "event_msg" else None
        return Other(name=f"{entry.type} {name}" if name else entry.type, value=entry.raw, **place)

    def _complete_task(self, payload: Mapping[str, Any]) -> None:
        duration = payload.get("duration_ms")
        if self._turns_in_task == 1 and isinstance(duration, int | float):
            self._seconds = duration / 1000

    # -- turns --------------------------------------------------------------------------------------------------------

    def _begin_turn(self, who: Literal["user", "agent", "none"], entry: Entry) -> Iterator[Part]:
        yield from self._end_turn()
        if who != "none":
            self._number += 1
            self._turns_in_task += 1
            self.counts.turns += not entry.inherited
        self._turn = Turn(
            number=0 if who == "none" or self._is_partial else self._number,
            who=who,
            time=entry.time,
            line=entry.line,
            inherited=entry.inherited,
        )
        self._end = TurnEnd(number=self._turn.number, inherited=entry.inherited)
        self._seconds, self._first, self._last = None, entry.time, entry.time
        yield self._turn

    def _end_turn(self) -> Iterator[Part]:
        for entry in self._waiting.flush():
            yield from self._give(entry)
        if self._turn is None:
            return
        seconds = self._seconds
        if seconds is None and self._first is not None and self._last is not None:
            seconds = max(0.0, (self._last - self._first).total_seconds())
        end, self._turn = self._end, None
        yield attrs.evolve(end, seconds=seconds)

    def _put(self, entry: Entry, keys: list[tuple[str, str]] | None = None) -> Iterator[Part]:
        """Yield *entry*, unless entries before it wait, or it waits itself, as a call with *keys* does."""
        if self._turn is None and isinstance(entry, Said | Thought | Call | Output | Picture):
            yield from self._begin_turn("none", entry)
        self._waiting.append(entry, keys or [], self._waits and bool(keys))
        yield from self._ready()

    def _ready(self) -> Iterator[Part]:
        for entry in self._waiting.ready():
            yield from self._give(entry)

    def _give(self, entry: Entry) -> Iterator[Part]:
        """Count *entry* and yield it."""
        self._last = entry.time or self._last
        if isinstance(entry, Call):
            self._count(1, entry.is_failed, entry.result is None, entry.inherited)
        elif isinstance(entry, Output) and entry.call is not None:
            self._count(0, entry.result.is_failed, -1, entry.inherited)
        elif isinstance(entry, Instruction) and entry.size and not (self._number or entry.inherited):
            self.counts.instructions += 1
            self.counts.instruction_bytes += entry.size
        yield entry

    def _count(self, calls: int, failed: int, unanswered: int, inherited: bool) -> None:
        end = self._end
        self._end = attrs.evolve(
            end, calls=end.calls + calls, failed=end.failed + failed, unanswered=max(0, end.unanswered + unanswered)
        )
        if not inherited:
            self.counts.calls += calls
            self.counts.failed += failed
            self.counts.unanswered += unanswered


def _place(line: RolloutLine, size: int = 0) -> dict[str, Any]:
    """Return the arguments that every entry has."""
    return {"line": line.number, "time": line.timestamp, "inherited": line.inherited, "size": size}


def _thought(value: Mapping[str, Any], place: dict[str, Any]) -> Thought:
    texts = [text for key in ("summary", "content") for part in value.get(key) or () if (text := part_text(part))]
    text = "\n\n".join(texts)
    first, _, _ = text.partition("\n")
    title = title_of(first)
    is_heading = first.startswith("**") and first.rstrip().endswith("**")
    rest = text[len(first) :].strip() if is_heading else text
    return Thought(title=title, text=rest, **place)
