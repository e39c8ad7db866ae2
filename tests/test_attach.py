"""attach(): one call puts a handler onto a logger; twice the same call changes nothing; closing puts all back."""

from __future__ import annotations

import logging
import sys

import pytest
from helpers import interrupted, run_together, texts_in

from rolloutlog import Message, RolloutHandler, RolloutRecorder, attach, find_sessions, session

NAME = "rolloutlog-test.agent"


@pytest.fixture
def logger():
    """A logger that lets nothing below WARNING pass, cleaned up at the end."""
    logger = logging.getLogger(NAME)
    logger.setLevel(logging.WARNING)
    yield logger
    for handler in logger.handlers[:]:
        handler.close()
        logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("given", ["logger", "name"])
def test_attach_records_what_is_logged(logger, given):
    """By the logger or by its name, also a name that is new."""
    with attach(logger if given == "logger" else NAME) as handler:
        logger.info(Message.user("hello"))
        logger.debug("too low")
        logger.info("it rains")

    assert isinstance(handler, RolloutHandler)
    assert texts_in(handler.recorder.path) == ["hello", "it rains"]


def test_attach_to_nothing_is_to_the_root():
    """Without a logger, everything that propagates is heard."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    with attach() as handler:
        logging.getLogger("a.b.c").info("hello")

    assert texts_in(handler.recorder.path) == ["hello"]
    assert (root.handlers, root.level) == before


def test_a_cell_that_runs_twice_attaches_once(logger):
    """The same call returns the same handler, and every record is recorded once."""
    first = attach(NAME, level="INFO", queue_size=16)
    second = attach(logger, level=logging.INFO, queue_size=16)
    logger.info("hello")
    first.close()

    assert second is first
    assert texts_in(first.recorder.path) == ["hello"]


CELL = """
def redact(record, hidden="***"):
    return {key: hidden if key == "message" else value for key, value in record.items()}

