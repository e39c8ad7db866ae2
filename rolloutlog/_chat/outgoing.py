"""`to_messages`: items as messages of the Chat Completions API or of Anthropic's."""

from __future__ import annotations

import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from .._format.coerce import ItemLike, to_item
from .._item import joined
from .._json import InvalidJson, loads
from .._repr import shortened
from .._responses.calls import arrange, find_orphans, marked_answer
from .._responses.input import OrphanPolicy
from .._responses.rules import IS_ERROR
from .._shapes import Wire
from ..exceptions import NotCarriedWarning, OrphanCallError

MessageApi: TypeAlias = Literal["chat", "anthropic"]

_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)


def to_messages(
    items: Iterable[ItemLike],
    *,
    api: MessageApi = "chat",
    orphans: OrphanPolicy = "close",
    reasoning: bool = False,
) -> list[Any]:
    """Return *items* as messages of another API, such as `Session.context` as those of Chat Completions.

    Calls go into the message of the model before them, and their outputs right after it, as these APIs require. Items
    and parts that the API has no place for are left out, with a `NotCarriedWarning` for each: reasoning, hosted tools,
    files, images in outputs (Chat Completions) and messages of the system (Anthropic: pass them as ``system=``).

    Args:
        items: items, or values that can be recorded as one.
        api: ``"chat"`` for Chat Completions, ``"anthropic"`` for Anthropic's Messages.
        orphans: what to do about calls without an output, and outputs without a call: ``"close"`` answers the calls
            with a marked output and leaves out the outputs, ``"keep"`` keeps both, ``"raise"`` raises.
        reasoning: whether the text of reasoning, or else its summary, becomes the key ``reasoning_content`` of the
            model's message after it. Some servers of Chat Completions and some trainers know this key; OpenAI's API
            does not. Reasoning without a text is left out.

    Raises:
        OrphanCallError: there are such items, with ``orphans="raise"``.
        InvalidItemError: one of *items* is not an item.
        ValueError: there is no such API or policy, or *reasoning* for Anthropic's API, which takes only reasoning that
            it signed itself.

    Example:
        >>> import rolloutlog
        >>> call = rolloutlog.FunctionCall("sky", "{}", "c1")
        >>> rolloutlog.to_messages([rolloutlog.Message.user("Will it rain?"), call, call.answer("no")])[0]
        {'role': 'user', 'content': 'Will it rain?'}
    """
    messages, told = converted(items, api, orphans, reasoning)
    for place, what in told:
        warnings.warn(NotCarriedWarning(place, what), stacklevel=2)
    return messages


def converted(
    items: Iterable[ItemLike], api: MessageApi, orphans: OrphanPolicy, reasoning: bool
) -> tuple[list[Wire], list[tuple[str, str]]]:
    """Return the messages of `to_messages`, and the places of values that were left out, and what they were."""
    if api not in ("chat", "anthropic"):
        raise ValueError(f"api must be 'chat' or 'anthropic'; got {api!r}")
    if orphans not in ("close", "keep", "raise"):
        raise ValueError(f"orphans must be 'close', 'keep' or 'raise'; got {orphans!r}")
    if reasoning and api != "chat":
        raise ValueError("reasoning can only be True with api='chat'")
    given = [item._read() for item in map(to_item, items) if item.json]
    values = [given[place] for place in arrange(given).order]
    found = find_orphans(values)
    if orphans == "raise" and (wrong := sorted(found.calls | found.outputs)):
        raise OrphanCallError([str(values[at].get("call_id") or values[at]["type"]) for at in wrong])
    answers: dict[int, Wire] = {call: values[output] for output, call in found.pairs.items()}
    if orphans == "close":
        answers |= {call: made for call in found.calls if (made := marked_answer(values[call])) is not None}
    outgoing = _Chat() if api == "chat" else _Anthropic()
    for index, value in enumerate(values):
        kind, where = value["type"], f"items[{index}]"
        if kind in _OUTPUTS and index not in found.pairs:
            outgoing.end_turn()
            if orphans == "keep":
                outgoing.add_outputs([value], where)
            else:
                outgoing.tell(where, "an output without its call")
        elif kind in _OUTPUTS and values[found.pairs[index]]["type"] in _CALLS:
            outgoing.end_turn()  # which brings this output
        elif kind in _CALLS:
            outgoing.add_call(value, answers.get(index), where)
        elif kind == "message" and value["role"] == "assistant":
            outgoing.begin_turn(value, where)
        elif kind == "message":
            outgoing.end_turn()
            outgoing.drop_reasoning()
            outgoing.add_message(value, where)
        elif kind == "reasoning" and reasoning and (text := _text_of(value)):
            outgoing.add_reasoning(text, where)
        else:
            outgoing.tell(where, f"an item of the type {shortened(kind)}")
    outgoing.end_turn()
    outgoing.drop_reasoning()
    return outgoing.messages, outgoing.told


