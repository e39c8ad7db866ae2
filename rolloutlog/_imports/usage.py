"""The usage of a response as other APIs tell it, in the shape of the Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._shapes import Wire

_ENDS = {"max_tokens": "incomplete", "length": "incomplete", "model_context_window_exceeded": "incomplete"}


def kept_of(message: Mapping[str, Any]) -> Wire | None:
    """Return what is kept of the response that *message*, of a model, came with; `None` if it does not say.

    Args:
        message: a message of Anthropic's API, or one of Chat Completions with the keys of its completion beside it.

    >>> usage = {"input_tokens": 3, "cache_read_input_tokens": 100, "output_tokens": 5}
    >>> kept_of({"model": "m", "usage": usage})["usage"]["input_tokens"]
    103
    """
    usage, model, told = message.get("usage"), message.get("model"), message.get("id")
    if not isinstance(usage, Mapping) and not isinstance(model, str):
        return None
    end = message.get("stop_reason") or message.get("finish_reason")
    kept = {
        "id": told if isinstance(told, str) else None,
        "model": model if isinstance(model, str) else None,
        "status": None if end is None else _ENDS.get(end, "completed") if isinstance(end, str) else None,
        "usage": _usage(usage) if isinstance(usage, Mapping) else None,
    }
    return {key: held for key, held in kept.items() if held is not None}


def _usage(usage: Mapping[str, Any]) -> Wire:
    """Return *usage* in the shape of the Responses API, in which input includes what came from a cache.

    Anthropic counts the input that it read from a cache, and wrote to one, apart; Chat Completions has other names.
    """
    if "prompt_tokens" in usage:
        given, made = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        cached = _count(usage.get("prompt_tokens_details"), "cached_tokens")
        thought = _count(usage.get("completion_tokens_details"), "reasoning_tokens")
        written = None
    else:
        cached = _count(usage, "cache_read_input_tokens")
        written = _count(usage, "cache_creation_input_tokens")
        given = _count(usage, "input_tokens") + cached + written
        made = _count(usage, "output_tokens")
        thought = _count(usage.get("output_tokens_details"), "thinking_tokens")
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": cached, **({"cache_write_tokens": written} if written else {})},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": given + made,
    }


def _count(usage: Any, key: str) -> int:
    value = usage.get(key) if isinstance(usage, Mapping) else None
    return value if type(value) is int and value >= 0 else 0
