"""A conversation answers as a list does, whichever object changes it, and wherever its process ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from helpers import DEADLINE
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_taken_back import texts

from rolloutlog import Message, RolloutRecorder, load_session
from rolloutlog._locks import named_lock
from rolloutlog._reading import follow
from rolloutlog.adapters import _conversation
from rolloutlog.adapters._conversation import Conversation
from rolloutlog.exceptions import ForkedRecorderError, InvalidItemError, RecorderClosedError

Wire = dict[str, Any]

HELLO = {"role": "user", "content": "Hello ☀"}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None}
TEXT = st.text(max_size=8)
NULL_OR_TEXT = st.none() | TEXT
ITEMS = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": TEXT}),
    st.builds(lambda text: SAID | {"content": [{"type": "output_text", "text": text, "logprobs": None}]}, TEXT),
    st.builds(lambda text: SAID | {"id": "__fake_id__", "provider_data": {"signature": text}}, NULL_OR_TEXT),
    st.fixed_dictionaries(
        {"type": st.just("reasoning"), "id": TEXT, "summary": st.just([])},
        optional={"content": st.none(), "encrypted_content": NULL_OR_TEXT, "status": st.none()},
    ),
    st.fixed_dictionaries(
        {"type": st.just("function_call"), "call_id": TEXT, "name": TEXT, "arguments": TEXT},
        optional={"id": NULL_OR_TEXT, "namespace": st.none()},
    ),
    st.fixed_dictionaries(
        {"type": st.just("function_call_output"), "output": TEXT}, optional={"call_id": NULL_OR_TEXT, "id": st.none()}
    ),
    st.fixed_dictionaries({"id": TEXT}, optional={"type": st.none()}),
    st.builds(lambda text: {"__enc__": 1, "payload": text}, TEXT),
    st.builds(lambda number: {"type": "brand_new", "is": [number, None]}, st.integers(-(2**70), 2**70)),
)


class Conversations(RuleBasedStateMachine):
    """Some objects of one process have a conversation open; others append to its file; and now and then all is cut."""

    numbers = iter(range(1_000_000))

    @initialize(format=st.sampled_from(["flat", "envelope"]))
    def begin(self, format: str) -> None:
        """Open one that is new."""
        self.name = f"conversation {next(self.numbers)}"
        self.options = {"format": format}
        self.kept: list[Wire] = []
        self.open_ones: list[Conversation] = []
        self.open()
        self.path = self.open_ones[0].path
        self.note()

    def note(self) -> None:
        """Remember what is kept, and how long the file is: a process that ends may take the next step with it."""
        self.before, self.size = self.kept[:], os.stat(self.path).st_size

    @rule()
    def open(self) -> None:
        """One more has it open."""
        conversation = Conversation(self.name, None, self.options)
        conversation.open()
        self.open_ones.append(conversation)

    @precondition(lambda self: len(self.open_ones) > 1)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """One of them has it open no more, and the others notice nothing."""
        self.some(data, leaving=True).close()

    def some(self, data: st.DataObject, *, leaving: bool = False) -> Conversation:
        """Return one of those that have it open, and remember the state before the step."""
        self.note()
        place = data.draw(st.integers(0, len(self.open_ones) - 1))
        return self.open_ones.pop(place) if leaving else self.open_ones[place]

    @rule(data=st.data(), items=st.lists(ITEMS, max_size=4))
    def add(self, data: st.DataObject, items: list[Wire]) -> None:
        """Items are appended."""
        self.some(data).add(items)
        self.kept += items

    @rule(data=st.data())
    def pop(self, data: st.DataObject) -> None:
        """The last one is given back."""
        popped = self.some(data).pop()

        assert popped == (self.kept.pop() if self.kept else None)

    @rule(data=st.data())
    def clear(self, data: st.DataObject) -> None:
        """All are taken back."""
        self.some(data).clear()
        self.kept.clear()

    @rule(data=st.data(), limit=st.none() | st.integers(0, 4))
    def look(self, data: st.DataObject, limit: int | None) -> None:
        """The last ones are as they were added; a change of the answer does not change them."""
        found = self.some(data).items(limit)

        assert found == self.kept[len(self.kept) - min(limit, len(self.kept)) if limit is not None else 0 :]
        for item in found:
            item.clear()

    @rule(text=TEXT, count=st.integers(0, 2))
    def record(self, text: str, count: int) -> None:
        """Another recorder of this process records an item, and takes some back."""
        recorder, _ = RolloutRecorder.resume(self.path, **self.options)
        with recorder:
            recorder.record(Message.user(text))
            if count:
                recorder.take_back(count)
        self.kept.append({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
        if count:
            del self.kept[-count:]
        self.note()

    @rule()
    def append(self) -> None:
        """A program that takes no lock appends a line, after the end of one that a kill may have torn."""
        with self.path.open("ab") as file:
            file.write(b'\n{"type":"brand_new","by":"Codex"}\n')
        self.kept.append({"type": "brand_new", "by": "Codex"})
        self.note()

    @rule(part=st.integers(0, 100), ends=st.booleans())
    def end(self, part: int, ends: bool) -> None:
        """The process ends, perhaps with only a part of the last step done, and another continues with the rest."""
        while self.open_ones:
            self.open_ones.pop().close()
        size = os.stat(self.path).st_size
        cut = self.size + (size - self.size) * part // 100
        cut -= cut > self.size and not ends  # perhaps all but the last newline
        os.truncate(self.path, cut)
        added = self.kept[len(self.before) :] if self.kept[: len(self.before)] == self.before else None
        if added is None and cut < size - 1:  # without its newline alone, the line is whole
            self.kept = self.before[:]
        elif added:
            whole = load_session(self.path).context
            assert len(self.before) <= len(whole) <= len(self.kept)
            del self.kept[len(whole) :]
        while self.kept and self.kept[-1].get("type") == "reasoning":
            self.kept.pop()
        self.open()
        self.note()

    @invariant()
    def all_see_the_same(self) -> None:
        """All that have it open see the same last item."""
        for conversation in getattr(self, "open_ones", ()):
            assert conversation.items(1) == self.kept[-1:]

    def teardown(self) -> None:
        """Close what is open; a reader of the file sees no more and no less."""
        for conversation in getattr(self, "open_ones", ()):
            assert conversation.items() == self.kept
            conversation.close()


Conversations.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestConversations = Conversations.TestCase


# --- one by one -------------------------------------------------------------------------------------------------------


@pytest.fixture
def conversation(home):
    """A conversation with one item."""
    conversation = Conversation("talk", None, {})
    conversation.add([HELLO])
    yield conversation
    conversation.close()


def test_no_call_reads_the_file_again(conversation, monkeypatch):
    """A call costs as much as was added, not as much as there is: the file is read once, when it is opened."""
    conversation.items()
    read = []
    monkeypatch.setattr(follow, "load_session", lambda *_: pytest.fail("all is read again"))
    monkeypatch.setattr(_conversation, "_as_given", lambda item: read.append(item) or {"text": item.text})
    conversation.add([Message.user("two"), Message.user("three")])
    popped = conversation.pop()
    conversation.add([Message.user("four")])

    assert popped == {"text": "three"}
    assert conversation.items() == [HELLO, {"text": "two"}, {"text": "four"}]
    assert conversation.items(0) == []
    assert texts(read) == ["two", "three", "four"]


def test_threads_that_take_items_share_them_out(conversation):
    """Of several threads that pop, each gets other items, and together they get all."""
    items = [{"role": "user", "content": str(number)} for number in range(40)]
    conversation.add(items)
    others = [Conversation("talk", None, {}) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda other: [other.pop() for _ in range(10)], others, timeout=DEADLINE))
    for other in others:
        other.close()

    assert sorted(int(item["content"]) for part in taken for item in part) == list(range(40))
    assert conversation.items() == [HELLO]


def test_batches_of_several_threads_do_not_mix(conversation):
    """The items of one call stay together, whatever other threads add."""
    began = threading.Barrier(4)

    def add(thread: int) -> None:
        began.wait(DEADLINE)
        for batch in range(5):
            conversation.add([{"id": f"{thread} {batch}"}] * 3)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4), timeout=DEADLINE))

    ids = [item["id"] for item in conversation.items()[1:]]
    assert len(ids) == 60
    assert all(len(set(ids[place : place + 3])) == 1 for place in range(0, 60, 3))


def test_reasoning_of_a_session_that_is_open_stays(conversation):
    """Only a kill tears reasoning from what it leads to: one more that opens the session takes none back."""
    conversation.add([THOUGHT])
    other = Conversation("talk", None, {})
    seen = other.items()
    other.close()
    conversation.add([SAID])

    assert seen == [HELLO, THOUGHT]
    assert conversation.items() == [HELLO, THOUGHT, SAID]


def test_of_a_bad_batch_nothing_is_added(conversation):
    """An item that would not come back leaves the list as it is, and the next one is taken."""
    with pytest.raises(InvalidItemError, match=r"message\.content"):
        conversation.add([SAID, {"role": "assistant", "content": None}])
    conversation.add([SAID])

    assert conversation.items() == [HELLO, SAID]


def test_a_closed_conversation_says_so(conversation):
    """Each call does, and the path stays known."""
    path = conversation.path
    conversation.close()
    for call in (conversation.items, conversation.pop, conversation.clear, lambda: conversation.add([])):
        with pytest.raises(RecorderClosedError):
            call()

    assert conversation.path == path


def test_what_is_kept_goes_when_the_last_one_closes(conversation):
    """A conversation that is open nowhere takes no memory."""
    path, other = conversation.path, Conversation("talk", None, {})
    other.open()
    conversation.close()
    is_kept = path in _conversation._files
    other.close()

    assert is_kept
    assert path not in _conversation._files


def test_a_list_that_something_keeps_alive_is_not_that_of_the_next_opening(conversation):
    """Reasoning that a kill left at the end is taken back at each opening, whatever still refers to the former list."""
    former = _conversation._files[conversation.path]
    conversation.add([THOUGHT])
    conversation.close()
    again = Conversation("talk", None, {})
    again.open()

    assert again.items() == [HELLO]
    assert _conversation._files[again.path] is not former
    again.close()


def test_a_forked_child_takes_nothing_over(conversation):
    """The open session belongs to the parent. Closed there, the child can open it, whatever a thread held."""
    reading, writing = os.pipe()
    with holding(named_lock("conversations"), _conversation._files[conversation.path].turn):
        child = os.fork()
        if not child:
            os.close(writing)
            os._exit(in_child(conversation, reading))
    conversation.close()
    os.close(writing)
    _, status = os.waitpid(child, 0)
    os.close(reading)

    assert os.waitstatus_to_exitcode(status) == 0


@contextmanager
def holding(*locks: Any) -> Iterator[None]:
    """Let another thread hold *locks* during the body."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            held.set()
            done.wait(DEADLINE)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(DEADLINE)
    try:
        yield
    finally:
        done.set()
        thread.join(DEADLINE)


def in_child(inherited: Conversation, closed: int) -> int:
    """Return 0 if all is as it should be in the child; its parent has closed the session when *closed* ends."""
    try:
        inherited.items()
    except ForkedRecorderError:
        os.read(closed, 1)
        own = Conversation("talk", None, {})
        own.add([SAID])
        found = own.items()
        own.close()
        return int(found != [HELLO, SAID])
    return 2
