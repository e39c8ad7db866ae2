"""Finding sessions and reading one, by path, id or name."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import attrs

from ._json import MAX_LINE
from ._lookup import find_files, find_session
from ._paths import FoundFile, StrPath
from ._reading import reader
from ._reading.lines import read_head
from ._reading.saved import SavedSession
from .exceptions import RolloutError


@attrs.frozen
class SessionFile(FoundFile):
    """A session's file, described by its name alone. It can be passed wherever a path can.

    Attributes:
        path: the file.
        id: the session's UUID, in lower case.
        started: when the session began, to the second, in UTC (the real Codex names its files in local time).
        revision: the UUID that Codex gave the file when it took turns back and continued the session in a new file;
            then `started` is when that happened. `None` for the first file of a session.

    >>> import rolloutlog
    >>> with rolloutlog.session("trip-to-rome") as session:
    ...     session.log("begun")
    >>> newest = next(rolloutlog.find_sessions())
    >>> newest.id == session.id, newest.revision, newest.started.tzname()
    (True, None, 'UTC')
    """

    @property
    def name(self) -> str | None:
        """The name that the session was begun under, or `None`; each access reads the file's first line.

        `None` also where that line cannot be read.
        """
        try:
            return read_head(self.path).session.name
        except (OSError, RolloutError):
            return None


def find_sessions(home: StrPath | None = None, *, archived: bool = False) -> Iterator[SessionFile]:
    """Yield the sessions in *home*, newest first by file name.

    Opens no file, and lists a folder only when the iteration reaches it, so the newest few of very many come at once.
    A session that is created or deleted during the iteration may be yielded or not. If Codex took turns of a session
    back, only the file that continues it is yielded. A dated folder that cannot be read is left out, with one warning
    on the logger ``rolloutlog``.

    Args:
        home: the folder that holds all sessions; else as for `RolloutRecorder.create`.
        archived: whether to yield the sessions that Codex has archived, instead of the others.

    Raises:
        OSError: the folder that holds all the others cannot be read.

    Example:
        >>> import rolloutlog
        >>> with rolloutlog.session("trip-to-rome") as session:
        ...     session.record({"role": "user", "content": "Plan a day in Rome"})
        >>> for found in rolloutlog.find_sessions():
        ...     print(found.name, len(rolloutlog.load_session(found).items))
        trip-to-rome 1
    """
    for found in find_files(home, archived=archived):
        yield SessionFile(found.path, found.id, found.started, found.revision)


def load_session(
    session: StrPath | uuid.UUID, *, home: StrPath | None = None, max_line: int = MAX_LINE
) -> SavedSession:
    """Return the contents of *session*. Takes no lock and changes nothing.

    A session that Codex forked may refer to the history in the file of another one, in the same home; that is read too.
    So is the rest of the earlier file, where Codex took turns back and continued in a new one.

    Args:
        session: the path of a rollout, a session's name, its id, or the beginning of an id that only one session has.
            If no id begins like that, the end of one, from eight characters, as lists show it. Of several sessions that
            began under one name, the newest is meant. A name with a slash, such as ``"trips/rome"``, is meant where no
            such path exists.
        home: where to look for an id or a name, as for `RolloutRecorder.create`.
        max_line: how many bytes a line may have, its newline not counted; a longer one is skipped.

    Raises:
        SessionNotFoundError, AmbiguousSessionError: no session, or more than one, has that id or name.
        InvalidRolloutError: it is not a regular file, it is empty, or its first line is not a session meta.
        MissingExtraError: it is compressed, and the extra "zstd" is not installed.
        TypeError: *session* is neither a path nor a text.
        OSError: it cannot be read; or it was not found, and a folder that may hold it cannot be read.

    Example:
        >>> import rolloutlog
        >>> with rolloutlog.session("greeter") as session:
        ...     session.record({"role": "user", "content": "Hello"})
        >>> rolloutlog.load_session("greeter").name
        'greeter'
    """
    return reader.load_session(find_session(session, home), max_line=max_line)
