"""The message for a session or a command that does not exist, with what may have been meant."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from .._face.heads import head_if_readable
from .._face.sessions import SHORTEST, newest_first
from ..exceptions import RolloutError, SessionNotFoundError

# A name that may be meant is looked for among so many of the newest sessions, as a shell does that completes one.
_MOST_LOOKED_AT = 200
_SHORT_PIECE = re.compile(rf"[0-9a-f-]{{1,{SHORTEST - 1}}}", re.IGNORECASE)
_UUID_LENGTH = 36


def no_session(error: SessionNotFoundError, homes: Sequence[Path]) -> str:
    """Return the message for *error*, which a command with these *homes* raised."""
    wanted = error.wanted
    path = Path(wanted)
    with suppress(OSError, ValueError, RuntimeError):
        path = path.expanduser()
        if path.is_symlink() and not path.exists():
            return f"the link {path} leads nowhere: there is no {os.readlink(path)}"
    message = f"no session {wanted!r} in {error.searched}; "
    if _SHORT_PIECE.fullmatch(wanted):
        message += f"the beginning or the end of an id needs at least {SHORTEST} characters; "
    elif os.sep not in wanted and len(wanted) != _UUID_LENGTH and (meant := closest(wanted, _names(homes))):
        message += f"did you mean {meant!r}? "
    return f"{message}rolloutlog list shows all"


def closest(wanted: str, known: Iterable[str]) -> str | None:
    """Return the one of *known* that is most like *wanted*, whatever its capitals are; `None` if none is alike.

    >>> closest("Shw", ["list", "show", "stats"])
    'show'
    """
    spelled = {each.lower(): each for each in known}
    found = difflib.get_close_matches(wanted.lower(), spelled, n=1, cutoff=0.7)
    return spelled[found[0]] if found else None


def _names(homes: Sequence[Path]) -> Iterable[str]:
    with suppress(OSError, RolloutError):
        for found in islice(newest_first(homes), _MOST_LOOKED_AT):
            head, _ = head_if_readable(found)
            if head is not None and head.name is not None:
                yield head.name
