"""The values of a session: the kinds of item that an agent's input and output are made of, and their parts.

Everything here is frozen, compared by value and free of I/O. An item keeps the keys that its class does not know in
``extra``; a kind that no class knows is an `Other`, a part an `OtherPart`, a shell action an `OtherAction`: nothing
that came in is lost. No ``repr`` here holds the text of a record, so that none floods a notebook or leaks into a log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeAlias, TypeGuard

import attrs

from ._values.carrier import Textual
from ._values.checks import extra_field, is_text, is_text_or_none, joined, shape_field, shortened, sized, to_tuple
from ._values.kinds import (
    KINDS,
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
    Other,
    Program,
    ProgramOutput,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
    WebSearchCall,
)
from ._values.parts import (
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
    is_action,
    is_content,
    is_output,
    is_reasoning_content,
    is_summary,
)
from .exceptions import InvalidItemError

__all__ = [
    "Action",
    "AdditionalTools",
    "ApplyPatchCall",
    "ApplyPatchCallOutput",
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


@attrs.frozen(repr=False, weakref_slot=False)
class Message(Textual):
    """Something that the user, the model, the system or the developer said."""

    type: ClassVar[str] = "message"
    KEYS: ClassVar[tuple[str, ...]] = ("id", "role", "content")

    role: str = attrs.field(validator=is_text)
    content: tuple[ContentPart, ...] = attrs.field(converter=to_tuple, validator=is_content)
    id: str | None = attrs.field(default=None, validator=is_text_or_none)
    extra: Mapping[str, Any] = extra_field("record_type")
    _shape: tuple[str, ...] | None = shape_field()

    @classmethod
    def user(cls, text: str) -> Message:
        """What the user said: one `InputText`."""
        return cls("user", (InputText(text),))

    @classmethod
    def assistant(cls, text: str) -> Message:
        """What the model said: one `OutputText`."""
        return cls("assistant", (OutputText(text),))

    @classmethod
    def system(cls, text: str) -> Message:
        """A system message: one `InputText`."""
        return cls("system", (InputText(text),))

    @classmethod
    def developer(cls, text: str) -> Message:
        """A developer message: one `InputText`."""
        return cls("developer", (InputText(text),))

    @property
    def text(self) -> str:
        """The text of all parts, joined without anything between."""
        return joined(self.content, "")

    def __repr__(self) -> str:
        return f"Message(role={shortened(self.role)}, {sized(len(self.text), 'character')})"


@attrs.frozen(repr=False, weakref_slot=False)
class Reasoning(Textual):
    """What the model thought, as far as it shows it."""

    type: ClassVar[str] = "reasoning"
    KEYS: ClassVar[tuple[str, ...]] = ("id", "summary", "content", "encrypted_content")

    id: str | None = attrs.field(validator=is_text_or_none)
    summary: tuple[SummaryText | OtherPart, ...] = attrs.field(default=(), converter=to_tuple, validator=is_summary)
    content: tuple[ReasoningText | OtherPart, ...] | None = attrs.field(
        default=None, converter=to_tuple, validator=is_reasoning_content
    )
    encrypted_content: str | None = attrs.field(default=None, validator=is_text_or_none)
    extra: Mapping[str, Any] = extra_field("record_type")
    _shape: tuple[str, ...] | None = shape_field()

    @property
    def text(self) -> str:
        """The paragraphs of the summary and of the raw reasoning, with an empty line between."""
        return joined((*self.summary, *(self.content or ())), "\n\n")

    def __repr__(self) -> str:
        return f"Reasoning(id={shortened(self.id)}, {sized(len(self.text), 'character')})"


@attrs.frozen(repr=False, weakref_slot=False)
class LocalShellCall(Textual):
    """The model asks for a command to be run by the built-in shell tool."""

    type: ClassVar[str] = "local_shell_call"
    KEYS: ClassVar[tuple[str, ...]] = ("id", "call_id", "status", "action")
    text: ClassVar[str] = ""

    id: str | None = attrs.field(validator=is_text_or_none)
    call_id: str | None = attrs.field(validator=is_text_or_none)
    status: str = attrs.field(validator=is_text)
    action: Action = attrs.field(validator=is_action)
    extra: Mapping[str, Any] = extra_field("record_type")
    _shape: tuple[str, ...] | None = shape_field()

    def __repr__(self) -> str:
        return f"LocalShellCall(call_id={shortened(self.call_id)}, status={shortened(self.status)}, {self.action!r})"


@attrs.frozen(repr=False, weakref_slot=False)
class FunctionCall(Textual):
    """The model asks for a tool to be called; ``arguments`` is the text that it wrote, JSON or not."""

    type: ClassVar[str] = "function_call"
    KEYS: ClassVar[tuple[str, ...]] = ("id", "name", "arguments", "call_id")
    text: ClassVar[str] = ""

    name: str = attrs.field(validator=is_text)
    arguments: str = attrs.field(validator=is_text)
    call_id: str = attrs.field(validator=is_text)
    id: str | None = attrs.field(default=None, validator=is_text_or_none)
    extra: Mapping[str, Any] = extra_field("record_type")
    _shape: tuple[str, ...] | None = shape_field()

    @property
    def args(self) -> dict[str, Any]:
        """The arguments, parsed anew at each access.

        Raises:
            InvalidItemError: the model wrote something that is no JSON object.
        """
        try:
            parsed = json.loads(self.arguments)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            # Not from the cause: that would carry the text.
            raise InvalidItemError("function_call.arguments", "is no JSON object") from None
        return parsed

    def __repr__(self) -> str:
        length = sized(len(self.arguments), "character")
        return f"FunctionCall(name={shortened(self.name)}, call_id={shortened(self.call_id)}, {length})"


@attrs.frozen(repr=False, weakref_slot=False)
class FunctionCallOutput(Textual):
    """What a call gave: text, or parts. ``call_id`` is `None` for what a tool says that no model has called."""

    type: ClassVar[str] = "function_call_output"
    KEYS: ClassVar[tuple[str, ...]] = ("call_id", "output")

    call_id: str | None = attrs.field(validator=is_text_or_none)
    output: str | tuple[ContentPart, ...] = attrs.field(converter=to_tuple, validator=is_output)
    extra: Mapping[str, Any] = extra_field("record_type")
    _shape: tuple[str, ...] | None = shape_field()

    @classmethod
    def of(cls, call: FunctionCall | LocalShellCall, output: str | Iterable[ContentPart]) -> FunctionCallOutput:
        """The answer to *call*; it has the ``caller`` of the call, if there is one: a program of the model's."""
        if call.call_id is None:
            raise InvalidItemError(f"{call.type}.call_id", "is None, so nothing can answer it")
        caller = call.extra.get("caller")
        extra = {} if caller is None else {"caller": caller}
        return cls(call.call_id, output if isinstance(output, str) else tuple(output), extra=extra)

    @property
    def text(self) -> str:
        """The output, or the text of its parts, joined without anything between."""
        return self.output if isinstance(self.output, str) else joined(self.output, "")

    def __repr__(self) -> str:
        return f"FunctionCallOutput(call_id={shortened(self.call_id)}, {sized(len(self.text), 'character')})"


ResponseItem: TypeAlias = Message | Reasoning | LocalShellCall | FunctionCall | FunctionCallOutput | Other
_KINDS = frozenset({Message, Reasoning, LocalShellCall, FunctionCall, FunctionCallOutput, Other, *KINDS.values()})


def is_item(value: object) -> TypeGuard[ResponseItem]:
    """Whether *value* is an item: a value of one of the classes here, not a dict that stands for one."""
    return type(value) in _KINDS
