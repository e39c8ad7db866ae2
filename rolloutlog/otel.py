"""Sessions as OpenTelemetry spans, in the semantic conventions for generative AI; needs the extra "otel".

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    rolloutlog.otel.export("trip-to-rome", OTLPSpanExporter())

A session is a trace: the span ``invoke_agent`` holds a span ``chat`` for each request to the model, with its tokens,
and a span ``execute_tool`` for each call.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import attrs

from ._entries import LogEntry, OtherEntry
from ._face.outputs import read_output
from ._find import load_session
from ._item import Item
from ._json import dumps
from ._plain import stringified
from ._reading.blocks import StrPath
from ._reading.lines import RolloutLine
from ._reading.saved import SavedSession
from ._shapes import Wire
from ._usage import Requests, Tokens, of_log
from ._version import __version__
from .exceptions import MissingExtraError, RolloutError

__all__ = ["export"]

_AT_ONCE = 512


def export(session: SavedSession | StrPath | uuid.UUID, exporter: Any, *, content: bool = False) -> int:
    """Send the spans of *session* to *exporter*, and return how many there were.

    The id of the trace is that of the session, and those of the spans are made from its lines: so a second export sends
    the same spans again, and not others. Lines that were copied from another session are left out; a session that was
    forked, or begun by an agent, has a link to the trace of its parent.

    The times are those of the lines. A request begins with what was sent to the model, as far as the lines say it. The
    flat format tells no times of items: its spans begin and end at the last time in a line before.

    Args:
        session: a session that was read, or what `load_session` takes.
        exporter: a ``SpanExporter`` of the OpenTelemetry SDK, such as ``OTLPSpanExporter()``, or a ``SpanProcessor``.
        content: whether the spans have what was said: instructions, the model's output, arguments and outputs of tools.

    Raises:
        MissingExtraError: the extra "otel" is not installed.
        RolloutError: the exporter reports a failure.
        SessionNotFoundError, InvalidRolloutError, OSError: as for `load_session`.

    Example:
        >>> import rolloutlog, rolloutlog.otel
        >>> from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        >>> with rolloutlog.session("traced") as session:
        ...     session.record({"role": "user", "content": "Will it rain?"})
        >>> exporter = InMemorySpanExporter()
        >>> rolloutlog.otel.export("traced", exporter)
        1
        >>> exporter.get_finished_spans()[0].name
        'invoke_agent rolloutlog'
    """
    try:
        sdk = import_module("opentelemetry.sdk.trace")
    except ImportError as error:
        raise MissingExtraError("rolloutlog.otel", "otel") from error
    saved = session if isinstance(session, SavedSession) else load_session(session)
    spans = [_readable(sdk, saved, span) for span in _spans(saved, content)]
    if hasattr(exporter, "on_end"):
        for span in spans:
            exporter.on_end(span)
        done = exporter.force_flush()
    else:
        success = import_module("opentelemetry.sdk.trace.export").SpanExportResult.SUCCESS
        pieces = [spans[at : at + _AT_ONCE] for at in range(0, len(spans), _AT_ONCE)]
        done = all(exporter.export(piece) is success for piece in pieces)
    if not done:
        raise RolloutError(f"the exporter reports that it could not send the spans of {saved.path}")
    return len(spans)


@attrs.define
class _Span:
    """A span before the SDK sees it: the number of its line, and its times in nanoseconds since the epoch."""

    number: int
    name: str
    kind: str
    start: int
    end: int
    attributes: Wire
    is_failed: bool = False


def _readable(sdk: Any, saved: SavedSession, span: _Span) -> Any:
    """Return *span* as the SDK's exporters take it."""
    trace, status = import_module("opentelemetry.trace"), import_module("opentelemetry.trace.status")
    scope = import_module("opentelemetry.sdk.util.instrumentation").InstrumentationScope("rolloutlog", __version__)

    def context(session_id: str, number: int) -> Any:
        ids = _trace_id(session_id), _span_id(session_id, number)
        return trace.SpanContext(*ids, is_remote=False, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))

    is_root = span.number == 0
    links = []
    if is_root and saved.session.parent_id is not None:
        links.append(trace.Link(context(saved.session.parent_id, 0)))
    return sdk.ReadableSpan(
        name=span.name,
        context=context(saved.session_id, span.number),
        parent=None if is_root else context(saved.session_id, 0),
        resource=import_module("opentelemetry.sdk.resources").Resource.create(),
        attributes=span.attributes,
        links=links,
        kind=getattr(trace.SpanKind, span.kind),
        status=status.Status(status.StatusCode.ERROR if span.is_failed else status.StatusCode.UNSET),
        start_time=span.start,
        end_time=max(span.start, span.end),
        instrumentation_scope=scope,
    )