handler = attach(NAME, redact=redact)
"""


def run_cell(cell: str, namespace: dict[str, object]) -> RolloutHandler:
    """Run *cell* as a notebook does: compiled again, in the same namespace."""
    exec(compile(cell, "<cell>", "exec"), namespace)
    return namespace["handler"]


def test_a_cell_that_defines_its_hook_again_attaches_once(logger):
    """A function that the same lines defined again counts as the same, though it is another object."""
    namespace = {"attach": attach, "NAME": NAME}
    first, second = run_cell(CELL, namespace), run_cell(CELL, namespace)
    logger.info("secret")
    first.close()

    assert second is first
    assert texts_in(first.recorder.path) == ["***"]


@pytest.mark.parametrize("change", [("***", "###"), ('key == "message"', "True"), ("record.items()", "[]")])
def test_a_cell_with_another_hook_raises(logger, change):
    """A hook that now does something else is never silently left out."""
    namespace = {"attach": attach, "NAME": NAME}
    first = run_cell(CELL, namespace)

    with pytest.raises(ValueError, match="different redact; close"):
        run_cell(CELL.replace(*change), namespace)

    assert logger.handlers == [first]


def test_a_hook_of_another_module_is_another_hook(logger):
    """The same lines may mean something else in another module."""
    first = run_cell(CELL, {"attach": attach, "NAME": NAME})

    with pytest.raises(ValueError, match="different redact"):
        run_cell(CELL, {"attach": attach, "NAME": NAME})

    assert logger.handlers == [first]


def test_a_hook_with_another_closure_is_another_hook(logger):
    """The same lines may do something else with what surrounds them."""

    def hook(hidden):
        return lambda record: {**record, "message": hidden}

    first = attach(logger, redact=hook("***"))

    assert attach(logger, redact=hook("***")) is first
    with pytest.raises(ValueError, match="different redact"):
        attach(logger, redact=hook("###"))


def test_other_arguments_raise(logger, tmp_path):
    """The error names the arguments that differ, and the attached handler is unchanged."""
    first = attach(logger, queue_size=16)

    with pytest.raises(ValueError, match="different home, fsync, queue_size; close"):
        attach(logger, home=tmp_path, fsync="always")

    assert logger.handlers == [first]


def test_after_a_close_a_new_handler_starts_a_new_session(logger):
    """A closed handler is off the logger, and the next call makes another one with its own session."""
    first = attach(logger)
    logger.info("one")
    first.close()
    second = attach(logger, queue_size=16)
    logger.info("two")
    second.close()

    assert [texts_in(each.recorder.path) for each in (first, second)] == [["one"], ["two"]]


def test_a_handler_of_ones_own_is_left_alone(logger):
    """attach() knows its own handlers, and no others."""
    own = RolloutHandler()
    logger.addHandler(own)
    attached = attach(logger)
    logger.warning("hello")
    attached.close()

    assert attached is not own
    assert logger.handlers == [own]


def test_threads_that_attach_at_once_attach_one(logger):
    """Records are not doubled because two threads were faster than either could see."""
    attached = []
    run_together(*[lambda: attached.append(attach(logger))] * 8)
    logger.info("hello")
    attached[0].close()

    assert len({id(each) for each in attached}) == 1
    assert [texts_in(found) for found in find_sessions()] == [["hello"]]


class Contested(logging.Logger):
    """A logger to which another thread attaches between the look and the leap."""

    first: RolloutHandler | None = None

    def addHandler(self, handler):
        if self.first is None:
            self.first = handler  # the next call, from the other thread, goes through
            run_together(lambda: setattr(self, "first", attach(self)))
        super().addHandler(handler)


def test_who_attaches_a_moment_too_late_gets_the_handler_that_is_there(home):
    """And its own is gone again."""
    logger = Contested("contested")
    attached = attach(logger)
    logger.info("hello")
    attached.close()

    assert attached is logger.first
    assert [texts_in(found) for found in find_sessions()] == [["hello"]]


def test_misspelt_options_are_named(logger):
    """And nothing is put onto the logger."""
    with pytest.raises(TypeError, match="did you mean 'fsync'"):
        attach(logger, fsnc="always")

    assert logger.handlers == []


def test_an_unknown_level_is_refused(logger):
    """As by every handler."""
    with pytest.raises(ValueError, match="LOUD"):
        attach(logger, level="LOUD")

    assert logger.handlers == []


def test_a_recorder_can_be_given(logger):
    """Records go to that session, and its owner can still record."""
    with RolloutRecorder.create() as recorder:
        with attach(logger, recorder=recorder) as handler:
            assert attach(logger, recorder=recorder) is handler
            logger.info("logged")
        recorder.record(Message.user("recorded"))

    assert texts_in(recorder.path) == ["logged", "recorded"]


def test_a_session_can_be_given(logger):
    """Records go to it; its recorder is the same argument."""
    with session("given") as opened:
        with attach(logger, recorder=opened) as handler:
            assert attach(logger, recorder=opened.recorder) is handler
            logger.info({"role": "user", "content": "logged"})

        assert [item.text for item in opened.items] == ["logged"]


# -- what other handlers get -------------------------------------------------------------------------------------------


class Console(logging.Handler):
    """Keeps the texts that it would print."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture
def console(logger):
    """A handler on the logger above, which lets WARNING pass."""
    above = logging.getLogger(NAME.partition(".")[0])
    console, level = Console(), above.level
    above.setLevel(logging.WARNING)
    above.addHandler(console)
    yield console
    above.removeHandler(console)
    above.setLevel(level)


def log_both(logger):
    logger.info("quiet")
    logger.getChild("child").info("quiet, too")
    logger.warning("loud")


def test_other_handlers_get_what_they_got_before(logger, console):
    """Lowering the level for this handler does not make a console print more."""
    with attach(logger) as handler:
        log_both(logger)

    assert console.lines == ["loud"]
    assert texts_in(handler.recorder.path) == ["quiet", "quiet, too", "loud"]
    assert console.filters == []


def test_a_handler_that_comes_later_gets_the_same(logger):
    """So it does not matter whether logging is set up before or after attach()."""
    with attach(logger):
        console = Console()
        logger.parent.addHandler(console)
        log_both(logger)
    logger.parent.removeHandler(console)

    assert console.lines == ["loud"]
    assert console.filters == []


def test_a_level_that_the_program_sets_after_attach_counts_for_all(logger, console):
    """Also when it is the level that attach() has set."""
    with attach(logger):
        logger.setLevel(logging.INFO)
        log_both(logger)

    assert console.lines == ["quiet", "quiet, too", "loud"]
    assert logger.level == logging.INFO


def test_two_attached_loggers_change_nothing_for_others(logger, console):
    """One above the other; the filter stays until both are closed."""
    logger.setLevel(logging.NOTSET)
    with attach(logger.parent, level=logging.INFO) as above:
        with attach(logger, level=logging.DEBUG) as below:
            log_both(logger)
            logger.debug("deep")
        log_both(logger)

    assert console.lines == ["loud", "loud"]
    assert texts_in(below.recorder.path) == ["quiet", "quiet, too", "loud", "deep"]
    assert texts_in(above.recorder.path) == ["quiet", "quiet, too", "loud"] * 2


