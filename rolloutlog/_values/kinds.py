"""The kinds of items beside the five that the original recorder knew: the whole object as it came, its keys by name.

Each class names the keys that the API documents for its kind; one that is not there reads as `None`. Nothing about them
is required, so that whatever an API adds or leaves out tomorrow is kept and comes back as it was.

Public in `rolloutlog.items`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Self, TypeVar, overload

import attrs

from ..exceptions import InvalidItemError
from .carrier import Textual
from .checks import Extra, is_whole_object, read_only, shortened, sized

_T = TypeVar("_T")

# Types of lines whose classes hold fields instead of the whole object, and of lines that are no items.
_TAKEN = frozenset({"message", "reasoning", "local_shell_call", "function_call", "function_call_output", "log"})
_classes: dict[str, type[Other]] = {}  # by type; complete once this module is imported


class _Key(Generic[_T]):
    """A key of the object, read like an attribute; `None` when it is not there."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, item: None, owner: type) -> Self: ...
    @overload
    def __get__(self, item: Other, owner: type) -> _T | None: ...
    def __get__(self, item: Other | None, owner: type) -> Self | _T | None:
        return self if item is None else (item.raw or {}).get(self._name)


class _Type:
    """The kind's name, of the class as of its values."""

    def __get__(self, item: Other | None, owner: type[Other]) -> str:
        return str(item.raw["type"]) if item is not None and item.raw else owner.kind or "other"


_Text, _Any = _Key[str], _Key[Any]


@attrs.frozen(repr=False, weakref_slot=False)
class Other(Textual):
    """An item of a kind that no class here knows: the whole object, as it came.

    With nothing in it (``Other()``) it is what the original recorder knew: a mark that something was there. That one is
    never written. Made of an object whose kind has a class of its own, it is a value of that class.
    """

    raw: Mapping[str, Any] | None = attrs.field(default=None, converter=read_only)

    kind = None  # type: str | None  # a comment, for an annotation would make it a field
    type = _Type()
    id, call_id, status = _Text(), _Text(), _Text()

    def __new__(cls, raw: Mapping[str, Any] | None = None) -> Self:
        """Return a value, yet empty, of the class for the type in *raw*."""
        name = raw.get("type") if cls is Other and isinstance(raw, Mapping) else None
        chosen: Any = _classes.get(name, cls) if isinstance(name, str) else cls
        return object.__new__(chosen)  # type: ignore[no-any-return]

    def __init_subclass__(cls, kind: str | None = None) -> None:
        cls.kind = kind
        if kind is not None:
            _classes[kind] = cls

    @raw.validator
    def _comes_back(self, attribute: attrs.Attribute[Any], value: Mapping[str, Any] | None) -> None:
        where = f"{type(self).__name__}.raw"
        if self.kind is not None and (not isinstance(value, Extra) or value.get("type") != self.kind):
            raise InvalidItemError(where, f"is no object of the type {self.kind!r}")
        if value is None or (isinstance(value, Extra) and not value):
            return
        is_whole_object(self, attribute, value)
        if value["type"] in _TAKEN:
            raise InvalidItemError(where, f"is of the type {value['type']!r}, which has a class of its own")
        if value.get("record_type") == "state":
            raise InvalidItemError(where, "would be read as a state, for its record_type")
        if "timestamp" in value and "payload" in value:
            raise InvalidItemError(where, "would be read as a line that wraps an item, for its payload")

    @property
    def text(self) -> str:
        """What a tool gave, where that is text or parts with a text; else nothing."""
        given = (self.raw or {}).get("output")
        if isinstance(given, str):
            return given
        parts = given if isinstance(given, list) else ()
        texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
        return "".join([text for text in texts if isinstance(text, str)])

    @property
    def extra(self) -> Mapping[str, Any]:
        """The keys that have no name here."""
        named = {name for cls in type(self).__mro__ for name, value in vars(cls).items() if isinstance(value, _Key)}
        return Extra({key: value for key, value in (self.raw or {}).items() if key not in named and key != "type"})

    def __repr__(self) -> str:
        if not self.raw:
            return "Other()"
        kind = f"type={shortened(self.type)}, " if self.kind is None else ""
        return f"{type(self).__name__}({kind}{sized(len(self.raw), 'key')})"


# --- tools that the caller runs ---------------------------------------------------------------------------------------


class CustomToolCall(Other, kind="custom_tool_call"):
    """The model calls a tool that takes plain text."""

    __slots__ = ()
    name, input, namespace = _Text(), _Text(), _Text()


class CustomToolCallOutput(Other, kind="custom_tool_call_output"):
    """What such a tool gave: text, or parts."""

    __slots__ = ()
    output = _Any()