def _text_of(reasoning: Wire) -> str:
    """Return the text of *reasoning*, or else its summary."""
    return joined(reasoning.get("content") or (), "\n\n") or joined(reasoning.get("summary") or (), "\n\n")


class _Outgoing(ABC):
    """Builds the messages of one API. A turn is what the model said at once: at most one message, and calls.

    Attributes:
        messages: the messages so far.
        told: the places of values that were left out, and what they were.
    """

    def __init__(self) -> None:
        self.messages: list[Wire] = []
        self.told: list[tuple[str, str]] = []
        self._said: list[Wire] = []
        self._calls: list[Wire] = []
        self._answers: list[Wire] = []
        self._where = ""
        self._thought: list[tuple[str, str]] = []  # reasoning before the turn: its places and texts

    def tell(self, where: str, what: str) -> None:
        """Remember that something is not carried."""
        self.told.append((where, what))

    def begin_turn(self, value: Wire, where: str) -> None:
        """Begin a turn with a message of the model's."""
        self.end_turn()
        self._where = where
        self._said = self._parts(value["content"], f"{where}.content")

    def add_reasoning(self, text: str, where: str) -> None:
        """Add reasoning to the turn that begins after it."""
        if self._said or self._calls:
            self.end_turn()
        self._thought.append((where, text))

    def drop_reasoning(self) -> None:
        """Leave out reasoning that led to nothing."""
        for where, _ in self._thought:
            self.tell(where, "reasoning without a message of the model after it")
        self._thought.clear()

    def add_call(self, call: Wire, answer: Wire | None, where: str) -> None:
        """Add a call to the turn, and its output to what follows."""
        self._where = self._where or where
        self._calls.append(self._call(call, where))
        if answer is not None:
            self._answers.append(answer)

    def end_turn(self) -> None:
        """Add the message of the turn, and the outputs of its calls after it."""
        said, calls, answers, where = self._said, self._calls, self._answers, self._where
        self._said, self._calls, self._answers, self._where = [], [], [], ""
        if said or calls:
            self._add_turn(said, calls)
            if self._thought:
                self.messages[-1]["reasoning_content"] = "\n\n".join(text for _, text in self._thought)
                self._thought = []
        if answers:
            self.add_outputs(answers, where)

    def add_message(self, value: Wire, where: str) -> None:
        """Add a message to the model."""
        parts = self._parts(value["content"], f"{where}.content")
        if parts:
            self.messages.append({"role": value["role"], "content": _short(parts)})

    @abstractmethod
    def add_outputs(self, outputs: list[Wire], where: str) -> None:
        """Add the outputs of the calls of one turn."""

    @abstractmethod
    def _add_turn(self, said: list[Wire], calls: list[Wire]) -> None:
        """Add one turn of the model."""

    @abstractmethod
    def _call(self, call: Wire, where: str) -> Wire:
        """Return *call* in the shape of the API."""

    def _parts(self, parts: Any, where: str) -> list[Wire]:
        """Return the parts of a content that the API has a place for."""
        made = []
        for index, part in enumerate(parts):
            place = f"{where}[{index}]"
            if part["type"] in ("input_text", "output_text") or (part["type"] == "text" and "text" in part):
                made.append({"type": "text", "text": part["text"]})
            elif (other := self._part(part)) is not None:
                made.append(other)
            else:
                self.tell(place, f"a part of the type {shortened(part['type'])}")
        return made

    @abstractmethod
    def _part(self, part: Wire) -> Wire | None:
        """Return a part that is not a text; `None` if it is not carried."""


