"""The contents of an open session: those of its file, and after them the entries that are not in it yet."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from ._entries import Entry
from ._format.lines import decode_first
from ._locks import fork_safe_lock
from ._reading.follow import Follower, Live
from ._reading.saved import SavedSession
from .exceptions import RolloutError
from .items import Item, ResponseItem

# How many entries that were written are remembered until a look passes them, and how long the line of each may be.
_MOST_KEPT, _LONGEST_KEPT = 64, 64 * 1024


class Items(list[ResponseItem]):
    """The items of a session at one moment: a list that cannot be changed, because a change would not be recorded."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("the items of a session are read-only; session.record(item) adds one, take_back() hides some")

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce__(self) -> tuple[type[Items], tuple[list[ResponseItem]]]:
        return Items, (list(self),)


class Own:
    """An entry that was handed over, as its line; it is decoded at the first look, which most entries never get."""

    __slots__ = ("_entry", "line")

    def __init__(self, line: bytes) -> None:
        self.line = line
        self._entry: Entry | None = None

    @property
    def entry(self) -> Entry:
        """The entry that a reader will read from the line: redacted, completed, and shared with no caller."""
        if self._entry is None:
            self._entry = decode_first(self.line)
        return self._entry


class Known:
    """The ids of a session's items and responses, as far as they were looked at.

    Attributes:
        items: the ids of the items.
    """

    def __init__(self) -> None:
        self.items: set[str] = set()
        self._responses: set[str | None] = set()
        self._seen = (0, 0)

    def is_new(self, live: Live, response_id: str | None) -> bool:
        """Look at *live*, and return whether it has no response of this id."""
        items, responses = self._seen
        if len(live.items) < items or len(live.responses.found) < responses:  # it is another file
            items = responses = 0
            self.items.clear()
            self._responses.clear()
        self.items.update(found for item in live.items[items:] if isinstance(found := item._read().get("id"), str))
        self._responses.update(response.id for response in live.responses.found[responses:])
        self._seen = len(live.items), len(live.responses.found)
        return response_id is None or response_id not in self._responses


class Contents:
    """The contents of the session at *path*, of which *saved* was read already.

    Attributes:
        pending: the entries that are being handed over or were, by number, until a look finds them in the file or a
            flush says that they are there.
        sent: the numbers in the order of the queue, because a signal handler can record while its thread is about to.
        looking: the lock that is held during a look.
    """

    # `pending` and `sent` are only changed by single operations of `dict`, which a signal handler or a finalizer cannot
    # divide. `looking` guards `_follower`, `_shown` and `_final`.
    #
    # `_written` has the last entries that a flush took out of `pending`, until a look has passed them in the file.
    # Otherwise the look would take them for equal entries in `pending`, which are not in the file yet.

    def __init__(self, path: Path, saved: SavedSession) -> None:
        self._saved = saved
        self._follower = Follower(path, saved)
        self.pending: dict[int, Own] = {}
        self._written: deque[tuple[int, Own]] = deque(maxlen=_MOST_KEPT)
        self.sent: dict[int, None] = {}
        self._numbers = itertools.count()
        self._shown: tuple[Live, Items] | None = None
        self._final: Live | None = None
        self.looking = fork_safe_lock()

    def items(self) -> Items:
        """Return all items, as of now: the same list as before if there are no new ones."""
        with self.looking:
            live = self.look()
            if self._shown is None or self._shown[0] is not live or len(self._shown[1]) != len(live.items):
                self._shown = live, Items(live.items)
            return self._shown[1]

    def end(self) -> None:
        """Keep the contents as they are now; later looks return these."""
        with self.looking:
            self._final = self.look()

    def numbers(self, count: int) -> list[int]:
        """Return so many new numbers."""
        return [next(self._numbers) for _ in range(count)]

    def forget(self, last: int) -> None:
        """Expect the entries no more that were sent up to the one with the number *last*: they are in the file."""
        sent = list(self.sent)
        if last not in sent:
            return
        numbers = sent[: sent.index(last) + 1]
        for number in numbers:
            own = self.pending.get(number)
            if own is not None and len(own.line) <= _LONGEST_KEPT:
                self._written.append((number, own))
        self.drop(numbers)

    def drop(self, numbers: list[int]) -> None:
        """Expect the entries with these *numbers* no more."""
        for number in numbers:
            self.pending.pop(number, None)
            self.sent.pop(number, None)

    def look(self) -> Live:
        """Return the contents of the session: those of its file, and after them the entries that are not in it yet."""
        with self.looking:
            if self._final is not None:
                return self._final
            pending = self.pending.copy()  # a flush during the look may forget some of these
            written = self._written.copy()  # after `pending`, out of which a flush moves entries to here
            try:
                live = self._follower.look()
                pending.update(self.pending)
                self._remove_found(pending, written, live.latest)
            except (OSError, RolloutError):
                live = self._follower.live or Live.of(self._saved, [])
            except BaseException:  # an interrupt, perhaps before all of `latest` was seen
                self._follower.distrust()
                raise
            if not pending:
                return live
            # Those that were sent have the order of the file; one that is just being handed over comes after them.
            order = [*dict.fromkeys([*self.sent, *sorted(pending)])]
            return live.and_then(pending[number].entry for number in order if number in pending)

    def _remove_found(self, pending: dict[int, Own], written: Iterable[tuple[int, Own]], found: list[Entry]) -> None:
        """Remove the entries that were *found* in the file from *pending*, and from the attribute `pending`.

        Args:
            pending: as `pending` was before and after the look.
            written: as `_written` was before the look, which has passed all of these.
            found: what the look found.
        """
        seen = dict(written)
        # An entry that is not sent yet cannot be in the file. `sent` comes first: `drop` removes from there last.
        sought = {n: own for n, own in {**seen, **pending}.items() if n in self.sent or n not in self.pending}
        for entry in found if pending else ():
            for number, own in sought.items():
                if _is_same(entry, own.entry):
                    del sought[number]
                    seen[number] = own
                    break
        self.drop(list(seen))
        for number, own in seen.items():
            pending.pop(number, None)
            with suppress(ValueError):
                self._written.remove((number, own))


def _is_same(entry: Entry, own: Entry) -> bool:
    return entry.json == own.json if isinstance(entry, Item) and isinstance(own, Item) else entry == own
