"""The values of a session: the kinds of item that an agent's input and output are made of, and their parts.

Each item is one JSON object with names for its keys. An item keeps the keys that its class does not know in ``extra``;
a kind that no class knows is an `Other`, a part an `OtherPart`, a shell action an `OtherAction`, so nothing is lost. A
``repr`` here shows the first 40 characters of a text, with escapes for all that a terminal obeys or hides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeAlias, TypeGuard

from ._checks import EMPTY
from ._item import Item, Key, Other, joined, made
from ._kinds import (
    AdditionalTools,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CodeInterpreterCall,
    Compaction,
    CompactionTrigger,
    ComputerCall,
    ComputerCallOutput,
    ConfigurationUpdate,
    CustomToolCall,
    CustomToolCallOutput,
    FileSearchCall,
    ImageGenerationCall,
    ItemReference,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    Program,
    ProgramOutput,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
    WebSearchCall,
)
from ._parts import (
    CONTENT,
    REASONING,
    SUMMARY,
    Action,
    ContentPart,
    ExecAction,
    InputImage,
    InputText,
    OtherAction,
    OtherPart,
    OutputText,
    ReasoningText,
    SummaryText,
    read_action,
    read_parts,
    written_action,
    written_parts,
)
from ._plain import quoted
from ._repr import shortened, shown
from ._shapes import check_role
from .exceptions import InvalidItemError

__all__ = [
    "Action",
    "AdditionalTools",
    "ApplyPatchCall",
    "ApplyPatchCallOutput",
    "Call",
    "CodeInterpreterCall",
    "Compaction",
    "CompactionTrigger",
    "ComputerCall",
    "ComputerCallOutput",
    "ConfigurationUpdate",
    "ContentPart",
    "CustomToolCall",
    "CustomToolCallOutput",
    "ExecAction",
    "FileSearchCall",
    "FunctionCall",
    "FunctionCallOutput",
    "ImageGenerationCall",
    "InputImage",
    "InputText",
    "Item",
    "ItemReference",
    "LocalShellCall",
    "LocalShellCallOutput",
    "McpApprovalRequest",
    "McpApprovalResponse",
    "McpCall",
    "McpListTools",
    "Message",
    "Other",
    "OtherAction",
    "OtherPart",
    "OutputText",
    "Program",
    "ProgramOutput",
    "Reasoning",
    "ReasoningText",
    "ResponseItem",
    "ShellCall",
    "ShellCallOutput",
    "SummaryText",
    "ToolSearchCall",
    "ToolSearchOutput",
    "WebSearchCall",
    "is_item",
]


_Text = Key[str]
_TextOrNone = Key[str | None]


class Message(Item, kind="message"):
    """A message of the user, the model, the system or the developer.

    Args:
        role: ``"user"``, ``"assistant"``, ``"system"`` or ``"developer"``.
        content: the parts, in order.
        id: the id that the API gave it.
        extra: further keys, written after the others.

    >>> Message.user("What is the weather in Oslo?").text
    'What is the weather in Oslo?'
    """

    __slots__ = ()
    role, id = _Text(), _TextOrNone()
    content = Key[tuple[ContentPart, ...]](lambda raws: read_parts(raws, CONTENT))
    __match_args__ = ("role", "content")

    def __init__(
        self, role: str, content: Iterable[ContentPart], id: str | None = None, *, extra: Mapping[str, Any] = EMPTY
    ) -> None:
        check_role(role)
        parts = written_parts(content, CONTENT, "message.content")
        self._fill({"id": id, "role": role, "content": parts}, extra)

    @classmethod
    def user(cls, text: str) -> Message:
        """Return a message of the user: one `InputText`."""
        return _message(b"user", b"input_text", text)

    @classmethod
    def assistant(cls, text: str) -> Message:
        """Return a message of the model: one `OutputText`."""
        return _message(b"assistant", b"output_text", text)

    @classmethod
    def system(cls, text: str) -> Message:
        """Return a system message: one `InputText`."""
        return _message(b"system", b"input_text", text)

    @classmethod
    def developer(cls, text: str) -> Message:
        """Return a developer message: one `InputText`."""
        return _message(b"developer", b"input_text", text)

    def replace(self, **changes: Any) -> Self:
        """Return a copy of the message with some values replaced, as `Item.replace` does.

        >>> Message.user("Hello").replace(role="assistant").role
        'assistant'
        """
        check_role(changes.get("role"))
        return super().replace(**changes)

    __replace__ = replace

    @property
    def text(self) -> str:
        """The text of all parts, joined without anything between."""
        return joined(self._read()["content"], "")

    def __repr__(self) -> str:
        return f"Message(role={shortened(self.role)}, {shown(self.text)})"


class Reasoning(Item, kind="reasoning"):
    """The model's thoughts, as far as it shows them.

    Args:
        id: the id that the API gave it, or `None`.
        summary: the paragraphs of the summary.
        content: raw reasoning, where the model shows it.
        encrypted_content: the whole of it, as only the API can read it.
        extra: further keys, written after the others.

    >>> Reasoning("rs_1", [SummaryText("Ask for the city.")]).text
    'Ask for the city.'
    """

    __slots__ = ()
    id, encrypted_content = _TextOrNone(), _TextOrNone()
    summary = Key[tuple[SummaryText | OtherPart, ...]](lambda raws: read_parts(raws, SUMMARY))
    content = Key[tuple[ReasoningText | OtherPart, ...] | None](lambda raws: read_parts(raws, REASONING))
    __match_args__ = ("id", "summary")

    def __init__(
        self,
        id: str | None,
        summary: Iterable[SummaryText | OtherPart] = (),
        content: Iterable[ReasoningText | OtherPart] | None = None,
        encrypted_content: str | None = None,
        *,
        extra: Mapping[str, Any] = EMPTY,
    ) -> None:
        known: dict[str, Any] = {"id": id, "summary": written_parts(summary, SUMMARY, "reasoning.summary")}
        if content is not None:  # real Codex leaves this one out
            known["content"] = written_parts(content, REASONING, "reasoning.content")
        self._fill({**known, "encrypted_content": encrypted_content}, extra)

    @property
    def text(self) -> str:
        """The paragraphs of the summary and of the raw reasoning, with an empty line between."""
        value = self._read()
        return joined([*value["summary"], *(value.get("content") or ())], "\n\n")

    def __repr__(self) -> str:
        return f"Reasoning(id={shortened(self.id)}, {shown(self.text)})"


class LocalShellCall(Item, kind="local_shell_call"):
    """The model asks for a command to be run by the built-in shell tool.

    Args:
        id: the id that the API gave it, or `None`.
        call_id: the id by which an output answers it; older models have none, and use ``id``.
        status: ``"completed"``, ``"in_progress"`` or ``"incomplete"``.
        action: the command.
        extra: further keys, written after the others.

    >>> call = LocalShellCall(None, "call_1", "completed", ExecAction(["ls", "-l"]))
    >>> call.action.command, call.answer("total 0")
    (('ls', '-l'), FunctionCallOutput(call_id='call_1', 'total 0'))
    """

    __slots__ = ()
    id, call_id, status = _TextOrNone(), _TextOrNone(), _Text()
    action = Key[Action](read_action)
    __match_args__ = ("id", "call_id", "status", "action")

    def __init__(
        self, id: str | None, call_id: str | None, status: str, action: Action, *, extra: Mapping[str, Any] = EMPTY
    ) -> None:
        known = {"id": id, "call_id": call_id, "status": status, "action": written_action(action)}
        self._fill(known, extra)

    def __repr__(self) -> str:
        return f"LocalShellCall(call_id={shortened(self.call_id)}, status={shortened(self.status)}, {self.action!r})"


class FunctionCall(Item, kind="function_call"):
    """The model asks for a tool to be called.

    Args:
        name: the tool.
        arguments: the text that the model wrote, JSON or not; ``args`` is the parsed dict.
        call_id: the id by which an output answers it.
        id: the id that the API gave the item.
        extra: further keys, written after the others.

    >>> FunctionCall("weather", '{"city": "Oslo"}', "call_1").args
    {'city': 'Oslo'}
    """

    __slots__ = ()
    name, arguments, call_id, id = _Text(), _Text(), _Text(), _TextOrNone()
    __match_args__ = ("name", "arguments", "call_id")

    def __init__(
        self, name: str, arguments: str, call_id: str, id: str | None = None, *, extra: Mapping[str, Any] = EMPTY
    ) -> None:
        self._fill({"id": id, "name": name, "arguments": arguments, "call_id": call_id}, extra)

    @property
    def args(self) -> dict[str, Any]:
        """The arguments, parsed at each access.

        Raises:
            InvalidItemError: the model wrote something that is not a JSON object.
        """
        try:
            parsed = json.loads(self.arguments)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            # Not from the cause, which would hold the text.
            raise InvalidItemError("function_call.arguments", "is not a JSON object") from None
        return parsed

    def __repr__(self) -> str:
        arguments = shown(self.arguments)
        return f"FunctionCall(name={shortened(self.name)}, call_id={shortened(self.call_id)}, {arguments})"


class FunctionCallOutput(Item, kind="function_call_output"):
    """The output of a tool call.

    Args:
        call_id: the call that it answers; `None` for the output of a tool that no model has called.
        output: text, or parts.
        extra: further keys, written after the others.

    >>> FunctionCallOutput("call_1", "sunny").text
    'sunny'
    """

    __slots__ = ()
    call_id = _TextOrNone()
    output = Key[str | tuple[ContentPart, ...]](lambda raws: read_parts(raws, CONTENT))
    __match_args__ = ("call_id", "output")

    def __init__(
        self, call_id: str | None, output: str | Iterable[ContentPart], *, extra: Mapping[str, Any] = EMPTY
    ) -> None:
        written = output if isinstance(output, str) else written_parts(output, CONTENT, "function_call_output.output")
        self._fill({"call_id": call_id, "output": written}, extra)

    @classmethod
    def of(cls, call: FunctionCall | LocalShellCall, output: Any) -> FunctionCallOutput:
        """Return the output of *call*. It names the ``caller`` of the call, if there is one: a program of the model's.

        Args:
            call: a function call or a local shell call; `Item.answer` answers calls of all kinds.
            output: text, parts, or plain data, which becomes JSON text.

        Raises:
            InvalidItemError: *call* is of another kind or has no ``call_id``, or *output* is none of these.

        Example:
            >>> FunctionCallOutput.of(FunctionCall("weather", "{}", "call_1"), {"sky": "clear"})
            FunctionCallOutput(call_id='call_1', '{"sky":"clear"}')
        """
        given: object = call
        if not isinstance(given, FunctionCall | LocalShellCall):
            what = f"a {given.type!r}" if isinstance(given, Item) else type(given).__name__
            raise InvalidItemError(
                "FunctionCallOutput.of",
                f"expected a FunctionCall or a LocalShellCall; got {what}; item.answer(output) and"
                " session.answer(call, output) make an output of the right kind for each call",
            )
        if call.call_id is None:
            raise InvalidItemError(f"{call.type}.call_id", "is None, so no output can answer it")
        return call.answer(output)  # type: ignore[return-value]

    @property
    def text(self) -> str:
        """The output, or the text of its parts, joined without anything between."""
        output = self._read()["output"]
        return output if isinstance(output, str) else joined(output, "")

    def __repr__(self) -> str:
        return f"FunctionCallOutput(call_id={shortened(self.call_id)}, {shown(self.text)})"


ResponseItem: TypeAlias = Item

Call: TypeAlias = (
    FunctionCall
    | CustomToolCall
    | LocalShellCall
    | ShellCall
    | ApplyPatchCall
    | ComputerCall
    | ToolSearchCall
    | McpApprovalRequest
)
"""A call that the caller carries out, and answers with `Item.answer`."""


def is_item(value: object) -> TypeGuard[Item]:
    """Whether *value* is an item: a value of one of the classes here, not a dict that could become one.

    >>> is_item(Message.user("Hello")), is_item({"role": "user", "content": "Hello"})
    (True, False)
    """
    return isinstance(value, Item)


def _message(role: bytes, part: bytes, text: str) -> Message:
    """Return the message of one text, without building a dict of it first."""
    if type(text) is not str:
        return Message(role.decode(), (InputText(text) if part == b"input_text" else OutputText(text),))
    where = part.decode()
    data = b'{"type":"message","id":null,"role":"%b","content":[{"type":"%b","text":%b}]}'
    return made(Message, data % (role, part, quoted(text, f"{where}.text")))
