"""The values of a session: the kinds of item that an agent's input and output are made of, and their parts.

Everything here is frozen, compared by value and free of I/O. An item keeps the keys that its class does not know in
``extra``; a kind that no class knows is an `Other`, a part an `OtherPart`, a shell action an `OtherAction`: nothing that
came in is lost. No ``repr`` here holds the text of a record, so that none floods a notebook or leaks into a log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias, TypeGuard

import attrs

from rolloutlog.exceptions import InvalidItemError

__all__ = [
    "Action",
    "ContentPart",
    "ExecAction",
    "Extra",
    "FunctionCall",
    "FunctionCallOutput",
    "InputImage",
    "InputText",
    "LocalShellCall",
    "Message",
    "Other",
    "OtherAction",
    "OtherPart",
    "OutputText",
    "Reasoning",
    "ReasoningText",
    "ResponseItem",
    "SummaryText",
    "is_item",
]


class Extra(dict[str, Any]):
    """A mapping that can be read, compared and pickled like a `dict`, but not changed.

    It is a real `dict` because every JSON library writes that at full speed. What stands *inside* its values is as
    mutable as it was.
    """

    __slots__ = ()

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("this mapping is read-only; build a new item, for instance with attrs.evolve")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[Extra], tuple[dict[str, Any]]]:
        return Extra, (dict(self),)


_EMPTY = Extra()


# --- checks: a value that exists is a value that can be written -------------------------------------------------------


def _place(instance: Any, attribute: attrs.Attribute[Any]) -> str:
    return f"{instance.type if isinstance(instance.type, str) else 'item'}.{attribute.name}"


def _text(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise InvalidItemError(_place(instance, attribute), "is not a string")


def _text_or_none(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise InvalidItemError(_place(instance, attribute), "is neither a string nor None")


def _read_only(value: Any) -> Any:
    if type(value) is Extra or not isinstance(value, Mapping):
        return value  # the validator says what is wrong with it, and where
    return Extra(value) if value else _EMPTY


def _unknown_keys(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if not value and type(value) is Extra:
        return
    if not isinstance(value, Extra):
        raise InvalidItemError(_place(instance, attribute), "is not a mapping")
    for key in value:
        if not isinstance(key, str):
            raise InvalidItemError(_place(instance, attribute), "has a key that is not a string")
        if key in instance.KEYS or key in ("type", "record_type"):
            raise InvalidItemError(_place(instance, attribute), f"may not hold {key!r}, which has a place of its own")


def _whole_object(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    where = f"{type(instance).__name__}.{attribute.name}"
    if not isinstance(value, Extra):
        raise InvalidItemError(where, "is not a mapping")
    if not isinstance(value.get("type"), str):
        raise InvalidItemError(where, "has no 'type', or one that is not a string")


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _is_known(part: OtherPart, classes: tuple[type, ...]) -> bool:
    """Whether *part* would come back as one of *classes*; an image without a URL (by file id) has no class."""
    if part.type == "input_image" and part.raw.get("image_url") is None:
        return False
    return any(part.type in cls.TYPES for cls in classes)  # type: ignore[attr-defined]


def _check_parts(where: str, value: object, classes: tuple[type, ...]) -> None:
    if not isinstance(value, tuple):
        hint = ", not a string: Message.user(...) and its sisters take one" if isinstance(value, str) else ""
        raise InvalidItemError(where, f"is not a sequence of parts{hint}")
    for index, part in enumerate(value):
        if isinstance(part, OtherPart):
            if _is_known(part, classes):
                raise InvalidItemError(f"{where}[{index}]", "is an OtherPart of a type that has a class of its own")
        elif not isinstance(part, classes):
            raise InvalidItemError(f"{where}[{index}]", f"is no part that can stand here, but {type(part).__name__}")


def _size(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _name(value: str | None) -> str:
    """A name or id for a `repr`: whole when it is as short as real ones are."""
    return repr(value) if value is None or len(value) <= 48 else repr(value[:45] + "...")


def _joined(parts: Iterable[Any], separator: str) -> str:
    return separator.join(text for part in parts if (text := part.text))


# --- parts ------------------------------------------------------------------------------------------------------------


def _extra_field() -> Any:
    return attrs.field(default=_EMPTY, converter=_read_only, validator=_unknown_keys)


class _TextRepr:
    """The `repr` of what is mainly text: how much there is, never which."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_size(len(self.text), 'character')})"  # type: ignore[attr-defined]