class ComputerCall(Other, kind="computer_call"):
    """The model asks for something to be done on a screen."""

    __slots__ = ()
    action, actions, pending_safety_checks = _Any(), _Any(), _Any()


class ComputerCallOutput(Other, kind="computer_call_output"):
    """What the screen shows then."""

    __slots__ = ()
    output, acknowledged_safety_checks = _Any(), _Any()


class LocalShellCallOutput(Other, kind="local_shell_call_output"):
    """What a command gave that a `LocalShellCall` asked for; answers that by its id."""

    __slots__ = ()
    output = _Text()


class ShellCall(Other, kind="shell_call"):
    """The model asks for commands to be run, here or in a container of the API's."""

    __slots__ = ()
    action, environment = _Any(), _Any()


class ShellCallOutput(Other, kind="shell_call_output"):
    """What these commands gave, one by one."""

    __slots__ = ()
    output, max_output_length = _Any(), _Key[int]()


class ApplyPatchCall(Other, kind="apply_patch_call"):
    """The model asks for a file to be changed."""

    __slots__ = ()
    operation = _Any()


class ApplyPatchCallOutput(Other, kind="apply_patch_call_output"):
    """What came of it."""

    __slots__ = ()
    output = _Text()


# --- tools that the API runs ------------------------------------------------------------------------------------------


class WebSearchCall(Other, kind="web_search_call"):
    """The API searched the web, or opened a page."""

    __slots__ = ()
    action = _Any()


class FileSearchCall(Other, kind="file_search_call"):
    """The API searched files."""

    __slots__ = ()
    queries, results = _Any(), _Any()


class CodeInterpreterCall(Other, kind="code_interpreter_call"):
    """The API ran code in a container of its own."""

    __slots__ = ()
    code, container_id, outputs = _Text(), _Text(), _Any()


class ImageGenerationCall(Other, kind="image_generation_call"):
    """The API made a picture: ``result``, in base64."""

    __slots__ = ()
    result, revised_prompt, action, error = _Text(), _Text(), _Text(), _Any()
    background, output_format, quality, size = _Text(), _Text(), _Text(), _Text()


class ToolSearchCall(Other, kind="tool_search_call"):
    """The model looks for tools that it was not told of yet."""

    __slots__ = ()
    arguments, execution = _Any(), _Text()


class ToolSearchOutput(Other, kind="tool_search_output"):
    """The tools that were found."""

    __slots__ = ()
    tools, execution = _Any(), _Text()


class AdditionalTools(Other, kind="additional_tools"):
    """Tools that are given to the model in the middle of a session."""

    __slots__ = ()
    role, tools = _Text(), _Any()


# --- other servers, by the model context protocol ---------------------------------------------------------------------


class McpCall(Other, kind="mcp_call"):
    """The API called a tool of an MCP server; the answer is in ``output``."""

    __slots__ = ()
    server_label, name, arguments, output = _Text(), _Text(), _Text(), _Text()
    approval_request_id, error = _Text(), _Any()


class McpListTools(Other, kind="mcp_list_tools"):
    """The tools that an MCP server has."""

    __slots__ = ()
    server_label, tools, error = _Text(), _Any(), _Any()


class McpApprovalRequest(Other, kind="mcp_approval_request"):
    """The API asks whether it may call a tool of an MCP server."""

    __slots__ = ()
    server_label, name, arguments = _Text(), _Text(), _Text()


class McpApprovalResponse(Other, kind="mcp_approval_response"):
    """Whether it may."""

    __slots__ = ()
    approval_request_id, approve, reason = _Text(), _Key[bool](), _Text()


# --- the session itself -----------------------------------------------------------------------------------------------


class Compaction(Other, kind="compaction"):
    """What stands for the items before it, as only the API can read it."""

    __slots__ = ()
    encrypted_content = _Text()


class CompactionTrigger(Other, kind="compaction_trigger"):
    """The API is asked to compact what stands before it."""

    __slots__ = ()


class ConfigurationUpdate(Other, kind="configuration_update"):
    """How the model is to think and to answer from here on."""

    __slots__ = ()
    reasoning = _Any()


class ItemReference(Other, kind="item_reference"):
    """An item that the API keeps, by its id."""

    __slots__ = ()


class Program(Other, kind="program"):
    """The model wrote a program that calls tools."""

    __slots__ = ()
    code, fingerprint = _Text(), _Text()


class ProgramOutput(Other, kind="program_output"):
    """What came of the program."""

    __slots__ = ()
    result = _Any()


KINDS: Mapping[str, type[Other]] = _classes
"""The class of each kind, by its type."""
