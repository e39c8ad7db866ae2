"""Makes `os` of this process look as it does on Windows, as far as rolloutlog can see.

It takes away the names that are missing there, gives files the modes and the owner that Windows reports, lets `rename`
refuse to replace a file, and replaces kernel32 by calls that check their arguments and do the same with POSIX. So the
code for Windows runs here, line by line. Whether Windows itself does as its manual says, is not shown by that.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat
import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

GONE = (
    *("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_SYNC", "writev", "readv", "pread", "pwrite"),
    *("sysconf", "fchmod", "fchown", "chown", "lchown", "geteuid", "getuid", "getegid", "getgid", "fork", "forkpty"),
    *("register_at_fork", "major", "minor", "mkfifo", "statvfs", "posix_fadvise", "setsid", "getpgid", "WNOHANG"),
)
GONE_MODULES = ("fcntl", "pwd", "grp", "termios", "tty", "pty", "resource", "posix")
BINARY, NOINHERIT = 1 << 29, 1 << 28
INVALID = ctypes.c_void_p(-1).value
VIOLATION, NOT_LOCKED, NOT_FOUND, EXISTS, DENIED, NO_PROCESS = 33, 158, 2, 80, 5, 87
ACTIVE = 259

real = SimpleNamespace(**{name: getattr(os, name) for name in dir(os)})
_handles: dict[int, int] = {}  # descriptors by handle
_translated: set[int] = set()  # descriptors in text mode, which a session must never be
_flock, _lockf = fcntl.flock, fcntl.fcntl
_last_error = 0


class Kernel:
    """The calls of kernel32 that `rolloutlog._windows` makes."""

    def __init__(self, name: str, use_last_error: bool = False) -> None:
        assert (name, use_last_error) == ("kernel32", True)
        for call in ("CreateFileW", "LockFileEx", "UnlockFileEx", "OpenProcess", "GetExitCodeProcess", "CloseHandle"):
            setattr(self, call, _Call(getattr(self, f"_{call}")))

    @staticmethod
    def _CreateFileW(
        name: str, access: int, share: int, security: None, disposition: int, attributes: int, template: None
    ) -> int:
        assert (share, attributes) == (7, 0x80)
        assert access in (0x8000_0000, 0xC000_0000)
        if os.path.isdir(name):
            return _fail(DENIED, INVALID)
        flags = real.O_RDWR if access == 0xC000_0000 else real.O_RDONLY
        new, fresh = real.O_CREAT | real.O_EXCL, real.O_CREAT | real.O_TRUNC
        flags |= {1: new, 2: fresh, 3: 0, 4: real.O_CREAT, 5: real.O_TRUNC}[disposition]
        try:
            fd = real.open(name, flags | real.O_CLOEXEC, 0o666)
        except FileExistsError:
            return _fail(EXISTS, INVALID)
        except FileNotFoundError:
            return _fail(NOT_FOUND, INVALID)
        handle = 10_000 + fd
        _handles[handle] = fd
        return handle

    @staticmethod
    def _LockFileEx(handle: int, how: int, reserved: int, low: int, high: int, where: Any) -> int:
        assert (how, reserved, low, high) == (3, 0, 1, 0)
        return 1 if _lock_range(handle, where, fcntl.F_WRLCK) else _fail(VIOLATION, 0)

    @staticmethod
    def _UnlockFileEx(handle: int, reserved: int, low: int, high: int, where: Any) -> int:
        assert (reserved, low, high) == (0, 1, 0)
        return 1 if _lock_range(handle, where, fcntl.F_UNLCK) else _fail(NOT_LOCKED, 0)

    @staticmethod
    def _OpenProcess(access: int, inherited: bool, process: int) -> int:
        assert (access, inherited) == (0x1000, False)
        try:
            real.kill(process, 0)
        except ProcessLookupError:
            return _fail(NO_PROCESS, 0)
        except PermissionError:
            return _fail(DENIED, 0)
        return 77

    @staticmethod
    def _GetExitCodeProcess(handle: int, code: Any) -> int:
        assert handle == 77
        code._obj.value = ACTIVE
        return 1

    @staticmethod
    def _CloseHandle(handle: int) -> int:
        if handle in _handles:
            real.close(_handles.pop(handle))
        return 1


class _Call:
    """A function of a library: code that gives it no types would pass pointers as 32 bits."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.argtypes: Any = None
        self.restype: Any = None

    def __call__(self, *arguments: Any) -> Any:
        assert self.argtypes is not None
        assert self.restype is not None
        assert len(arguments) == len(self.argtypes)
        return self.function(*arguments)


