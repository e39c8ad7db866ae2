"""A handler that was closed: like a FileHandler it continues at the next record, and what is lost is heard."""

from __future__ import annotations

import atexit
import fcntl
import io
import logging
import logging.config
import os
import sys
import threading

import pytest
from helpers import DEADLINE, finish, hear, run_together, start, tell, texts_in, values_in

import rolloutlog
from rolloutlog import Message, RolloutHandler, RolloutRecorder, attach, find_sessions, load_session

FILE_CONFIG = """
[loggers]
keys=root
[handlers]
keys=
[formatters]
keys=
[logger_root]
level=WARNING
handlers=
"""

# Other code does this in the middle of a program, and it closes every handler of the process.
CLOSINGS = {
    "dictConfig": lambda: logging.config.dictConfig({"version": 1, "disable_existing_loggers": False}),
    "fileConfig": lambda: logging.config.fileConfig(io.StringIO(FILE_CONFIG), disable_existing_loggers=False),
    "shutdown": logging.shutdown,
}


def agent_with(handler: logging.Handler) -> logging.Logger:
    """Return a logger that has *handler*, and that other code does not name."""
    logger = logging.getLogger("agent")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    return logger


@pytest.fixture
def handler():
    """A handler, closed at the end."""
    handler = RolloutHandler()
    yield handler
    handler.close()


@pytest.fixture
def logger(handler):
    """A logger that no other code knows, with the handler on it."""
    logger = logging.Logger("app.agent")
    logger.addHandler(handler)
    return logger


def sessions() -> list[list[str]]:
    """Return what each session of the home holds, newest first."""
    return [texts_in(found) for found in find_sessions()]


# -- what other code closes --------------------------------------------------------------------------------------------


def log_around(closing: str, attached: bool) -> None:
    """Log, let other code close every handler, and log again."""
    if attached:
        attach("agent")
        logger = logging.getLogger("agent")
    else:
        logger = agent_with(RolloutHandler())
    logger.info("before")
    CLOSINGS[closing]()
    logger.info("after")
    logger.info(Message.user("and more"))


@pytest.mark.parametrize("attached", [False, True], ids=["handler", "attach"])
@pytest.mark.parametrize("closing", CLOSINGS)
def test_a_logger_that_keeps_its_handler_continues_in_the_same_session(closing, attached):
    """As with a FileHandler, the program does nothing for that: the handler resumes its session, without a word."""
    process = start(log_around, closing, attached)
    printed, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, printed, errors) == (0, "", "")
    assert sessions() == [["before", "after", "and more"]]


def configure_before_the_first_record() -> None:
    """Close every handler before anything was logged."""
    logger = agent_with(RolloutHandler())
    CLOSINGS["dictConfig"]()
    logger.info("after")


def test_a_handler_that_is_closed_before_its_first_record_begins_at_it():
    """It has no session yet, and starts one."""
    finish(start(configure_before_the_first_record))

    assert sessions() == [["after"]]


def disable_all_loggers() -> None:
    """Record from the root, as loggers come and others are disabled, and let the last record be lost."""
    root = logging.getLogger()
    handler = RolloutHandler()
    root.addHandler(handler)
    root.warning("before")
    logging.config.dictConfig({"version": 1})  # disables every logger that exists, except the root
    logging.getLogger("new").warning("after")
    handler.flush()
    tell(handler.recorder.path)
    path = handler.recorder.path
    rolloutlog._handler._TIMEOUT = 0.05
    path.rename(path.with_name("moved"))
    path.mkdir()
    root.warning("lost")
    handler.close()
    path.rmdir()


def test_a_loss_is_heard_where_every_logger_is_disabled():
    """A dictConfig that keeps no logger disables ours, too: stderr has the message then."""
    process = start(disable_all_loggers)
    printed, errors = process.communicate(timeout=DEADLINE)

    assert texts_in(printed.strip().rpartition("/")[0] + "/moved") == ["before", "after"]
    assert errors.count("1 record is not on disk") == 1


