"""Log records as items and as log entries."""

from __future__ import annotations

import datetime as dt
import logging
import sys
import time
import types

import pytest
import structlog

from rolloutlog import Message
from rolloutlog._logged import entry_of, item_of

HELLO = Message.user("hello")
WIRE = {"role": "user", "content": "hello"}


class Ear(logging.Handler):
    """Keeps the records that it is handed."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def record(self) -> logging.LogRecord:
        """The one record."""
        (record,) = self.records
        return record


@pytest.fixture
def ear():
    """The handler of a logger of its own."""
    return Ear()


@pytest.fixture
def logger(ear):
    """A logger whose records go to the ear alone."""
    logger = logging.Logger("app.agent")
    logger.addHandler(ear)
    return logger


def entry(record: logging.LogRecord, formatter: logging.Formatter | None = None):
    """Return the log entry for *record*, which must stay as it was."""
    before = dict(vars(record))
    made = entry_of(record, formatter)

    assert vars(record) == before
    return made


# -- items -------------------------------------------------------------------------------------------------------------


def test_an_item_is_a_message(logger, ear):
    """logger.info(item) carries the item."""
    logger.info(HELLO)

    assert item_of(ear.record) is HELLO


@pytest.mark.parametrize("item", [HELLO, WIRE])
def test_an_item_rides_on_a_message(logger, ear, item):
    """extra={"rollout_item": ...} carries an item in whatever form a recorder takes."""
    logger.info("said %s", "hello", extra={"rollout_item": item})

    assert item_of(ear.record) is item


@pytest.mark.parametrize("message", ["hello", {"event": "x"}, 7, None, [HELLO]])
def test_anything_else_is_no_item(logger, ear, message):
    """A message of another type is a plain record; for dicts see below."""
    logger.info(message)

    assert item_of(ear.record) is None
    assert entry(ear.record).message == (message["event"] if message == {"event": "x"} else str(message))


# -- log entries -------------------------------------------------------------------------------------------------------


def test_an_entry_says_who_said_what_when(logger, ear):
    """The message with its arguments, the level's name, the logger's name, and the moment of the record, in UTC."""
    logger.warning("%s of %d", "two", 3)
    made = entry(ear.record)

    assert (made.message, made.level, made.logger) == ("two of 3", "WARNING", "app.agent")
    assert made.timestamp == f"{dt.datetime.fromtimestamp(ear.record.created, dt.UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    assert (made.exception, made.stack, made.extra) == (None, None, {})


def test_an_entry_keeps_what_was_passed_as_extra(logger, ear):
    """Extras of any type are kept, but not the attributes that logging or a formatter sets on a record."""
    when = dt.datetime(2025, 6, 15, tzinfo=dt.UTC)
    logger.info("x", extra={"user": "ada", "when": when, 7: "seven", "_private": 1})
    ear.record.taskName = "a task of asyncio, on every Python"
    logging.Formatter("%(asctime)s %(message)s").format(ear.record)

    assert entry(ear.record).extra == {"user": "ada", "when": when, 7: "seven"}


def test_an_entry_keeps_the_exception(logger, ear):
    """As the standard formatter shows it, with its causes."""
    try:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error
    except ValueError:
        logger.exception("failed")

    made = entry(ear.record)
    assert made.message == "failed"
    assert made.exception.startswith("Traceback (most recent call last):")
    assert "KeyError: 'inner'" in made.exception
    assert made.exception.endswith("ValueError: outer")


def test_no_exception_is_none(logger, ear):
    """logger.exception() outside of an except block has no exception to tell of."""
    logger.exception("nothing wrong")

    assert entry(ear.record).exception is None


def test_an_entry_keeps_the_stack(logger, ear):
    """stack_info=True is kept as text."""
    logger.info("here", stack_info=True)

    assert entry(ear.record).stack.startswith("Stack (most recent call last):")
    assert "test_an_entry_keeps_the_stack" in entry(ear.record).stack


class Terse(logging.Formatter):
    """Shows everything its own way."""

    def format(self, record):
        return "never asked for"

    def formatException(self, exc_info):
        return f"oh: {exc_info[1]}"

    def formatStack(self, stack_info):
        return "stacked"


def test_a_formatter_serves_for_exceptions_and_stacks_alone(logger, ear):
    """The message stays what was said; how an exception and a stack look is the formatter's affair."""
    logger.error("failed", exc_info=ValueError("bad"), stack_info=True)
    made = entry(ear.record, Terse())

    assert (made.message, made.exception, made.stack) == ("failed", "oh: bad", "stacked")


def test_an_exception_that_was_made_text_stays(ear, logger):
    """Text that the formatter of another handler or process has left is used, as logging does."""
    logger.error("failed", exc_info=ValueError("bad"))
    Terse().formatException(ear.record.exc_info)
    ear.record.exc_text = "text of somebody else"

    assert entry(ear.record).exception == "text of somebody else"


