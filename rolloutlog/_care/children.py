"""The sessions whose history ends at a byte of this file: its forks, and those that continue it."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from .._entries import SessionMeta
from .._format.lines import InvalidLine, decode_line
from .._lookup import every_file
from .._paths import home_of, parse_file_name
from .._reading.blocks import StrPath, is_compressed
from .findings import Edit

# How many bytes of a file are read to find out what its meta refers to; a longer meta is read whole.
_HEAD = 64 * 1024
_OFFSET = re.compile(rb'"end_byte_offset"\s*:\s*(\d+)')


@attrs.frozen
class Child:
    """A session whose history begins in another file.

    Attributes:
        path: its own file.
        end: where its history ends in the other file, in bytes.
        place: where in its own file that number is.
        digits: the number as it is there.
    """

    path: Path
    end: int
    place: int
    digits: bytes

    def edit(self, end: int) -> Edit:
        """Return the change of its file that sets the end to *end*."""
        return Edit(self.place, len(self.digits), b"%d" % end)


def children_of(path: StrPath, session_id: str | None) -> list[Child]:
    """Return the sessions, in the home of *path*, whose history ends in that file.

    Args:
        path: the file.
        session_id: the id in its meta, which counts where the file is not named like a session.
    """
    home, named = home_of(path), parse_file_name(path)
    name = session_id if named is None else named.revision or named.id
    if home is None or name is None:
        return []
    return [child for each in every_file(home) if (child := _child(each.path, name)) is not None]


def _child(path: Path, name: str) -> Child | None:
    """Return the session in the file at *path*, if its history ends in the file called *name*."""
    if is_compressed(path):
        return None
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if b'"history_base"' not in head and b"\n" in head:
                return None
            line = head.partition(b"\n")[0] if b"\n" in head else head + file.readline()
        entry = decode_line(line)
        if not isinstance(entry, SessionMeta):
            return None
        base = entry.extra["history_base"]
        if base["thread_id"] != name:
            return None
        begin = line.index(b'"history_base"')
        match = _OFFSET.search(line, begin)
    except (OSError, InvalidLine, KeyError, TypeError, ValueError):
        return None
    if match is None or int(match[1]) != base["end_byte_offset"]:
        return None
    return Child(path, int(match[1]), match.start(1), match[1])