def _fail(error: int, result: int) -> int:
    global _last_error
    _last_error = error
    return result


def _lock_range(handle: int, where: Any, kind: int) -> bool:
    import struct

    begin = where._obj.Offset | where._obj.OffsetHigh << 32
    wanted = struct.pack("hhqqi", kind, os.SEEK_SET, begin, 1, 0)
    try:
        _lockf(_handles[handle], fcntl.F_OFD_SETLK, wanted)
    except BlockingIOError:
        return False
    return True


def _error(code: int) -> OSError:
    kinds = {NOT_FOUND: FileNotFoundError, EXISTS: FileExistsError, DENIED: PermissionError}
    error = kinds.get(code, OSError)(code, f"error {code}")
    error.winerror = code  # type: ignore[attr-defined]
    return error


def _open_osfhandle(handle: int, flags: int) -> int:
    fd = _handles[handle]
    assert flags & BINARY
    assert flags & NOINHERIT
    if flags & os.O_APPEND:
        _lockf(fd, fcntl.F_SETFL, _lockf(fd, fcntl.F_GETFL) | os.O_APPEND)
    return fd


def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: None = None) -> int:
    """Like `os.open` there: no folders, and bytes are translated unless asked otherwise."""
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", os.fspath(path))
    fd = real.open(path, flags & ~(BINARY | NOINHERIT) | real.O_CLOEXEC, mode)
    if not flags & BINARY and os.fspath(path).endswith(".jsonl"):
        real.close(fd)
        raise AssertionError(f"{path} was opened in text mode, with flags {flags:o}")
    return fd


def _rename(old: Any, new: Any) -> None:
    if os.path.lexists(new):
        raise FileExistsError(17, "cannot create a file when that file already exists", os.fspath(old))
    real.rename(old, new)


def _chmod(path: Any, mode: int, **other: Any) -> None:
    if isinstance(path, int):
        raise TypeError("chmod: path should be string, bytes or os.PathLike, not int")


def _kill(process: int, number: int) -> None:
    raise AssertionError(f"os.kill({process}, {number}) would end the process there, or send it a Ctrl-C")


def _told(status: os.stat_result) -> SimpleNamespace:
    """Return the status as Windows reports it: without an owner, and readable by all."""
    told = SimpleNamespace(**{name: getattr(status, name) for name in dir(status) if name.startswith("st_")})
    told.st_mode = stat.S_IFMT(status.st_mode) | (0o777 if stat.S_ISDIR(status.st_mode) else 0o666)
    told.st_uid = told.st_gid = 0
    return told


def pretend() -> None:
    """From here on this process looks like one on Windows, and rolloutlog is imported again.

    Other modules are imported before, because the standard library would import those that only Windows has.
    """
    from rolloutlog._cli.table import COMMANDS

    for module, _ in COMMANDS.values():
        with suppress(ImportError):
            import_module(f"rolloutlog._cli.{module}")
    for name in [name for name in sys.modules if name.partition(".")[0] == "rolloutlog"]:
        del sys.modules[name]
    for name in GONE:
        if hasattr(os, name):
            delattr(os, name)
    for name in GONE_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    os.O_BINARY, os.O_NOINHERIT = BINARY, NOINHERIT  # type: ignore[attr-defined]
    os.open, os.rename, os.chmod, os.kill = _open, _rename, _chmod, _kill
    os.fstat = lambda fd: _told(real.fstat(fd))
    os.lstat = lambda path, **other: _told(real.lstat(path))
    console = ModuleType("msvcrt")
    console.open_osfhandle = _open_osfhandle  # type: ignore[attr-defined]
    console.get_osfhandle = lambda fd: next(handle for handle, its in _handles.items() if its == fd)  # type: ignore[attr-defined]
    sys.modules["msvcrt"] = console
    ctypes.WinDLL = Kernel  # type: ignore[attr-defined]
    ctypes.get_last_error = lambda: _last_error  # type: ignore[attr-defined]
    ctypes.WinError = _error  # type: ignore[attr-defined]
    sys.platform = "win32"
