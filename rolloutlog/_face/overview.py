"""The pages between the sessions: the list of all, the search in them, and messages; `rolloutlog view` serves them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from html import escape
from itertools import islice
from pathlib import Path
from time import monotonic

from markupsafe import Markup

from .._paths import UUID, parse_file_name
from .._version import __version__
from .found import SearchCount, searched, snippet, written_since
from .heads import Head, read_head
from .html import css, hash_of, render
from .rows import Row, arranged, rows_of, words_of
from .safe import for_html, for_terminal, joinable, one_line
from .search import Hit, Query, ranked
from .sessions import count_sessions, short_path
from .states import word_for
from .words import Clock, counted, size_of

STYLES = ("page.css", "overview.css")
ON_A_PAGE = 100
"""How many sessions a page of the list has."""

LONGEST_QUERY = 1_000
_BEST = 5  # matches of each session
_AROUND = 300  # characters of a match and the words after it
_macro = partial(render, "overview.html")


def address_of(path: Path) -> str | None:
    """Return the address of the page of the session at *path*; `None` if its name has no id."""
    named = parse_file_name(path)
    return None if named is None else f"/s/{named.id}"


def address_of_id(session_id: str | None) -> str | None:
    """Return the address of the page of a session, if *session_id*, which a file says, is an id at all."""
    return f"/s/{session_id}" if session_id is not None and re.fullmatch(UUID, session_id) else None


def list_page(homes: Sequence[Path], number: int = 1, *, archived: bool = False) -> Iterator[str]:
    """Yield page *number*, from 1, of the list of all sessions, newest first, in pieces.

    Raises:
        OSError: the folder of the sessions cannot be read.
    """
    total = count_sessions(homes, archived=archived)
    last = max(1, -(-total // ON_A_PAGE))
    number = min(number, last)
    yield _begin("Archived sessions" if archived else "Sessions", is_first=number == 1 and not archived)
    skip = (number - 1) * ON_A_PAGE
    rows = list(islice(rows_of(homes, archived=archived, skip=skip), ON_A_PAGE))
    clock, handles = Clock(), {row.head.id: row.handle for row in rows}
    yield _macro("open_list")
    for row in arranged(rows):
        yield _row(row, clock, handles)
    yield _macro("close_list")
    where = " and ".join(map(short_path, homes))
    shown = f"{skip + 1:,} to {skip + len(rows):,} of {total:,}" if last > 1 else f"{total:,}"
    yield _macro("said", f"{shown} in {where}. Times are {clock.zone()}.")
    query = "archived=1&" if archived else ""
    links = [(f"/?{query}page={number - 1}", "Newer")] if number > 1 else []
    links += [(f"/?{query}page={number + 1}", "Older")] if number < last else []
    links += [("/", "All sessions")] if archived else [("/?archived=1", "Archived sessions")]
    yield _macro("pages", [(Markup(escape(href)), text) for href, text in links])
    yield _end()


def search_page(homes: Sequence[Path], text: str) -> Iterator[str]:
    """Yield the sessions in which *text* is, newest first, each piece as soon as it was found; else empty pieces."""
    yield _begin("Search", query=text)
    try:
        query = Query(text)
    except ValueError as error:
        yield _macro("said", f"{str(error).capitalize()}.")
        yield _end()
        return
    begin, clock, count, notes = monotonic(), Clock(), SearchCount(), list[str]()
    yield _macro("open_list")
    for path in written_since(homes, None):
        yield ""
        for found, hits in searched(query, [path], count, notes.append):
            yield _found(found, hits, clock)
    yield _macro("close_list")
    matches = f"{count.matches:,} match{'' if count.matches == 1 else 'es'} in {count.found:,}"
    took = f"{size_of(count.size)} read in {monotonic() - begin:.1f} s"
    yield _macro("said", f"{matches} of {counted(count.sessions, 'session')}, {took}.")
    if count.unread:
        yield _macro("said", " ".join([f"{counted(count.unread, 'session')} could not be read.", *notes[:1]]))
    yield _end()


def message_page(title: str, text: str) -> str:
    """Return a page that says *text*."""
    return _begin(title) + _macro("said", text) + _end()


def fragment(text: str) -> str:
    """Return *text* as the last piece of a page that cannot be continued."""
    return _macro("said", text)


def _begin(title: str, *, query: str = "", is_first: bool = False) -> str:
    style = css(*STYLES)
    csp = f"default-src 'none'; style-src {hash_of(style)}; base-uri 'none'; form-action 'self'"
    value = Markup(escape(for_terminal(query.replace("\n", " "))))
    return _macro("begin", Markup(escape(csp)), Markup(style), title, value, not is_first)


def _end() -> str:
    return _macro("end", f"Made by rolloutlog {__version__}.")


def _row(row: Row, clock: Clock, handles: dict[str, str]) -> str:
    state = word_for(row.state, row.head)
    words = words_of(row, handles) or "(no first words)"
    return _macro("row", address_of(row.head.path), words, row.handle, _facts(row.head, clock), state, row.state, [])


def _facts(head: Head, clock: Clock) -> list[str]:
    return [fact for fact in (clock.moment(head.began), size_of(head.size), one_line(head.model or "", 40)) if fact]


def _found(path: Path, hits: list[Hit], clock: Clock) -> str:
    """Return one session with its best matches."""
    head, address = read_head(path), address_of(path)
    shown = []
    for hit in ranked(hits)[:_BEST]:
        place = Markup(f"{address or '/'}#L{hit.line}")
        before, match, after = map(Markup, joinable(map(for_html, snippet(hit, _AROUND))))
        shown.append((place, f"{hit.line} {hit.part}", before, match, after))
    more = f"{len(hits) - len(shown):,} more" if len(hits) > len(shown) else ""
    words = one_line(head.title, 300) or "(no first words)"
    return _macro("row", address, words, head.name or head.short_id, _facts(head, clock), more, "", shown)