@attrs.frozen(repr=False, weakref_slot=False)
class InputText(_TextRepr):
    """Text that goes to the model."""

    type: ClassVar[str] = "input_text"
    TYPES: ClassVar[tuple[str, ...]] = ("input_text",)
    KEYS: ClassVar[tuple[str, ...]] = ("text",)

    text: str = attrs.field(validator=_text)
    extra: Mapping[str, Any] = _extra_field()


@attrs.frozen(repr=False, weakref_slot=False)
class OutputText(_TextRepr):
    """Text that came from the model."""

    type: ClassVar[str] = "output_text"
    TYPES: ClassVar[tuple[str, ...]] = ("output_text",)
    KEYS: ClassVar[tuple[str, ...]] = ("text",)

    text: str = attrs.field(validator=_text)
    extra: Mapping[str, Any] = _extra_field()


@attrs.frozen(repr=False, weakref_slot=False)
class InputImage:
    """An image that goes to the model, by its URL (often a ``data:`` URL). One by file id is an `OtherPart`."""

    type: ClassVar[str] = "input_image"
    TYPES: ClassVar[tuple[str, ...]] = ("input_image",)
    KEYS: ClassVar[tuple[str, ...]] = ("image_url",)
    text: ClassVar[str] = ""

    image_url: str = attrs.field(validator=_text)
    extra: Mapping[str, Any] = _extra_field()

    def __repr__(self) -> str:
        return f"InputImage({_size(len(self.image_url), 'character')})"


@attrs.frozen(repr=False, weakref_slot=False)
class SummaryText(_TextRepr):
    """One paragraph of a reasoning summary."""

    type: ClassVar[str] = "summary_text"
    TYPES: ClassVar[tuple[str, ...]] = ("summary_text",)
    KEYS: ClassVar[tuple[str, ...]] = ("text",)

    text: str = attrs.field(validator=_text)
    extra: Mapping[str, Any] = _extra_field()


@attrs.frozen(repr=False, weakref_slot=False)
class ReasoningText(_TextRepr):
    """Raw reasoning, where a model shows it. Real files know it under two type names."""

    TYPES: ClassVar[tuple[str, ...]] = ("reasoning_text", "text")
    KEYS: ClassVar[tuple[str, ...]] = ("text",)

    text: str = attrs.field(validator=_text)
    type: Literal["reasoning_text", "text"] = attrs.field(
        default="reasoning_text", validator=attrs.validators.in_(("reasoning_text", "text"))
    )
    extra: Mapping[str, Any] = _extra_field()


@attrs.frozen(repr=False, weakref_slot=False)
class OtherPart:
    """A part of a type that no class here knows (a refusal, a file, ...): the whole object, as it came."""

    raw: Mapping[str, Any] = attrs.field(converter=_read_only, validator=_whole_object)

    @property
    def type(self) -> str:
        """The part's type name."""
        return str(self.raw["type"])

    @property
    def text(self) -> str:
        """The part's ``text``, when it has one; else the empty string."""
        text = self.raw.get("text")
        return text if isinstance(text, str) else ""

    def __repr__(self) -> str:
        return f"OtherPart(type={_name(self.type)}, {_size(len(self.raw), 'key')})"


ContentPart: TypeAlias = InputText | OutputText | InputImage | OtherPart
_CONTENT = (InputText, OutputText, InputImage)


