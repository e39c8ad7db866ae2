"""The handler: what is logged is in the rollout, logging is as it is documented, and the agent never suffers."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import logging.config
import logging.handlers
import multiprocessing
import os
import queue
import sys
import threading
import warnings

import pytest
import structlog
from helpers import DEADLINE, finish, in_fresh_process, interrupted, run_together, start, storm, texts_in, values_in

import rolloutlog
from rolloutlog import Message, RolloutHandler, RolloutRecorder, find_sessions, load_session
from rolloutlog._handler import _nested

HELLO = Message.user("hello")
PRIVATE = "rolloutlog-test"


class Unrecordable:
    """No item in any form."""


@pytest.fixture
def handler():
    """A handler that begins its session at the first record, closed at the end."""
    handler = RolloutHandler()
    yield handler
    handler.close()


@pytest.fixture
def logger(handler):
    """A logger of its own, with the handler on it."""
    return logger_with(handler)


def logger_with(*handlers: logging.Handler) -> logging.Logger:
    """Return a new logger with these handlers, which no other logger knows."""
    logger = logging.Logger("app.agent")
    for handler in handlers:
        logger.addHandler(handler)
    return logger


@pytest.fixture
def tidy_logging():
    """Give back, at the end, what a test changes about the root logger and its like."""
    root = logging.getLogger()
    before = root.level, root.handlers[:], logging.raiseExceptions
    yield root
    root.setLevel(before[0])
    for handler in root.handlers[:]:
        if handler not in before[1]:
            root.removeHandler(handler)
            handler.close()
    root.handlers[:] = before[1]
    logging.raiseExceptions = before[2]


def recorded(handler: RolloutHandler) -> list[str]:
    """Return the texts that the handler has recorded, once they are on disk."""
    handler.flush()
    return texts_in(handler.recorder.path)


def sessions() -> list[list[str]]:
    """Return what each session of the home holds, newest first."""
    return [texts_in(found) for found in find_sessions()]


# -- from a record to a file -------------------------------------------------------------------------------------------


def test_items_and_plain_records_are_recorded_in_order(logger, handler):
    """Items are part of the model's input; other records are kept as log entries."""
    logger.info(Message.user("one"))
    logger.info("two %d", 2)
    logger.warning("said", extra={"rollout_item": {"role": "assistant", "content": "three"}})
    handler.close()

    saved = load_session(handler.recorder.path)
    assert texts_in(saved.path) == ["one", "two 2", "three"]
    assert [item.text for item in saved.items] == ["one", "three"]
    assert [(entry.level, entry.message) for entry in saved.logs] == [("INFO", "two 2")]


def test_nothing_logged_leaves_no_file(handler, home):
    """A process that logs nothing leaves nothing behind, also not its home."""
    handler.flush()
    handler.close()

    assert handler.recorder is None
    assert not home.exists()


def test_a_session_can_begin_at_once(home):
    """With delay=False the file is there before the first record."""
    handler = RolloutHandler(delay=False, instructions="Be brief.", meta={"cwd": "/srv"})
    (meta,) = values_in(handler.recorder.path)
    handler.close()

    assert (meta["instructions"], meta["cwd"]) == ("Be brief.", "/srv")


def test_a_relative_home_stays_where_it_was(tmp_path, monkeypatch):
    """The home is that of the moment when the handler was made, and not of the first record."""
    monkeypatch.chdir(tmp_path)
    handler = RolloutHandler("runs")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    logger_with(handler).info("hello")
    handler.close()

    assert handler.recorder.path.is_relative_to(tmp_path / "runs")


def test_threads_that_log_first_begin_one_session(logger, handler):
    """Of those who log at the same moment, one begins the session, and all record into it."""
    run_together(*[lambda: logger.info("hello")] * 6)

    assert recorded(handler) == ["hello"] * 6
    assert len(sessions()) == 1


def test_extras_that_are_no_json_are_kept_as_text(logger, handler):
    """A log entry never fails for what it carries: what JSON does not have is written as its string."""

    class Odd:
        def __str__(self) -> str:
            raise ValueError

    logger.info("x", extra={"nan": float("nan"), 7: {1, 2}, "odd": Odd(), "deep": {"a": (1, b"")}})
    handler.flush()

    extra = values_in(handler.recorder.path)[1]["extra"]
    assert extra["nan"] == "nan"
    assert extra["7"] == "{1, 2}"
    assert extra["deep"] == {"a": [1, "b''"]}
    assert "Odd" in extra["odd"]