def _trace_id(session_id: str) -> int:
    try:
        return uuid.UUID(session_id).int or 1
    except ValueError:
        return int.from_bytes(hashlib.sha256(session_id.encode("utf-8", "replace")).digest()[:16]) or 1


def _span_id(session_id: str, number: int) -> int:
    """Return the id of the span on the line of that *number*: some servers expect it to be unique among all traces."""
    digest = hashlib.sha256(f"{session_id} {number}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8]) or 1


def _spans(saved: SavedSession, content: bool) -> Iterator[_Span]:
    """Yield the spans of *saved*, that of the session last, because it ends last."""
    session = saved.session
    shared: Wire = {
        "gen_ai.conversation.id": saved.session_id,
        "gen_ai.provider.name": _text(session.extra, "model_provider")
        or _text(session.extra.get("imported_from"), "provider")
        or "unknown",
    }
    walk = _Walk(shared, content)
    began = walk.hear(session.timestamp)
    for line in saved.lines():
        if not line.inherited:
            yield from walk.add(line)
    yield from walk.unanswered()
    name = _text(session.extra, "originator") or "rolloutlog"
    attributes: Wire = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name, **shared}
    if session.name is not None:
        attributes["gen_ai.agent.description"] = session.name
    if content and session.instructions:
        parts = [{"type": "text", "content": session.instructions}]
        attributes["gen_ai.system_instructions"] = _json(parts)
    yield _Span(0, f"invoke_agent {name}", "INTERNAL", began, walk.latest, attributes)


