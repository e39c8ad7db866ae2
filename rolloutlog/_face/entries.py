"""The values that a transcript is made of: turns, entries and counts; every renderer shows these."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import attrs

from .calls import Invocation
from .outputs import Image, Result
from .values import as_json

Depth: TypeAlias = Literal["user", "talk", "tools", "full", "all"]
"""How much of a session is shown: what people said; the answers, too; calls; whole outputs; all lines."""

DEPTHS: tuple[Depth, ...] = get_args(Depth)


@attrs.frozen(kw_only=True)
class Turn:
    """A turn begins. The message that begins it is the next entry.

    Attributes:
        number: which turn it is, from 1, inherited ones included; 0 for entries before the first message.
        who: who began it: a person, another agent, or no one, as in number 0.
        time: when, if the line says.
        line: the line that it begins with.
        inherited: whether it was said in the session that this one was forked from.
    """

    number: int
    who: Literal["user", "agent", "none"]
    time: dt.datetime | None = None
    line: int = 0
    inherited: bool = False


@attrs.frozen(kw_only=True)
class TurnEnd:
    """A turn ends: the next one begins, or the session ends.

    Attributes:
        number: which turn.
        seconds: how long it took, as Codex says, else from its first to its last time; `None` if there is none.
        calls: how many calls were made in it.
        failed: how many of these failed.
        unanswered: how many of these got no output.
        inherited: as in `Turn`.
    """

    number: int
    seconds: float | None = None
    calls: int = 0
    failed: int = 0
    unanswered: int = 0
    inherited: bool = False


@attrs.frozen(kw_only=True)
class Entry:
    """One thing in a session.

    Attributes:
        line: the number of its line, from 1, in the file that holds it: for an inherited entry, that may be another.
        time: when the line was written, aware, if it says so.
        inherited: whether it was said in the session that this one was forked from.
        size: how many bytes its JSON has; 0 where that was not looked at.
    """

    line: int
    time: dt.datetime | None = None
    inherited: bool = False
    size: int = 0


@attrs.frozen(kw_only=True)
class Said(Entry):
    """A message of a person, the model, or another agent.

    Attributes:
        role: ``user``, ``assistant`` or ``agent``.
        author: the name of the other agent.
        text: the message.
        images: its pictures.
        files: the names or ids of its files.
        is_final: whether Codex marks it as the answer of its turn.
    """

    kind: ClassVar[str] = "message"
    role: str
    text: str
    author: str | None = None
    images: tuple[Image, ...] = ()
    files: tuple[str, ...] = ()
    is_final: bool = False


@attrs.frozen(kw_only=True)
class Thought(Entry):
    """Reasoning. `title` is its first heading, else its first words; `text` is empty if all of it is encrypted."""

    kind: ClassVar[str] = "reasoning"
    title: str
    text: str


@attrs.frozen(kw_only=True)
class Call(Entry):
    """A call, and its output if that was found.

    Attributes:
        call: what it does.
        result: its output; `None` if there is none, or not yet.
        result_line: the line of the output.
        type: the type of its item.
    """

    kind: ClassVar[str] = "call"
    call: Invocation
    result: Result | None = None
    result_line: int | None = None
    type: str = "function_call"

    @property
    def is_failed(self) -> bool:
        """Whether it failed; a call without an output did not."""
        return self.result is not None and self.result.is_failed


@attrs.frozen(kw_only=True)
class Output(Entry):
    """An output that came long after its call, or has none. `call` is what it answers, if that is known."""

    kind: ClassVar[str] = "output"
    result: Result
    call: Invocation | None = None
    call_line: int | None = None


@attrs.frozen(kw_only=True)
class Logged(Entry):
    """A log entry. `details` are its exception and its stack; `extra` its other values."""

    kind: ClassVar[str] = "log"
    level: str
    logger: str
    text: str
    details: str = ""
    extra: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Picture(Entry):
    """A picture that the model made."""

    kind: ClassVar[str] = "image"
    image: Image
    prompt: str = ""


@attrs.frozen(kw_only=True)
class Note(Entry):
    """Something that happened to the session: it was compacted, turns were taken back, the model changed.

    `text` is said by this package; `detail` is text of the file.
    """

    kind: ClassVar[str] = "note"
    text: str
    detail: str = ""


@attrs.frozen(kw_only=True)
class Instruction(Entry):
    """Text that a program gave the model: instructions, tools, the environment. `type` and `role` are the item's."""

    kind: ClassVar[str] = "instruction"
    role: str
    text: str
    type: str = "message"


@attrs.frozen(kw_only=True)
class Skipped(Entry):
    """A line that cannot be read; `offset` is where it begins, in bytes."""

    kind: ClassVar[str] = "skipped"
    reason: str
    offset: int


@attrs.frozen(kw_only=True)
class Other(Entry):
    """Any other line: an event, a state, a new kind. `name` is its type, `value` its object, or its JSON."""

    kind: ClassVar[str] = "other"
    name: str
    value: Mapping[str, Any] | str

    @property
    def text(self) -> str:
        """Its JSON. It is made at each look: half of all lines are events, and few of these are shown."""
        return self.value if isinstance(self.value, str) else as_json(dict(self.value))


Part: TypeAlias = Turn | TurnEnd | Entry


@attrs.define
class Counts:
    """The contents of a session, counted by one pass through it. Inherited items are counted apart.

    Attributes:
        items: items of its own.
        inherited: items that it inherited.
        turns: turns that a person or another agent began, of its own.
        calls, failed, unanswered: calls of its own.
        skipped: lines that cannot be read.
        instructions: items of instructions and context before its first turn, and `instruction_bytes` their size.
        first, last: the first and the last time that its own lines tell.
    """

    items: int = 0
    inherited: int = 0
    turns: int = 0
    calls: int = 0
    failed: int = 0
    unanswered: int = 0
    skipped: int = 0
    instructions: int = 0
    instruction_bytes: int = 0
    first: dt.datetime | None = None
    last: dt.datetime | None = None


_SHOWN: Mapping[str, int] = {
    "message": 1,
    "call": 2,
    "output": 2,
    "reasoning": 2,
    "image": 2,
    "log": 2,
    "note": 2,
    "skipped": 2,
    "instruction": 4,
    "other": 4,
}


def is_shown(entry: Entry, depth: Depth) -> bool:
    """Whether *entry* is shown at *depth*."""
    if isinstance(entry, Said) and entry.role == "user":
        return True
    return _SHOWN[entry.kind] <= DEPTHS.index(depth)  # type: ignore[attr-defined]