@pytest.mark.parametrize("processor", [structlog.stdlib.render_to_log_kwargs, "wrap_for_formatter"])
def test_structlog_in_front_loses_nothing(logger, handler, processor):
    """Events, exceptions and items come through both ways of its integration with the standard library."""
    if processor == "wrap_for_formatter":
        processor = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
        handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=structlog.dev.ConsoleRenderer()))
    log = structlog.wrap_logger(logger, wrapper_class=structlog.stdlib.BoundLogger, processors=[processor])
    log.bind(user="ada").info("it rains", n=1)
    log.info("said", rollout_item=HELLO)
    try:
        raise ValueError("bad")
    except ValueError:
        log.exception("failed")
    handler.flush()

    rains, item, failed = values_in(handler.recorder.path)[1:]
    assert (rains["message"], rains["extra"]) == ("it rains", {"user": "ada", "n": 1})
    assert item["type"] == "message"
    assert (failed["message"], failed["level"]) == ("failed", "ERROR")
    assert "ValueError: bad" in failed["exception"]
    assert "extra" not in failed


# -- as the documentation of logging says ------------------------------------------------------------------------------


def configured(**options: object) -> logging.Logger:
    """Configure logging with a rollout handler on one logger, by `logging.config.dictConfig`, and return the logger."""
    handler = {"class": "rolloutlog.RolloutHandler", **options}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"no_secrets": {"()": lambda: lambda record: "secret" not in record.getMessage()}},
            "formatters": {"terse": {"format": "%(asctime)s is not for messages"}},
            "handlers": {"rollout": handler},
            "loggers": {PRIVATE: {"level": "DEBUG", "handlers": ["rollout"], "propagate": False}},
        }
    )
    return logging.getLogger(PRIVATE)


@pytest.fixture
def tidy_config(tidy_logging):
    """Take the configured handlers away at the end."""
    yield
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "loggers": {PRIVATE: {"handlers": []}}})


@pytest.mark.usefixtures("tidy_config")
def test_a_configuration_names_the_handler(tmp_path):
    """`class`, with its options, level, filters and formatter, as for the handlers of the standard library."""
    logger = configured(
        home=str(tmp_path / "there"),
        level="INFO",
        filters=["no_secrets"],
        formatter="terse",
        meta={"git": {"branch": "main"}},
        queue_size=16,
        on_full="raise",
    )
    logger.debug("too low")
    logger.info("a secret")
    logger.info("hello")
    logger.info(HELLO)
    (handler,) = logger.handlers

    assert isinstance(handler, RolloutHandler)
    assert recorded(handler) == ["hello", "hello"]
    assert handler.recorder.path.is_relative_to(tmp_path / "there")
    assert values_in(handler.recorder.path)[0]["git"] == {"branch": "main"}


@pytest.mark.usefixtures("tidy_config")
@pytest.mark.parametrize(
    ("misspelt", "meant"), [("qeue_size", "queue_size"), ("instruction", "instructions"), ("session", "session_id")]
)
def test_a_misspelt_option_is_named(misspelt, meant, home):
    """A configuration with an unknown key fails, and the cause says what was probably meant."""
    with pytest.raises(ValueError, match="Unable to configure handler 'rollout'") as caught:
        configured(**{misspelt: 1})

    assert str(caught.value.__cause__) == f"unknown option {misspelt!r}; did you mean {meant!r}?"
    assert not home.exists()


@pytest.mark.usefixtures("tidy_config")
def test_a_second_configuration_closes_the_first_handler(heard):
    """Earlier records are on disk, later ones are in the new handler's session, and none is late."""
    logger = configured()
    logger.info("one")
    (first,) = logger.handlers
    configured().info("two")
    (second,) = logger.handlers
    second.flush()

    assert texts_in(first.recorder.path) == ["one"]
    assert texts_in(second.recorder.path) == ["two"]
    assert (first.late, heard) == (0, [])


@pytest.mark.parametrize("level", [logging.WARNING, "WARNING"])
def test_records_below_the_level_are_left_out(level):
    """A handler has a level, by number or by name, besides that of the logger."""
    with RolloutHandler(level=level) as handler:
        logger = logger_with(handler)
        logger.info("low")
        logger.warning("high")

        assert recorded(handler) == ["high"]


def test_filters_leave_records_out(logger, handler):
    """A filter is a function, or an object with a method; a record that one of them refuses is not handled."""

    class NoSecrets(logging.Filter):
        def filter(self, record):
            return "secret" not in record.getMessage()

    handler.addFilter(NoSecrets())
    handler.addFilter(lambda record: record.levelno != logging.ERROR)
    logger.info("one")
    logger.info("a secret")
    logger.error("two")

    assert recorded(handler) == ["one"]
    assert not handler.handle(logging.makeLogRecord({"msg": "secret", "name": "app"}))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters return records since Python 3.12")
