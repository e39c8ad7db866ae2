"""The calls of Windows that `os` lacks: files that can be renamed while they are open, locks, and living processes."""

from __future__ import annotations

import errno
import sys

assert sys.platform == "win32"

import ctypes
import msvcrt
import os
from ctypes import wintypes
from pathlib import Path

NOFOLLOW = 0x4000_0000
"""A flag for `open_file`, which no flag of the system has: raise if it is a link."""

_GENERIC_READ = 0x80000000
_GENERIC_WRITE = 0x40000000
_SHARE_ALL = 0x1 | 0x2 | 0x4  # to read, to write, and to rename or delete
_CREATE_NEW, _CREATE_ALWAYS, _OPEN_EXISTING, _OPEN_ALWAYS, _TRUNCATE_EXISTING = 1, 2, 3, 4, 5
_NORMAL = 0x80
_INVALID_HANDLE = ctypes.c_void_p(-1).value

_FAIL_IMMEDIATELY = 0x1
_EXCLUSIVE = 0x2
_LOCK_VIOLATION = 33
_NOT_LOCKED = 158

_QUERY_LIMITED_INFORMATION = 0x1000
_STILL_ACTIVE = 259
_ACCESS_DENIED = 5

# Locked in place of a whole file. Windows lets no other process read what is locked, and readers of a session, Codex
# among them, must not be kept out; so it is a byte that no file reaches. (filelock locks the first byte.)
_BEYOND = 0x7FFF_FFFF_FFFF_0000


class _Overlapped(ctypes.Structure):
    _fields_ = (
        ("Internal", ctypes.c_void_p),
        ("InternalHigh", ctypes.c_void_p),
        ("Offset", wintypes.DWORD),
        ("OffsetHigh", wintypes.DWORD),
        ("hEvent", wintypes.HANDLE),
    )


_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.CreateFileW.argtypes = [
    wintypes.LPCWSTR,
    wintypes.DWORD,
    wintypes.DWORD,
    ctypes.c_void_p,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.HANDLE,
]
_kernel.CreateFileW.restype = wintypes.HANDLE
_kernel.LockFileEx.argtypes = [
    wintypes.HANDLE,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.DWORD,
    ctypes.POINTER(_Overlapped),
]
_kernel.LockFileEx.restype = wintypes.BOOL
_kernel.UnlockFileEx.argtypes = [
    wintypes.HANDLE,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.DWORD,
    ctypes.POINTER(_Overlapped),
]
_kernel.UnlockFileEx.restype = wintypes.BOOL
_kernel.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
_kernel.OpenProcess.restype = wintypes.HANDLE
_kernel.GetExitCodeProcess.argtypes = [wintypes.HANDLE, ctypes.POINTER(wintypes.DWORD)]
_kernel.GetExitCodeProcess.restype = wintypes.BOOL
_kernel.CloseHandle.argtypes = [wintypes.HANDLE]
_kernel.CloseHandle.restype = wintypes.BOOL


def open_file(path: str | Path, flags: int, mode: int = 0o777) -> int:
    """Open a file as `os.open` does, but so that it can be renamed and deleted while it is open, as on other systems.

    The bytes are never translated, and no child inherits the descriptor.

    Raises:
        IsADirectoryError: it is a folder.
        OSError: it cannot be opened, or is a link and *flags* has `NOFOLLOW`.
    """
    if flags & NOFOLLOW and os.path.islink(path):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    access = _GENERIC_READ | (_GENERIC_WRITE if flags & (os.O_WRONLY | os.O_RDWR) else 0)
    handle = _kernel.CreateFileW(os.fspath(path), access, _SHARE_ALL, None, _disposition(flags), _NORMAL, None)
    if handle is None or handle == _INVALID_HANDLE:
        error = ctypes.WinError(ctypes.get_last_error())
        if os.path.isdir(path):
            raise IsADirectoryError(error.errno, error.strerror, os.fspath(path)) from None
        raise type(error)(error.errno, error.strerror, os.fspath(path), error.winerror)
    kept = flags & (os.O_APPEND | os.O_WRONLY | os.O_RDWR) | os.O_BINARY | os.O_NOINHERIT
    try:
        return msvcrt.open_osfhandle(handle, kept)
    except BaseException:
        _kernel.CloseHandle(handle)
        raise


def _disposition(flags: int) -> int:
    if flags & os.O_CREAT:
        if flags & os.O_EXCL:
            return _CREATE_NEW
        return _CREATE_ALWAYS if flags & os.O_TRUNC else _OPEN_ALWAYS
    return _TRUNCATE_EXISTING if flags & os.O_TRUNC else _OPEN_EXISTING


def lock(fd: int, offset: int = _BEYOND) -> bool:
    """Try to lock one byte, which need not exist; return whether that worked. The lock ends with the process."""
    where = _Overlapped(Offset=offset & 0xFFFF_FFFF, OffsetHigh=offset >> 32)
    how = _EXCLUSIVE | _FAIL_IMMEDIATELY
    if _kernel.LockFileEx(msvcrt.get_osfhandle(fd), how, 0, 1, 0, ctypes.byref(where)):
        return True
    if (code := ctypes.get_last_error()) == _LOCK_VIOLATION:
        return False
    raise ctypes.WinError(code)


def unlock(fd: int, offset: int = _BEYOND) -> None:
    """Release the lock of `lock`; nothing happens if it is not locked."""
    where = _Overlapped(Offset=offset & 0xFFFF_FFFF, OffsetHigh=offset >> 32)
    if not _kernel.UnlockFileEx(msvcrt.get_osfhandle(fd), 0, 1, 0, ctypes.byref(where)):
        code = ctypes.get_last_error()
        if code != _NOT_LOCKED:
            raise ctypes.WinError(code)


def is_alive(process: int) -> bool:
    """Return whether there is a process with this id. `os.kill` with signal 0 would send it a Ctrl-C."""
    handle = _kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, process)
    if not handle:
        return bool(ctypes.get_last_error() == _ACCESS_DENIED)
    code = wintypes.DWORD()
    try:
        return not _kernel.GetExitCodeProcess(handle, ctypes.byref(code)) or code.value == _STILL_ACTIVE
    finally:
        _kernel.CloseHandle(handle)
