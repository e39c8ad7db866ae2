"""Sessions as OpenTelemetry spans, and the ids of the current span in log entries."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import DEADLINE

import rolloutlog
from rolloutlog import FunctionCall, Message, RolloutRecorder, load_session, session
from rolloutlog.exceptions import MissingExtraError, RolloutError

pytestmark = pytest.mark.extras
pytest.importorskip("opentelemetry.sdk")
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import (  # noqa: E402
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402
from opentelemetry.trace import SpanKind, StatusCode  # noqa: E402

from rolloutlog import otel  # noqa: E402

REAL = sorted((Path(__file__).parent / "data").rglob("*.jsonl"))
USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 1},
}


def spans(what, **options):
    """Return the spans of a session by name."""
    exporter = InMemorySpanExporter()
    count = otel.export(what, exporter, **options)
    found = exporter.get_finished_spans()
    assert len(found) == count
    return {span.name: span for span in found}


@pytest.fixture
def trip():
    """A session with a response that calls two tools, of which one fails."""
    one, two = FunctionCall("sky", "{}", "c1"), FunctionCall("sea", '{"at": 1}', "c2")
    with session("trip", instructions="Be brief.", format="envelope", meta={"model_provider": "openai"}) as made:
        made.record(Message.user("Go"))
        said = [Message.assistant("Both.").to_dict(), one.to_dict(), two.to_dict()]
        made.record_response({"id": "r1", "model": "m", "status": "completed", "output": said, "usage": USAGE})
        made.record(one.answer("clear"), two.answer("Exit code: 3\nWall time: 1 seconds\nOutput:\n"))
    return made


def test_a_session_is_a_trace(trip):
    """The agent, a request to the model with its tokens, and the calls; each inside of the agent."""
    found = spans("trip")

    root, chat, tool = found["invoke_agent rolloutlog"], found["chat m"], found["execute_tool sky"]
    assert set(found) == {root.name, chat.name, tool.name, "execute_tool sea"}
    assert f"{root.context.trace_id:032x}" == trip.id.replace("-", "")
    assert {span.context.trace_id for span in found.values()} == {root.context.trace_id}
    assert root.parent is None
    assert chat.parent.span_id == tool.parent.span_id == root.context.span_id
    assert chat.kind is SpanKind.CLIENT
    assert chat.attributes["gen_ai.usage.input_tokens"] == 10
    assert chat.attributes["gen_ai.usage.cache_read.input_tokens"] == 4
    assert chat.attributes["gen_ai.response.id"] == "r1"
    assert chat.attributes["gen_ai.provider.name"] == "openai"
    assert tool.attributes["gen_ai.tool.call.id"] == "c1"
    for span in found.values():
        assert root.start_time <= span.start_time <= span.end_time <= root.end_time
        assert span.attributes["gen_ai.conversation.id"] == trip.id


def test_a_failed_call_is_an_error(trip):
    found = spans("trip")

    assert found["execute_tool sea"].status.status_code is StatusCode.ERROR
    assert found["execute_tool sea"].attributes["error.type"] == "exit_code_3"
    assert found["execute_tool sky"].status.status_code is StatusCode.UNSET


def test_what_was_said_is_sent_only_when_asked(trip):
    """Nothing of it is in any attribute otherwise."""
    secret = json.dumps([dict(span.attributes) for span in spans("trip").values()])
    assert "Both." not in secret
    assert "clear" not in secret

    found = spans("trip", content=True)

    output = json.loads(found["chat m"].attributes["gen_ai.output.messages"])
    assert [part["type"] for part in output[0]["parts"]] == ["text", "tool_call", "tool_call"]
    assert found["execute_tool sea"].attributes["gen_ai.tool.call.arguments"] == '{"at": 1}'
    assert found["execute_tool sky"].attributes["gen_ai.tool.call.result"] == "clear"
    assert "Be brief." in found["invoke_agent rolloutlog"].attributes["gen_ai.system_instructions"]


def test_a_second_export_sends_the_same_spans(trip):
    """So a server that knows them does not count them twice."""
    first, second = spans("trip"), spans(load_session("trip"))

    ids = {(span.context.trace_id, span.context.span_id) for span in first.values()}
    assert ids == {(span.context.trace_id, span.context.span_id) for span in second.values()}
    assert len(ids) == len(first)


def test_a_session_of_an_agent_leads_to_its_parent(trip):
    with RolloutRecorder.create(meta={"parent_id": trip.id}) as recorder:
        recorder.record(Message.user("hi"))

    (link,) = spans(recorder.path)["invoke_agent rolloutlog"].links

    root = spans("trip")["invoke_agent rolloutlog"]
    assert (link.context.trace_id, link.context.span_id) == (root.context.trace_id, root.context.span_id)


def test_a_processor_is_an_exporter_too(trip):
    exporter = InMemorySpanExporter()

    assert otel.export("trip", SimpleSpanProcessor(exporter)) == len(exporter.get_finished_spans()) == 4


def test_a_failure_of_the_exporter_is_raised(trip):
    class Broken(SpanExporter):
        def export(self, spans):
            return SpanExportResult.FAILURE

    with pytest.raises(RolloutError, match="could not send"):
        otel.export("trip", Broken())


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_every_session_in_the_tests_has_spans(path):
    """A request each with the tokens that `tables` count, and a span for each call."""
    try:
        saved = load_session(path)
    except ValueError:
        pytest.skip("no session")
    exporter = InMemorySpanExporter()

    otel.export(saved, exporter)

    found = exporter.get_finished_spans()
    names = [span.name.split()[0] for span in found]
    assert names.count("invoke_agent") == 1
    own = saved.items[saved.inherited :]
    assert names.count("execute_tool") == sum(item.type.endswith("_call") for item in own)
    assert all(span.start_time <= span.end_time for span in found)
    assert len({span.context.span_id for span in found}) == len(found)


def test_without_the_extra_an_error_says_what_to_install(trip, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    with pytest.raises(MissingExtraError, match=r"rolloutlog\[otel\]"):
        otel.export("trip", InMemorySpanExporter())


# --- log entries ------------------------------------------------------------------------------------------------------


def test_log_entries_have_the_ids_of_the_current_span():
    """Of a logger and of `Session.log`; outside of a span there are none, and keys of the caller win."""
    tracer = TracerProvider().get_tracer("test")
    with session("traced") as made, rolloutlog.attach("traced"), made.bound():
        logger = logging.getLogger("traced")
        with tracer.start_as_current_span("work") as span:
            logger.info("inside")
            made.log("inside, too", step=1)
            logger.info("with its own", extra={"trace_id": "mine"})
        logger.info("outside")

    context = span.get_span_context()
    ids = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    logs = load_session("traced").logs
    assert [dict(entry.extra) for entry in logs] == [ids, {**ids, "step": 1}, {**ids, "trace_id": "mine"}, {}]


def test_opentelemetry_is_not_imported_by_a_log_entry():
    """Nor by the package; a program without it pays nothing."""
    code = (
        "import sys, logging, rolloutlog\n"
        "with rolloutlog.session('x') as s, rolloutlog.attach('x'), s.bound(): logging.getLogger('x').info('hi')\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE)

    assert done.stdout == "[]\n", done.stderr


def test_a_module_of_that_name_that_is_not_whole_costs_no_log_entry(monkeypatch):
    """As while another thread imports it."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", object())
    with session("odd") as made:
        made.log("hi")

    assert [entry.message for entry in load_session("odd").logs] == ["hi"]
