"""The entries of a transcript in order, of which a call may wait for the output that follows it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import attrs

from .entries import Call, Entry, Output

# So many entries, or bytes of their lines, may wait for the output of the first of them; and so many calls that were
# yielded without an output are remembered, in case that it comes after all.
_MOST_WAITING, _MOST_BYTES, _MOST_REMEMBERED = 500, 16 * 1024 * 1024, 1000
_LONGEST_REMEMBERED = 500


@attrs.define(eq=False)
class _Slot:
    """An entry in the queue, and whether it waits for its output, or could still get one."""

    entry: Entry
    is_waiting: bool
    is_answered: bool = False
    is_given: bool = False


class Waiting:
    """Entries in order, of which a call may wait for its output. The first gives up when too many wait after it."""

    def __init__(self) -> None:
        self._queue: deque[_Slot] = deque()
        self._bytes = 0
        self._calls: dict[tuple[str, str], list[_Slot]] = {}
        self._order: deque[tuple[str, str]] = deque()

    def append(self, entry: Entry, keys: list[tuple[str, str]], waits: bool) -> None:
        """Append *entry*, a call by any of *keys*."""
        slot = _Slot(entry, waits)
        self._queue.append(slot)
        self._bytes += entry.size
        for key in keys:
            self._calls.setdefault(key, []).append(slot)
            self._order.append(key)
        while len(self._order) > _MOST_REMEMBERED:
            self._forget(self._order.popleft())

    def answer(self, keys: list[tuple[str, str]], output: Output) -> Output | None:
        """Give *output* to the call that waits for it; else return it, with its call if that is known."""
        # Ids are not unique in real files: of two calls with one id, the later is answered first.
        for slots in (self._calls.get(key, []) for key in keys):
            while slots:
                slot = slots.pop()
                if slot.is_answered:  # by another of its ids
                    continue
                slot.is_answered = True
                call = slot.entry
                assert isinstance(call, Call)
                if slot.is_given or not slot.is_waiting:
                    return attrs.evolve(output, call=call.call, call_line=call.line)
                slot.entry = attrs.evolve(call, result=output.result, result_line=output.line)
                slot.is_waiting = False
                return None
        return output

    def ready(self) -> Iterator[Entry]:
        """Yield the entries that wait for nothing, up to the first that does."""
        while self._queue:
            first = self._queue[0]
            if first.is_waiting and len(self._queue) <= _MOST_WAITING and self._bytes <= _MOST_BYTES:
                return
            yield self._pop()

    def flush(self) -> Iterator[Entry]:
        """Yield all entries."""
        while self._queue:
            yield self._pop()

    def _pop(self) -> Entry:
        slot = self._queue.popleft()
        slot.is_given = True
        entry = slot.entry
        self._bytes -= entry.size
        if isinstance(entry, Call) and not slot.is_answered:  # remembered, but not with a text of any length
            short = attrs.evolve(entry.call, command=entry.call.command[:_LONGEST_REMEMBERED], diff=None)
            slot.entry = attrs.evolve(entry, call=short)
        return entry

    def _forget(self, key: tuple[str, str]) -> None:
        slots = self._calls.get(key)
        if slots is not None and (not slots or not slots[0].is_waiting or slots[0].is_given):
            del slots[:1]
        if not slots:
            self._calls.pop(key, None)