def test_a_filter_may_put_another_record_in_the_place_of_one(logger, handler):
    """The record that a filter returns is recorded."""

    def shout(record):
        return logging.makeLogRecord({**vars(record), "msg": record.getMessage().upper(), "args": ()})

    handler.addFilter(shout)
    logger.info("hello %s", "you")

    assert recorded(handler) == ["HELLO YOU"]


def test_a_handler_with_a_recorder_leaves_it_to_its_owner(heard):
    """Records go to the recorder that was passed in; closing the handler only flushes it."""
    with RolloutRecorder.create() as recorder:
        with RolloutHandler(recorder=recorder) as handler:
            logger_with(handler).info("logged")
        after_close = texts_in(recorder.path)
        recorder.record(HELLO)

    assert after_close == ["logged"]
    assert texts_in(recorder.path) == ["logged", "hello"]
    assert heard == []


@pytest.mark.parametrize("argument", [{"home": "x"}, {"session_id": "x"}, {"instructions": "x"}, {"queue_size": 2}])
def test_a_recorder_that_is_handed_in_has_its_options_already(argument):
    """Arguments that could have no effect are refused."""
    with RolloutRecorder.create() as recorder, pytest.raises(TypeError, match="recorder= excludes home"):
        RolloutHandler(recorder=recorder, **argument)


def test_shutdown_is_an_event():
    """shutdown() asks and returns; the event tells that everything is on disk. Also where nothing was logged."""
    handler, idle = RolloutHandler(), RolloutHandler()
    logger_with(handler).info("hello")
    acks = handler.shutdown(), idle.shutdown()

    assert all(isinstance(ack, threading.Event) and ack.wait(DEADLINE) and ack.error is None for ack in acks)
    assert texts_in(handler.recorder.path) == ["hello"]
    handler.close()
    idle.close()


def test_closing_again_does_nothing(logger, handler, heard):
    """Nor does flushing what is closed."""
    logger.info("hello")
    for _ in range(2):
        handler.close()
        handler.flush()

    assert heard == []


def test_a_repr_is_short(logger, handler):
    """It tells the file, once there is one, and the level."""
    before = repr(handler)
    logger.info("hello")

    assert before == "<RolloutHandler no session yet (NOTSET)>"
    assert repr(handler) == f"<RolloutHandler {handler.recorder.path} (NOTSET)>"


# -- the agent never suffers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "args", "extra", "kept"),
    [
        ("%d", ("seven",), {}, []),
        ("x", (), {"rollout_item": Unrecordable()}, ["x"]),
        ("text", (), {"rollout_item": {"role": "user", "content": "x", "x": {1}}}, ["text"]),
    ],
)
def test_what_cannot_be_recorded_is_told_as_logging_tells(logger, handler, capsys, message, args, extra, kept):
    """A bad message or item goes to handleError(), which writes to stderr, and the next record is fine."""
    logger.info(message, *args, extra=extra)
    logger.info("next")

    assert recorded(handler) == [*kept, "next"]
    assert capsys.readouterr().err.startswith("--- Logging error ---")


@pytest.mark.usefixtures("tidy_logging")
def test_in_production_nothing_is_written_to_stderr(logger, capsys):
    """With logging.raiseExceptions false, errors of the handler are silent, as logging documents."""
    logging.raiseExceptions = False
    logger.info("x", extra={"rollout_item": Unrecordable()})

    assert capsys.readouterr().err == ""


def test_a_subclass_hears_of_errors(home):
    """handleError() may be overridden, and gets the record."""
    heard = []

    class Handler(RolloutHandler):
        def handleError(self, record):
            heard.append((record.getMessage(), sys.exc_info()[0]))

    home.write_bytes(b"where a folder should be")
    with Handler() as handler:
        logger_with(handler).info("hello")

    assert heard == [("hello", NotADirectoryError)]


@pytest.mark.usefixtures("tidy_logging")
def test_a_home_that_cannot_be_written_is_reported_once(home, heard, capsys):
    """The first record goes to handleError(), the others are counted, and close() reports how many."""
    home.write_bytes(b"where a folder should be")
    with RolloutHandler() as handler:
        logger = logger_with(handler)
        for _ in range(3):
            logger.info("hello")
        printed = capsys.readouterr().err

        assert (handler.unstarted, heard) == (3, [])
    assert printed.count("--- Logging error ---") == 1
    assert heard == [f"3 records were not recorded, because no session could be started in {home}"]


