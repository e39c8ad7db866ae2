"""What items are made of: the parts of messages, reasoning and outputs, and what a local shell call runs.

Public in `rolloutlog.items`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

import attrs

from ..exceptions import InvalidItemError
from .checks import (
    Extra,
    extra_field,
    is_text,
    is_text_or_none,
    is_whole_object,
    place,
    read_only,
    shape_field,
    shortened,
    sized,
    to_tuple,
)


class _TextRepr:
    """The `repr` of what is mainly text: how much there is, never which."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sized(len(self.text), 'character')})"  # type: ignore[attr-defined]


@attrs.frozen(repr=False, weakref_slot=False)
class InputText(_TextRepr):
    """Text that goes to the model."""

    type: ClassVar[str] = "input_text"
    TYPES: ClassVar[tuple[str, ...]] = ("input_text",)
    KEYS: ClassVar[tuple[str, ...]] = ("text",)

    text: str = attrs.field(validator=is_text)
    extra: Mapping[str, Any] = extra_field()


@attrs.frozen(repr=False, weakref_slot=False)
class OutputText(_TextRepr):
    """Text that came from the model."""

    type: ClassVar[str] = "output_text"
    TYPES: ClassVar[tuple[str, ...]] = ("output_text",)
    KEYS: ClassVar[tuple[str, ...]] = ("text",)

    text: str = attrs.field(validator=is_text)
    extra: Mapping[str, Any] = extra_field()


@attrs.frozen(repr=False, weakref_slot=False)
class InputImage:
    """An image that goes to the model, by its URL (often a ``data:`` URL). One by file id is an `OtherPart`."""

    type: ClassVar[str] = "input_image"
    TYPES: ClassVar[tuple[str, ...]] = ("input_image",)
    KEYS: ClassVar[tuple[str, ...]] = ("image_url",)
    text: ClassVar[str] = ""

    image_url: str = attrs.field(validator=is_text)
    extra: Mapping[str, Any] = extra_field()

    def __repr__(self) -> str:
        return f"InputImage({sized(len(self.image_url), 'character')})"


@attrs.frozen(repr=False, weakref_slot=False)
class SummaryText(_TextRepr):
    """One paragraph of a reasoning summary."""

    type: ClassVar[str] = "summary_text"
    TYPES: ClassVar[tuple[str, ...]] = ("summary_text",)
    KEYS: ClassVar[tuple[str, ...]] = ("text",)

    text: str = attrs.field(validator=is_text)
    extra: Mapping[str, Any] = extra_field()


@attrs.frozen(repr=False, weakref_slot=False)
class ReasoningText(_TextRepr):
    """Raw reasoning, where a model shows it. Real files know it under two type names."""

    TYPES: ClassVar[tuple[str, ...]] = ("reasoning_text", "text")
    KEYS: ClassVar[tuple[str, ...]] = ("text",)

    text: str = attrs.field(validator=is_text)
    type: Literal["reasoning_text", "text"] = attrs.field(
        default="reasoning_text", validator=attrs.validators.in_(("reasoning_text", "text"))
    )
    extra: Mapping[str, Any] = extra_field()


@attrs.frozen(repr=False, weakref_slot=False)
class OtherPart:
    """A part of a type that no class here knows (a refusal, a file, ...): the whole object, as it came."""

    raw: Mapping[str, Any] = attrs.field(converter=read_only, validator=is_whole_object)

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
        return f"OtherPart(type={shortened(self.type)}, {sized(len(self.raw), 'key')})"


ContentPart: TypeAlias = InputText | OutputText | InputImage | OtherPart


# --- which parts may stand where: checks for the fields of items ------------------------------------------------------

_CONTENT = (InputText, OutputText, InputImage)
_SUMMARY = (SummaryText,)
_REASONING = (ReasoningText,)