def _content(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    _check_parts(_place(instance, attribute), value, _CONTENT)


def _summary(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    _check_parts(_place(instance, attribute), value, (SummaryText,))


def _reasoning_content(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        _check_parts(_place(instance, attribute), value, (ReasoningText,))


def _output(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        _check_parts(_place(instance, attribute), value, _CONTENT)


# --- shell actions ----------------------------------------------------------------------------------------------------


def _command(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(word, str) for word in value):
        raise InvalidItemError(_place(instance, attribute), "is not a sequence of strings")


def _milliseconds(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (type(value) is int and 0 <= value < 2**64):
        raise InvalidItemError(_place(instance, attribute), "is neither a whole number of milliseconds nor None")


def _env(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, Extra) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise InvalidItemError(_place(instance, attribute), "is neither a mapping of strings to strings nor None")


def _shape_field() -> Any:
    """The keys of the line that a value was read from, where they are not those that its class writes; else `None`.

    Real files differ in that: one version leaves a key out where another writes ``null``. It is a hint about keys,
    never about values, so it takes no part in comparison, and a value made by hand has none.
    """
    return attrs.field(default=None, init=False, eq=False)


@attrs.frozen(repr=False, weakref_slot=False)
class ExecAction:
    """A command that a local shell call runs. ``timeout_ms`` is in milliseconds."""

    type: ClassVar[str] = "exec"
    KEYS: ClassVar[tuple[str, ...]] = ("command", "timeout_ms", "working_directory", "env", "user")

    command: tuple[str, ...] = attrs.field(converter=_tuple, validator=_command)
    timeout_ms: int | None = attrs.field(default=None, validator=_milliseconds)
    working_directory: str | None = attrs.field(default=None, validator=_text_or_none)
    env: Mapping[str, str] | None = attrs.field(default=None, converter=_read_only, validator=_env)
    user: str | None = attrs.field(default=None, validator=_text_or_none)
    extra: Mapping[str, Any] = _extra_field()
    _shape: tuple[str, ...] | None = _shape_field()

    def __repr__(self) -> str:
        return f"ExecAction({_size(len(self.command), 'word')})"


@attrs.frozen(repr=False, weakref_slot=False)
class OtherAction:
    """A shell action of a type that no class here knows: the whole object, as it came."""

    raw: Mapping[str, Any] = attrs.field(converter=_read_only, validator=_whole_object)

    @raw.validator
    def _is_not_exec(self, attribute: attrs.Attribute[Any], value: Mapping[str, Any]) -> None:
        if value["type"] == ExecAction.type:
            raise InvalidItemError("OtherAction.raw", "is of the type 'exec', which has a class of its own")

    @property
    def type(self) -> str:
        """The action's type name."""
        return str(self.raw["type"])

    def __repr__(self) -> str:
        return f"OtherAction(type={_name(self.type)}, {_size(len(self.raw), 'key')})"


Action: TypeAlias = ExecAction | OtherAction


# --- items ------------------------------------------------------------------------------------------------------------


@attrs.frozen(repr=False, weakref_slot=False)
class Message:
    """Something that the user, the model, the system or the developer said."""

    type: ClassVar[str] = "message"
    KEYS: ClassVar[tuple[str, ...]] = ("id", "role", "content")

    role: str = attrs.field(validator=_text)
    content: tuple[ContentPart, ...] = attrs.field(converter=_tuple, validator=_content)
    id: str | None = attrs.field(default=None, validator=_text_or_none)
    extra: Mapping[str, Any] = _extra_field()
    _shape: tuple[str, ...] | None = _shape_field()

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
        return _joined(self.content, "")

    def __repr__(self) -> str:
        return f"Message(role={_name(self.role)}, {_size(len(self.text), 'character')})"


@attrs.frozen(repr=False, weakref_slot=False)
class Reasoning:
    """What the model thought, as far as it shows it."""

    type: ClassVar[str] = "reasoning"
    KEYS: ClassVar[tuple[str, ...]] = ("id", "summary", "content", "encrypted_content")

    id: str | None = attrs.field(validator=_text_or_none)
    summary: tuple[SummaryText | OtherPart, ...] = attrs.field(default=(), converter=_tuple, validator=_summary)
    content: tuple[ReasoningText | OtherPart, ...] | None = attrs.field(
        default=None, converter=_tuple, validator=_reasoning_content
    )
    encrypted_content: str | None = attrs.field(default=None, validator=_text_or_none)
    extra: Mapping[str, Any] = _extra_field()
    _shape: tuple[str, ...] | None = _shape_field()

    @property
    def text(self) -> str:
        """The paragraphs of the summary and of the raw reasoning, with an empty line between."""
        return _joined((*self.summary, *(self.content or ())), "\n\n")

    def __repr__(self) -> str:
        return f"Reasoning(id={_name(self.id)}, {_size(len(self.text), 'character')})"


@attrs.frozen(repr=False, weakref_slot=False)
class LocalShellCall:
    """The model asks for a command to be run by the built-in shell tool."""

    type: ClassVar[str] = "local_shell_call"
    KEYS: ClassVar[tuple[str, ...]] = ("id", "call_id", "status", "action")
    text: ClassVar[str] = ""

    id: str | None = attrs.field(validator=_text_or_none)
    call_id: str | None = attrs.field(validator=_text_or_none)
    status: str = attrs.field(validator=_text)
    action: Action = attrs.field(validator=attrs.validators.instance_of((ExecAction, OtherAction)))
    extra: Mapping[str, Any] = _extra_field()
    _shape: tuple[str, ...] | None = _shape_field()

    def __repr__(self) -> str:
        return f"LocalShellCall(call_id={_name(self.call_id)}, status={_name(self.status)}, {self.action!r})"


@attrs.frozen(repr=False, weakref_slot=False)
class FunctionCall:
    """The model asks for a tool to be called; ``arguments`` is the text that it wrote, JSON or not."""

    type: ClassVar[str] = "function_call"
    KEYS: ClassVar[tuple[str, ...]] = ("id", "name", "arguments", "call_id")
    text: ClassVar[str] = ""

    name: str = attrs.field(validator=_text)
    arguments: str = attrs.field(validator=_text)
    call_id: str = attrs.field(validator=_text)
    id: str | None = attrs.field(default=None, validator=_text_or_none)
    extra: Mapping[str, Any] = _extra_field()
    _shape: tuple[str, ...] | None = _shape_field()

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
        size = _size(len(self.arguments), "character")
        return f"FunctionCall(name={_name(self.name)}, call_id={_name(self.call_id)}, {size})"


@attrs.frozen(repr=False, weakref_slot=False)
class FunctionCallOutput:
    """What a call gave: text, or parts."""

    type: ClassVar[str] = "function_call_output"
    KEYS: ClassVar[tuple[str, ...]] = ("call_id", "output")

    call_id: str = attrs.field(validator=_text)
    output: str | tuple[ContentPart, ...] = attrs.field(converter=_tuple, validator=_output)
    extra: Mapping[str, Any] = _extra_field()
    _shape: tuple[str, ...] | None = _shape_field()

    @classmethod
    def of(cls, call: FunctionCall | LocalShellCall, output: str | Iterable[ContentPart]) -> FunctionCallOutput:
        """The answer to *call*."""
        if call.call_id is None:
            raise InvalidItemError(f"{call.type}.call_id", "is None, so nothing can answer it")
        return cls(call.call_id, output if isinstance(output, str) else tuple(output))

    @property
    def text(self) -> str:
        """The output, or the text of its parts, joined without anything between."""
        return self.output if isinstance(self.output, str) else _joined(self.output, "")

    def __repr__(self) -> str:
        return f"FunctionCallOutput(call_id={_name(self.call_id)}, {_size(len(self.text), 'character')})"


_TAKEN = frozenset(cls.type for cls in (Message, Reasoning, LocalShellCall, FunctionCall, FunctionCallOutput)) | {"log"}


@attrs.frozen(repr=False, weakref_slot=False)
class Other:
    """An item of a kind that no class here knows: the whole object, as it came.

    With nothing in it (``Other()``) it is what the original recorder knew: a mark that something was there. That one is
    never written.
    """

    text: ClassVar[str] = ""

    raw: Mapping[str, Any] | None = attrs.field(default=None, converter=_read_only)

    @raw.validator
    def _comes_back(self, attribute: attrs.Attribute[Any], value: Mapping[str, Any] | None) -> None:
        if value is None or (isinstance(value, Extra) and not value):
            return
        _whole_object(self, attribute, value)
        if value["type"] in _TAKEN:
            raise InvalidItemError("Other.raw", f"is of the type {value['type']!r}, which has a class of its own")
        if value.get("record_type") == "state":
            raise InvalidItemError("Other.raw", "would be read as a state, for its record_type")
        if "timestamp" in value and "payload" in value:
            raise InvalidItemError("Other.raw", "would be read as a line that wraps an item, for its payload")

    @property
    def type(self) -> str:
        """The kind's name; ``"other"`` when there is nothing in it."""
        return str(self.raw["type"]) if self.raw else "other"

    def __repr__(self) -> str:
        return f"Other(type={_name(self.type)}, {_size(len(self.raw), 'key')})" if self.raw else "Other()"


ResponseItem: TypeAlias = Message | Reasoning | LocalShellCall | FunctionCall | FunctionCallOutput | Other
_KINDS = (Message, Reasoning, LocalShellCall, FunctionCall, FunctionCallOutput, Other)


def is_item(value: object) -> TypeGuard[ResponseItem]:
    """Whether *value* is an item: a value of one of the classes here, not a dict that stands for one."""
    return isinstance(value, _KINDS)