@pytest.mark.usefixtures("tidy_logging")
def test_what_is_logged_while_a_start_fails_is_counted_too(home):
    """The `redact` hook logs while it sees the meta, so there is no session yet, and then there never is one."""

    def redact(record):
        logger.info("from the hook")
        return record

    home.write_bytes(b"where a folder should be")
    with RolloutHandler(redact=redact) as handler:
        logger = logger_with(handler)
        logger.info("hello")

        assert handler.unstarted == 2


def test_a_session_begins_as_soon_as_it_can(home, capsys):
    """A home that could not be made is tried again at the next record."""
    home.write_bytes(b"")
    with RolloutHandler() as handler:
        logger_with(handler).info("lost")
        home.unlink()
        logger_with(handler).info("found")

        assert recorded(handler) == ["found"]
    assert "NotADirectoryError" in capsys.readouterr().err


def test_a_record_without_a_name_is_recorded(handler):
    """Bridges make records by hand, and leave out what they do not have."""
    handler.handle(logging.makeLogRecord({"msg": "bare"}))

    assert recorded(handler) == ["bare"]


def test_late_records_are_counted_and_told_once(logger, handler, heard):
    """After shutdown() a record is not recorded, and not raised about; one line says so, and a counter how often."""
    logger.info("in time")
    handler.shutdown()
    for _ in range(3):
        logger.info("late")

    assert handler.late == 3
    handler.close()
    assert texts_in(handler.recorder.path) == ["in time"]
    ended = f"{handler.recorder.path}: the handler was shut down"
    assert heard == [f"{ended}; a record was not recorded; the handler's `late` counts further ones"]


def test_late_records_of_a_handler_that_recorded_nothing_leave_no_file(logger, handler, home, heard):
    """They do not start a session, because no later call would close it."""
    handler.shutdown()
    logger.info("late")

    assert (handler.late, len(heard)) == (1, 1)
    assert not home.exists()


def test_a_handler_that_is_shut_down_while_its_session_begins_ends_it():
    """A shutdown during the start of the session closes that session too."""

    def redact(record):
        if "type" not in record:
            handler.shutdown()  # as another thread might, while the meta line is made
        return record

    handler = RolloutHandler(redact=redact)
    logger_with(handler).info("late")

    assert handler.late == 1
    with pytest.raises(rolloutlog.exceptions.RecorderClosedError):
        handler.recorder.record(HELLO)


def test_records_for_a_closed_recorder_are_late(heard):
    """A recorder that its owner has closed takes no more, and the handler counts what comes."""
    with RolloutRecorder.create() as recorder:
        handler = RolloutHandler(recorder=recorder)
    logger_with(handler).info("late")
    handler.close()

    assert (handler.late, len(heard)) == (1, 1)


def test_no_thread_waits_for_the_handlers_lock(logger, handler):
    """Code that holds Handler.lock, for example to format, does not block other threads that log."""
    logger.info("first")
    with handler.lock:
        run_together(lambda: logger.info("second"))

    assert recorded(handler) == ["first", "second"]


