"""A fake operating system for the journal's seam: the real one, in which chosen calls fail when a test says so."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from rolloutlog._writing.os_calls import REAL_SYSTEM


@attrs.define
class _Fault:
    """What is to happen at some calls of one name; *skip* calls are left until then, *times* calls are hit."""

    call: str
    act: Callable[[Callable[..., Any], tuple[Any, ...]], Any]
    skip: int
    times: int | None


class FakeSystem:
    """The real system, which keeps a list of its calls, and goes wrong as told.

    It also knows what a power cut would leave: bytes that no sync has covered are lost, and so are those whose sync
    failed, whatever a later sync says, for the kernel has dropped them by then.

    Attributes:
        calls: the name of every call so far.
        writes: how many bytes each write was asked to write.
        hits: the name of every call that went wrong.
        most_pieces: how many lines one write takes: one, so that what happens between two writes is met, too.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.writes: list[int] = []
        self.hits: list[str] = []
        self.most_pieces = 1
        self._faults: list[_Fault] = []
        self._dirty: dict[int, list[tuple[int, int]]] = {}
        self._dropped: dict[int, list[tuple[int, int]]] = {}

    # -- what goes wrong ----------------------------------------------------------------------------------------------

    def fail(self, call: str, error: int | BaseException, *, nth: int = 1, times: int | None = 1) -> None:
        """Let the *nth* call from now fail, and those after it up to *times* in all (`None`: for good).

        What fails has done nothing; but a failed close has closed, as on Linux.

        Args:
            call: the name of the call.
            error: what it fails with: an errno, or something else that is raised.
            nth: the first one that fails.
            times: how many fail.
        """

        def act(real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
            if call == "close":
                real(*args)
            raise OSError(error, os.strerror(error)) if isinstance(error, int) else error

        self._faults.append(_Fault(call, act, nth - 1, times))

    def interrupt_after(self, call: str, *, nth: int = 1) -> None:
        """Let the *nth* call from now do its work, and a Ctrl-C come before anybody hears of it."""

        def act(real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
            self._note(call, args, real(*args))
            raise KeyboardInterrupt

        self._faults.append(_Fault(call, act, nth - 1, 1))

    def write_short(self, size: int, *, nth: int = 1, times: int | None = 1) -> None:
        """Let the *nth* write from now stop after *size* bytes, and so those after it up to *times* in all."""

        def act(real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
            fd, lines = args
            written = real(fd, [b"".join(lines)[:size]])
            self._note("write", args, written)
            return written

        self._faults.append(_Fault("write", act, nth - 1, times))

    def before(self, call: str, action: Callable[[], object], *, nth: int = 1) -> None:
        """Let somebody else do *action* just before the *nth* call from now, which then goes well."""

        def act(real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
            action()
            result = real(*args)
            self._note(call, args, result)
            return result

        self._faults.append(_Fault(call, act, nth - 1, 1))

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self._faults.clear()

    # -- the calls ----------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(REAL_SYSTEM, name)

        def call(*args: Any) -> Any:
            self.calls.append(name)
            if name == "write":
                self.writes.append(sum(map(len, args[1])))
            fault = self._due(name)
            if fault is not None:
                self.hits.append(name)
                try:
                    return fault.act(real, args)
                except OSError:
                    if name == "fsync":
                        inode = os.fstat(args[0]).st_ino
                        self._dropped.setdefault(inode, []).extend(self._dirty.pop(inode, []))
                    raise
            result = real(*args)
            self._note(name, args, result)
            return result

        return call

    def _due(self, name: str) -> _Fault | None:
        """Return what is to happen at this call of *name*, and count it."""
        due = None
        for fault in self._faults:
            if fault.call != name or fault.times == 0:
                continue
            if fault.skip:
                fault.skip -= 1
            elif due is None:
                due = fault
                if fault.times is not None:
                    fault.times -= 1
        return due

    # -- what a power cut would leave ---------------------------------------------------------------------------------

    def _note(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        """Take note of what a call that went well means for the medium."""
        if name not in ("write", "fsync", "ftruncate"):
            return
        inode = os.fstat(args[0]).st_ino
        if name == "fsync":
            self._dirty.pop(inode, None)
        elif name == "write":
            end = os.lseek(args[0], 0, os.SEEK_CUR)
            self._forget(inode, end - result, end)
            self._dirty.setdefault(inode, []).append((end - result, end))
        else:
            self._forget(inode, args[1], sys.maxsize)

    def _forget(self, inode: int, begin: int, end: int) -> None:
        """Know nothing of what was between *begin* and *end*."""
        for ranges in (self._dirty, self._dropped):
            left = []
            for first, last in ranges.get(inode, []):
                left += [(first, min(last, begin)), (max(first, end), last)]
            ranges[inode] = [(first, last) for first, last in left if first < last]

    def after_power_cut(self, path: Path) -> bytes:
        """Return what would be in the file after a power cut now; what is lost is NULs."""
        content = bytearray(path.read_bytes())
        inode = path.stat().st_ino
        for begin, end in self._dirty.get(inode, []) + self._dropped.get(inode, []):
            content[begin:end] = bytes(len(content[begin:end]))
        return bytes(content)
