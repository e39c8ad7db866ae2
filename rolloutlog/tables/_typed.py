"""Lines decoded straight into typed values by msgspec, where it is installed; its only user.

A line is decoded here only if each of its keys is one that is declared below, with a value of the declared type. So no
part of it is skipped, all of it is checked to be JSON, nesting is limited, and each rule of `_rules` that asks for a
type is met. Every other line is left to the slower reader, so the declarations change the speed and not the rows. The
tests compare both readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, Union

import attrs

from ._rules import Values, outcome_of

# Larger numbers are left to the other reader, which takes some as others.
_MOST = 2**53
# How deep notes are nested of which Codex alone knows the keys. msgspec builds each of two branches at each depth, so
# one more doubles the time that it takes to begin.
_DEPTH = 4
_NOTES = "internal_chat_message_metadata_passthrough"
_STAMP = ("timestamp", str)


@attrs.frozen(eq=False)
class Known:
    """A type of items that is decoded here.

    Attributes:
        type: its name.
        kind: the kind of its rows.
        columns: functions of an item that return its values, by the names of the columns. One for two columns returns
            two values.
    """

    type: str
    kind: str
    columns: Mapping[tuple[str, ...], Callable[[Any], Any]]

    def values(self, item: Any) -> Values:
        """Return the values of the row for *item*, without the name of an output, which the call tells."""
        made: Values = {}
        for names, value_of in self.columns.items():
            held = value_of(item)
            made.update(zip(names, held if len(names) > 1 else (held,), strict=True))
        return made


class Reader(NamedTuple):
    """How lines are decoded.

    Attributes:
        decode: returns the value of a line, whose class is the one that msgspec found for its type.
        faults: the errors that it raises for a line that it does not know.
        items: the classes of items, and of what types they are.
        others: the classes of other wrapped lines, with the type of each.
        wrapped: the class of a wrapped item.
    """

    decode: Callable[[bytes], Any]
    faults: tuple[type[Exception], ...]
    items: dict[type, Known]
    others: dict[type, str]
    wrapped: type


@cache
def reader() -> Reader | None:
    """Return how lines are decoded; `None` where msgspec is not installed."""
    try:
        msgspec = import_module("msgspec")
    except ImportError:
        return None

    def struct(name: str, tag: str, *fields: Any) -> Any:
        rules = {"kw_only": True, "gc": False, "forbid_unknown_fields": True}
        return msgspec.defstruct(name, fields, tag_field="type", tag=tag, **rules)

    limits = msgspec.Meta(ge=-_MOST, le=_MOST)
    number = Annotated[int, limits]
    plain = one_of(None, bool, str, number, Annotated[float, limits])
    text = one_of(str, None)

    def nested(depth: int) -> Any:
        held = nested(depth - 1) if depth else None
        return one_of(plain, list[held], dict[str, held]) if depth else plain  # type: ignore[valid-type]

    more: Any = (("id", text, None), ("status", text, None), ("phase", text, None), ("namespace", text, None))
    notes = (_NOTES, nested(_DEPTH), None)

    empty = one_of(list[None], None)

    def parts(*tags: str) -> Any:
        made = [
            struct(tag, tag, ("text", str), ("annotations", empty, None), ("logprobs", empty, None)) for tag in tags
        ]
        return list[one_of(*made)]  # type: ignore[misc]

    contents = parts("input_text", "output_text")
    message = struct("Message", "message", more[0], ("role", str), ("content", contents), *more[1:3], notes)
    reasoning = struct(
        "Reasoning",
        "reasoning",
        more[0],
        ("summary", parts("summary_text")),
        ("content", one_of(parts("reasoning_text", "text"), None), None),
        ("encrypted_content", text, None),
        more[1],
        notes,
    )
    name, call_id = ("name", str), ("call_id", str)
    call = struct("Call", "function_call", more[0], name, ("arguments", str), call_id, more[1], more[3], notes)
    custom = struct("Custom", "custom_tool_call", name, ("input", str), call_id, more[0], more[1], more[3], notes)
    output = (call_id, ("output", one_of(str, contents)), more[0], notes)
    output_of_call = struct("Output", "function_call_output", *output)
    output_of_custom = struct("CustomOutput", "custom_tool_call_output", *output)
    items: dict[type, Known] = {
        message: Known("message", "message", {("role",): attrgetter("role"), ("text",): _said}),
        reasoning: Known("reasoning", "reasoning", {("text",): _thought}),
        call: Known("function_call", "tool_call", {**_CALL, ("arguments",): attrgetter("arguments")}),
        custom: Known("custom_tool_call", "tool_call", {**_CALL, ("arguments",): attrgetter("input")}),
        output_of_call: Known("function_call_output", "tool_output", _OUTPUT),
        output_of_custom: Known("custom_tool_call_output", "tool_output", _OUTPUT),
    }
    ordinal, about = ("ordinal", one_of(number, None), None), ("metadata", nested(3), None)
    payload = ("payload", one_of(*items))
    wrapped = struct("Wrapped", "response_item", _STAMP, payload, ordinal, about)
    others: dict[type, str] = {
        struct(tag, tag, _STAMP, ("payload", dict[str, nested(depth)]), ordinal, about): tag  # type: ignore[misc]
        for tag, depth in _OTHERS.items()
    }
    decoder = msgspec.json.Decoder(one_of(wrapped, *others, *items))
    return Reader(decoder.decode, (msgspec.MsgspecError, UnicodeDecodeError, RecursionError), items, others, wrapped)


# Other wrapped lines, and how deep they are nested, nearly always.
_OTHERS = {"event_msg": 4, "token_usage_record": 1, "turn_context": 3, "compacted": 4}


def one_of(*types: Any) -> Any:
    """Return the type of a value of one of *types*."""
    return Union[types]  # noqa: UP007 (these are values, not annotations)


# --- the values of rows, as the rules of `_rules` say -----------------------------------------------------------------


def _said(item: Any) -> str:
    content = item.content
    return content[0].text if len(content) == 1 else _joined(content, "")


def _thought(item: Any) -> str:
    return _joined([*item.summary, *(item.content or ())], "\n\n")


def call_id_of(item: Any) -> str | None:
    """Return the id by which a call and its output are known."""
    return item.call_id or item.id  # type: ignore[no-any-return]


def _output(item: Any) -> str:
    output = item.output
    return output if type(output) is str else _joined(output, "")


def _outcome(item: Any) -> tuple[int | None, bool | None]:
    output = item.output
    if type(output) is not str:
        output = [{"type": part.__struct_config__.tag, "text": part.text} for part in output]
    return outcome_of({"type": item.__struct_config__.tag, "output": output})


def _joined(parts: Any, separator: str) -> str:
    return separator.join([part.text for part in parts if part.text])


_CALL: Mapping[tuple[str, ...], Callable[[Any], Any]] = {("call_id",): call_id_of, ("name",): attrgetter("name")}
_OUTPUT: Mapping[tuple[str, ...], Callable[[Any], Any]] = {
    ("call_id",): call_id_of,
    ("text",): _output,
    ("exit_code", "is_error"): _outcome,
}
