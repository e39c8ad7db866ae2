"""The search of many sessions: which files are read, which cannot be, and a match with the words around it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs

from ..exceptions import MissingExtraError, RolloutError
from .search import Hit, Query
from .sessions import newest_first

# Spaces, and what a terminal shows in place of a newline.
_BEFORE = 24


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
    before = " ".join(hit.text[begin : hit.start].replace("\t", " ").splitlines())
    if begin:
        before = f"…{before.partition(' ')[2] or before}"
    match = " ".join(hit.text[hit.start : min(hit.end, hit.start + length)].splitlines())
    after = " ".join(hit.text[hit.end : hit.end + length].replace("\t", " ").splitlines())
    return before.lstrip(), match, after
