"""Interpreters that allow no daemon threads: callers write for themselves there."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

import pytest
from helpers import DEADLINE, start, texts_in

import rolloutlog
from rolloutlog import RolloutHandler, find_sessions, session

pytestmark = pytest.mark.system

IN_IT = """
import logging
import sys
sys.path[:] = {path!r}
import logging, rolloutlog
opened = rolloutlog.session("in it", home={home!r})
opened.record({{"role": "user", "content": "recorded"}})
opened.recorder.record({{"role": "user", "content": "not waited for"}})
handler = rolloutlog.RolloutHandler({home!r})
logger = logging.Logger("app")
logger.addHandler(handler)
logger.info("logged")
"""


def run_isolated(home: str) -> None:
    """Run the code above in an isolated interpreter, as frameworks make them, and end it."""
    code = IN_IT.format(path=[str(Path(rolloutlog.__file__).parents[1]), *sys.path], home=home)
    if sys.version_info >= (3, 13):
        import _interpreters

        made = _interpreters.create("isolated")
        failed = _interpreters.exec(made, code)
        assert failed is None, failed.formatted
        _interpreters.destroy(made)
    else:
        import _xxsubinterpreters

        made = _xxsubinterpreters.create(isolated=True)
        _xxsubinterpreters.run_string(made, code)
        _xxsubinterpreters.destroy(made)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="isolated interpreters came with Python 3.12")
def test_an_isolated_interpreter_records(home):
    """Everything is in the files when it has ended, also what it did not wait for."""
    process = start(run_isolated, str(home))
    printed, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, printed, errors) == (0, "", "")
    assert sorted(texts_in(found) for found in find_sessions(home)) == [["logged"], ["recorded", "not waited for"]]


def test_where_no_daemon_threads_are_allowed_callers_write(monkeypatch, home):
    """A record is in the file when the call returns, because no thread could write it later."""
    init = threading.Thread.__init__

    def refusing(self, *arguments, daemon=None, **options):
        if daemon:
            raise RuntimeError("daemon threads are disabled in this (sub)interpreter")
        init(self, *arguments, daemon=daemon, **options)

    monkeypatch.setattr(threading.Thread, "__init__", refusing)
    with session("in it") as opened, RolloutHandler(recorder=opened) as handler:
        opened.recorder.record({"role": "user", "content": "recorded"})
        handler.handle(logging.makeLogRecord({"msg": "logged"}))

        assert texts_in(opened.path) == ["recorded", "logged"]
