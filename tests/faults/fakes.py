"""A fake operating system for journals: the real one, in which chosen calls fail, or in which other programs act."""

from __future__ import annotations

import errno
import math
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from rolloutlog._writing.os_calls import REAL_SYSTEM

ERRNOS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EINTR, errno.EFBIG, errno.ENOENT)

# A write can also do one of these instead of failing with an errno.
SHORT = "short"  # write half of the bytes, and return their number
ZERO = "zero"  # write nothing, and return 0


@attrs.frozen
class Fault:
    """The *at*-th call named *call* (from 1, since it was armed) goes wrong; with *forever*, all later ones, too."""

    call: str
    at: int
    how: int | str
    forever: bool = False

    def __str__(self) -> str:
        how = errno.errorcode[self.how] if isinstance(self.how, int) else self.how
        return f"{self.call} #{self.at}{' and on' if self.forever else ''}: {how}"


class Failing:
    """The real system, of which one call fails or ends the process.

    Args:
        number: which of its calls, of any name, from 1.
        fail: called instead of it, with its name.
    """

    def __init__(self, number: int, fail: Callable[[str], object]) -> None:
        self.calls = 0
        self._number, self._fail = number, fail

    def __getattr__(self, name: str) -> Any:
        real = getattr(REAL_SYSTEM, name)

        def call(*arguments: Any) -> Any:
            self.calls += 1
            if self.calls == self._number:
                self._fail(name)
            return real(*arguments)

        return call if callable(real) else real


@attrs.frozen
class _Plan:
    """A function that replaces the calls of one name, from the number *first* to the number *last*."""

    call: str
    first: int
    last: float
    act: Callable[..., Any]


