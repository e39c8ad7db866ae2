"""The error for a source that is not there: it names the file, while other errors of its kind speak of sessions."""

from __future__ import annotations

from pathlib import Path

from .._reading.blocks import StrPath
from ..exceptions import SessionNotFoundError
from .rollout import text_of


class MissingSourceError(SessionNotFoundError):
    """There is no file, or no folder, at the path of a source."""

    def __str__(self) -> str:
        stdin = "; to import what stdin holds, save it to a file first" if self.wanted == "-" else ""
        return f"there is no file {self.wanted}; expected the path of one{stdin}"


def missing(path: StrPath) -> MissingSourceError:
    """Return the error for a source at *path*."""
    return MissingSourceError(text_of(path), Path(path).parent)