def test_warnings_stay_on_stderr_where_no_logging_is_set_up(logger, monkeypatch, capsys):
    """As without attach(): the text of WARNING and above, once; a handler of the program's takes its place."""
    monkeypatch.setattr(logger, "propagate", False)
    with attach(logger) as handler:
        logger.info("quiet")
        logger.warning("loud")
        alone = capsys.readouterr().err
        logger.addHandler(Console())
        logger.warning("louder")

    assert alone == "loud\n"
    assert capsys.readouterr().err == ""
    assert texts_in(handler.recorder.path) == ["quiet", "loud", "louder"]


@pytest.mark.parametrize("change", [None, logging.ERROR])
def test_warnings_stay_on_stderr_also_below_the_level_of_the_handler(logger, monkeypatch, capsys, change):
    """The handler records errors only; a warning is shown as if it were not there."""
    monkeypatch.setattr(logger, "propagate", False)
    with attach(logger, level=logging.INFO if change else logging.ERROR) as handler:
        if change:
            handler.setLevel(change)
        logger.warning("a warning")
        logger.error("an error")

    assert capsys.readouterr().err == "a warning\nan error\n"
    assert texts_in(handler.recorder.path) == ["an error"]


# -- the level ---------------------------------------------------------------------------------------------------------


def test_the_level_is_lowered_and_put_back(logger):
    """INFO passes while the handler is there, and no longer than that."""
    handler = attach(logger)
    during = logger.level
    handler.close()

    assert (during, logger.level) == (logging.INFO, logging.WARNING)


def test_a_level_that_lets_more_pass_is_left_alone(logger):
    """A logger at DEBUG stays there; the handler takes INFO and above."""
    logger.setLevel(logging.DEBUG)
    handler = attach(logger)
    during = logger.level
    logger.debug("too low")
    logger.info("hello")
    handler.close()

    assert (during, logger.level) == (logging.DEBUG, logging.DEBUG)
    assert texts_in(handler.recorder.path) == ["hello"]


def test_an_inherited_level_is_inherited_again(logger):
    """A logger without a level of its own has none afterwards."""
    child = logger.getChild("child")
    handler = attach(child, level=logging.DEBUG)
    during = child.level
    handler.close()

    assert (during, child.level) == (logging.DEBUG, logging.NOTSET)


def test_a_level_that_somebody_set_meanwhile_stays(logger):
    """Closing undoes what attach() did, and nothing of others."""
    handler = attach(logger)
    logger.setLevel(logging.ERROR)
    handler.close()

    assert logger.level == logging.ERROR


def test_the_level_is_put_back_when_the_handlers_own_was_changed(logger):
    """The logger gets the level back that it had before attach(), even if the handler's level changed."""
    handler = attach(logger)
    handler.setLevel(logging.ERROR)
    handler.close()

    assert logger.level == logging.WARNING


def test_attaching_again_lets_records_pass_again(logger):
    """A level that was raised since, as `basicConfig` in a cell does, is lowered again, and restored at the end."""
    handler = attach(logger)
    logger.setLevel(logging.ERROR)
    attach(logger)
    during = logger.level
    handler.close()

    assert (during, logger.level) == (logging.INFO, logging.ERROR)


def test_an_interrupt_can_be_made_good_by_running_again(monkeypatch):
    """After a Ctrl-C anywhere in attach() or close(), a second call completes the first."""
    # An interrupt inside a generator that is being closed reaches only this hook.
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    step, goes_on = 0, True
    while goes_on:
        step += 1
        logger = logging.Logger("app", logging.WARNING)
        interrupted_there = interrupted(step, lambda logger=logger: attach(logger))
        handler = attach(logger)
        logger.info("hello")
        goes_on = interrupted(step, handler.close) or interrupted_there
        handler.close()

        assert texts_in(handler.recorder.path) == ["hello"]
        assert (logger.level, logger.handlers) == (logging.WARNING, [])


def test_closing_again_changes_nothing(logger):
    """A level that was set after the first close stays."""
    handler = attach(logger)
    handler.close()
    logger.setLevel(logging.INFO)
    handler.close()

    assert logger.level == logging.INFO