@pytest.mark.usefixtures("tidy_logging")
def test_our_own_words_are_not_recorded(handler):
    """On the root at DEBUG the handler records one line for one record: nothing of what writing it logs."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    for name in ("rolloutlog", "rolloutlog.x", "filelock", "filelock._api"):
        logging.getLogger(name).error("about writing")
    logging.getLogger("rolloutlogger").info("mine")
    for _ in range(3):
        handler.flush()

    assert recorded(handler) == ["mine"]


def test_what_nobody_else_hears_is_shown_on_stderr(handler, monkeypatch, capsys):
    """With no handler but ours, a warning about writing goes where logging shows what has no handler, once."""
    alone = logging.getLogger("rolloutlog")
    monkeypatch.setattr(alone, "propagate", False)
    monkeypatch.setattr(alone, "handlers", [handler, RolloutHandler()])
    logging.getLogger("rolloutlog.x").warning("cannot write")
    alone.info("writes")

    assert capsys.readouterr().err == "cannot write\n"


def test_what_somebody_else_hears_is_not_shown_twice(handler, heard, monkeypatch, capsys):
    """If there is another handler, it gets the record, and stderr stays clean."""
    alone = logging.getLogger("rolloutlog")
    monkeypatch.setattr(alone, "propagate", False)
    monkeypatch.setattr(alone, "handlers", [handler, *alone.handlers])
    alone.warning("cannot write")

    assert heard == ["cannot write"]
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("tidy_logging")
def test_captured_warnings_do_not_recurse(handler):
    """With captureWarnings a warning is one entry, also one that is given while the handler records."""

    def redact(record):
        warnings.warn("inside", UserWarning, stacklevel=1)
        return record

    logging.getLogger().addHandler(handler)
    logging.captureWarnings(True)
    try:
        warnings.simplefilter("always")
        warnings.warn("outside", UserWarning, stacklevel=1)
        with RolloutHandler(redact=redact) as second:
            logger_with(second).info("hello")
            logging.getLogger().removeHandler(handler)
    finally:
        logging.captureWarnings(False)

    texts = recorded(handler)
    assert [sum(word in text for text in texts) for word in ("outside", "inside")] == [1, 2]
    assert texts_in(second.recorder.path) == ["hello"]


def test_a_logged_dict_is_an_item(logger, handler):
    """As it is for session.record()."""
    logger.info({"role": "user", "content": "hi"})
    handler.flush()

    assert rolloutlog.load_session(handler.recorder.path).items == [Message.user("hi")]


@pytest.mark.usefixtures("tidy_logging")
@pytest.mark.parametrize("item", [{"role": "user"}, {"type": "message", "role": 3, "content": "x"}, object()])
def test_an_invalid_item_does_not_lose_the_text(logger, handler, capsys, item):
    """The text becomes a log entry, and the error goes to handleError()."""
    logger.info("the text", extra={"rollout_item": item})

    assert recorded(handler) == ["the text"]
    assert "InvalidItemError" in capsys.readouterr().err


def test_a_session_can_be_given_as_the_recorder():
    """Text and items go to the session, which stays open."""
    with rolloutlog.session("given") as session:
        with RolloutHandler(recorder=session) as handler:
            logger_with(handler).info(Message.user("hello"))
        session.record(Message.assistant("hi"))

        assert handler.recorder is session.recorder
        assert session.items == [Message.user("hello"), Message.assistant("hi")]


def test_another_value_as_the_recorder_is_refused():
    """The error comes from the call that is wrong."""
    with pytest.raises(TypeError, match=r"must be a RolloutRecorder or a Session.*; got str"):
        RolloutHandler(recorder="greeter")


@pytest.mark.usefixtures("tidy_logging")
def test_a_redaction_that_fails_is_reported(heard, capsys):
    """Each record goes to handleError() without its text, the logger names the hook once, the file has a line each."""

    def redact(record):
        return record if "type" not in record else record["output"]

    secret = "xy" + "zzy"  # because handleError() prints the lines of the code
    with RolloutHandler(redact=redact) as handler:
        logger = logger_with(handler)
        logger.info("the secret word is %s", secret)
        logger.info(Message.user(secret))
    printed = capsys.readouterr().err

    texts = texts_in(handler.recorder.path)
    assert [text.partition(",")[0] for text in texts] == [
        "a record of type 'log' was withheld",
        "a record of type 'message' was withheld",
    ]
    assert printed.count("RedactionError: ") == 2
    assert len(heard) == 1
    assert "redact raised KeyError at test_handler.py:" in heard[0]
    assert secret not in printed + "".join(heard) + "".join(texts)


# -- logging while recording -------------------------------------------------------------------------------------------


def test_a_hook_that_logs_begins_one_session():
    """Records that a redact hook logs through its own handler are not written, because they bypassed the hook."""

    def redact(record):
        logger.info("looked")
        return record

    handler = RolloutHandler(redact=redact)
    logger = logger_with(handler)
    logger.info("hello")
    handler.close()

    ((withheld, looked, again, hello),) = sessions()
    assert "withheld" in withheld
    assert "withheld" in again
    assert (looked, hello) == ("looked", "hello")


def test_an_sdk_object_that_logs_is_recorded(logger, handler):
    """to_dict() may log through the same handler: its entry comes first, then the item."""

    class Chatty:
        def to_dict(self):
            logger.info("converting")
            return {"role": "user", "content": "hello"}

    logger.info("x", extra={"rollout_item": Chatty()})

    assert recorded(handler) == ["converting", "hello"]


def test_endless_records_within_records_are_cut(logger, handler):
    """An object that logs itself while it is converted is recorded a few times, and neither for ever nor never."""

    class Endless:
        def to_dict(self):
            logger.info("x", extra={"rollout_item": self})
            return {"role": "user", "content": "hello"}

    logger.info("x", extra={"rollout_item": Endless()})

    assert 1 <= len(recorded(handler)) <= 10


def test_a_finalizer_that_logs_is_recorded(logger, handler):
    """An object that logs when it is collected may be collected anywhere, also while the handler records."""

    class Last:
        def __del__(self):
            logger.info("last words")

        def to_dict(self):
            return {"role": "user", "content": "hello"}

    logger.info("x", extra={"rollout_item": Last()})

    assert recorded(handler) == ["hello", "last words"]


def test_an_interrupt_silences_no_thread(logger, handler):
    """Wherever Ctrl-C comes while a record is handled, the thread's next record is recorded, however often that was."""
    logger.info("first")
    step = 1
    while interrupted(step, lambda: logger.info("perhaps")):
        logger.info("after %d", step)
        step += 1

    texts = recorded(handler)
    assert step > 20
    assert [text for text in texts if text != "perhaps"] == ["first", *(f"after {n}" for n in range(1, step))]


