"""Damaged files: one for each finding of `rolloutlog.diagnose`, made from whole records of both formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

SESSION = "0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4a"
OTHER_SESSION = "0198d7f2-3c4b-7e3a-9a61-ffffffffffff"
NAME = f"rollout-2025-07-23T15-03-26-{SESSION}.jsonl"
WHEN = "2025-07-23T15:03:26.123Z"


def packed(value: Any) -> bytes:
    """Return *value* as one line, without its newline."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def said(text: str, role: str = "user") -> dict[str, Any]:
    """Return a message."""
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "id": None, "role": role, "content": [{"type": kind, "text": text}]}


def wrapped(item: dict[str, Any], ordinal: int | None = None, kind: str = "response_item") -> bytes:
    """Return a line of the envelope format, without its newline."""
    number = {} if ordinal is None else {"ordinal": ordinal}
    return packed({"timestamp": WHEN, **number, "type": kind, "payload": item})


def meta(**keys: Any) -> dict[str, Any]:
    """Return the meta of a session of Codex."""
    return {"id": SESSION, "timestamp": WHEN, "cwd": "/x", "originator": "codex", "cli_version": "0.169.0", **keys}


FLAT_META = packed({"id": SESSION, "timestamp": WHEN, "instructions": None})
ENVELOPE_META = wrapped(meta(), kind="session_meta")
CALL = {"type": "function_call", "id": None, "name": "exec", "arguments": "{}", "call_id": "call_1"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
ASKED, ANSWERED = said("naïve 日本 🏔️?"), said("an answer that is long enough to be cut in two", "assistant")


@attrs.frozen
class Case:
    """A damaged file.

    Attributes:
        kind, severity, action: the finding that it shows.
        format: its format.
        content: its bytes.
        items: how many items it holds, and how many our readers see before and after the repair.
        keeps_places: whether no byte of a record moves in the repair.
        line: the line of the finding.
    """

    kind: str
    severity: str
    action: str
    format: str
    content: bytes
    items: tuple[int, int, int]
    keeps_places: bool = True
    line: int | None = 3

    def __str__(self) -> str:
        return f"{self.kind}, {self.action}, {self.format}"


def cases() -> list[Case]:
    """Return a file for each finding of the table in docs/face.md, in each format that can have it."""
    made = []
    for form, begin, line in (("flat", FLAT_META, packed), ("envelope", ENVELOPE_META, wrapped)):
        first, second = line(ASKED), line(ANSWERED)
        start = begin + b"\n" + first + b"\n"
        half, end = second[:-20], second + b"\n"
        late = "join" if form == "flat" else "blank"
        made += [
            Case("glued", "lost", "blank", form, start + half + end, (2, 1, 2)),
            Case("glued", "lost", "blank", form, start + second + half + end, (3, 1, 3)),
            Case("glued", "lost", "split", form, start + second + end, (3, 1, 3), keeps_places=False),
            Case("glued", "lost", "split", form, start + b" " + second + end, (3, 1, 3)),
            Case("torn-tail", "torn", "blank", form, start + half, (1, 1, 1)),
            Case("torn-tail", "odd", "end", form, start + second, (2, 2, 2)),
            Case("torn-tail", "lost", "blank", form, start + first[: first.index("本".encode()) + 1], (1, 1, 1)),
            Case("nul-run", "torn", "blank", form, start + bytes(512) + b"\n" + end, (2, 2, 2)),
            Case("nul-run", "lost", "blank", form, start + bytes(512) + end, (2, 1, 2)),
            Case("not-utf8", "lost", "blank", form, start + b"\xff\xfe half\n" + end, (2, 2, 2)),
            Case("not-json", "torn", "blank", form, start + half + b"\n" + end, (2, 2, 2)),
            Case("bom", "lost", "blank", form, b"\xef\xbb\xbf" + start + end, (2, 2, 2), line=1),
            Case("raw-newline", "lost", "join", form, start + second.replace(b" that", b"\nthat") + b"\n", (2, 1, 2)),
            Case("no-meta", "lost", "rebuild", form, first + b"\n" + end, (2, 0, 2), keeps_places=False, line=1),
            Case("no-meta", "lost", "rebuild", form, begin[:-1] * 9 + b"\n" + first + b"\n" + end, (2, 0, 2), line=1),
            Case("late-meta", "lost", "move", form, first + b"\n" + begin + b"\n" + end, (2, 0, 2), False, line=2),
            Case(
                "bad-item", "lost", "leave", form, start + line({"type": "message", "role": "user"}) + b"\n", (1, 1, 1)
            ),
            Case(
                "lone-surrogate", "lost", "leave", form, start + second.replace(b" that", rb"\ud800") + b"\n", (1, 1, 1)
            ),
            Case("orphan-call", "model", "leave", form, start + line(CALL) + b"\n", (2, 2, 2)),
            Case("orphan-output", "model", "leave", form, start + line(OUTPUT) + b"\n", (2, 2, 2)),
            Case("trailing-reasoning", "model", "leave", form, start + line(THOUGHT) + b"\n", (2, 2, 2)),
            Case("unknown-kind", "note", "leave", form, start + line({"type": "missive"}) + b"\n", (2, 2, 2)),
        ]
        if late == "join":
            made.append(Case("late-meta", "lost", "join", form, b"\n" + start, (1, 0, 1), line=2))
            made.append(Case("second-meta", "note", "leave", form, start + begin + b"\n", (1, 1, 1)))
    numbered = [wrapped(meta(history_mode="paginated"), 0, "session_meta"), wrapped(ASKED, 1), wrapped(ANSWERED, 2)]
    zero, one, two = (line + b"\n" for line in numbered)
    gap = two.replace(b'"ordinal":2', b'"ordinal":7')
    made += [
        Case("repeated", "model", "blank", "envelope", zero + one + one + two, (2, 3, 2)),
        Case("ordinal-missing", "odd", "leave", "envelope", zero + one + gap, (2, 2, 2)),
        Case("ordinal-missing", "lost", "leave", "envelope", zero + one + wrapped(ANSWERED) + b"\n", (2, 2, 2)),
        Case("ordinal-order", "odd", "leave", "envelope", zero + two + one, (2, 2, 2)),
        Case("unknown-kind", "note", "leave", "envelope", zero + one + wrapped({}, 2, "novelty") + b"\n", (1, 1, 1)),
    ]
    base = {"thread_id": OTHER_SESSION, "end_ordinal_exclusive": 9, "end_byte_offset": 99}
    fork = wrapped(meta(history_base=base, forked_from_id=OTHER_SESSION), kind="session_meta")
    made.append(
        Case("missing-base", "lost", "leave", "envelope", fork + b"\n" + wrapped(ASKED) + b"\n", (1, 1, 1), line=1)
    )
    return made


def written(folder: Path, content: bytes, name: str = NAME) -> Path:
    """Write *content* where a home below *folder* keeps such a session; return the file."""
    path = folder / "sessions" / "2025" / "07" / "23" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)
    return path
