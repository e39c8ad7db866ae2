"""A journal under Ctrl-C: an interrupted append is in the file as a whole or not at all."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from faults.fakes import FakeSystem
from helpers import interrupted
from test_file import HEADER, MODES, A
from test_file_faults import FIRST, LINES, made, name_of

pytestmark = pytest.mark.system  # but not `once`: between which steps an interrupt can come depends on the Python


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions" / "rollout.jsonl"


@pytest.fixture
def system() -> FakeSystem:
    return FakeSystem()


@pytest.mark.parametrize("mode", [mode for mode in MODES if not mode.get("shared")], ids=name_of)
def test_an_interrupt_at_any_step_of_an_append_means_all_or_nothing(path, mode):
    """Wherever a Ctrl-C comes, no line is torn, and after another append every line is there once."""
    for step in count(1):
        system = FakeSystem()
        journal = made(path, system, *FIRST, **mode)
        before = path.read_bytes()
        came_so_far = interrupted(step, lambda journal=journal: journal.append(LINES))
        content = path.read_bytes()
        if came_so_far and content == before:
            journal.append(LINES)
        journal.close()

        assert content in (before, before + b"".join(LINES)), step
        assert path.read_bytes() == before + b"".join(LINES)
        path.unlink()
        if not came_so_far:
            break


@pytest.mark.parametrize("mode", MODES, ids=name_of)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_interrupt_after_a_write_is_noticed(path, system, mode, nth):
    """Bytes are cut off, too, if a Ctrl-C came between their write and its result."""
    journal = made(path, system, *FIRST, **mode)
    before = path.read_bytes()
    system.interrupt_after("write", nth=nth)
    with pytest.raises(KeyboardInterrupt):
        journal.append(LINES)
    content = path.read_bytes()
    journal.append(LINES)

    assert content == before
    assert path.read_bytes() == before + b"".join(LINES)


def test_an_interrupted_sync_is_done_by_the_next_one(path, system):
    """After a Ctrl-C the lines are still to be synced."""
    journal = made(path, system, A, fsync="flush")
    system.fail("fsync", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        journal.sync()
    journal.sync()

    assert system.after_power_cut(path) == HEADER + A
