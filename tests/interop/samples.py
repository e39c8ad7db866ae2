"""Items and rollouts that the tests share, written by hand as plain JSON values."""

from __future__ import annotations

import base64
import json
import struct
import uuid
import zlib
from pathlib import Path
from typing import Any

from codex import Codex

Item = dict[str, Any]
WHEN = "2025-07-23T15:03:26.000Z"
MEGABYTE = 1_000_000
# Characters that some reader has taken for the end of a line or has failed to escape, and some of other alphabets.
AWKWARD = 'naïve 日本語 🏔️ ≠ \u2028 \u2029 \u0085 \x0b \x0c \x1b \x00 \x7f \r \t "quoted" back\\slash </script> e\u0301'


def user(text: str, **keys: Any) -> Item:
    """Return a message of the user."""
    return {"type": "message", "id": None, "role": "user", "content": [{"type": "input_text", "text": text}], **keys}


def assistant(*texts: str, **keys: Any) -> Item:
    """Return a message of the assistant."""
    content = [{"type": "output_text", "text": text} for text in texts]
    return {"type": "message", "id": None, "role": "assistant", "content": content, **keys}


def call(call_id: str, name: str = "lookup", arguments: str = "{}") -> Item:
    """Return a function call."""
    return {"type": "function_call", "id": f"fc_{call_id}", "name": name, "arguments": arguments, "call_id": call_id}


def output(call_id: str, text: str) -> Item:
    """Return a function call's output."""
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def local_call(call_id: str | None, status: str = "completed", **action: Any) -> Item:
    """Return a local shell call."""
    nothing = {"timeout_ms": None, "working_directory": None, "env": None, "user": None}
    shell = {"type": "exec", "command": ["ls", "-l"], **nothing, **action}
    return {"type": "local_shell_call", "id": "lsh_1", "call_id": call_id, "status": status, "action": shell}


def reasoning(item_id: str, *summary: str, **keys: Any) -> Item:
    """Return a reasoning item."""
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": item_id, "summary": parts, "encrypted_content": None, **keys}


def picture() -> str:
    """Return a picture of one pixel as a data URL; the newest release opens pictures, and sends only readable ones."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(4))) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


# Every kind with every key, in shapes that readers fail on: empty lists, empty texts, arguments that are not JSON,
# several parts, adjacent messages of one role, other roles than the usual two, and a call that is answered later.
EVERY_KIND: list[Item] = [
    user(AWKWARD),
    {"type": "message", "id": None, "role": "system", "content": [{"type": "input_text", "text": "be brief"}]},
    {"type": "message", "id": None, "role": "developer", "content": [{"type": "input_text", "text": "be kind"}]},
    user(
        "look",
        id="msg_look",
        content=[
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": picture()},
        ],
    ),
    reasoning("rs_1", AWKWARD, "second", content=[{"type": "reasoning_text", "text": "raw"}], encrypted_content="c2Vh"),
    reasoning("rs_2"),
    local_call("call_1", command=["printf", AWKWARD], timeout_ms=5, working_directory="/", env={"A": "é"}, user="me"),
    output("call_1", "total 0\n"),
    call("call_2", arguments=json.dumps({"city": "Zürich"}, ensure_ascii=False)),
    call("call_3", arguments="{no json"),
    output("call_2", AWKWARD),
    output("call_3", ""),
    assistant("one ", id="msg_one"),
    assistant("two"),
    user("go on"),
    user("please"),
    assistant("first part", "second part"),
    user("and?"),
    local_call(None, status="incomplete"),
    assistant("the end"),
]


def place(codex: Codex, items: list[Item]) -> Path:
    """Write *items* by hand as a rollout in the home of *codex*, in its format, and return the file."""
    session = str(uuid.uuid4())
    lines = [meta(codex, session), *(line(codex, item) for item in items)]
    day = codex.home / "sessions" / "2025" / "07" / "23"
    day.mkdir(parents=True)
    rollout = day / f"rollout-2025-07-23T15-03-26-{session}.jsonl"
    rollout.write_bytes(b"".join(lines))
    return rollout


def meta(codex: Codex, session: str) -> bytes:
    """Return the first line of a rollout in the format of *codex*, with the required keys only."""
    if codex.release.writes == "flat":
        return packed({"id": session, "timestamp": WHEN, "instructions": None})
    known = {"cwd": str(codex.workdir), "originator": "rolloutlog", "cli_version": "0.0.0"}
    return packed({"timestamp": WHEN, "type": "session_meta", "payload": {"id": session, "timestamp": WHEN, **known}})


def line(codex: Codex, item: Item) -> bytes:
    """Return the line for *item* in the format of *codex*."""
    if codex.release.writes == "flat":
        return packed(item)
    return packed({"timestamp": WHEN, "type": "response_item", "payload": item})


def packed(value: Item) -> bytes:
    """Return *value* as the real releases write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
