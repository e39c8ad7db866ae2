"""The parts of items: those of messages, reasoning and outputs, and the action of a local shell call.

Public in `rolloutlog.items`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, TypeAlias

import attrs

from ._checks import extra_field, is_text, is_text_or_none, is_whole_object, read_only, structure, to_tuple
from ._repr import shortened, shown, sized
from ._shapes import EXEC_KEYS, Wire, exec_problem
from .exceptions import InvalidItemError


class _Part:
    """A part of a known type. Its `repr` shows the beginning of its text."""

    __slots__ = ()
    KEYS: ClassVar[tuple[str, ...]] = ("text",)

    def _to_dict(self) -> Wire:
        """Return the part as the JSON object that is written, a new dict."""
        known = {"type": self.type, **{key: getattr(self, key) for key in self.KEYS}}  # type: ignore[attr-defined]
        return known | self.extra  # type: ignore[attr-defined, no-any-return]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown(getattr(self, self.KEYS[0]))})"


@attrs.frozen(repr=False, weakref_slot=False)
class _TextPart(_Part):
    """A part that is a text and nothing else."""

    text: str = attrs.field(validator=is_text)
    extra: Mapping[str, Any] = extra_field()


@attrs.frozen(repr=False, weakref_slot=False)
class InputText(_TextPart):
    """Text that goes to the model.

    Attributes:
        text: the text.
        extra: further keys, written after the others.

    >>> InputText("What is on it?")
    InputText('What is on it?')
    """

    type: ClassVar[str] = "input_text"


@attrs.frozen(repr=False, weakref_slot=False)
class OutputText(_TextPart):
    """Text that came from the model.

    Attributes:
        text: the text.
        extra: further keys, written after the others.
    """

    type: ClassVar[str] = "output_text"


@attrs.frozen(repr=False, weakref_slot=False)
class InputImage(_Part):
    """An image that goes to the model, by its URL (often a ``data:`` URL). An image by file id is an `OtherPart`.

    Attributes:
        image_url: the URL.
        extra: further keys, written after the others.

    >>> from rolloutlog.items import InputImage, InputText, Message
    >>> parts = [InputText("What is on it?"), InputImage("https://example.org/map.png")]
    >>> Message("user", parts).content[1].image_url
    'https://example.org/map.png'
    """

    type: ClassVar[str] = "input_image"
    KEYS: ClassVar[tuple[str, ...]] = ("image_url",)
    text: ClassVar[str] = ""

    image_url: str = attrs.field(validator=is_text)
    extra: Mapping[str, Any] = extra_field()


@attrs.frozen(repr=False, weakref_slot=False)
class SummaryText(_TextPart):
    """One paragraph of a reasoning summary.

    Attributes:
        text: the paragraph.
        extra: further keys, written after the others.
    """

    type: ClassVar[str] = "summary_text"


@attrs.frozen(repr=False, weakref_slot=False)
class ReasoningText(_Part):
    """Raw reasoning, where a model shows it. Real files have it under two type names.

    Attributes:
        text: the text.
        type: the type name, ``"reasoning_text"`` or ``"text"``.
        extra: further keys, written after the others.
    """

    text: str = attrs.field(validator=is_text)
    type: Literal["reasoning_text", "text"] = attrs.field(
        default="reasoning_text", validator=attrs.validators.in_(("reasoning_text", "text"))
    )
    extra: Mapping[str, Any] = extra_field()


@attrs.frozen(repr=False, weakref_slot=False)
class OtherPart:
    """A part of a type that no class here knows (a refusal, a file, ...): the whole object.

    Attributes:
        raw: the object, read-only.

    >>> part = OtherPart({"type": "refusal", "refusal": "No."})
    >>> part.type, part.raw["refusal"]
    ('refusal', 'No.')
    """

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

    def _to_dict(self) -> Wire:
        """Return the part as the JSON object that is written, a new dict."""
        return dict(self.raw)

    def __repr__(self) -> str:
        size = shown(self.text) if self.text else sized(len(self.raw), "key")
        return f"OtherPart(type={shortened(self.type)}, {size})"


ContentPart: TypeAlias = InputText | OutputText | InputImage | OtherPart

CONTENT: Mapping[str, type] = {"input_text": InputText, "output_text": OutputText, "input_image": InputImage}
SUMMARY: Mapping[str, type] = {"summary_text": SummaryText}
REASONING: Mapping[str, type] = {"reasoning_text": ReasoningText, "text": ReasoningText}


_HINTS = {
    "input_text": "Message.user(text) and its siblings take a string",
    "summary_text": "[SummaryText(text)] is a sequence of one",
    "reasoning_text": "[ReasoningText(text)] is a sequence of one",
}


def read_parts(raws: Iterable[Wire], classes: Mapping[str, type]) -> tuple[Any, ...]:
    """Return the parts that *raws*, JSON objects with a type, are; an `OtherPart` where no class of *classes* fits."""
    return tuple([_read_part(raw, classes) for raw in raws])


def _read_part(raw: Wire, classes: Mapping[str, type]) -> Any:
    cls: Any = classes.get(raw["type"])
    if cls is None:
        return OtherPart(raw)
    try:
        made = structure(raw, cls, raw["type"])
    except InvalidItemError:  # an image by its file id
        return OtherPart(raw)
    return attrs.evolve(made, type=raw["type"]) if cls is ReasoningText else made


def written_parts(parts: object, classes: Mapping[str, type], where: str) -> list[Wire]:
    """Return *parts*, values of *classes* or `OtherPart`, as they are written.

    Raises:
        InvalidItemError: one of them is not a part that may be here, or would be read as another one.
    """
    if not isinstance(parts, list | tuple):
        hint = f"; {_HINTS[next(iter(classes))]}" if isinstance(parts, str) else ""
        raise InvalidItemError(where, f"must be a sequence of parts; got {type(parts).__name__}{hint}")
    return [_written_part(part, classes, f"{where}[{index}]") for index, part in enumerate(parts)]


def _written_part(part: Any, classes: Mapping[str, type], where: str) -> Wire:
    if isinstance(part, OtherPart):
        if type(_read_part(dict(part.raw), classes)) is not OtherPart:
            raise InvalidItemError(where, f"is an OtherPart of type {part.type!r}, which has a class of its own")
    elif type(part) not in classes.values():
        names = ", ".join(sorted({cls.__name__ for cls in classes.values()}))
        hint = "; a dict can be recorded as part of an item that is a dict as a whole" if isinstance(part, dict) else ""
        raise InvalidItemError(where, f"must be one of {names} and OtherPart; got {type(part).__name__}{hint}")
    return part._to_dict()  # type: ignore[no-any-return]


# --- shell actions ----------------------------------------------------------------------------------------------------


@attrs.frozen(repr=False, weakref_slot=False)
class ExecAction:
    """A command that a local shell call runs. ``timeout_ms`` is in milliseconds.

    Attributes:
        command: the words of the command.
        timeout_ms: how long it may run, in milliseconds, or `None`.
        working_directory: where it runs, or `None`.
        env: environment variables, or `None`.
        user: who runs it, or `None`.
        extra: further keys, written after the others.

    >>> action = ExecAction(["ls", "-l"], timeout_ms=5000)
    >>> action.command, action.timeout_ms, action.user
    (('ls', '-l'), 5000, None)
    """

    type: ClassVar[str] = "exec"
    KEYS: ClassVar[tuple[str, ...]] = EXEC_KEYS

    command: tuple[str, ...] = attrs.field(converter=to_tuple)
    timeout_ms: int | None = None
    working_directory: str | None = attrs.field(default=None, validator=is_text_or_none)
    env: Mapping[str, str] | None = attrs.field(default=None, converter=read_only)
    user: str | None = attrs.field(default=None, validator=is_text_or_none)
    extra: Mapping[str, Any] = extra_field()

    def __attrs_post_init__(self) -> None:
        wrong = exec_problem({key: getattr(self, key) for key in self.KEYS})
        if wrong is not None:
            raise InvalidItemError(f"exec.{wrong[0]}", wrong[1])

    def _to_dict(self) -> Wire:
        """Return the action as the JSON object that is written, a new dict."""
        known: Wire = {"type": "exec", **{key: getattr(self, key) for key in self.KEYS}}
        known["command"] = list(self.command)
        known["env"] = None if self.env is None else dict(self.env)
        return known | dict(self.extra)

    def __repr__(self) -> str:
        return f"ExecAction({shown(' '.join(self.command))})"


@attrs.frozen(repr=False, weakref_slot=False)
class OtherAction:
    """A shell action of a type that no class here knows: the whole object.

    Attributes:
        raw: the object, read-only.
    """

    raw: Mapping[str, Any] = attrs.field(converter=read_only, validator=is_whole_object)

    @raw.validator
    def _is_not_exec(self, attribute: attrs.Attribute[Any], value: Mapping[str, Any]) -> None:
        if value["type"] == ExecAction.type:
            raise InvalidItemError("OtherAction.raw", "is of the type 'exec', which has a class of its own")

    @property
    def type(self) -> str:
        """The action's type name."""
        return str(self.raw["type"])

    def _to_dict(self) -> Wire:
        """Return the action as the JSON object that is written, a new dict."""
        return dict(self.raw)

    def __repr__(self) -> str:
        return f"OtherAction(type={shortened(self.type)}, {sized(len(self.raw), 'key')})"


Action: TypeAlias = ExecAction | OtherAction


def read_action(raw: Wire) -> Action:
    """Return the action that *raw*, a JSON object with a type, is."""
    return structure(raw, ExecAction, "exec") if raw["type"] == ExecAction.type else OtherAction(raw)


def written_action(action: object) -> Wire:
    """Return *action* as it is written.

    Raises:
        InvalidItemError: it is not an action.
    """
    if not isinstance(action, ExecAction | OtherAction):
        problem = f"must be an ExecAction or an OtherAction; got {type(action).__name__}"
        raise InvalidItemError("local_shell_call.action", problem)
    return action._to_dict()
