"""The rules by which the requests of a session are counted: each request to a model once, with its tokens.

Codex says more than once what a request cost, and says again what was copied from another session:

======================= ==============================================================================================
``token_usage_record``  A request, if ``thread_id`` is the session's own; once for its ``thread_id``, ``turn_id`` and
                        ``response_id`` in all files. From the first of these lines on, a file's ``token_count``
                        events repeat them.
``token_count``         A request, if the total of the session differs from that of the event before; its tokens are
                        ``last_token_usage``. An event with the same total only tells new limits. The totals are not
                        used as tokens: those of a fork begin with its parent's.
log entry of rolloutlog A request that `Session.record_response` recorded: ``usage`` in the ``response`` of its extras.
======================= ==============================================================================================

Lines that were copied from another session are not counted; the caller must leave out their result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

from ._entries import OWN


class Tokens(NamedTuple):
    """The tokens of one request.

    Attributes:
        input: of the input, those from a cache included.
        cached: how many of these came from a cache.
        output: of the output, reasoning included.
        reasoning: how many of these were reasoning.
    """

    input: int
    cached: int
    output: int
    reasoning: int


class Requests:
    """Counts the requests of one file, whose lines are given in order, inherited ones included.

    >>> requests = Requests("0199a2c4-5a6b-7c8d-9e0f-112233445566")
    >>> usage = {"input_tokens": 100, "cached_input_tokens": 0, "output_tokens": 10, "reasoning_output_tokens": 0}
    >>> event = {"type": "token_count", "info": {"total_token_usage": usage, "last_token_usage": usage}}
    >>> requests.of("event_msg", event), requests.of("event_msg", event)
    (Tokens(input=100, cached=0, output=10, reasoning=0), None)

    Args:
        session_id: the id in the file's meta.
        seen: the ids of the requests that were counted before, in any file; those of this one are added.
    """

    def __init__(self, session_id: str, seen: set[tuple[str, str, str]] | None = None) -> None:
        self._session_id = session_id
        self._seen = set() if seen is None else seen
        self._has_records = False
        self._total: Any = None

    def of(self, kind: str, payload: Any) -> Tokens | None:
        """Return the tokens of the request that a wrapped line of the type *kind* with *payload* tells, if it does."""
        is_record = kind == "token_usage_record"
        if not (is_record or kind == "event_msg") or not _is_object(payload):
            return None
        if not is_record and payload.get("type") != "token_count":  # nearly all events
            return None
        if is_record:
            if payload.get("thread_id") != self._session_id:
                return None
            self._has_records = True
            return None if self._is_repeated(payload) else _tokens(payload.get("usage"))
        info = payload.get("info")
        if not _is_object(info):  # only limits
            return None
        total = info.get("total_token_usage")
        is_new, self._total = total != self._total, total
        return _tokens(info.get("last_token_usage")) if is_new and not self._has_records else None

    def _is_repeated(self, payload: Mapping[str, Any]) -> bool:
        """Whether the request of *payload* was counted before; note it. One that does not name itself was not."""
        turn, response = payload.get("turn_id"), payload.get("response_id")
        if not (isinstance(turn, str) and isinstance(response, str)):
            return False
        # With the total so far, because some servers give all responses one id.
        key = (self._session_id, turn, f"{response} {_tokens(payload.get('thread_token_usage'))}")
        if key in self._seen:
            return True
        self._seen.add(key)
        return False


def of_log(logger: str, extra: Mapping[str, Any]) -> Tokens | None:
    """Return the tokens of the response that a log entry with that *logger* and *extra* keeps, if it keeps one."""
    response = extra.get("response") if logger == OWN else None
    return _tokens(response.get("usage")) if isinstance(response, Mapping) else None


def _is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return type(value) is dict or isinstance(value, Mapping)  # the first is ten times faster, and usual


def _tokens(usage: Any) -> Tokens | None:
    """Return the tokens that *usage* has, in Codex's shape or the API's."""
    if not _is_object(usage):
        return None
    return Tokens(
        _count(usage, "input_tokens"),
        _count(usage, "cached_input_tokens") or _count(usage.get("input_tokens_details"), "cached_tokens"),
        _count(usage, "output_tokens"),
        _count(usage, "reasoning_output_tokens") or _count(usage.get("output_tokens_details"), "reasoning_tokens"),
    )


def _count(usage: Any, key: str) -> int:
    if usage is None or not _is_object(usage):
        return 0
    value = usage.get(key)
    return value if type(value) is int else 0
