"""Types that callers see when they record. mypy and pyright read this file in `make lint`; it never runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, assert_type

import rolloutlog
from rolloutlog import (
    Ack,
    Call,
    Message,
    RecordedResponse,
    RecorderOptions,
    RecorderStats,
    ResponseItem,
    RolloutHandler,
    RolloutRecorder,
    SavedSession,
    Session,
    SessionStateSnapshot,
    State,
)


class OfAnSdk:
    """An object that knows its wire form, like those of the OpenAI SDK."""

    def to_dict(self) -> dict[str, object]:
        """Return the wire form."""
        return {"role": "user", "content": "hi"}


def a_session(home: Path) -> None:
    """`session()` is a context manager that gives itself, and takes every kind of item."""
    with rolloutlog.session("trip", home=home, fresh=True, fsync="flush") as session:
        assert_type(session, Session)
        assert_type(session.record({"role": "user", "content": "hi"}, Message.user("hi"), OfAnSdk()), None)
        assert_type(session.record(*session.items, wait=False, timeout=1), None)
        assert_type(session.record_response(object()), None)
        assert_type(session.items, Sequence[ResponseItem])
        assert_type(session.responses, list[RecordedResponse])
        assert_type(session.instructions, str | None)
        assert_type(session.orphan_calls, list[Call])
        assert_type(session.state, SessionStateSnapshot)
        assert_type(session.path, Path)
        assert_type(session.id, str)
        # A list of any, so that each SDK takes it for its own `input=`.
        assert_type(session.to_input(orphans="raise", reasoning="encrypted"), list[Any])
        assert_type(session.bound(), AbstractContextManager[RolloutRecorder])
        session.state = {"step": 3}


def the_loop(session: Session) -> None:
    """Each orphan has the type of a call that can be answered, by whatever takes a call."""

    def run(call: Call) -> dict[str, int]:
        return {"n": len(call.type)}

    for call in session.orphan_calls:
        session.answer(call, run(call))


def the_options(home: Path) -> None:
    """Options are checked by name and by value, and may be kept in a dict of their own type."""
    options: RecorderOptions = {"queue_size": 10, "on_full": "drop", "redact": unchanged}
    rolloutlog.session("trip", **options).close()
    rolloutlog.session("trip", fsync="sometimes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    rolloutlog.session("trip", fsnyc="never")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    rolloutlog.session(home)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def unchanged(record: dict[str, Any]) -> dict[str, Any] | None:
    """A redaction hook that changes nothing."""
    return record


def an_item(session: Session) -> None:
    """Text is not an item, because nothing says who spoke."""
    session.record("hi")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def a_recorder(home: Path) -> None:
    """A class method makes a recorder of its own class; `resume` gives the contents, too."""

    class Mine(RolloutRecorder):
        pass

    with RolloutRecorder.create(home, meta={"branch": "main"}) as recorder:
        assert_type(recorder, RolloutRecorder)
        assert_type(recorder.record(Message.user("hi"), timeout=1.5), None)
        assert_type(recorder.flush(), None)
        assert_type(recorder.request_flush(), Ack)
        assert_type(recorder.request_flush().result(1.0), None)
        assert_type(recorder.request_flush().error, Exception | None)
        assert_type(recorder.shutdown(), Ack)
        assert_type(recorder.stats, RecorderStats)
        assert_type(recorder.stats.written, int)
        assert_type(recorder.lifecycle, State)
    assert_type(Mine.create(home), Mine)
    assert_type(RolloutRecorder.resume("0123abcd", home=home), tuple[RolloutRecorder, SavedSession])
    assert_type(Mine.resume(home / "rollout.jsonl"), tuple[Mine, SavedSession])


async def in_an_event_loop(home: Path) -> None:
    """Each wait has a form that can be awaited, and an ack can be awaited itself."""
    async with rolloutlog.session("trip", home=home) as session:
        assert_type(session, Session)
        assert_type(await session.arecord({"role": "user", "content": "hi"}), None)
        assert_type(await session.arecord_response(object()), None)
    async with RolloutRecorder.create(home) as recorder:
        assert_type(recorder, RolloutRecorder)
        assert_type(await recorder.arecord(Message.user("hi")), None)
        assert_type(await recorder.aflush(), None)
        assert_type(await recorder.request_flush(), None)
        await asyncio.gather(recorder.arecord(Message.user("and")), recorder.aflush())


def a_handler(home: Path, recorder: RolloutRecorder, session: Session) -> None:
    """A handler is one of `logging`, and takes a recorder or a session of the caller."""
    handler = RolloutHandler(home, level="INFO", delay=False, shared=True)
    logging.getLogger("agent").addHandler(handler)
    assert_type(handler.recorder, RolloutRecorder | None)
    assert_type(handler.shutdown(), Ack)
    assert_type(rolloutlog.attach("agent", recorder=session), RolloutHandler)
    with rolloutlog.attach(logging.getLogger(), recorder=recorder, level=logging.DEBUG) as attached:
        assert_type(attached, RolloutHandler)


def the_state(session: Session, state: Mapping[str, Any]) -> None:
    """Any mapping can be the state."""
    session.state = state
    session.state = [1]  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