def test_a_count_that_an_interrupt_left_too_high_is_counted_anew(logger, handler):
    """The count of records within records cannot silence a thread for good."""
    _nested.depth = 1_000
    logger.info("hello")

    assert recorded(handler) == ["hello"]


def log_in_a_storm(raising: bool) -> None:
    """Log while signals log too, or raise as Ctrl-C does; print how much was logged, and how much of it is there."""
    handler = RolloutHandler()
    logger = logger_with(handler)
    counts = {"main": 0, "signal": 0}

    def log(who: str) -> None:
        logger.info("%s %d", who, counts[who])
        counts[who] += 1

    def on_signal() -> None:
        log("signal")
        if raising:
            raise KeyboardInterrupt

    log("main")
    storm(lambda: log("main"), handler=on_signal, signals=1_000)
    for who in counts:  # so that what was recorded last, and perhaps not counted, comes again here as well
        log(who)
    handler.close()
    texts = texts_in(handler.recorder.path)
    for who, count in counts.items():
        numbers = [int(text.split()[1]) for text in texts if text.startswith(who)]
        # An interrupt leaves one record's outcome unknown: it may be there without having been counted, and then comes
        # again under the same number.
        sys.stdout.write(f"{who} {sorted(set(numbers)) == list(range(count))} {raising or len(numbers) == count}\n")
    sys.stdout.write(f"{handler.late}\n")


@pytest.mark.system
@pytest.mark.parametrize("raising", [False, True])
def test_a_storm_of_signals_loses_nothing_and_jams_nothing(raising):
    """Signal handlers that log, and interrupts, come at any instruction: every record that was logged is there."""
    printed = in_fresh_process(log_in_a_storm, raising)

    assert printed.splitlines() == ["main True True", "signal True True", "0"]


# -- conversations: bound() --------------------------------------------------------------------------------------------


def test_what_is_bound_goes_to_its_own_file(logger, handler):
    """Inside bound() the context's records go to that recorder, and after it to the handler's own again."""
    with RolloutRecorder.create() as recorder:
        logger.info("before")
        with recorder.bound() as bound:
            logger.info("inside")
        logger.info("after")

    assert bound is recorder
    assert recorded(handler) == ["before", "after"]
    assert texts_in(recorder.path) == ["inside"]


def test_bindings_nest(logger):
    """The innermost counts, and the handler itself begins no session for what is bound."""
    with RolloutRecorder.create() as outer, RolloutRecorder.create() as inner, outer.bound():
        logger.info("outer")
        with inner.bound():
            logger.info("inner")
        logger.info("outer again")

    assert texts_in(outer.path) == ["outer", "outer again"]
    assert texts_in(inner.path) == ["inner"]
    assert len(sessions()) == 2


def converse(logger: logging.Logger, name: str) -> str:
    """Log as the conversation *name* and return what its own file holds."""
    with RolloutRecorder.create() as recorder, recorder.bound():
        for _ in range(20):
            logger.info(name)
    return " ".join(sorted(set(texts_in(recorder.path)))) * (len(texts_in(recorder.path)) == 20)


def test_threads_are_contexts(logger):
    """Several threads that record through one logger at once have a file each."""
    heard: dict[str, str] = {}
    run_together(*(lambda name=name: heard.update({name: converse(logger, name)}) for name in "abcd"))

    assert heard == {name: name for name in "abcd"}


def test_a_new_thread_begins_unbound(logger, handler):
    """A thread that is started inside logs to the handler's own session, unless threads inherit contexts."""
    inherits = getattr(sys.flags, "thread_inherit_context", 0)
    with RolloutRecorder.create() as recorder, recorder.bound():
        run_together(lambda: logger.info("unbound"))  # is bound where it inherits
        context = contextvars.copy_context()
        run_together(lambda: context.run(logger.info, "bound"))

    assert (handler.recorder is None) == bool(inherits)
    assert handler.recorder is None or recorded(handler) == ["unbound"]
    assert texts_in(recorder.path) == (["unbound", "bound"] if inherits else ["bound"])


def test_tasks_are_contexts(logger):
    """Each of several tasks of asyncio that converse in turns has its own file."""

    async def converse(name: str) -> list[str]:
        with RolloutRecorder.create() as recorder, recorder.bound():
            for _ in range(5):
                logger.info(name)
                await asyncio.sleep(0)
        return texts_in(recorder.path)

    async def everybody() -> list[list[str]]:
        return await asyncio.gather(*map(converse, "abc"))

    assert asyncio.run(everybody()) == [[name] * 5 for name in "abc"]