def is_content(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a tuple of what messages are made of."""
    _check_parts(instance, attribute, value, _CONTENT)


def is_summary(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a tuple of what a reasoning summary is made of."""
    _check_parts(instance, attribute, value, _SUMMARY)


def is_reasoning_content(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a tuple of what raw reasoning is made of, or `None`."""
    if value is not None:
        _check_parts(instance, attribute, value, _REASONING)


def is_output(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a string, or a tuple of what messages are made of."""
    if not isinstance(value, str):
        _check_parts(instance, attribute, value, _CONTENT)


def _is_known(part: OtherPart, classes: tuple[type, ...]) -> bool:
    """Whether *part* would come back as one of *classes*; an image without a URL (by file id) has no class."""
    if part.type == "input_image" and part.raw.get("image_url") is None:
        return False
    return any(part.type in cls.TYPES for cls in classes)  # type: ignore[attr-defined]


def _check_parts(instance: Any, attribute: attrs.Attribute[Any], value: object, classes: tuple[type, ...]) -> None:
    if type(value) is tuple and len(value) == 1 and type(value[0]) in classes:
        return  # as nearly always
    where = place(instance, attribute)
    if not isinstance(value, tuple):
        hint = ", not a string: Message.user(...) and its sisters take one" if isinstance(value, str) else ""
        raise InvalidItemError(where, f"is not a sequence of parts{hint}")
    for index, part in enumerate(value):
        if isinstance(part, OtherPart):
            if _is_known(part, classes):
                raise InvalidItemError(f"{where}[{index}]", "is an OtherPart of a type that has a class of its own")
        elif type(part) not in classes:
            raise InvalidItemError(f"{where}[{index}]", f"is no part that can stand here, but {type(part).__name__}")


# --- shell actions ----------------------------------------------------------------------------------------------------


def _command(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(word, str) for word in value):
        raise InvalidItemError(place(instance, attribute), "is not a sequence of strings")


def _milliseconds(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (type(value) is int and 0 <= value < 2**64):
        raise InvalidItemError(place(instance, attribute), "is neither a whole number of milliseconds nor None")


def _env(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, Extra) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise InvalidItemError(place(instance, attribute), "is neither a mapping of strings to strings nor None")


@attrs.frozen(repr=False, weakref_slot=False)
class ExecAction:
    """A command that a local shell call runs. ``timeout_ms`` is in milliseconds."""

    type: ClassVar[str] = "exec"
    KEYS: ClassVar[tuple[str, ...]] = ("command", "timeout_ms", "working_directory", "env", "user")

    command: tuple[str, ...] = attrs.field(converter=to_tuple, validator=_command)
    timeout_ms: int | None = attrs.field(default=None, validator=_milliseconds)
    working_directory: str | None = attrs.field(default=None, validator=is_text_or_none)
    env: Mapping[str, str] | None = attrs.field(default=None, converter=read_only, validator=_env)
    user: str | None = attrs.field(default=None, validator=is_text_or_none)
    extra: Mapping[str, Any] = extra_field()
    _shape: tuple[str, ...] | None = shape_field()

    def __repr__(self) -> str:
        return f"ExecAction({sized(len(self.command), 'word')})"


@attrs.frozen(repr=False, weakref_slot=False)
class OtherAction:
    """A shell action of a type that no class here knows: the whole object, as it came."""

    raw: Mapping[str, Any] = attrs.field(converter=read_only, validator=is_whole_object)

    @raw.validator
    def _is_not_exec(self, attribute: attrs.Attribute[Any], value: Mapping[str, Any]) -> None:
        if value["type"] == ExecAction.type:
            raise InvalidItemError("OtherAction.raw", "is of the type 'exec', which has a class of its own")

    @property
    def type(self) -> str:
        """The action's type name."""
        return str(self.raw["type"])

    def __repr__(self) -> str:
        return f"OtherAction(type={shortened(self.type)}, {sized(len(self.raw), 'key')})"


Action: TypeAlias = ExecAction | OtherAction


def is_action(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is an action."""
    if type(value) not in (ExecAction, OtherAction):
        raise InvalidItemError(place(instance, attribute), f"is no action, but {type(value).__name__}")
