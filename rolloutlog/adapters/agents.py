"""The OpenAI Agents SDK keeps its history in a rollout: a `Session` for ``Runner.run(..., session=...)``.

The SDK itself is not imported here, nor when a session is used, unless its settings are given as a dict: its types
serve type checkers alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack, cast

from .._format.coerce import ItemLike
from .._options import RecorderOptions
from ._conversation import Conversation

if TYPE_CHECKING:
    from agents.items import TResponseInputItem
    from agents.memory import SessionSettings

_P = ParamSpec("_P")
_T = TypeVar("_T")


class RolloutSession:
    """A conversation of the Agents SDK, kept in a rollout.

    It survives the death of the process: a new object with the same id has the same items. Items that are popped or
    cleared stay in the file; a line is added that says so. Any number of objects of one process may share a session,
    and they see the same items. Another process is refused while one has it open.

    The file is read when the session is opened. After that, only lines that are appended are read, whichever process
    appends them. So keep a session open for as long as a conversation lasts, instead of opening it for each question.

    The SDK's sessions that encrypt or compact can wrap it. To compact, the SDK clears a session and adds the summary. A
    kill in between leaves the session empty; its items are still in the file, in `SavedSession.items`.

    Nothing here waits for the disk on the event loop. A context manager, also without ``async``: it closes the file.

    Attributes:
        session_id: the name it goes by; any text.

    >>> import asyncio, rolloutlog
    >>> from rolloutlog.adapters.agents import RolloutSession
    >>> session = RolloutSession("trip-to-rome")
    >>> asyncio.run(session.add_items([{"role": "user", "content": "Plan a day in Rome"}]))
    >>> session.close()
    >>> len(rolloutlog.load_session("trip-to-rome").items)
    1
    """

    session_id: str

    def __init__(
        self,
        session_id: str,
        *,
        home: str | os.PathLike[str] | None = None,
        instructions: str | None = None,
        meta: Mapping[str, Any] | None = None,
        session_settings: SessionSettings | Mapping[str, Any] | None = None,
        **options: Unpack[RecorderOptions],
    ) -> None:
        """Name a session; its file is made, or found, when it is first used.

        Args:
            session_id: any text that is not empty, as for `rolloutlog.session`.
            home: as for `rolloutlog.session`, and so *instructions*, *meta* and *options*.
            session_settings: the SDK's, or a dict of what is in them; a ``limit`` is how many of the latest items
                `get_items` returns where a call says nothing else.

        Raises:
            ValueError, TypeError: *session_id* is empty, ``shared=True``, or settings that the SDK does not know.
        """
        if not session_id:
            raise ValueError("a session's id is a text that is not empty")
        self.session_id = session_id
        self.session_settings = session_settings
        self._conversation = Conversation(session_id, home, {"instructions": instructions, "meta": meta, **options})

    @property
    def session_settings(self) -> SessionSettings | None:
        """The SDK's settings for this session; may be set, also to a dict."""
        return self._settings

    @session_settings.setter
    def session_settings(self, settings: SessionSettings | Mapping[str, Any] | None) -> None:
        if isinstance(settings, Mapping):
            from agents.memory import SessionSettings

            settings = SessionSettings().resolve(dict(settings))
        self._settings = settings

    @property
    def path(self) -> Path | None:
        """The rollout; `None` until the session is first used."""
        return self._conversation.path

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the items, oldest first, each as it was added; they are the caller's own.

        Args:
            limit: return only so many of the latest; a negative number means all.

        Raises:
            SessionLockedError: another process has the session open.
            RecorderClosedError: the session is closed.
            WriteError: items that were added before could not be written so far; they are tried again.
            OSError: the file cannot be opened or read.
        """
        if limit is None:
            limit = getattr(self._settings, "limit", None)
        if limit is not None and limit < 0:
            limit = None
        return cast("list[TResponseInputItem]", await _on_a_thread(self._conversation.items, limit))

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append *items*; they are on disk when this returns.

        Raises:
            InvalidItemError: one of them would not come back as it is; none was added.
            WriteError: they could not be written so far; they are kept, and tried again.
            SessionLockedError, RecorderClosedError, OSError: as for `get_items`.
        """
        await _on_a_thread(self._conversation.add, cast("list[ItemLike]", list(items)))

    async def pop_item(self) -> TResponseInputItem | None:
        """Take back the latest item and return it; `None` if there is none. Raises as `add_items` does."""
        return cast("TResponseInputItem | None", await _on_a_thread(self._conversation.pop))

    async def clear_session(self) -> None:
        """Take back all items. Raises as `add_items` does."""
        await _on_a_thread(self._conversation.clear)

    def close(self, *, timeout: float = 30.0) -> None:
        """Close the file and wait for that; closing again does nothing more. On an event loop, use ``async with``."""
        self._conversation.close(timeout)

    async def __aenter__(self) -> Self:
        await _on_a_thread(self._conversation.open)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await _on_a_thread(self._conversation.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RolloutSession {self.session_id[:48]!r}: {self.path or 'not used yet'}>"


async def _on_a_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run *function* on a thread to its end, also when the caller is cancelled: then raise that when it is done.

    A thread cannot be stopped. If a cancelled call returned at once, its items would appear after later ones.
    """
    task = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    task.exception()  # retrieved, or asyncio would complain; the cancellation is raised instead
    try:
        raise cancelled
    finally:
        del cancelled  # the error and this frame would refer to each other
