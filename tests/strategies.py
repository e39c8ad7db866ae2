"""Any value that can be recorded, for Hypothesis: items of every kind with extras, states, log entries, metas."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st

from rolloutlog._entries import LogEntry, SessionMeta, SessionStateSnapshot
from rolloutlog._format.foreign import foreign_item, foreign_message
from rolloutlog._item import make_item
from rolloutlog._shapes import ROLES
from rolloutlog.items import (
    ExecAction,
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    InputText,
    Item,
    LocalShellCall,
    Message,
    Other,
    OtherAction,
    OtherPart,
    OutputText,
    Reasoning,
    ReasoningText,
    SummaryText,
)

# Characters that some reader has taken for the end of a line, that must be escaped, or that were trouble otherwise.
AWKWARD = '\n\r\t\x00\x0b\x0c\x1b\x1f\x7f\x85\u2028\u2029\ufeff"\\/{}[]é日🏔'
texts = st.text(st.one_of(st.sampled_from(AWKWARD + string.ascii_letters), st.characters(codec="utf-8")), max_size=30)
names = st.text(string.ascii_lowercase + "_-é", min_size=1, max_size=12)
roles = st.one_of(st.sampled_from(["user", "assistant", "system", "developer"]), texts)

numbers = st.one_of(
    st.integers(-10, 10),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1]),
    st.floats(allow_nan=False, allow_infinity=False),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def objects(*reserved: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for JSON objects without the *reserved* keys, most of them empty or small."""
    keys = st.one_of(names, texts).filter(lambda key: key not in reserved)
    return st.one_of(st.just({}), st.dictionaries(keys, json_values, max_size=3))


def extras(cls: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for the ``extra`` of *cls*."""
    return objects("type", "record_type", *cls.KEYS)


def raws(*known: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for whole objects of a type that is not one of *known*."""
    types = st.one_of(st.sampled_from(["refusal", "web_search_call", "input_file"]), names)
    keys = objects("type", "record_type", "payload")
    return st.builds(lambda kind, rest: {"type": kind} | rest, types.filter(lambda kind: kind not in known), keys)


def texts_of(cls: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the text parts *cls*."""
    return st.builds(cls, texts, extra=extras(cls))


images = st.builds(InputImage, texts, extra=extras(InputImage))
images_by_id = st.builds(lambda id: OtherPart({"type": "input_image", "image_url": None, "file_id": id}), texts)
contents = st.lists(
    st.one_of(
        texts_of(InputText),
        texts_of(OutputText),
        images,
        images_by_id,
        raws("input_text", "output_text", "input_image").map(OtherPart),
    ),
    max_size=3,
)
reasoning_texts = st.builds(
    ReasoningText, texts, type=st.sampled_from(["reasoning_text", "text"]), extra=extras(ReasoningText)
)
exec_actions = st.builds(
    ExecAction,
    st.lists(texts, max_size=3),
    timeout_ms=st.none() | st.integers(0, 2**64 - 1),
    working_directory=st.none() | texts,
    env=st.none() | st.dictionaries(texts, texts, max_size=2),
    user=st.none() | texts,
    extra=extras(ExecAction),
)


def _of_role(message: Message, role: str) -> Item:
    """Return *message* as a file may hold it: of any *role*."""
    return make_item({**message.to_dict(), "role": role})


messages = st.builds(
    _of_role, st.builds(Message, st.just("user"), contents, id=st.none() | texts, extra=extras(Message)), roles
)
reasonings = st.builds(
    Reasoning,
    st.none() | texts,
    st.lists(st.one_of(texts_of(SummaryText), raws("summary_text").map(OtherPart)), max_size=2),
    content=st.none() | st.lists(st.one_of(reasoning_texts, raws("reasoning_text", "text").map(OtherPart)), max_size=2),
    encrypted_content=st.none() | texts,
    extra=extras(Reasoning),
)
local_shell_calls = st.builds(
    LocalShellCall,
    st.none() | texts,
    st.none() | texts,
    st.sampled_from(["completed", "in_progress", "incomplete"]) | texts,
    st.one_of(exec_actions, raws("exec").map(OtherAction)),
    extra=extras(LocalShellCall),
)
function_calls = st.builds(FunctionCall, texts, texts, texts, id=st.none() | texts, extra=extras(FunctionCall))
function_call_outputs = st.builds(FunctionCallOutput, texts, texts | contents, extra=extras(FunctionCallOutput))
KNOWN = ("message", "reasoning", "local_shell_call", "function_call", "function_call_output")
others = raws(*KNOWN, "log").map(Other)

kinds = {
    "message": messages,
    "reasoning": reasonings,
    "local_shell_call": local_shell_calls,
    "function_call": function_calls,
    "function_call_output": function_call_outputs,
    "other": others,
}
items = st.one_of(*kinds.values())


def _is_accepted(item: Item) -> bool:
    """Whether callers may record the dict of *item*: it is not a message of another API, and its role exists."""
    value = item.to_dict()
    if item.type != "message":
        return foreign_item(value, item.type) is None
    return foreign_message(value) is None and value["role"] in ROLES


accepted_items = items.filter(_is_accepted)

states = objects("record_type").map(SessionStateSnapshot)
log_entries = st.builds(
    LogEntry,
    *[texts] * 4,
    exception=st.none() | texts,
    stack=st.none() | texts,
    extra=objects(),
    file=st.none() | texts,
    line=st.none() | st.integers(1, 2**31),
    function=st.none() | texts,
    thread=st.none() | texts,
)
metas = st.builds(
    SessionMeta,
    st.uuids().map(str),
    texts,
    instructions=st.none() | texts,
    extra=extras(SessionMeta),
)
entries = st.one_of(items, states, log_entries)
