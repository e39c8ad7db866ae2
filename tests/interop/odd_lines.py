"""Lines that are slightly wrong, and the readers that keep them: ours, and the real ones of both formats.

Each line holds an item with its name as a mark in it, so that a test can find it in a reader's result. The columns of
the real readers were filled in from the requests that they sent, not from what they should do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from samples import call, local_call, output, packed, reasoning, user

MARK = "@MARK@"
FLAT, NEWEST, OURS = "flat", "newest", "ours"
ALL = frozenset({FLAT, NEWEST, OURS})
BUT_FLAT = frozenset({NEWEST, OURS})
BUT_NEWEST = frozenset({FLAT, OURS})
JUST_NEWEST = frozenset({NEWEST})
JUST_OURS = frozenset({OURS})
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Odd:
    """One odd line.

    Attributes:
        name: the oddity.
        content: the item, as on a flat line or in the payload of an envelope: as JSON, or as a value to write.
        kept_by: the readers that keep the item.
    """

    name: str
    content: str | dict[str, Any]
    kept_by: frozenset[str]

    @property
    def mark(self) -> str:
        """The mark in the item that this line holds."""
        return f"<<{self.name}>>"

    @property
    def text(self) -> str:
        """The line without its end."""
        text = self.content if isinstance(self.content, str) else packed(self.content).decode()[:-1]
        assert MARK in text, self.name
        return text.replace(MARK, self.mark)


def changed(item: dict[str, Any], old: str, new: str) -> str:
    """Return the line of *item* with the only *old* in it replaced."""
    text = packed(item).decode()[:-1]
    assert text.count(old) == 1, (text, old)
    return text.replace(old, new)


def with_key(value: str) -> str:
    """Return the line of a message that has one more key, with a value given as JSON."""
    return f'{SAID[:-1]},"extra":{value}}}'


def with_part(**part: Any) -> dict[str, Any]:
    """Return a message that has one more part."""
    return {**MESSAGE, "content": [*MESSAGE["content"], part]}


def without(key: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return *item* without *key*."""
    return {name: value for name, value in item.items() if name != key}


MESSAGE = user(MARK)
SAID = packed(MESSAGE).decode()[:-1]
THOUGHT = reasoning("rs_odd", MARK)
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": MARK}}

LINES = [
    # -- the line
    Odd("spaces around", f"  \t{SAID} ", ALL),
    Odd("CR before the newline", f"{SAID}\r", ALL),
    Odd("key with an escape", changed(MESSAGE, '"type":"message"', r'"t\u0079pe":"message"'), ALL),
    Odd("type at the end", without("type", MESSAGE) | {"type": "message"}, ALL),
    Odd("two objects", SAID * 2, NOBODY),
    Odd("an array", f"[{SAID}]", NOBODY),
    Odd("a string", f'"{MARK}"', NOBODY),
    Odd("NULs in front", f"\x00\x00{SAID}", NOBODY),
    Odd("BOM in front", f"\ufeff{SAID}", NOBODY),
    Odd("comma at the end", f"{SAID[:-1]},}}", NOBODY),
    Odd("cut short", SAID[:-3], NOBODY),
    # -- values
    Odd("lone surrogate", with_key(r'"\ud800"'), NOBODY),
    Odd("pair of surrogates", with_key(r'"\ud83d\ude00"'), ALL),
    Odd("NaN", with_key("NaN"), NOBODY),
    Odd("number beyond a double", with_key("1e999"), JUST_NEWEST),
    Odd("integer beyond 64 bits", with_key("123456789012345678901234567890"), BUT_NEWEST),
    Odd("raw control character", changed(MESSAGE, MARK, f"{MARK}\x01"), NOBODY),
    Odd("raw tab", changed(MESSAGE, MARK, f"{MARK}\t"), NOBODY),
    Odd("100 arrays deep", with_key("[" * 100 + "]" * 100), ALL),
    Odd("200 arrays deep", with_key("[" * 200 + "]" * 200), NOBODY),
    # -- keys
    Odd("keys unknown", {**MESSAGE, "unheard_of": {"a": [1]}}, ALL),
    Odd("key twice", changed(MESSAGE, '"role":"user"', '"role":"system","role":"user"'), ALL),
    Odd("record_type unknown", {**MESSAGE, "record_type": "other"}, ALL),
    Odd("kind unknown", {**MESSAGE, "type": "missive"}, JUST_OURS),
    Odd("no kind", without("type", MESSAGE), NOBODY),
    # -- messages
    Odd("message without id", without("id", MESSAGE), ALL),
    Odd("id a number", {**MESSAGE, "id": 3}, NOBODY),
    Odd("message without role", without("role", MESSAGE), NOBODY),
    Odd("role unknown", {**MESSAGE, "role": "tool"}, ALL),
    Odd("content a string", {**MESSAGE, "content": MARK}, NOBODY),
    Odd("part with more keys", changed(MESSAGE, '"}]', '","annotations":[]}]'), ALL),
    Odd("part unknown", with_part(type="input_file", file_id="x"), JUST_OURS),
    Odd("refusal", with_part(type="refusal", refusal="x"), JUST_OURS),
    Odd("picture by id", with_part(type="input_image", file_id="x"), BUT_FLAT),
    # -- reasoning
    Odd("reasoning without id", without("id", THOUGHT), BUT_FLAT),
    Odd("reasoning with id null", {**THOUGHT, "id": None}, BUT_FLAT),
    Odd("reasoning without summary", {**without("summary", THOUGHT), "encrypted_content": MARK}, NOBODY),
    Odd("reasoning without cipher", without("encrypted_content", THOUGHT), ALL),
    Odd("reasoning with plain text", {**THOUGHT, "content": [{"type": "text", "text": "x"}]}, BUT_FLAT),
    Odd("reasoning part unknown", {**THOUGHT, "content": [{"type": "x"}]}, JUST_OURS),
    # -- calls
    Odd("call without id", without("id", call("call_odd_1", MARK)), ALL),
    Odd("call without call_id", without("call_id", call("call_odd_2", MARK)), NOBODY),
    Odd("arguments an object", {**call("call_odd_3", MARK), "arguments": {}}, NOBODY),
    Odd("output a list", {**output("call_a", ""), "output": [{"type": "input_text", "text": MARK}]}, BUT_FLAT),
    Odd("output an object", {**output("call_b", ""), "output": {"content": MARK}}, NOBODY),
    # -- the local shell
    Odd("shell without id", without("id", local_call("call_odd_4", command=[MARK])), ALL),
    Odd("status unknown", local_call("call_odd_5", status="failed", command=[MARK]), JUST_OURS),
    Odd("action unknown", {**local_call("call_odd_6"), "action": {"type": MARK}}, JUST_OURS),
    Odd("time limit below nothing", local_call("call_odd_7", command=[MARK], timeout_ms=-1), NOBODY),
    Odd("time limit with a fraction", local_call("call_odd_8", command=[MARK], timeout_ms=1.5), NOBODY),
    # -- kinds of the newest
    Odd("web search", SEARCH, BUT_FLAT),
]
