"""The responses of a model that a session keeps: the id, model, usage and time of each, beside the items of its output.

Ours are log entries. Those of real Codex are lines of the type ``token_usage_record``; the model is in the
``turn_context`` before them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import attrs

from .._checks import EMPTY, read_only
from .._entries import OWN, LogEntry, OtherEntry
from .._repr import shortened, sized

# The keys of Codex's usage, and where the Responses API has them.
_CODEX = {"cached_input_tokens": "input_tokens_details", "reasoning_output_tokens": "output_tokens_details"}
_DETAILS = {"cached_input_tokens": "cached_tokens", "reasoning_output_tokens": "reasoning_tokens"}


@attrs.frozen(repr=False)
class RecordedResponse:
    """The data of one response of a model that a session keeps besides its output; see `Session.record_response`.

    Attributes:
        id: the response's id, or `None`.
        model: the model that answered, or `None`.
        usage: the tokens that it took, as the Responses API counts them; empty where it did not say.
        status: ``"completed"``, ``"incomplete"`` or ``"failed"``, or `None`.
        timestamp: when it was recorded, ISO 8601.
        extra: what else was kept: ``service_tier``, ``incomplete_details``, and ``error``, the code of an error.

    >>> import rolloutlog
    >>> usage = {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}
    >>> with rolloutlog.session("greeter") as session:
    ...     session.record_response({"id": "resp_1", "model": "gpt-5", "output": [], "usage": usage})
    >>> [(each.model, each.input_tokens) for each in rolloutlog.load_session("greeter").responses]
    [('gpt-5', 12)]
    """

    id: str | None
    model: str | None
    usage: Mapping[str, Any]
    status: str | None
    timestamp: str
    extra: Mapping[str, Any] = EMPTY

    @property
    def time(self) -> dt.datetime | None:
        """When it was recorded, aware; `None` where the line does not say."""
        with suppress(ValueError):
            time = dt.datetime.fromisoformat(self.timestamp)
            return time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)
        return None

    @property
    def input_tokens(self) -> int:
        """The tokens of the input; 0 where it did not say."""
        return _count(self.usage, "input_tokens")

    @property
    def cached_tokens(self) -> int:
        """How many of the tokens of the input came from a cache."""
        return _count(self.usage.get("input_tokens_details"), "cached_tokens")

    @property
    def output_tokens(self) -> int:
        """The tokens of the output; 0 where it did not say."""
        return _count(self.usage, "output_tokens")

    @property
    def reasoning_tokens(self) -> int:
        """How many of the tokens of the output were reasoning."""
        return _count(self.usage.get("output_tokens_details"), "reasoning_tokens")

    def __repr__(self) -> str:
        tokens = f"{self.input_tokens:,} in, {sized(self.output_tokens, 'token')} out"
        return f"RecordedResponse(id={shortened(self.id)}, model={shortened(self.model)}, {tokens})"


def _count(usage: object, key: str) -> int:
    value = usage.get(key) if isinstance(usage, Mapping) else None
    return value if type(value) is int else 0


class Responses:
    """The responses of a session, as its entries are added in order.

    Args:
        session_id: the session's id; the usage of other sessions, whose lines were copied, is passed over.

    Attributes:
        found: the responses so far.
    """

    def __init__(self, session_id: str) -> None:
        self.found: list[RecordedResponse] = []
        self._session_id = session_id
        self._model: str | None = None

    def copy(self) -> Responses:
        """Return the same responses, so that more can be added without changing these."""
        copied = Responses(self._session_id)
        copied.found, copied._model = self.found[:], self._model
        return copied

    def add(self, entry: LogEntry | OtherEntry) -> None:
        """Add the response that *entry* keeps, if it keeps one."""
        if isinstance(entry, LogEntry):
            if entry.logger == OWN and isinstance(kept := entry.extra.get("response"), Mapping):
                self.found.append(_ours(kept, entry.timestamp))
            return
        payload = entry.raw.get("payload")
        if not isinstance(payload, Mapping):
            return
        if entry.type == "turn_context":
            self._model = _text(payload, "model") or self._model
        elif entry.type == "token_usage_record" and payload.get("thread_id") == self._session_id:
            self.found.append(_of_codex(payload, self._model, str(entry.raw.get("timestamp"))))


def responses_of(session_id: str, logs: Iterable[LogEntry], others: Iterable[OtherEntry]) -> Responses:
    """Return the responses of the session *session_id*, which has these entries."""
    found = Responses(session_id)
    for entry in others:
        found.add(entry)
    of_codex = len(found.found)
    for log in logs:
        found.add(log)
    if 0 < of_codex < len(found.found):
        found.found.sort(key=lambda response: response.timestamp)
    return found


def _ours(kept: Mapping[str, Any], timestamp: str) -> RecordedResponse:
    usage = kept.get("usage")
    extra = {key: held for key, held in kept.items() if key not in ("id", "model", "usage", "status")}
    return RecordedResponse(
        _text(kept, "id"),
        _text(kept, "model"),
        read_only(usage if isinstance(usage, Mapping) else {}),
        _text(kept, "status"),
        timestamp,
        read_only(extra),
    )


def _of_codex(payload: Mapping[str, Any], model: str | None, timestamp: str) -> RecordedResponse:
    told = payload.get("usage")
    usage: dict[str, Any] = {}
    for key, count in told.items() if isinstance(told, Mapping) else ():
        if key in _CODEX:
            usage[_CODEX[key]] = {_DETAILS[key]: count}
        else:
            usage[key] = count
    return RecordedResponse(_text(payload, "response_id"), model, read_only(usage), "completed", timestamp)


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) else None