class _Walk:
    """Makes spans of the lines of a session, in order.

    Attributes:
        latest: the latest time so far.
    """

    def __init__(self, shared: Wire, content: bool) -> None:
        self.latest = 0
        self._now = 0
        self._shared = shared
        self._content = content
        self._requests = Requests(str(shared["gen_ai.conversation.id"]))
        self._model: str | None = None
        self._sent = 0  # when the model got its last input
        self._said: list[Wire] = []  # the model's output since then
        self._calls: dict[str, _Span] = {}

    def hear(self, told: str | dt.datetime | None) -> int:
        """Set the time to *told*, if it is one; return the time."""
        try:
            time = dt.datetime.fromisoformat(told) if isinstance(told, str) else told
            if time is not None:
                time = time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)
                self._now = max(0, (time - _EPOCH) // dt.timedelta(microseconds=1) * 1000)
        except ValueError:
            pass  # then it remains the same
        self.latest = max(self.latest, self._now)
        return self._now

    def add(self, line: RolloutLine) -> Iterator[_Span]:
        """Yield the spans that end on *line*."""
        self.hear(line.timestamp)
        entry = line.entry
        if isinstance(entry, Item):
            yield from self._item(entry, line.number)
        elif isinstance(entry, LogEntry):
            kept = entry.extra.get("response")
            if (tokens := of_log(entry.logger, entry.extra)) is not None:
                yield self._chat(tokens, line.number, kept if isinstance(kept, Mapping) else {})
        elif isinstance(entry, OtherEntry):
            payload = entry.raw.get("payload")
            if entry.type == "turn_context":
                self._model = _text(payload, "model") or self._model
                self._sent = self._now
            if (tokens := self._requests.of(entry.type, payload)) is not None:
                yield self._chat(tokens, line.number, {"id": _text(payload, "response_id")})

    def unanswered(self) -> list[_Span]:
        """Return the spans of calls without an output."""
        return list(self._calls.values())

    def _item(self, item: Item, number: int) -> Iterator[_Span]:
        kind, value = item.type, item._read()
        if kind.endswith("_output"):
            self._sent = self._now
            call_id = value.get("call_id") or value.get("id")
            span = self._calls.pop(call_id, None) if isinstance(call_id, str) else None
            if span is not None:
                yield self._answered(span, value)
        elif kind == "message" and value["role"] != "assistant":
            self._sent = self._now
        else:
            self._said.append(value)
            if kind.endswith("_call"):
                self._call(value, number)

    def _call(self, value: Wire, number: int) -> None:
        call_id = value.get("call_id") or value.get("id")
        given = value.get("name")
        name = given if isinstance(given, str) else value["type"].removesuffix("_call")
        attributes: Wire = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, **self._shared}
        attributes["gen_ai.tool.type"] = "function"
        if isinstance(call_id, str):
            attributes["gen_ai.tool.call.id"] = call_id
        if self._content and (asked := value.get("arguments", value.get("input", value.get("action")))) is not None:
            attributes["gen_ai.tool.call.arguments"] = asked if isinstance(asked, str) else _json(asked)
        span = _Span(number, f"execute_tool {name}", "INTERNAL", self._now, self._now, attributes)
        self._calls[call_id if isinstance(call_id, str) else f" {number}"] = span

    def _answered(self, span: _Span, value: Wire) -> _Span:
        span.end = self._now
        result = read_output(value)
        if result.is_failed:
            span.is_failed = True
            code = result.exit_code
            span.attributes["error.type"] = "tool_error" if code is None else f"exit_code_{code}"
        if self._content and (output := value.get("output")) is not None:
            span.attributes["gen_ai.tool.call.result"] = output if isinstance(output, str) else _json(output)
        return span

    def _chat(self, tokens: Tokens, number: int, kept: Mapping[str, Any]) -> _Span:
        model = _text(kept, "model") or self._model
        attributes: Wire = {
            "gen_ai.operation.name": "chat",
            **self._shared,
            "gen_ai.usage.input_tokens": tokens.input,
            "gen_ai.usage.cache_read.input_tokens": tokens.cached,
            "gen_ai.usage.output_tokens": tokens.output,
            "gen_ai.usage.reasoning.output_tokens": tokens.reasoning,
        }
        if model is not None:
            attributes["gen_ai.request.model"] = attributes["gen_ai.response.model"] = model
        if (told := _text(kept, "id")) is not None:
            attributes["gen_ai.response.id"] = told
        if self._content and self._said:
            parts = [part for value in self._said for part in _parts(value)]
            attributes["gen_ai.output.messages"] = _json([{"role": "assistant", "parts": parts}])
        self._said = []
        start = min(self._sent or self._now, self._now)
        return _Span(number, f"chat {model}" if model else "chat", "CLIENT", start, self._now, attributes)


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _parts(value: Wire) -> list[Wire]:
    """Return what the model said in one item, as the conventions write it."""
    kind = value["type"]
    if kind == "function_call":
        return [{"type": "tool_call", "id": value["call_id"], "name": value["name"], "arguments": value["arguments"]}]
    texts = [*(value.get("summary") or ()), *(value.get("content") or ())]
    name = "reasoning" if kind == "reasoning" else "text"
    return [
        {"type": name, "content": part["text"]}
        for part in texts
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    ]


def _json(value: Any) -> str:
    return dumps(stringified(value)).decode()


def _text(values: Any, key: str) -> str | None:
    value = values.get(key) if isinstance(values, Mapping) else None
    return value if isinstance(value, str) else None