def test_a_record_made_by_hand_is_enough():
    """Bridges between logging libraries make records with names that are not strings, and with a bare exception."""
    record = logging.makeLogRecord({"msg": "x", "levelname": 7, "exc_info": ValueError("bad")})
    made = entry(record)

    assert (made.logger, made.level) == ("None", "7")
    assert made.exception == "ValueError: bad"


def test_a_message_that_cannot_be_made_raises(logger, ear):
    """The handler reports it, like any handler of the standard library."""
    logger.info("%d", "seven")

    with pytest.raises(TypeError):
        entry_of(ear.record, None)


# -- structlog ---------------------------------------------------------------------------------------------------------


def structured(logger: logging.Logger, renderer: object) -> structlog.stdlib.BoundLogger:
    """Return a structlog logger in front of *logger*, as its documentation sets it up."""
    return structlog.wrap_logger(
        logger,
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.PositionalArgumentsFormatter(), renderer],
    )


RENDERERS = [structlog.stdlib.render_to_log_kwargs, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]


@pytest.mark.parametrize("renderer", RENDERERS)
def test_an_event_of_structlog_is_a_message_with_extras(logger, ear, renderer):
    """In both ways of its standard library integration the event is the message, and what was bound is extra."""
    structured(logger, renderer).bind(user="ada").info("it %s", "rains", where="Oslo")
    made = entry(ear.record)

    assert made.message == "it rains"
    assert (made.extra["user"], made.extra["where"]) == ("ada", "Oslo")
    assert set(made.extra) <= {"user", "where", "level"}


@pytest.mark.parametrize("renderer", RENDERERS)
def test_structlog_brings_an_item(logger, ear, renderer):
    """rollout_item among what is bound is the item."""
    structured(logger, renderer).info("said", rollout_item=HELLO)

    assert item_of(ear.record) is HELLO


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("how", ["exception", "exc_info", "error"])
def test_structlog_tells_of_the_exception(logger, ear, renderer, how):
    """Whichever way the exception is passed, it is kept as one."""
    log = structured(logger, renderer)
    try:
        raise ValueError("bad")
    except ValueError as error:
        if how == "exception":
            log.exception("failed")
        else:
            log.error("failed", exc_info=error if how == "error" else True)
        made = entry(ear.record)

    assert made.message == "failed"
    assert made.exception.startswith("Traceback")
    assert made.exception.endswith("ValueError: bad")
    assert "exc_info" not in made.extra


def test_what_structlog_made_text_stands_in_its_place(logger, ear):
    """Its processors leave an exception and a stack as text among the keys."""
    logger.info({"event": "failed", "exception": "ValueError: bad", "stack": "Stack ...", "n": 1})
    made = entry(ear.record)

    assert (made.exception, made.stack, made.extra) == ("ValueError: bad", "Stack ...", {"n": 1})


def test_a_record_of_structlog_is_left_alone(logger, ear):
    """Its own formatter, on another handler, finds the event as it was."""
    event = {"event": "failed", "exc_info": (ValueError, ValueError("bad"), None), "stack": "s", "rollout_item": None}
    before = dict(event)
    logger.info(event)
    entry(ear.record)

    assert event == before


def test_the_clock_is_the_records(logger, ear):
    """A record that waited in a queue keeps the time at which it was made."""
    logger.info("x")
    ear.record.created = time.time() - 86_400

    assert dt.datetime.fromisoformat(entry(ear.record).timestamp).timestamp() == pytest.approx(
        ear.record.created, abs=0.001
    )


def test_an_exception_that_was_handled_elsewhere_is_not_ours(logger, ear):
    """`exc_info` that is false means that there is none, also while one is being handled."""
    try:
        raise ValueError("handled")
    except ValueError:
        logger.info({"event": "fine", "exc_info": False})
        made = entry(ear.record)

    assert sys.exc_info() == (None, None, None)
    assert made.exception is None


def test_an_event_may_be_any_mapping(logger, ear):
    """The context of structlog may be of another class than dict."""
    logger.info(types.MappingProxyType({"event": "hi", "n": 1}))

    assert (entry(ear.record).message, entry(ear.record).extra) == ("hi", {"n": 1})


@pytest.mark.parametrize(
    ("message", "is_item"),
    [
        ({"role": "user", "content": "hi"}, True),
        ({"type": "message", "role": "user", "content": []}, True),
        ({"type": "web_search_call", "id": "ws"}, True),
        ({"role": "user"}, False),
        ({"type": "login", "role": "user", "content": "x"}, False),
        ({"type": ["message"]}, False),
        ({"event": "said", "role": "user", "content": "x"}, False),
        ({}, False),
    ],
)
def test_a_dict_that_is_meant_as_an_item_is_one(message, is_item):
    """A known type, or a role with a content; other dicts are text, and so are structlog's events."""
    record = logging.makeLogRecord({"msg": message})

    assert (item_of(record) == message) is is_item
