"""The line around an entry: its place and time, whether it was copied, and the kinds that a caller asks for."""

from __future__ import annotations

import datetime as dt
import json
from itertools import combinations

import attrs
import pytest
from test_reader import GOLDEN, HEADER, HELLO, ID, LINE, REAL, WRAPPED
from test_view import CHILD, LATER, OTHER, PARENT, base, line, logged, meta, model, numbered, revised, taken_back, user
from test_view import compacted as compaction

from rolloutlog import Message, iter_entries, iter_lines, load_session
from rolloutlog._entries import LogEntry, SkippedLine
from rolloutlog._format.lines import LineEncoder
from rolloutlog._reading import lines as lines_module
from rolloutlog._reading.kinds import kind_of
from rolloutlog.items import is_item

WHEN = dt.datetime(2025, 7, 23, 15, 3, 26, tzinfo=dt.UTC)
ENCODER = LineEncoder(clock=WHEN.timestamp)
KINDS = ("meta", "message", "function_call", "item", "state", "log", "event", "turn_context", "compacted", "other")


@pytest.fixture
def write(tmp_path):
    """Return a function that puts lines into a file and returns its path."""

    def put(*lines):
        path = tmp_path / "rollout.jsonl"
        path.write_bytes(b"".join(lines))
        return path

    return put


@pytest.fixture
def rollout(tmp_path):
    """Return a function that puts lines into the file of a session in the home `tmp_path`."""

    def put(session_id, *lines):
        path = tmp_path / f"sessions/2025/07/23/rollout-2025-07-23T15-03-26-{session_id}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(lines))
        return path

    return put


