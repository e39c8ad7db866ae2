"""Types that callers see when they read. mypy and pyright read this file in `make lint`; it never runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, assert_type

import rolloutlog
from rolloutlog import (
    Call,
    Entry,
    FunctionCall,
    FunctionCallOutput,
    Item,
    LogEntry,
    Message,
    OtherEntry,
    Reasoning,
    ResponseItem,
    RolloutLine,
    SavedSession,
    SessionFile,
    SessionMeta,
    SessionStateSnapshot,
    SkippedLine,
)
from rolloutlog.exceptions import RolloutError
from rolloutlog.testing import Rollout, assert_same_session


def a_session(home: Path) -> None:
    """A session is loaded by path or name, or as `find_sessions` yields it."""
    saved = rolloutlog.load_session("trip", home=home)
    assert_type(saved, SavedSession)
    assert_type(saved.session, SessionMeta)
    assert_type(saved.items, list[ResponseItem])
    assert_type(saved.logs, list[LogEntry])
    assert_type(saved.skipped, list[SkippedLine])
    assert_type(saved.orphan_calls, list[Call])
    assert_type(saved.to_input(), list[Any])
    assert_type(saved.lines(kinds={"message"}), Iterator[RolloutLine])
    assert_type(rolloutlog.find_sessions(home), Iterator[SessionFile])
    for found in rolloutlog.find_sessions(home, archived=True):
        assert_type(found.name, str | None)
        assert_type(rolloutlog.load_session(found), SavedSession)
    rolloutlog.load_session(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def the_lines(path: Path) -> None:
    """An entry is one of six kinds, which `isinstance` and `match` tell apart, down to the last."""
    assert_type(rolloutlog.iter_lines(path), Iterator[RolloutLine])
    for line in rolloutlog.iter_lines(path, kinds={"log", "function_call"}):
        assert_type(line.number, int)
        assert_type(line.timestamp, dt.datetime | None)
        assert_type(line.entry, Entry)
    for entry in rolloutlog.iter_entries(path):
        match entry:
            case SessionMeta():
                assert_type(entry.id, str)
            case Item():
                assert_type(entry.type, str)
            case LogEntry():
                assert_type(entry.message, str)
            case SessionStateSnapshot():
                assert_type(entry["step"], Any)
            case OtherEntry():
                pass
            case SkippedLine():
                assert_type(entry.number, int)
                assert_type(entry.reason, str)


def an_item(item: ResponseItem) -> None:
    """The class of an item says which keys it has."""
    if isinstance(item, Message):
        assert_type(item.role, str)
        assert_type(item.text, str)
    elif isinstance(item, FunctionCall):
        assert_type(item.name, str)
        assert_type(item.arguments, str)
        assert_type(item.call_id, str)
    elif isinstance(item, FunctionCallOutput):
        assert_type(item.call_id, str | None)
    elif isinstance(item, Reasoning):
        assert_type(item.encrypted_content, str | None)
    assert_type(item.json, bytes)
    assert_type(Message.user("hi"), Message)
    Message.user(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def the_input(items: list[ResponseItem], messages: list[Mapping[str, Any]]) -> None:
    """Items and dicts become the input of a model; messages of other APIs become items."""
    assert_type(rolloutlog.to_input(items), list[Any])
    assert_type(rolloutlog.to_input([{"role": "user", "content": "hi"}]), list[Any])
    rolloutlog.to_input(rolloutlog.from_messages(messages), orphans="keep")


def in_tests(rollout: Rollout, error: RolloutError) -> None:
    """The fixture `rollout` is a `Rollout`; every error of ours is an exception."""
    assert_type(rollout.items, list[ResponseItem])
    assert_type(rollout.sessions, list[SavedSession])
    assert_same_session(rollout, [Message.user("hi")])
    raise error
