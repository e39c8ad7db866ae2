"""`from_messages`: messages of the Chat Completions API or of Anthropic's, as items."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from .._format.coerce import to_item
from .._item import CLASSES, Item
from .._json import dumps
from .._plain import plain
from .._repr import shortened
from .._responses.rules import IS_ERROR
from .._shapes import Wire
from ..exceptions import InvalidItemError, NotCarriedWarning

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# Keys that are read here, and those around a message of an answer, which say nothing to a model.
_READ = frozenset({"role", "content", "type", "tool_calls", "function_call", "refusal", "tool_call_id"})
_AROUND = frozenset({"id", "model", "stop_reason", "stop_sequence", "stop_details", "usage", "container", "object"})


def from_messages(messages: Iterable[Any], *, system: str | Iterable[Mapping[str, Any]] | None = None) -> list[Item]:
    """Return *messages* of the Chat Completions API, or of Anthropic's, as items, which a session can record.

    Texts, images, refusals, calls of functions and of custom tools, and their outputs are carried over. A call becomes
    an item of its own, as in the Responses API. Everything else is left out, with a `NotCarriedWarning` for each.

    Args:
        messages: dicts, or objects of an SDK with a ``to_dict()``. Items are returned as they are.
        system: the text, or the blocks, that Anthropic's API takes beside the messages. It becomes the first item.

    Raises:
        InvalidItemError: a message is of neither shape. The error names its place.

    Example:
        >>> import rolloutlog
        >>> call = {"id": "c1", "type": "function", "function": {"name": "sky", "arguments": "{}"}}
        >>> items = rolloutlog.from_messages([
        ...     {"role": "user", "content": "Will it rain?"},
        ...     {"role": "assistant", "content": None, "tool_calls": [call]},
        ...     {"role": "tool", "tool_call_id": "c1", "content": "clear"},
        ... ])
        >>> [item.type for item in items]
        ['message', 'function_call', 'function_call_output']
    """
    incoming = Incoming()
    if system is not None:
        incoming.add({"role": "system", "content": system if isinstance(system, str) else list(system)}, "system")
    if isinstance(messages, Mapping | str):
        raise InvalidItemError("messages", f"expected a list of messages; got {type(messages).__name__}")
    for index, message in enumerate(messages):
        incoming.add(message, f"messages[{index}]")
    for where, what in incoming.told:
        warnings.warn(NotCarriedWarning(where, what), stacklevel=2)
    return incoming.items


class Incoming:
    """Converts messages one by one.

    Args:
        reasoning: whether thinking of Anthropic's API, and the key ``reasoning_content``, become reasoning.

    Attributes:
        items: the items so far.
        told: the places of values that were left out, and what they were.
    """

    def __init__(self, *, reasoning: bool = False) -> None:
        self.items: list[Item] = []
        self._reasoning = reasoning
        self.told: list[tuple[str, str]] = []
        self._custom: set[str] = set()  # the ids of calls of custom tools
        self._named: dict[str, str] = {}  # from the name of a function to the id made for its last call without one

    def add(self, message: Any, where: str) -> None:
        """Add the items of *message*."""
        if isinstance(message, Item):
            self.items.append(message)
            return
        value = _dict_of(message, where)
        if value.get("type", "message") != "message" and value["type"] in CLASSES:
            self._make(value, where)
            return
        role = value.get("role")
        if role not in _ROLES:
            came = shortened(role) if isinstance(role, str) else type(role).__name__
            raise InvalidItemError(f"{where}.role", f"expected one of {', '.join(_ROLES)}; got {came}")
        if role in ("tool", "function"):
            self._add_output(value, where)
        else:
            if self._reasoning and isinstance(thought := value.get("reasoning_content"), str) and thought:
                self._add_reasoning(thought, where)
            self._add_said(value, role, where)
        known = {"name"} if role == "function" else {"reasoning_content"} if self._reasoning else set()
        self._tell_keys(value, _READ | _AROUND | known, where)

    def _add_reasoning(self, text: str, where: str) -> None:
        self._make(
            {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]},
            where,
        )

    def _add_said(self, value: Wire, role: str, where: str) -> None:
        before = len(self.items), len(self.told)
        content = value.get("content")
        parts: list[Wire] = []
        if isinstance(content, str):
            if content or not (value.get("tool_calls") or value.get("function_call") or value.get("refusal")):
                parts.append({"type": _text_type(role), "text": content})
        elif isinstance(content, list | tuple):
            for index, part in enumerate(content):
                self._add_part(part, role, parts, f"{where}.content[{index}]")
        elif content is not None:
            raise InvalidItemError(
                f"{where}.content", f"expected a text, a list of parts, or None; got {type(content).__name__}"
            )
        if isinstance(value.get("refusal"), str):
            parts.append({"type": "refusal", "refusal": value["refusal"]})
        self._flush(role, parts, where)
        for index, call in enumerate(value.get("tool_calls") or ()):
            self._add_call(_dict_of(call, f"{where}.tool_calls[{index}]"), f"{where}.tool_calls[{index}]")
        if value.get("function_call"):
            self._add_old_call(_dict_of(value["function_call"], f"{where}.function_call"), f"{where}.function_call")
        if before == (len(self.items), len(self.told)):
            self.told.append((where, "a message without content"))

    def _flush(self, role: str, parts: list[Wire], where: str) -> None:
        """Add the message of *parts*, and empty them."""
        if parts:
            self._make({"type": "message", "role": role, "content": parts[:]}, where)
            parts.clear()

    def _add_part(self, given: Any, role: str, parts: list[Wire], where: str) -> None:
        """Add one part of a content: to *parts*, or as an item of its own."""
        part = {"type": "text", "text": given} if isinstance(given, str) else _dict_of(given, where)
        kind = part.get("type")
        if kind == "tool_use":
            self._flush(role, parts, where)
            given = part.get("input")
            arguments = given if isinstance(given, str) else dumps(plain(given or {}, f"{where}.input")).decode()
            self._make(_call(part.get("id"), part.get("name"), arguments), where)
            self._tell_keys(part, {"type", "id", "name", "input"}, where)
        elif kind == "tool_result":
            self._flush(role, parts, where)
            output = self._output(part.get("content"), where)
            error = {IS_ERROR: True} if part.get("is_error") is True else {}
            self._make_output(part.get("tool_use_id"), output, where, error)
            self._tell_keys(part, {"type", "tool_use_id", "content", "is_error"}, where)
        elif kind == "thinking" and self._reasoning and isinstance(part.get("thinking"), str):
            self._flush(role, parts, where)
            if part["thinking"]:
                self._add_reasoning(part["thinking"], where)
            else:
                self.told.append((where, "thinking that only its signature tells"))
            self._tell_keys(part, {"type", "thinking"}, where)
        elif (made := self._part(part, role, where)) is not None:
            parts.append(made)

    def _part(self, part: Wire, role: str, where: str) -> Wire | None:
        """Return *part* as a part of a message or an output; `None` if it is not carried."""
        kind = part.get("type")
        if kind in ("text", "input_text", "output_text"):
            self._tell_keys(part, {"type", "text"}, where)
            return {"type": _text_type(role), "text": part.get("text")}
        if kind == "refusal" and role == "assistant":
            return {"type": "refusal", "refusal": part.get("refusal")}
        image = _image(part) if kind in ("image_url", "image", "input_image") and role != "assistant" else None
        if image is None:
            name = shortened(kind) if isinstance(kind, str) else type(kind).__name__
            self.told.append((where, f"a part of the type {name}"))
        elif kind == "image":
            self._tell_keys(part, {"type", "source"}, where)
        return image

    def _add_call(self, call: Wire, where: str) -> None:
        if call.get("type") == "custom":
            tool = _dict_of(call.get("custom"), f"{where}.custom")
            call_id = _text(call.get("id"), f"{where}.id")
            given = {key: _text(tool.get(key), f"{where}.custom.{key}") for key in ("name", "input")}
            self._custom.add(call_id)
            self._make({"type": "custom_tool_call", "call_id": call_id, **given}, where)
            return
        tool = _dict_of(call.get("function"), f"{where}.function")
        self._make(_call(call.get("id"), tool.get("name"), tool.get("arguments")), where)

    def _add_old_call(self, call: Wire, where: str) -> None:
        """Add a call as the first version of the API wrote it: without an id, so one is made."""
        name = _text(call.get("name"), f"{where}.name")
        self._named[name] = made = f"call_{len(self.items)}_{name}"[:64]
        self._make(_call(made, name, call.get("arguments")), where)

    def _add_output(self, value: Wire, where: str) -> None:
        if value["role"] == "tool":
            call_id = value.get("tool_call_id")
        else:
            name = value.get("name")
            call_id = self._named.get(name) if isinstance(name, str) else None
            if call_id is None:
                raise InvalidItemError(f"{where}.name", "expected the name of a function that was called before")
        self._make_output(call_id, self._output(value.get("content"), where), where, {})

    def _make_output(self, call_id: Any, output: str | list[Wire], where: str, extra: Wire) -> None:
        call_id = _text(call_id, f"{where}: the id of the call")
        kind = "custom_tool_call_output" if call_id in self._custom else "function_call_output"
        self._make({"type": kind, "call_id": call_id, "output": output, **extra}, where)

    def _output(self, content: Any, where: str) -> str | list[Wire]:
        """Return the output of a tool: text, or parts."""
        if content is None or isinstance(content, str):
            return content or ""
        if not isinstance(content, list | tuple):
            raise InvalidItemError(
                f"{where}.content", f"expected a text or a list of parts; got {type(content).__name__}"
            )
        places = [f"{where}.content[{index}]" for index in range(len(content))]
        made = [self._part(_dict_of(part, place), "tool", place) for part, place in zip(content, places, strict=True)]
        return [part for part in made if part is not None]

    def _make(self, value: Wire, where: str) -> None:
        try:
            self.items.append(to_item(value))
        except InvalidItemError as error:
            raise InvalidItemError(f"{where}: {error.where}", error.problem) from None

    def _tell_keys(self, value: Wire, known: Iterable[str], where: str) -> None:
        """Tell of the keys of *value* that hold something and are not among the *known*."""
        for key in value.keys() - set(known):
            if value[key] not in (None, [], {}, "", False):
                self.told.append((where, f"the key {shortened(str(key))}"))


def _dict_of(value: Any, where: str) -> Wire:
    """Return a dict, or the dict of the object of an SDK."""
    convert = getattr(value, "to_dict", None)
    given = convert() if callable(convert) else value
    if not isinstance(given, Mapping):
        raise InvalidItemError(where, f"expected a dict or an object with to_dict(); got {type(value).__name__}")
    return dict(given)


def _text_type(role: str) -> str:
    return "output_text" if role == "assistant" else "input_text"


def _call(call_id: Any, name: Any, arguments: Any) -> Wire:
    return {"type": "function_call", "name": name, "arguments": arguments, "call_id": call_id}


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidItemError(where, f"must be a string; got {type(value).__name__}")
    return value


def _image(part: Wire) -> Wire | None:
    """Return an image of either API as a part; `None` if it has no URL and no data."""
    if part["type"] == "input_image":
        return part
    if part["type"] == "image":
        source = part.get("source")
        if not isinstance(source, Mapping):
            return None
        if source.get("type") == "base64":
            url: Any = f"data:{source.get('media_type')};base64,{source.get('data')}"
        else:
            url = source.get("url")
        return {"type": "input_image", "image_url": url} if isinstance(url, str) else None
    image = part.get("image_url")
    if isinstance(image, str):
        return {"type": "input_image", "image_url": image}
    if not isinstance(image, Mapping) or not isinstance(image.get("url"), str):
        return None
    detail = {"detail": image["detail"]} if isinstance(image.get("detail"), str) else {}
    return {"type": "input_image", "image_url": image["url"], **detail}
