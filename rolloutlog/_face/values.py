"""Values of any shape, as files hold them: the part that is expected, or nothing in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._json import dumps


def mapping(value: Any) -> Mapping[str, Any]:
    """Return *value*, or an empty mapping if it is not one."""
    return value if isinstance(value, Mapping) else {}


def text_at(value: Any, key: str) -> str | None:
    """Return the text that *value* has at *key*; `None` if there is none."""
    found = mapping(value).get(key)
    return found if isinstance(found, str) else None


def texts_of(values: Any) -> list[str]:
    """Return those of *values* that are texts; an empty list if it is not a list."""
    return [value for value in values if isinstance(value, str)] if isinstance(values, list | tuple) else []


def part_text(part: Any) -> str:
    """Return the text of *part* of a message or of reasoning; a refusal is text, too."""
    return next((text for key in ("text", "refusal") if (text := text_at(part, key)) is not None), "")


def text_of(content: Any) -> str:
    """Return the text of *content* of a message: itself, or the texts of its parts."""
    if isinstance(content, str):
        return content
    return "\n\n".join(filter(None, map(part_text, content))) if isinstance(content, list) else ""


def file_of(part: Any) -> str:
    """Return the name of the file that *part* of a message holds, or what else says which it is."""
    return next((name for key in ("filename", "file_id", "file_url") if (name := text_at(part, key))), "file")


def as_json(value: Any) -> str:
    """Return *value* as JSON, or as Python shows it where JSON cannot hold it."""
    try:
        return dumps(value).decode()
    except (TypeError, ValueError):
        return str(value)