@pytest.mark.parametrize("how", ["disabled", "manager"])
def test_late_records_are_heard_where_every_logger_is_disabled(logger, handler, capsys, monkeypatch, how):
    """So is a record that comes after the end."""
    if how == "disabled":
        monkeypatch.setattr(logging.getLogger("rolloutlog"), "disabled", True)
    else:
        monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    handler.shutdown()
    handler.handle(logging.makeLogRecord({"msg": "late"}))

    assert "a record was not recorded" in capsys.readouterr().err


def configure_by_force() -> None:
    """Attach to the root, and configure it again by force."""
    attach()
    logging.info("before")
    logging.basicConfig(force=True)
    logging.warning("after")


def test_a_root_that_is_configured_by_force_loses_its_handlers():
    """That is what `force=True` asks for: each handler is removed and closed, and ours has written everything."""
    process = start(configure_by_force)
    printed, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, printed, errors) == (0, "", "WARNING:root:after\n")
    assert sessions() == [["before"]]


def log_after_the_shutdown() -> None:
    """Log from an exit function that runs after that of logging."""
    logger = agent_with(RolloutHandler())
    atexit.unregister(logging.shutdown)
    atexit.register(logger.info, "after")
    atexit.register(logging.shutdown)
    logger.info("before")


def test_a_record_that_comes_after_the_shutdown_at_exit_is_recorded():
    """logging.shutdown() runs at exit, and what runs after it may log."""
    process = start(log_after_the_shutdown)
    printed, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, printed, errors) == (0, "", "")
    assert sessions() == [["before", "after"]]


def test_who_closes_an_attached_handler_detaches_it():
    """Unlike logging.shutdown(), which closes the handlers of others."""
    handler = attach("rolloutlog-test.detached")
    logger = logging.getLogger("rolloutlog-test.detached")
    logger.info("before")
    logging.shutdown([lambda: handler])
    is_attached = handler in logger.handlers
    logger.info("after")
    handler.close()

    assert is_attached
    assert handler not in logger.handlers
    assert texts_in(handler.recorder.path) == ["before", "after"]


# -- close, and again --------------------------------------------------------------------------------------------------