class _Chat(_Outgoing):
    """The Chat Completions API."""

    def add_outputs(self, outputs: list[Wire], where: str) -> None:
        for output in outputs:
            content = output["output"]
            if not isinstance(content, str):
                made = self._parts(content, f"{where}: an output")
                content = [part for part in made if part["type"] == "text"]
                if len(content) < len(made):
                    self.tell(where, "an image in the output of a tool")
            self.messages.append({"role": "tool", "tool_call_id": output["call_id"], "content": content})

    def _add_turn(self, said: list[Wire], calls: list[Wire]) -> None:
        message: Wire = {"role": "assistant", "content": _short(said) if said else None}
        if calls:
            message["tool_calls"] = calls
        self.messages.append(message)

    def _call(self, call: Wire, where: str) -> Wire:
        if call["type"] == "custom_tool_call":
            custom = {"name": call.get("name"), "input": call.get("input")}
            return {"id": call.get("call_id"), "type": "custom", "custom": custom}
        function = {"name": call["name"], "arguments": call["arguments"]}
        return {"id": call["call_id"], "type": "function", "function": function}

    def _part(self, part: Wire) -> Wire | None:
        if part["type"] == "refusal":
            return {"type": "refusal", "refusal": part.get("refusal")}
        if part["type"] == "input_image" and isinstance(part.get("image_url"), str):
            detail = {"detail": part["detail"]} if isinstance(part.get("detail"), str) else {}
            return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
        return None


class _Anthropic(_Outgoing):
    """Anthropic's Messages API, which refuses empty texts."""

    def add_message(self, value: Wire, where: str) -> None:
        if value["role"] != "user":
            self.tell(where, f"a message of the role {shortened(value['role'])}; pass its text as system=")
            return
        super().add_message(value, where)

    def add_outputs(self, outputs: list[Wire], where: str) -> None:
        self.messages.append({"role": "user", "content": [self._result(output, where) for output in outputs]})

    def _result(self, output: Wire, where: str) -> Wire:
        content = output["output"]
        content = content if isinstance(content, str) else self._parts(content, f"{where}: an output")
        error = {"is_error": True} if output.get(IS_ERROR) is True else {}
        return {"type": "tool_result", "tool_use_id": output["call_id"], "content": content, **error}

    def _add_turn(self, said: list[Wire], calls: list[Wire]) -> None:
        self.messages.append({"role": "assistant", "content": [*said, *calls] if calls else _short(said)})

    def _call(self, call: Wire, where: str) -> Wire:
        given: Any = {"input": call.get("input")}
        if call["type"] == "custom_tool_call":
            self.tell(where, "the form of the call of a custom tool; its text is the key 'input' of an object")
        else:
            given = _object(call["arguments"])
            if given is None:
                self.tell(where, "arguments that are not a JSON object")
        return {"type": "tool_use", "id": call.get("call_id"), "name": call.get("name"), "input": given or {}}

    def _parts(self, parts: Any, where: str) -> list[Wire]:
        return [part for part in super()._parts(parts, where) if part["type"] != "text" or part["text"]]

    def _part(self, part: Wire) -> Wire | None:
        url = part.get("image_url")
        if part["type"] != "input_image" or not isinstance(url, str):
            return None
        data = _DATA.fullmatch(url)
        if data is None:
            return {"type": "image", "source": {"type": "url", "url": url}}
        return {"type": "image", "source": {"type": "base64", "media_type": data[1], "data": data[2]}}


def _short(parts: list[Wire]) -> str | list[Wire]:
    """Return the text of a single part, as most messages are written; else the *parts*."""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _object(text: str) -> Mapping[str, Any] | None:
    """Return the JSON object that *text* holds, if it is one."""
    try:
        value = loads(text.encode())
    except (InvalidJson, ValueError):
        return None
    return value if isinstance(value, dict) else None
