"""A response of the Responses API, as the items of its output and what is kept beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._item import Item
from .._plain import stringified
from .._shapes import Wire
from ..exceptions import InvalidItemError
from .coerce import to_item

_ENDED = ("completed", "incomplete", "failed", "cancelled")
_EVENTS = tuple(f"response.{status}" for status in _ENDED)
_KEPT = ("id", "model", "status", "service_tier", "incomplete_details", "usage")


def split_response(value: Any) -> tuple[list[Item], Wire]:
    """Return the items of the output of *value*, and the keys of it that are kept beside them.

    Args:
        value: a response that has ended: an object of the OpenAI SDK, its dict, or the last event of a stream.

    Raises:
        InvalidItemError: it is none of these, or its output holds something that is not an item.
    """
    kind = _get(value, "type")
    if isinstance(kind, str) and kind.startswith("response."):
        if kind not in _EVENTS:
            raise InvalidItemError(
                "response",
                f"has not ended with the event {kind!r}; record the response of the event response.completed",
            )
        value = _get(value, "response")
    output = _get(value, "output")
    if not isinstance(output, list | tuple) or (isinstance(kind, str) and not kind.startswith("response.")):
        raise InvalidItemError("response", _wrong(value))
    status = _get(value, "status")
    if status in ("in_progress", "queued"):
        raise InvalidItemError("response", f"has the status {status!r}; it can be recorded when it has ended")
    found = {key: _plain(_get(value, key)) for key in _KEPT}
    found["error"] = _plain(_get(_get(value, "error"), "code"))  # its message may quote the input
    kept = {key: held for key, held in found.items() if held is not None}
    return list(map(to_item, output)), kept


def message_of(kept: Wire) -> str:
    """Return the text for people of the entry that keeps *kept*."""
    usage = kept.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    tokens = ", ".join(f"{counts[key]} {name}" for key, name in _TOKENS if type(counts.get(key)) is int)
    who = " ".join(str(kept[key])[:80] for key in ("model", "id") if key in kept)
    return " ".join(filter(None, ("response", f"of {who}" if who else "", tokens and f"({tokens})")))


_TOKENS = (("input_tokens", "tokens in"), ("output_tokens", "tokens out"))


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)


def _plain(value: Any) -> Any:
    """Return *value*, or the object of an SDK, as plain JSON."""
    convert = getattr(value, "to_dict", None)
    return stringified(convert() if callable(convert) else value)


def _wrong(value: Any) -> str:
    if _get(value, "choices") is not None:
        hint = (
            "a completion of the Chat Completions API;"
            " record(*rolloutlog.from_messages([completion.choices[0].message])) records its message"
        )
    elif _get(value, "stop_reason") is not None:
        hint = "a message of the Anthropic API; record(*rolloutlog.from_messages([message])) records it"
    else:
        hint = f"{type(value).__name__}; record(item) records an item"
    return f"expected a response, its dict, or the last event of a stream, with an 'output'; got {hint}"