@pytest.mark.parametrize("path", [*REAL, *GOLDEN], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_line_has_its_place(path):
    """Number and offset find the line again, and the entries are those of `iter_entries`."""
    data = path.read_bytes()

    found = list(iter_lines(path))

    assert [line.entry for line in found] == list(iter_entries(path))
    assert all(line.number == 1 + data.count(b"\n", 0, line.offset) for line in found)
    assert all(line.offset == 0 or data[line.offset - 1 : line.offset] == b"\n" for line in found)


def test_a_line_is_frozen(write):
    """It is a value."""
    (line, *_) = iter_lines(write(HEADER))

    with pytest.raises(AttributeError):
        line.number = 2


@pytest.mark.parametrize(
    ("data", "timestamp"),
    [
        (LINE, None),
        (ENCODER.state({"a": 1}), None),
        (ENCODER.log(LogEntry("2025-07-23T15:03:26Z", "INFO", "x", "y")), WHEN),
        (ENCODER.log(LogEntry("some day", "INFO", "x", "y")), None),
        (b'{"type":"brand_new","timestamp":"2025-07-23T15:03:26Z"}\n', None),
        (b'{"timestamp":"2025-07-23T15:03:26Z","type":"brand_new"}\n', None),
        (user("a"), WHEN),
        (line("event_msg", {}), WHEN),
        (line("event_msg", {}, "2025-07-23T15:03:26"), WHEN),
        (line("event_msg", {}, "2025-07-23T17:03:26+02:00"), WHEN),
        (line("event_msg", {}, "t"), None),
        (line("event_msg", {}, 7), None),
        (json.dumps({"type": "event_msg", "payload": {}, "timestamp": "2025-07-23T15:03:26Z"}).encode(), WHEN),
        (b'{"timestamp":"2025-07-23T15:03:26Z","type":"response_item","payload":{"type":"mess\n', WHEN),
        (b"garbage\n", None),
        (HEADER, dt.datetime(2025, 7, 23, 15, 3, 26, 123_000, dt.UTC)),
    ],
)
def test_a_time_is_aware_or_none(write, data, timestamp):
    """A wrapped line says when it was written, and so do a log entry and a meta; a flat item does not."""
    found = list(iter_lines(write(HEADER, data)))

    assert found[1].timestamp == timestamp
    assert timestamp is None or found[1].timestamp.tzinfo is not None


def test_a_number_that_codex_gave_is_told(write):
    """Not every line has one."""
    spaced = json.dumps({"timestamp": "t", "ordinal": 9, "type": "event_msg", "payload": {}}).encode()
    found = iter_lines(write(HEADER, numbered(user("a"), 7), user("b"), spaced))

    assert [line.ordinal for line in found] == [None, 7, None, 9]


# --- inherited --------------------------------------------------------------------------------------------------------


def inherited(path, **options):
    """Return the texts or types of the inherited lines, and of the others."""
    said = [(each.inherited, getattr(each.entry, "text", each.entry.type)) for each in iter_lines(path, **options)]
    return [text for is_copy, text in said if is_copy], [text for is_copy, text in said if not is_copy]


def test_copied_lines_are_told_from_the_sessions_own(write):
    """Events as well as items, and the meta of the other session, but not the session's own meta."""
    event = line("event_msg", {"type": "agent_message"})
    later = line("event_msg", {"type": "agent_message"}, LATER)
    path = write(meta(CHILD), meta(PARENT), user("a"), event, user("b", LATER), later)

    assert inherited(path) == (["session_meta", "a", "event_msg"], ["session_meta", "b", "event_msg"])


def test_copies_end_where_a_line_names_the_session(write):
    """As newer Codex does; and the line itself is the session's own."""
    own = line("event_msg", {"type": "thread_settings_applied", "thread_id": CHILD})
    path = write(meta(CHILD, forked_from_id=PARENT), line("turn_context", {}), meta(PARENT), user("a"), own, user("b"))

    assert inherited(path, kinds={"item"}) == (["a"], ["b"])


def test_copies_end_at_the_ordinal_that_the_meta_names(write):
    """In the session of a sub-agent."""
    own = meta(CHILD, forked_from_id=PARENT, subagent_history_start_ordinal=3)
    path = write(own, *map(numbered, [meta(PARENT), user("a"), user("b")], (1, 2, 3)))

    assert inherited(path) == (["session_meta", "a"], ["session_meta", "b"])


@pytest.mark.parametrize("own", [{}, {"parent_thread_id": PARENT}])
def test_without_a_copied_meta_no_line_is_inherited(write, own):
    """However soon after the meta it was written; a sub-agent has a parent without copying from it."""
    assert inherited(write(meta(CHILD, **own), user("a"), user("b")))[0] == []


@pytest.mark.parametrize("encoder", [LineEncoder(), LineEncoder(format="envelope")], ids=["flat", "envelope"])
def test_a_converted_session_inherits_as_many_items_as_its_meta_says(write, encoder):
    """The lines up to the last of them are inherited."""
    session = attrs.evolve(load_session(write(HEADER)).session, extra={"rolloutlog_inherited": 2})
    lines, _ = encoder.items([Message.user(text) for text in "abc"])
    path = write(encoder.meta(encoder.completed(session)), *lines)

    assert inherited(path, kinds={"item"}) == (["a", "b"], ["c"])


# --- kinds ------------------------------------------------------------------------------------------------------------


def packed(data):
    """Return the line *data* without spaces, as Codex and this package write it."""
    try:
        return json.dumps(json.loads(data), separators=(",", ":")).encode() + b"\n"
    except ValueError:
        return data


MANY = [
    line("event_msg", {"type": "token_count"}),
    line("turn_context", {"cwd": "/"}),
    user("a"),
    line("response_item", {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}),
    line("response_item", {"type": "brand_new"}),
    compaction("s", Message.user("S")),
    line("world_state", {}),
    logged("x"),
    line("rolloutlog", {"record_type": "state", "n": 1}),
    LINE,
    WRAPPED + b"\n",
    b'{"type":"brand_new"}\n',
    b'{"type":"web_search_call","id":"ws"}\n',
    ENCODER.log(LogEntry("2025-07-23T15:03:26Z", "INFO", "x", "y")),
    ENCODER.state({"a": 1}),
    b"\n",
    b"garbage\n",
    numbered(user("b"), 3),
    taken_back(1),
]
CASES = [set(), *({kind} for kind in KINDS), *map(set, combinations(KINDS, 2)), {*KINDS, "skipped"}, {"skipped"}]


@pytest.mark.parametrize("first", [meta(CHILD), HEADER], ids=["envelope", "flat"])
@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("kinds", CASES, ids=lambda kinds: "+".join(sorted(kinds)))
def test_the_lines_of_some_kinds_are_those_among_all_lines(write, first, spaced, kinds):
    """Whether the first bytes prove the kind of the others or, with other spaces, do not."""
    lines = [each.replace(b'":', b'" : ') for each in MANY] if spaced else list(map(packed, MANY))
    path = write(first, *lines)

    found = list(iter_lines(path, kinds=kinds))

    def is_wanted(entry):
        return kind_of(entry) in kinds or (is_item(entry) and "item" in kinds)

    assert found == [each for each in iter_lines(path) if is_wanted(each.entry)]


def test_a_line_of_another_kind_is_not_parsed(write, monkeypatch):
    """Its first bytes are enough: so a damaged one is passed over without a report."""
    wanted, torn = line("event_msg", {"type": "token_count"}), packed(user("a"))[:-20] + b"\n"
    path = write(meta(CHILD), model("x"), torn, wanted, packed(model("y")))
    parsed = []
    decode = lines_module.decode_line
    monkeypatch.setattr(lines_module, "decode_line", lambda data: parsed.append(data) or decode(data))

    found = list(iter_lines(path, kinds={"event"}))

    assert [each.number for each in found] == [4]
    assert parsed == [meta(CHILD), model("x"), wanted]  # what follows the meta may be a copy, and tells


def test_damage_is_reported_where_it_is_asked_for(write):
    """Then every line is parsed."""
    path = write(meta(CHILD), model("x"), packed(user("a"))[:-20] + b"\n", packed(model("y")))

    assert [each.entry for each in iter_lines(path, kinds={"skipped"})] == [
        SkippedLine(3, len(meta(CHILD) + model("x")), "is not JSON")
    ]


@pytest.mark.parametrize("kinds", [{"mesage"}, ["event_msg"], "event"])
def test_a_kind_that_does_not_exist_is_a_mistake(write, kinds):
    """It is reported at the call, and not at the first line."""
    with pytest.raises(ValueError, match="kind"):
        iter_lines(write(HEADER), kinds=kinds)


# --- the lines of a saved session -------------------------------------------------------------------------------------


def test_the_lines_of_a_session_give_the_time_of_each_item(write):
    """One for each item, in order."""
    saved = load_session(write(meta(CHILD), user("a"), line("event_msg", {}), user("b", LATER)))

    found = list(saved.lines(kinds={"item"}))

    assert [each.entry for each in found] == saved.items
    assert [each.timestamp.minute for each in found] == [3, 4]


def test_the_lines_of_a_session_include_its_history_in_other_files(rollout):
    """Those of another session are inherited; those of the same one, which Codex continued in a new file, are not."""
    first = [meta(OTHER), user("a")]
    rollout(OTHER, *first, user("not of the fork"))
    second = [meta(PARENT, forked_from_id=OTHER, history_base={**base(first), "thread_id": OTHER}), user("b")]
    rollout(PARENT, *second, user("taken back"))
    name, third = revised(CHILD, forked_from_id=OTHER, history_base=base(second))
    saved = load_session(rollout(name, third, user("c")))

    found = list(saved.lines(kinds={"item"}))

    assert [each.entry for each in found] == saved.items
    assert [each.inherited for each in found] == [True, False, False]
    assert saved.inherited == 1


def test_a_copied_history_is_read_once(rollout):
    """A file that holds its history needs no other one, even if its meta names one."""
    rollout(PARENT, meta(PARENT), user("elsewhere"))
    shared = base([meta(PARENT), user("elsewhere")])
    path = rollout(CHILD, meta(CHILD, history_base=shared), meta(PARENT), user("a"), user("b", LATER))
    saved = load_session(path)

    assert [each.entry for each in saved.lines(kinds={"item"})] == saved.items == [*map(Message.user, "ab")]
    assert saved.inherited == 1


def test_an_older_meta_alone_makes_no_fork(write):
    """A flat file cannot have one: there, the second meta is an error."""
    path = write(HEADER, HEADER, LINE)

    assert [each.inherited for each in iter_lines(path)] == [False] * 3
    assert (load_session(path).items, load_session(path).session_id) == ([HELLO], ID)
