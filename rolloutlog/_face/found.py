"""The search of many sessions: which files are read, which cannot be, and a match with the words around it."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs

from ..exceptions import MissingExtraError, RolloutError
from .safe import for_terminal, joinable
from .search import Hit, Query
from .sessions import newest_first
from .widths import around

_BEFORE = 24
# Each of these becomes a space. A newline at the edge of a piece does, too, or two words would become one.
_BREAK = re.compile(r"\r\n|[\t-\r\x1c-\x1e\x85\u2028\u2029]")


@attrs.define
class SearchCount:
    """The counts of a search.

    Attributes:
        sessions: how many were read, and `size` their bytes.
        found: in how many of these there are matches, and `matches` how many.
        unread: how many could not be read.
    """

    sessions: int = 0
    found: int = 0
    matches: int = 0
    size: int = 0
    unread: int = 0


def written_since(homes: Iterable[Path], since: dt.datetime | None) -> Iterator[Path]:
    """Yield the files of all sessions in *homes*, newest first, except those that were not written *since* then."""
    for found in newest_first(homes):
        try:
            if since is None or os.stat(found.path).st_mtime >= since.timestamp():
                yield found.path
        except FileNotFoundError:  # removed in the meantime
            continue


def searched(
    query: Query, paths: Iterable[Path], count: SearchCount, missing: Callable[[str], None]
) -> Iterator[tuple[Path, list[Hit]]]:
    """Yield each of *paths* in which there are hits, with these, and count all.

    Of sessions that need an extra which is not installed, *missing* gets the first error's message.
    """
    for path in paths:
        try:
            hits, size = query.search(path)
        except MissingExtraError as error:
            count.unread += 1
            if count.unread == 1:
                missing(str(error))
            continue
        except (OSError, RolloutError):
            count.unread += 1
            continue
        count.sessions += 1
        count.size += size
        if hits:
            count.found += 1
            count.matches += len(hits)
            yield path, hits


def snippet(hit: Hit, length: int) -> tuple[str, str, str]:
    """Return the text before the match, the match, and the text after it, in one line of about *length* characters."""
    begin = max(0, hit.start - _BEFORE)
    before = _BREAK.sub(" ", hit.text[begin : hit.start])
    if begin:
        before = f"…{before.partition(' ')[2] or before}"
    match = _BREAK.sub(" ", hit.text[hit.start : min(hit.end, hit.start + length)])
    after = "…" if hit.end > hit.start + length else _BREAK.sub(" ", hit.text[hit.end : hit.end + length])
    return before.lstrip(), match, after


def snippet_for_terminal(hit: Hit, width: int) -> tuple[str, str, str]:
    """Return the same three pieces, neutralised and fitted to *width* columns, with the match in the middle."""
    most = 4 * width  # some characters take no column
    begin = max(0, hit.start - most)
    pieces = (hit.text[begin : hit.start], hit.text[hit.start : hit.end][:most], hit.text[hit.end : hit.end + most])
    before, match, after = joinable(for_terminal(_BREAK.sub(" ", piece)) for piece in pieces)
    before = f"…{before}" if begin else before.lstrip()
    match = f"{match}…" if hit.end - hit.start > most else match
    after = f"{after}…" if hit.end + most < len(hit.text) else after.rstrip()
    return around(before, match, after, width)
