"""The web app of `rolloutlog view`: the list, the search, and the page of a session; each is made while it is sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from time import monotonic
from typing import Any, TypeAlias

import attrs
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from .._care.held import writers_of
from .._face.entries import DEPTHS
from .._face.html import css, hash_of
from .._face.live import followed
from .._face.overview import (
    LONGEST_QUERY,
    STYLES,
    address_of_id,
    fragment,
    list_page,
    message_page,
    search_page,
)
from .._face.page import STYLE, Options, pieces
from .._face.sessions import default_homes
from .._face.transcript import Transcript
from .._lookup import find_by_id
from ..exceptions import RolloutError, SessionNotFoundError
from .guard import Guard
from .output import note

INTERVAL = 0.25
"""How often a session that is followed is looked at, in seconds."""

# A browser has six connections to one server. One must be free for other pages.
MOST_FOLLOWED = 5

_AT_ONCE = 0.1  # a thread works so many seconds on a page, and then asks whether the reader has left
_MOST_TEXT = 1 << 20  # characters that are sent at once
_TOO_MANY = f"This session is not followed any more, because {MOST_FOLLOWED} others are. Reload the page to follow it."
_ENDING = "This session is not followed any more, because rolloutlog view was ended."

# The other depths of a session, and the links to them.
_OTHER_DEPTHS = (("talk", "Conversation"), ("full", "Whole outputs"), ("all", "Everything"))

_Pieces: TypeAlias = Iterator[str | None]


@attrs.define
class _Follower:
    """A page that is being followed, and the reason why it should end."""

    reason: str | None = None


class Viewer:
    """The app, without its guard.

    Args:
        homes: where sessions are looked for.
        is_ending: whether the server is being ended, so that every page must end.
    """

    def __init__(self, homes: Sequence[Path], is_ending: Callable[[], bool]) -> None:
        self._homes, self._is_ending = homes, is_ending
        self._followers: deque[_Follower] = deque()
        routes = [
            Route("/", self._list),
            Route("/search", self._search),
            Route("/s/{session_id}", self._session),
        ]
        self.app = Starlette(routes=routes, exception_handlers={404: _no_such_page, Exception: _unexpected})

    async def _list(self, request: Request) -> Response:
        number = request.query_params.get("page", "1")
        page = min(max(1, int(number)), 1_000_000) if number.isascii() and number.isdigit() and len(number) < 9 else 1
        archived = request.query_params.get("archived") == "1"
        return await _response(request, list_page(self._homes, page, archived=archived))

    async def _search(self, request: Request) -> Response:
        return await _response(request, search_page(self._homes, request.query_params.get("q", "")[:LONGEST_QUERY]))

    async def _session(self, request: Request) -> Response:
        depth = request.query_params.get("depth", "tools")
        options = Options(
            depth=depth if depth in DEPTHS else "tools",
            is_whole=depth == "full",
        )
        return await _response(request, self._page(request.path_params["session_id"], options))

    def _page(self, session_id: str, options: Options) -> _Pieces:
        """Yield the page of a session; of one that is open, without end."""
        path = self._path_of(session_id)
        transcript = Transcript(path)
        links = [("/", "All sessions"), *((f"?depth={each}", text) for each, text in _OTHER_DEPTHS)]
        options = attrs.evolve(options, links=tuple(links), parent_page=self._parent(transcript))
        if not _is_open(path):
            yield from pieces(transcript, options)
            return
        follower = _Follower()
        self._followers.append(follower)
        if len(self._followers) > MOST_FOLLOWED:
            self._followers.popleft().reason = _TOO_MANY
        try:
            yield from followed(
                transcript,
                options,
                lambda: _is_open(path),
                lambda: _ENDING if self._is_ending() else follower.reason,
            )
        finally:
            with suppress(ValueError):  # it had to make room
                self._followers.remove(follower)

    def _path_of(self, session_id: str) -> Path:
        """Return the file of a session; only an id means one here, never a path or a name."""
        if address_of_id(session_id) is not None:
            for home in self._homes:
                if (path := find_by_id(home, session_id)) is not None:
                    return path
        raise SessionNotFoundError(session_id, " and ".join(map(str, self._homes)))

    def _parent(self, transcript: Transcript) -> str | None:
        """Return the address of the session that this one was forked from, if it is there."""
        address = address_of_id(transcript.head.parent_id)
        if address is None:
            return None
        try:
            self._path_of(str(transcript.head.parent_id))
        except (OSError, RolloutError):
            return None
        return address


def guarded(homes: Sequence[Path] | None, port: int, is_ending: Callable[[], bool]) -> Guard:
    """Return the app for the server that listens at *port*."""
    styles = " ".join(map(hash_of, (css(STYLE), css(*STYLES))))
    policy = (
        f"default-src 'none'; style-src {styles}; img-src data:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
    return Guard(Viewer(homes or default_homes(), is_ending).app, port, policy)


def _is_open(path: Path) -> bool:
    try:
        return bool(writers_of(path))
    except OSError:
        return False


# --- responses --------------------------------------------------------------------------------------------------------


class _Stream(StreamingResponse):
    """A response whose pieces are closed as soon as its reader leaves, not when they happen to be collected."""

    async def stream_response(self, send: Any) -> None:
        body: AsyncGenerator[bytes, None] = self.body_iterator  # type: ignore[assignment]
        async with aclosing(body):
            await super().stream_response(send)


async def _response(request: Request, made: _Pieces) -> Response:
    """Return *made* as a response, or an error if its first piece cannot be made."""
    try:
        first = await run_in_threadpool(_batch, made)
    except SessionNotFoundError:
        return _message(404, "There is no such session", "It may have been removed or archived since.")
    except (RolloutError, OSError) as error:
        return _message(500, "This session cannot be shown", _reason(error))
    if request.method == "HEAD":
        _close(made)
        return HTMLResponse()
    return _Stream(_sent(first, made), media_type="text/html")


def _close(made: _Pieces) -> None:
    """Close the files that *made* has open."""
    if isinstance(made, Generator):
        made.close()


async def _sent(batch: tuple[str, bool, bool], made: _Pieces) -> AsyncGenerator[bytes, None]:
    """Yield what *made* yields after the first *batch*, each in a thread, so that no page makes another one wait."""
    try:
        while True:
            text, is_waiting, is_over = batch
            if text:
                yield text.encode("utf-8", "replace")
            if is_over:
                return
            if is_waiting:
                await asyncio.sleep(INTERVAL)
            try:
                batch = await run_in_threadpool(_batch, made)
            except (RolloutError, OSError) as error:
                batch = fragment(f"The rest cannot be shown: {_reason(error)}"), False, True
    finally:
        _close(made)


def _batch(made: _Pieces) -> tuple[str, bool, bool]:
    """Return the next pieces as one text, whether to wait before the next ones, and whether there are none."""
    texts: list[str] = []
    size, end = 0, monotonic() + _AT_ONCE
    for piece in made:
        if piece is None:
            return "".join(texts), True, False
        texts.append(piece)
        size += len(piece)
        if size >= _MOST_TEXT or monotonic() >= end:
            return "".join(texts), False, False
    return "".join(texts), False, True


def _reason(error: Exception) -> str:
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _message(status: int, title: str, text: str) -> Response:
    return HTMLResponse(message_page(title, text), status)


async def _no_such_page(request: Request, error: Exception) -> Response:
    return _message(404, "There is no such page", "The list has all sessions.")


async def _unexpected(request: Request, error: Exception) -> Response:
    note(f"{type(error).__name__}: {error}")
    return _message(500, "This page cannot be shown", "Its reason was printed where rolloutlog view runs.")