class FakeSystem:
    """The real system, which keeps a list of its calls, and in which calls fail on demand.

    It also knows what a power cut would leave. Bytes that no sync has covered are lost, and so are bytes whose sync
    failed, whatever a later sync returns: the kernel has dropped their pages by then.

    Args:
        most_pieces: how many lines one write takes.

    Attributes:
        calls: the name of every call so far.
        counts: how often each was called since `arm`.
        writes: how many bytes each write was asked to write.
        hits: the name of every call that went wrong, since `arm`.
        watch: called with name and arguments before each call.
    """

    def __init__(self, most_pieces: int = 1) -> None:
        self.most_pieces = most_pieces
        self.calls: list[str] = []
        self.counts: Counter[str] = Counter()
        self.writes: list[int] = []
        self.hits: list[str] = []
        self.watch: Callable[[str, tuple[Any, ...]], object] | None = None
        self._plans: list[_Plan] = []
        self._visits: list[tuple[str, int, Callable[[], object]]] = []
        self._dirty: dict[int, list[tuple[int, int]]] = {}
        self._dropped: dict[int, list[tuple[int, int]]] = {}

    # -- faults -------------------------------------------------------------------------------------------------------

    def arm(self, *faults: Fault) -> None:
        """Count calls from now on, and let them fail as *faults* say and in no other way."""
        self.heal()
        self.counts.clear()
        self.hits.clear()
        for fault in faults:
            times = None if fault.forever else 1
            if isinstance(fault.how, int):
                self.fail(fault.call, fault.how, nth=fault.at, times=times)
            else:
                self.write_short(None if fault.how == SHORT else 0, nth=fault.at, times=times)

    def fail(self, call: str, error: int | BaseException, *, nth: int = 1, times: int | None = 1) -> None:
        """Let the *nth* call from now fail, and those after it up to *times* in all (`None`: for good).

        A call that fails has done nothing; but a failed close has closed, and a failed sync has dropped pages, as on
        Linux.

        Args:
            call: the name of the call.
            error: an errno, or another error to raise.
            nth: the first one that fails.
            times: how many fail.
        """

        def act(real: Callable[..., Any], *args: Any) -> Any:
            if call == "close":
                real(*args)
            if call == "fsync" and not isinstance(error, KeyboardInterrupt):
                inode = os.fstat(args[0]).st_ino
                self._dropped.setdefault(inode, []).extend(self._dirty.pop(inode, []))
            raise OSError(error, os.strerror(error)) if isinstance(error, int) else error

        self._plan(call, act, nth, times)

    def interrupt_after(self, call: str, *, nth: int = 1) -> None:
        """Let the *nth* call from now do its work, and raise KeyboardInterrupt before its result is seen."""

        def act(real: Callable[..., Any], *args: Any) -> Any:
            self._note(call, args, real(*args))
            raise KeyboardInterrupt

        self._plan(call, act, nth, 1)

    def write_short(self, size: int | None = None, *, nth: int = 1, times: int | None = 1) -> None:
        """Let the *nth* write from now, and so up to *times*, stop after *size* bytes, by default half of them."""

        def act(real: Callable[..., Any], fd: int, lines: Any) -> Any:
            data = b"".join(lines)
            written = real(fd, [data[: max(1, len(data) // 2) if size is None else size]])
            self._note("write", (fd, lines), written)
            return written

        self._plan("write", act, nth, times)

    def before(self, call: str, action: Callable[[], object], *, nth: int = 1) -> None:
        """Let another program do *action* just before the *nth* call from now."""
        self._visits.append((call, self.counts[call] + nth, action))

    def heal(self) -> None:
        """Let no call fail any more, and no other program act."""
        self._plans.clear()
        self._visits.clear()

    def _plan(self, call: str, act: Callable[..., Any], nth: int, times: int | None) -> None:
        first = self.counts[call] + nth
        self._plans.append(_Plan(call, first, math.inf if times is None else first + times - 1, act))

    # -- the calls ----------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(REAL_SYSTEM, name)

        def call(*args: Any) -> Any:
            if self.watch is not None:
                self.watch(name, args)
            self.calls.append(name)
            self.counts[name] += 1
            if name == "write":
                self.writes.append(sum(map(len, args[1])))
            number = self.counts[name]
            for called, at, action in tuple(self._visits):
                if (called, at) == (name, number):
                    action()
            for plan in self._plans:
                if plan.call == name and plan.first <= number <= plan.last:
                    self.hits.append(name)
                    return plan.act(real, *args)
            result = real(*args)
            self._note(name, args, result)
            return result

        return call

    # -- the medium ---------------------------------------------------------------------------------------------------

    def _note(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        """Note what a call that was done means for the medium."""
        if name == "open" and args[1] & os.O_CREAT:  # the number of a file that is gone may come again
            self._forget(os.fstat(result).st_ino, 0, sys.maxsize)
        if name not in ("write", "fsync", "ftruncate"):
            return
        inode = os.fstat(args[0]).st_ino
        if name == "fsync":
            self._dirty.pop(inode, None)
        elif name == "write":
            end = os.lseek(args[0], 0, os.SEEK_CUR)
            self._forget(inode, end - result, end)
            ranges = self._dirty.setdefault(inode, [])
            begin = ranges.pop()[0] if ranges and ranges[-1][1] == end - result else end - result  # one range for a run
            ranges.append((begin, end))
        else:
            self._forget(inode, args[1], sys.maxsize)

    def _forget(self, inode: int, begin: int, end: int) -> None:
        """Drop all notes of the bytes between *begin* and *end*."""
        for ranges in (self._dirty, self._dropped):
            left = []
            for first, last in ranges.get(inode, []):
                left += [(first, min(last, begin)), (max(first, end), last)]
            ranges[inode] = [(first, last) for first, last in left if first < last]

    def after_power_cut(self, path: Path) -> bytes:
        """Return the content of the file after a power cut now; lost bytes are NULs."""
        inode = path.stat().st_ino
        return self._without(path, self._dirty.get(inode, []) + self._dropped.get(inode, []))

    def lose_dropped_pages(self, path: Path) -> None:
        """Turn bytes to NULs that a failed sync dropped and that were not written again."""
        path.write_bytes(self._without(path, self._dropped.get(path.stat().st_ino, [])))

    def _without(self, path: Path, ranges: list[tuple[int, int]]) -> bytes:
        content = bytearray(path.read_bytes())
        for begin, end in ranges:
            content[begin:end] = bytes(len(content[begin:end]))
        return bytes(content)
