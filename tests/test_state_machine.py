"""Any sequence of recording, flushing, faults, crashes and resuming, against a list of the expected entries.

The file is read with the json module, line by line. The library's reader is checked too, and not trusted.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from helpers import DEADLINE, Disk, lines_in, recorder_on
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rolloutlog import LogEntry, Message, RolloutRecorder, SavedSession, load_session
from rolloutlog.exceptions import InvalidItemError, RecorderClosedError, WriteError

Entry = tuple[str, int]  # the kind of a line, and its number; see `entry_on`
UNREADABLE: Entry = ("unreadable", -1)


def entry_on(line: bytes) -> Entry:
    """Return the entry on *line*."""
    try:
        value = json.loads(line)
    except ValueError:
        return UNREADABLE
    if value.get("record_type") == "state":
        return "state", value["number"]
    if value["type"] == "log":
        return "log", int(value["message"])
    return "item", int(value["content"][0]["text"])


def message(number: int) -> Message:
    """Return an item whose text is *number*."""
    return Message.user(str(number))


class Recording(RuleBasedStateMachine):
    """One session, from its beginning through every event that its recorders can meet."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="rolloutlog-states-"))
        self.disk = Disk()
        self.recorder_class = recorder_on(self.disk)
        self.recorders: list[RolloutRecorder] = []
        self.expected: list[Entry] = []  # every accepted entry, and the lines that crashes left
        self.safe = 0  # bytes of the file that an acknowledgement covers
        self.next = 0

    @initialize()
    def begin(self) -> None:
        """Create the session."""
        recorder = self.recorder_class.create(self.home)
        self.path = recorder.path
        self.recorders = [recorder]
        self.all_is_safe()

    def teardown(self) -> None:
        """Close everything; the file holds the accepted entries, and the library reads them."""
        self.disk.is_full = False
        try:
            if self.recorders:
                self.close_all()
                self.check(load_session(self.path))
        finally:
            shutil.rmtree(self.home)

    # -- looking ------------------------------------------------------------------------------------------------------

    def all_is_safe(self) -> None:
        """Note that every entry so far was acknowledged, and check that it is in the file."""
        meta, *lines = lines_in(self.path)
        self.safe = self.path.stat().st_size

        assert json.loads(meta)["id"] == self.path.stem[-36:]
        assert list(map(entry_on, lines)) == self.expected

    def check(self, saved: SavedSession) -> None:
        """Check *saved* against the list."""

        def numbers(kind: str) -> list[int]:
            return [number for each, number in self.expected if each == kind]

        assert [int(item.text) for item in saved.items] == numbers("item")
        assert [int(entry.message) for entry in saved.logs] == numbers("log")
        assert dict(saved.state) == ({"number": numbers("state")[-1]} if numbers("state") else {})
        assert len(saved.skipped) == self.expected.count(UNREADABLE)

    def some_recorder(self, which: int) -> RolloutRecorder:
        """Return one of the open recorders."""
        return self.recorders[which % len(self.recorders)]

    def new(self, kind: str) -> int:
        """Return the number of the next entry, which is expected from now on."""
        self.next += 1
        self.expected.append((kind, self.next))
        return self.next

    # -- what agents do -----------------------------------------------------------------------------------------------

    is_open = precondition(lambda self: self.recorders)
    is_closed = precondition(lambda self: not self.recorders)
    has_space = precondition(lambda self: not self.disk.is_full)
    which = st.integers(0, 2)

    @is_open
    @rule(which=which, count=st.integers(1, 3))
    def record(self, which: int, count: int) -> None:
        """Record a few items at once."""
        self.some_recorder(which).record(*[message(self.new("item")) for _ in range(count)])

    @is_open
    @rule(which=which)
    def record_something_bad(self, which: int) -> None:
        """Try to record an invalid item; nothing of the call is recorded."""
        with pytest.raises(InvalidItemError):
            self.some_recorder(which).record(message(0), {"role": "user"})

    @is_open
    @rule(which=which)
    def record_state(self, which: int) -> None:
        """Record a state."""
        self.some_recorder(which).record_state({"number": self.new("state")})

    @is_open
    @rule(which=which)
    def record_log(self, which: int) -> None:
        """Record a log entry."""
        entry = LogEntry("2025-06-15T15:06:40.000Z", "INFO", "app", str(self.new("log")))
        self.some_recorder(which).record_log(entry)

    @is_open
    @rule(which=which)
    def ask_for_a_flush(self, which: int) -> None:
        """Request a flush without waiting for it."""
        self.some_recorder(which).request_flush()

    @is_open
    @has_space
    @rule(which=which)
    def flush(self, which: int) -> None:
        """Wait for a flush: then all entries are in the file and in the counters."""
        recorder = self.some_recorder(which)
        recorder.flush()
        self.all_is_safe()
        stats = recorder.stats

        assert stats.accepted == stats.written
        assert (stats.pending, stats.dropped, stats.error) == (0, 0, None)

    @is_open
    @rule(which=which, waits=st.booleans())
    def leave(self, which: int, waits: bool) -> None:
        """Close one of the recorders, or request it without waiting; it accepts nothing more."""
        recorder = self.recorders.pop(which % len(self.recorders))
        ack = recorder.shutdown()
        if waits and not self.disk.is_full:
            ack.result(DEADLINE)
            self.all_is_safe()
        if not self.recorders:
            self.disk.is_full = False
            recorder.close()
            self.all_is_safe()

        with pytest.raises(RecorderClosedError):
            recorder.record(message(0))

    @is_open
    @has_space
    @rule(which=which)
    def forget(self, which: int) -> None:
        """Drop a recorder without closing it; its records are written anyway."""
        with pytest.warns(ResourceWarning, match="unclosed rollout recorder"):
            writer = self.recorders.pop(which % len(self.recorders))._writer
        if not self.recorders:
            writer.shutdown().result(DEADLINE)
            self.all_is_safe()

    @has_space
    @precondition(lambda self: len(self.recorders) < 3)
    @rule(by_id=st.booleans())
    def resume(self, by_id: bool) -> None:
        """Resume the session, alone or with other recorders open; every accepted entry is in the file."""
        name = self.path.stem[-36:] if by_id else self.path
        recorder, saved = self.recorder_class.resume(name, home=self.home)
        self.recorders.append(recorder)
        self.all_is_safe()
        self.check(saved)

    # -- what the world does ------------------------------------------------------------------------------------------

    @is_open
    @rule()
    def the_disk_fills_up(self) -> None:
        """From now on every write fails."""
        self.disk.is_full = True

    @precondition(lambda self: self.disk.is_full and self.recorders)
    @rule(which=which)
    def flush_to_a_full_disk(self, which: int) -> None:
        """The entries that are not in the file are reported, counted, and kept."""
        recorder = self.some_recorder(which)
        ack = recorder.request_flush()
        assert ack.wait(DEADLINE)
        if ack.error is None:
            self.all_is_safe()
            return
        stats = recorder.stats

        assert isinstance(ack.error, WriteError)
        assert ack.error.unwritten == stats.pending > 0
        assert stats.accepted == stats.written + stats.pending

    @rule()
    def space_comes_back(self) -> None:
        """From now on writes succeed again."""
        self.disk.is_full = False

    @is_open
    @has_space
    @rule()
    def a_stranger_appends(self) -> None:
        """Another program, which takes no lock, adds a line."""
        self.recorders[0].flush()
        torn = not self.path.read_bytes().endswith(b"\n")
        with open(self.path, "ab") as file:
            file.write(b"\nnot ours\n" if torn else b"not ours\n")
        self.expected.append(UNREADABLE)
        self.all_is_safe()

    @is_open
    @rule(at=st.floats(0, 1))
    def crash(self, at: float) -> None:
        """Lose bytes that no acknowledgement covered, from any byte on."""
        safe = self.safe
        self.disk.is_full = False
        self.close_all()
        size = self.path.stat().st_size
        cut = safe + round(at * (size - safe))
        whole = lines_in(self.path)
        os.truncate(self.path, cut)
        left = lines_in(self.path)
        self.expected = self.expected[: len(left) - 1]
        if left[-1] != whole[len(left) - 1]:
            self.expected[-1] = UNREADABLE
        self.all_is_safe()

    @is_closed
    @rule(flushed=st.integers(0, 3), more=st.integers(0, 3))
    def a_process_is_killed(self, flushed: int, more: int) -> None:
        """Another process records, flushes, records more and is killed; the file has those that were flushed."""
        numbers = [self.next + 1 + number for number in range(flushed + more)]
        child = os.fork()
        if child == 0:
            record_and_die(self.path, numbers, flushed)
        _, status = os.waitpid(child, 0)
        found = [entry_on(line) for line in lines_in(self.path)[1:]]
        recorded = [("item", number) for number in numbers][: len(found) - len(self.expected)]
        if found[-1:] == [UNREADABLE] and recorded:
            recorded[-1] = UNREADABLE
        self.next += len(numbers)
        self.expected += recorded
        self.all_is_safe()

        assert os.WTERMSIG(status) == signal.SIGKILL
        assert len(recorded) >= flushed

    def close_all(self) -> None:
        """Close every recorder."""
        for recorder in self.recorders:
            recorder.close()
        self.recorders.clear()
        self.all_is_safe()

    @invariant()
    def what_is_safe_stays(self) -> None:
        """The file never becomes shorter than the acknowledged part."""
        if self.next:
            assert self.path.stat().st_size >= self.safe


def record_and_die(path: Path, numbers: list[int], flushed: int) -> None:
    """Run in the process that is killed; never return."""
    try:
        recorder, _ = RolloutRecorder.resume(path)
        for number in numbers[:flushed]:
            recorder.record(message(number))
        recorder.flush()
        for number in numbers[flushed:]:
            recorder.record(message(number))
        os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os._exit(1)


TestRecording = Recording.TestCase
TestRecording.settings = settings(stateful_step_count=30)