# -- with a queue ------------------------------------------------------------------------------------------------------


def through_queue(handler: RolloutHandler, formatter: logging.Formatter | None, log) -> list[dict]:
    """Let *log* log through a QueueHandler to *handler*, and return the lines that it recorded."""
    hand_over = logging.handlers.QueueHandler(queue.Queue())
    hand_over.setFormatter(formatter)
    listener = logging.handlers.QueueListener(hand_over.queue, handler, respect_handler_level=True)
    listener.start()
    log(logger_with(hand_over))
    listener.stop()
    handler.flush()
    return values_in(handler.recorder.path)[1:]


def log_everything(logger: logging.Logger) -> None:
    """Log an item in both ways, and a record with arguments, extras and an exception."""
    logger.info(HELLO)
    logger.info("said", extra={"rollout_item": Message.assistant("hi")})
    try:
        raise ValueError("bad")
    except ValueError:
        logger.exception("%s failed", "it", extra={"n": 1})


def test_a_queue_handler_in_front_loses_nothing(handler):
    """An item comes out as an item, though the QueueHandler has put text in its place; extras and exceptions stay."""
    item, other, failed = through_queue(handler, None, log_everything)

    assert (item["type"], item["content"]) == ("message", [{"type": "input_text", "text": "hello"}])
    assert (other["type"], other["role"]) == ("message", "assistant")
    assert failed["message"].startswith("it failed\nTraceback")
    assert failed["message"].endswith("ValueError: bad")
    assert failed["extra"] == {"n": 1}


def test_a_formatter_in_front_of_the_queue_loses_nothing(handler):
    """Where a formatter made another text of an item, the log entry holds all of the item; one in extra stays one."""
    formatter = logging.Formatter("[%(levelname)s] %(message)s")
    entry, other, _ = through_queue(handler, formatter, log_everything)

    assert entry["type"] == "log"
    assert entry["message"].startswith("[INFO] ")
    assert json.loads(entry["message"].removeprefix("[INFO] "))["content"] == [{"type": "input_text", "text": "hello"}]
    assert other["type"] == "message"


def log_into(log_queue) -> None:
    """Log through a queue between processes; to be run in a child."""
    log_everything(logger_with(logging.handlers.QueueHandler(log_queue)))


