"""The record of an agent's session: an append-only rollout file that survives anything, and resumes.

The whole idea::

    with rolloutlog.session("trip-to-rome") as session:   # new, or exactly where it was killed
        if not session.items:
            session.record({"role": "user", "content": "Plan a day in Rome"})   # written when it returns
        if not session.responses:
            response = client.responses.create(model=MODEL, input=session.to_input())
            session.record_response(response)

Attached to a logger: `attach` and `RolloutHandler`. By hand: `RolloutRecorder`. To read: `load_session`,
`iter_entries`, `iter_lines`, `find_sessions`, `to_input`. The parts of items live in `rolloutlog.items`, the errors in
`rolloutlog.exceptions`; secrets are found by `rolloutlog.redaction`.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import redaction as redaction
from ._attach import attach
from ._convert import convert
from ._entries import Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from ._find import SessionFile, find_sessions, load_session
from ._format.coerce import ItemLike
from ._handler import RolloutHandler
from ._options import RecorderOptions
from ._reading.lines import RolloutLine, iter_entries, iter_lines
from ._reading.saved import SavedSession
from ._recorder import RolloutRecorder
from ._responses.input import to_input
from ._responses.recorded import RecordedResponse
from ._session import Session, session
from ._version import __version__ as __version__
from ._writing.ack import Ack
from ._writing.commands import RecorderStats, State
from .items import Call, FunctionCall, FunctionCallOutput, Item, LocalShellCall, Message, Other, Reasoning, ResponseItem

if _TYPE_CHECKING:
    from . import adapters as adapters
    from . import otel as otel
    from . import redaction as redaction
    from . import tables as tables
    from . import testing as testing
    from ._care.diagnose import Diagnosis, diagnose
    from ._care.findings import Finding
    from ._care.repair import Repair, repair
    from ._chat.incoming import from_messages
    from ._chat.outgoing import to_messages
    from ._imports.agents import import_agents
    from ._imports.claude import import_claude
    from ._imports.messages import import_messages
    from ._imports.value import Imported
    from ._keep.archive import archive
    from ._keep.prune import prune
    from ._keep.values import Keeping, KeptSession

# Few programs need these. Imported at once, they would make every import a seventh slower.
_LATER = {
    "Diagnosis": "_care.diagnose",
    "Finding": "_care.findings",
    "Imported": "_imports.value",
    "Keeping": "_keep.values",
    "KeptSession": "_keep.values",
    "Repair": "_care.repair",
    "archive": "_keep.archive",
    "diagnose": "_care.diagnose",
    "from_messages": "_chat.incoming",
    "import_agents": "_imports.agents",
    "import_claude": "_imports.claude",
    "import_messages": "_imports.messages",
    "prune": "_keep.prune",
    "repair": "_care.repair",
    "to_messages": "_chat.outgoing",
}

__all__ = [
    "Ack",
    "Call",
    "Diagnosis",
    "Entry",
    "Finding",
    "FunctionCall",
    "FunctionCallOutput",
    "Imported",
    "Item",
    "ItemLike",
    "Keeping",
    "KeptSession",
    "LocalShellCall",
    "LogEntry",
    "Message",
    "Other",
    "OtherEntry",
    "Reasoning",
    "RecordedResponse",
    "RecorderOptions",
    "RecorderStats",
    "Repair",
    "ResponseItem",
    "RolloutHandler",
    "RolloutLine",
    "RolloutRecorder",
    "SavedSession",
    "Session",
    "SessionFile",
    "SessionMeta",
    "SessionStateSnapshot",
    "SkippedLine",
    "State",
    "archive",
    "attach",
    "convert",
    "diagnose",
    "find_sessions",
    "from_messages",
    "import_agents",
    "import_claude",
    "import_messages",
    "iter_entries",
    "iter_lines",
    "load_session",
    "prune",
    "repair",
    "session",
    "to_input",
    "to_messages",
]

_MODULES = ("adapters", "otel", "redaction", "tables", "testing")


def __getattr__(name: str) -> object:
    """Import the public *name* when it is first used."""
    if name in _MODULES:
        return _import_module(f".{name}", __name__)
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(_import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_MODULES})