def test_a_closed_handler_leaves_the_file_to_others(logger, handler):
    """The file is closed and its lock released, until the next record."""
    logger.info("before")
    handler.close()
    with open(handler.recorder.path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    logger.info("after")
    handler.close()

    assert texts_in(handler.recorder.path) == ["before", "after"]


@pytest.mark.parametrize("format", ["flat", "envelope"])
def test_what_comes_after_a_close_has_the_options_of_what_came_before(format):
    """The session keeps its format and its hook, and gets no second meta."""
    handler = RolloutHandler(format=format, redact=lambda record: {**record, "seen": 1} if "role" in record else record)
    logger = logging.Logger("app")
    logger.addHandler(handler)
    for text in "ab":
        logger.info(Message.user(text))
        handler.close()
    saved = load_session(handler.recorder.path)

    assert saved.format == format
    assert [(item.text, item.extra["seen"]) for item in saved.items] == [("a", 1), ("b", 1)]
    assert saved.skipped == []


def test_a_recorder_that_was_passed_in_is_used_after_a_close(logger):
    """The handler never closes it."""
    with RolloutRecorder.create() as recorder:
        handler = RolloutHandler(recorder=recorder)
        logger.handlers = [handler]
        handler.close()
        logger.info("after")

    assert texts_in(recorder.path) == ["after"]


def test_a_file_that_was_removed_after_the_close_is_followed_by_a_new_session(logger, handler):
    """As FileHandler makes its file again."""
    logger.info("before")
    handler.close()
    first = handler.recorder.path
    first.unlink()
    logger.info("after")
    handler.close()

    assert sessions() == [["after"]]
    assert handler.recorder.path != first


def hold(path: str) -> None:
    """Resume a session and hold it until told to end."""
    with RolloutRecorder.resume(path)[0]:
        tell("held")
        sys.stdin.readline()


@pytest.mark.system
def test_a_session_that_another_process_has_by_then_is_reported_once(logger, handler, capsys):
    """The first record goes to handleError(), the others are counted, and the next that can be recorded is."""
    heard = []
    ear = logging.Handler()
    ear.emit = lambda record: heard.append(record.getMessage())
    logging.getLogger("rolloutlog").addHandler(ear)
    logger.info("before")
    handler.close()
    other = start(hold, str(handler.recorder.path))
    assert hear(other) == "held"
    for _ in range(3):
        logger.info("lost")
    printed = capsys.readouterr().err
    finish(other, said="\n")
    logger.info("after")
    logging.getLogger("rolloutlog").removeHandler(ear)

    assert printed.count("--- Logging error ---") == 1
    assert "SessionLockedError" in printed
    path = handler.recorder.path
    assert heard == [f"3 records were not recorded, because {path} could not be resumed"]
    assert handler.unstarted == 3
    handler.flush()
    assert texts_in(path) == ["before", "after"]


def fork_after_a_close() -> None:
    """Close the handler, and log in a child before the parent does."""
    logger = agent_with(RolloutHandler())
    logger.info("parent")
    CLOSINGS["dictConfig"]()
    if os.fork() == 0:
        logger.info("child")
        sys.exit()
    os.wait()
    logger.info("parent again")


@pytest.mark.system
def test_a_child_does_not_resume_the_session_that_its_parent_closed():
    """The parent may resume it at any moment, so the child begins its own, which names the parent's."""
    finish(start(fork_after_a_close))
    metas = {tuple(texts_in(found)): values_in(found)[0] for found in find_sessions()}

    assert set(metas) == {("parent", "parent again"), ("child",)}
    assert metas["child",]["parent_id"] == metas["parent", "parent again"]["id"]


def test_threads_that_log_while_it_is_closed_lose_nothing(logger, handler):
    """Each record is either before the close or after it, and each thread keeps its order."""
    done = threading.Event()

    def close() -> None:
        while not done.wait(0.001):
            handler.close()

    def log(name: str) -> None:
        for number in range(300):
            logger.info("%s %d", name, number)

    closer = threading.Thread(target=close)
    closer.start()
    try:
        run_together(*(lambda name=name: log(name) for name in "ab"))
    finally:
        done.set()
        closer.join(DEADLINE)
    handler.flush()
    texts = texts_in(handler.recorder.path)

    for name in "ab":
        assert [text for text in texts if text.startswith(name)] == [f"{name} {number}" for number in range(300)]
    assert (handler.late, handler.unstarted, len(sessions())) == (0, 0, 1)


def test_a_close_right_after_a_record_resumed_the_session_loses_nothing(logger, handler, monkeypatch):
    """Another thread closes the handler between the resume and the record, which resumes the session again."""
    logger.info("before")
    handler.close()
    begin = handler._begin

    def begin_and_close(**options: object) -> object:
        monkeypatch.setattr(handler, "_begin", begin)
        begun = begin(**options)
        handler.close()
        return begun

    monkeypatch.setattr(handler, "_begin", begin_and_close)
    logger.info("between")
    handler.flush()

    assert texts_in(handler.recorder.path) == ["before", "between"]
    assert (handler.late, len(sessions())) == (0, 1)


def test_a_second_close_leaves_the_session_that_was_resumed_since_the_first(logger, handler, monkeypatch):
    """Two threads close the handler, and a record comes between: the second thread closes its own recorder only."""
    logger.info("before")
    first = handler.recorder
    flush = first.flush

    def flush_late(**options: float) -> None:
        monkeypatch.setattr(first, "flush", flush)
        handler.close()
        logger.info("between")

    monkeypatch.setattr(first, "flush", flush_late)
    handler.close()
    between = handler.recorder

    assert between is not first
    assert between.lifecycle.name == "OPEN"
    handler.close()
    assert texts_in(first.path) == ["before", "between"]


def test_what_a_close_could_not_write_is_written_later(logger, handler, monkeypatch, capsys):
    """The session stays open then, and takes records."""
    logger.info("before")
    handler.flush()
    monkeypatch.setattr(rolloutlog._handler, "_TIMEOUT", 0.05)
    path = handler.recorder.path
    path.unlink()
    path.mkdir()
    logger.info("held back")
    handler.close()
    logger.info("after")
    path.rmdir()
    handler.recorder.flush()

    assert texts_in(path) == ["held back", "after"]