@pytest.mark.system
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_queue_between_processes_loses_nothing(handler, method):
    """The listening process records what other processes log through a multiprocessing queue."""
    context = multiprocessing.get_context(method)
    log_queue = context.Queue()
    listener = logging.handlers.QueueListener(log_queue, handler)
    listener.start()
    children = [context.Process(target=log_into, args=(log_queue,)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(DEADLINE)
    listener.stop()
    log_queue.close()
    log_queue.join_thread()
    handler.flush()

    assert [child.exitcode for child in children] == [0, 0]
    kinds = [(line["type"], line.get("role")) for line in values_in(handler.recorder.path)[1:]]
    assert sorted(kinds, key=str) == [("log", None)] * 2 + [("message", "assistant")] * 2 + [("message", "user")] * 2


@pytest.mark.usefixtures("tidy_logging")
@pytest.mark.skipif(sys.version_info < (3, 12), reason="dictConfig knows QueueHandler since Python 3.12")
def test_a_configuration_puts_a_queue_in_front():
    """The QueueHandler that dictConfig makes, once its listener is started, loses nothing either."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "rollout": {"class": "rolloutlog.RolloutHandler"},
                "queue": {"class": "logging.handlers.QueueHandler", "handlers": ["rollout"]},
            },
            "loggers": {PRIVATE: {"level": "INFO", "handlers": ["queue"], "propagate": False}},
        }
    )
    (hand_over,) = logging.getLogger(PRIVATE).handlers
    hand_over.listener.start()
    logging.getLogger(PRIVATE).info(HELLO)
    hand_over.listener.stop()
    (handler,) = hand_over.listener.handlers
    logging.getLogger(PRIVATE).removeHandler(hand_over)

    assert recorded(handler) == ["hello"]
    handler.close()


def test_a_memory_handler_in_front_loses_nothing(handler):
    """Records that were kept back come in order, with the times at which they were made."""
    memory = logging.handlers.MemoryHandler(100, target=handler)
    logger = logger_with(memory)
    logger.info("one")
    logger.info(HELLO)
    memory.close()

    assert recorded(handler) == ["one", "hello"]


# -- forks and ends ----------------------------------------------------------------------------------------------------


def log_and_fork() -> None:
    """Log, fork, log in the child and in its child, log again; as a program that forks workers does."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(RolloutHandler(meta={"cwd": "/srv"}))
    root.info("parent")
    child = os.fork()
    if child == 0:
        root.info("child")
        grandchild = os.fork()
        if grandchild == 0:
            root.info("grandchild")
            sys.exit()
        os.waitpid(grandchild, 0)
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
    root.info("parent again")


@pytest.mark.system
def test_a_forked_child_begins_a_session_of_its_own():
    """Its meta line names the parent's session; the parent notices nothing."""
    process = start(log_and_fork)
    finish(process)
    metas = {tuple(texts_in(found)): values_in(found)[0] for found in find_sessions()}

    parent, child, grandchild = metas["parent", "parent again"], metas["child",], metas["grandchild",]
    assert len(metas) == 3
    assert "parent_id" not in parent
    assert (child["parent_id"], grandchild["parent_id"]) == (parent["id"], child["id"])
    assert {meta["cwd"] for meta in metas.values()} == {"/srv"}


def fork_without_a_word() -> None:
    """Log, and fork a child that ends without logging."""
    logging.getLogger().addHandler(RolloutHandler())
    logging.getLogger().warning("parent")
    if os.fork() == 0:
        sys.exit()
    os.wait()


@pytest.mark.system
def test_a_forked_child_that_logs_nothing_leaves_nothing():
    """It has no session, and ends without a complaint about the one that is its parent's."""
    process = start(fork_without_a_word)
    printed, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, printed, errors) == (0, "", "")
    assert sessions() == [["parent"]]


def fork_with_a_recorder() -> None:
    """Hand a recorder to a handler, fork, and log in the child."""
    handler = RolloutHandler(recorder=RolloutRecorder.create())
    logger = logger_with(handler)
    logger.info("parent")
    if os.fork() == 0:
        logger.info("child")
        logger.info("child")
        sys.stdout.write(f"{handler.late}\n")
        sys.stdout.flush()
        os._exit(0)
    os.wait()
    logger.info("parent again")
    handler.recorder.close()


@pytest.mark.system
def test_a_forked_child_does_not_write_to_a_recorder_that_was_handed_in():
    """The recorder is its maker's: the child's records are counted as lost, and one line says how to do better."""
    process = start(fork_with_a_recorder)
    printed, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, printed) == (0, "2\n")
    assert errors.count("and this process is a fork of it; create a recorder here") == 1
    assert sessions() == [["parent", "parent again"]]


def fork_while_a_session_begins() -> None:
    """Fork while another thread is about to begin the handler's session, and log in the child."""
    parent = os.getpid()
    begins, forked = threading.Event(), threading.Event()

    def redact(record):
        if os.getpid() == parent:
            begins.set()
            assert forked.wait(DEADLINE)
        return record

    handler = RolloutHandler(redact=redact)
    logger = logger_with(handler)
    thread = threading.Thread(target=logger.info, args=("parent",))
    thread.start()
    assert begins.wait(DEADLINE)
    child = os.fork()
    if child == 0:
        logger.info("child")
        handler.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    forked.set()
    thread.join()
    handler.close()


@pytest.mark.system
def test_a_fork_while_a_session_begins_hangs_nobody():
    """The child does not wait for a thread that it does not have."""
    finish(start(fork_while_a_session_begins))

    assert sorted(sessions()) == [["child"], ["parent"]]


def log_until_the_end() -> None:
    """Log, also from what runs at the very end, and leave everything open."""
    import atexit

    root = logging.getLogger()
    atexit.register(root.warning, "at exit")  # runs before logging's own, which was registered at its import
    root.addHandler(RolloutHandler())
    root.warning("hello")
    for number in range(1_000):
        root.warning("%d", number)


def test_what_is_logged_is_on_disk_when_the_process_ends():
    """logging.shutdown() closes the handler, so no other code has to."""
    finish(start(log_until_the_end))

    assert sessions() == [["hello", *map(str, range(1_000)), "at exit"]]


def test_the_end_tells_what_could_not_be_written(handler, logger, heard, monkeypatch):
    """close() does not raise, for logging.shutdown() would swallow it: the logger says what is not on disk."""
    logger.info("hello")
    handler.flush()
    monkeypatch.setattr(rolloutlog._handler, "_TIMEOUT", 0.05)
    handler.recorder.path.unlink()
    handler.recorder.path.mkdir()
    logger.info("held back")
    handler.close()
    handler.recorder.path.rmdir()
    handler.recorder.close()

    assert len([words for words in heard if "1 record is not on disk" in words]) == 1
    assert texts_in(handler.recorder.path) == ["held back"]
