"""The templates of pages, in which each value is neutralised and escaped; and their style, allowed by its hash."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from .safe import for_html


def _shown(value: Any) -> Any:
    """Neutralise and escape *value*, unless it is HTML: the last thing that happens to each value of a template."""
    return Markup(for_html(value)) if type(value) is str else value


@cache
def _macros(template: str) -> Any:
    loader = PackageLoader("rolloutlog", "_face")
    return Environment(autoescape=True, finalize=_shown, loader=loader).get_template(template).module


def render(template: str, macro: str, /, *values: Any, **named: Any) -> str:
    """Return the HTML that *macro* of *template*, a file of this folder, makes of the values."""
    return str(getattr(_macros(template), macro)(*values, **named))


@cache
def css(*names: str) -> str:
    """Return the style in the files *names* of this folder."""
    folder = files("rolloutlog") / "_face"
    return "\n".join((folder / name).read_text(encoding="utf-8").strip() for name in names)


def hash_of(style: str) -> str:
    """Return how a content security policy names *style*, the text of a ``<style>``."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


def policy(style: str) -> str:
    """Return the content security policy of a page with *style*: no script, no request, only that style."""
    return f"default-src 'none'; style-src {hash_of(style)}; img-src data:; base-uri 'none'; form-action 'none'"
