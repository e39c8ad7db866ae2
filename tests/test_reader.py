"""Reading a rollout: each line on its own, nothing in it makes the reader raise, nothing is lost without a report."""

from __future__ import annotations

import gc
import json
import os
import threading
import tracemalloc
from pathlib import Path

import pytest
from helpers import DEADLINE
from hypothesis import given
from hypothesis import strategies as st
from strategies import entries, items

from rolloutlog import iter_entries, iter_lines, load_session
from rolloutlog._entries import LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from rolloutlog._format.lines import LineEncoder
from rolloutlog._json import MAX_LINE
from rolloutlog._reading.blocks import Source, blocks
from rolloutlog._reading.reader import _gc_paused
from rolloutlog.exceptions import InvalidRolloutError, SessionNotFoundError
from rolloutlog.items import FunctionCall, Message, Other, OutputText, Reasoning, SummaryText, is_item

DATA = Path(__file__).parent / "data"
REAL = sorted(DATA.glob("codex-*/*.jsonl"))
GOLDEN = sorted(DATA.glob("golden/*.jsonl"))
ID = "0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4a"
META = SessionMeta(ID, "2025-07-23T15:03:26.123Z")
ENCODER = LineEncoder()
HEADER = ENCODER.meta(META)
HELLO = Message.user("hello")
LINE = ENCODER.items([HELLO])[0][0]
WRAPPED_META = json.dumps({"timestamp": "t", "type": "session_meta", "payload": {"id": ID, "timestamp": "t"}}).encode()
WRAPPED = json.dumps({"timestamp": "t", "type": "response_item", "payload": HELLO.to_dict()}).encode()


@pytest.fixture
def rollout(tmp_path):
    """Return a function that writes bytes to a file and returns its path."""

    def write(*lines):
        path = tmp_path / "rollout.jsonl"
        path.write_bytes(b"".join(lines))
        return path

    return write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for properties, which cannot have a new one for each example."""
    return tmp_path_factory.mktemp("rollouts")


def encoded(entry):
    """Return the line for an entry."""
    if isinstance(entry, SessionStateSnapshot):
        return ENCODER.state(entry)
    if isinstance(entry, LogEntry):
        return ENCODER.log(entry)
    return ENCODER.items([entry])[0][0]


def written(folder, content):
    """Write *content* to a file in *folder*, in the place of what was there, and return its path."""
    path = folder / "rollout.jsonl"
    path.write_bytes(content)
    return path


# --- real files -------------------------------------------------------------------------------------------------------


def plainly(path):
    """Read a rollout with nothing but json: meta, items, last state, and how many lines make no sense."""
    meta, *rest = path.read_bytes().split(b"\n")
    found, state, bad = [], {}, 0
    for line in rest:
        try:
            value = json.loads(line.decode())
        except ValueError:
            bad += bool(line.strip())
            continue
        if value.get("record_type") == "state":
            state = {key: value[key] for key in value if key != "record_type"}
        elif value.get("type") == "response_item":
            found.append(value["payload"])
        elif "payload" not in value and value.get("type") not in (None, "log"):
            found.append(value)
        elif "type" not in value:
            bad += 1  # a second meta
    return json.loads(meta), found, state, bad


@pytest.mark.parametrize("path", [*REAL, *GOLDEN], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_real_file_reads_to_what_is_in_it(path):
    """Found by a reader of its own, which knows no more than json."""
    meta, found, state, bad = plainly(path)

    saved = load_session(path)

    assert [item.to_dict() for item in saved.items] == found
    assert saved.state == state
    assert len(saved.skipped) == bad
    assert saved.session_id == meta.get("payload", meta)["id"]
    assert saved.session.timestamp == meta.get("payload", meta)["timestamp"]
    assert saved._header == path.read_bytes().split(b"\n")[0] + b"\n"
    assert saved.path == path
    assert saved.format == ("envelope" if "payload" in meta else "flat")


@pytest.mark.parametrize("path", REAL, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_line_of_a_real_file_is_skipped_only_if_real_readers_skip_it(path):
    """Two of all these lines: one that the real writer itself tore and glued, and a second meta."""
    reasons = [(line.number, line.reason) for line in load_session(path).skipped]

    known = {"multiturn": [(23, "is not JSON")], "proto_doublemeta": [(2, "a second session meta")]}
    assert reasons == (known.get(path.stem, []) if "0.8.0" in path.parent.name else [])


@pytest.mark.parametrize("path", [*REAL, *GOLDEN], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_streaming_yields_an_entry_for_every_line(path):
    """The same as loading, in order, and one for one."""
    saved = load_session(path)

    streamed = list(iter_entries(path))

    assert [entry for entry in streamed if is_item(entry)] == saved.items
    assert [entry for entry in streamed if isinstance(entry, LogEntry)] == saved.logs
    assert [entry for entry in streamed if isinstance(entry, OtherEntry)] == saved.others
    assert len(streamed) == len([line for line in path.read_bytes().split(b"\n") if line])


def test_items_and_logs_and_events_are_kept_apart(tmp_path):
    """A golden file has all there is."""
    flat, envelope = load_session(DATA / "golden" / "flat.jsonl"), load_session(DATA / "golden" / "envelope.jsonl")

    assert [entry.level for entry in flat.logs] == ["INFO", "ERROR"]
    assert flat.state == {"step": 12}
    assert [entry.type for entry in envelope.others] == [
        "event_msg",
        "turn_context",
        "compacted",
        "token_usage_record",
    ]


# --- what a reader meets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "between",
    [b"\n", b"\n\n\n", b"   \n", b"\t\r\n", b"\r\n"],
)
def test_blank_lines_are_no_entries(rollout, between):
    """Nor are they told of."""
    path = rollout(HEADER, LINE, between, LINE, between)

    saved = load_session(path)

    assert saved.items == [HELLO, HELLO]
    assert saved.skipped == []
    assert list(iter_entries(path)) == [META, HELLO, HELLO]


@pytest.mark.parametrize("line", [b"  " + LINE, LINE[:-1] + b"\r\n", LINE[:-1] + b" \t\n", LINE[:-1] + b"\r\r\n"])
def test_spaces_around_a_line_do_no_harm(rollout, line):
    """Nor does a CR."""
    assert load_session(rollout(HEADER, line, LINE)).items == [HELLO, HELLO]


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_a_newline_ends_a_line(rollout, inside):
    """The further line ends of str.splitlines are text."""
    item = Message.user(f"a{inside}b")
    line = json.dumps(item.to_dict(), ensure_ascii=False).encode() + b"\n"

    assert load_session(rollout(HEADER, line)).items == [item]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"garbage", "is not JSON"),
        (b"\x00" * 4096, "is not JSON"),
        (LINE[:-1] + LINE[:-1], "is not JSON"),
        (LINE[:40], "is not JSON"),
        (b"[]", "line: must be a JSON object; got list"),
        (b"3", "line: must be a JSON object; got int"),
        (b"null", "line: must be a JSON object; got null"),
        (b'{"type":"message","role":"user"}', "message.content: is missing"),
        (b'{"role":"user","content":[]}', "line: has no type, and is neither a session meta nor a state"),
        (b'{"type":"x","n":NaN}', "is not JSON"),
        (b'{"type":"x","n":1e999}', "is not JSON"),
        (b'{"type":"x","n":"\\ud800"}', "holds half of a surrogate pair"),
        (b'{"type":"x","n":' + b"[" * 2_000 + b"]" * 2_000 + b"}", "is nested too deep"),
        (b'{"type":"x","n":' + b"[" * 200 + b"]" * 200 + b"}", "is nested too deep"),
        (b'{"type":"x","n":"\xff"}', "is not UTF-8"),
        (b"\xef\xbb\xbf" + LINE[:-1], "is not JSON"),
        ('{"type":"x"}'.encode("utf-16"), "is not UTF-8"),
        (HEADER[:-1], "a second session meta"),
    ],
)
def test_a_bad_line_costs_that_line_alone(rollout, bad, reason):
    """It is reported with its number, its offset in bytes and the reason; the lines around it are kept."""
    path = rollout(HEADER, b"\n", LINE, bad, b"\n", LINE)

    saved = load_session(path)

    assert saved.items == [HELLO, HELLO]
    assert saved.skipped == [SkippedLine(4, len(HEADER) + 1 + len(LINE), reason)]


@pytest.mark.parametrize("meta", [HEADER, LineEncoder(format="envelope").meta(META)], ids=["flat", "envelope"])
def test_a_byte_order_mark_costs_nothing_and_is_reported(rollout, meta):
    """An editor put it in front. The places of the lines are those in the file."""
    path = rollout(b"\xef\xbb\xbf", meta, LINE, b"garbage\n")

    saved = load_session(path)

    assert saved.session.id == META.id
    assert saved.items == [HELLO]
    assert [(line.number, line.offset) for line in saved.skipped] == [(1, 0), (3, 3 + len(meta) + len(LINE))]
    assert "byte order mark" in saved.skipped[0].reason
    assert saved._header == meta
    assert list(iter_entries(path))[1] == HELLO
    assert [line.offset for line in iter_lines(path)] == [0, 3 + len(meta), 3 + len(meta) + len(LINE)]


def test_streaming_reports_a_bad_line_in_its_place(rollout):
    """Between the entries before and after it; a second meta is an entry there."""
    path = rollout(HEADER, LINE, b"garbage\n", HEADER, LINE)

    assert list(iter_entries(path)) == [
        META,
        HELLO,
        SkippedLine(3, len(HEADER) + len(LINE), "is not JSON"),
        META,
        HELLO,
    ]


def test_the_last_state_wins(rollout):
    """Each snapshot is a whole state."""
    path = rollout(HEADER, ENCODER.state({"a": 1}), LINE, ENCODER.state({"b": 2}), b'{"record_type":"state"\n')

    assert load_session(path).state == {"b": 2}


def test_a_state_wins_over_a_valid_type(rollout):
    """As in the real reader: what marks a state is its record_type."""
    line = LINE[:-2] + b',"record_type":"state"}\n'

    saved = load_session(rollout(HEADER, line))

    assert saved.items == []
    assert saved.state["role"] == "user"


def test_another_record_type_does_not_matter(rollout):
    """The item is kept."""
    assert load_session(rollout(HEADER, LINE[:-2] + b',"record_type":"x"}\n')).items == [HELLO]


def test_an_unknown_kind_is_kept_whole(rollout):
    """Real readers skip it without a word."""
    saved = load_session(rollout(HEADER, b'{"type":"web_search_call","id":"ws"}\n'))

    assert saved.items == [Other({"type": "web_search_call", "id": "ws"})]


def test_wrapped_and_flat_lines_may_stand_in_one_file(rollout):
    """Each line is read by what it is."""
    saved = load_session(rollout(HEADER, WRAPPED, b"\n", LINE, b'{"timestamp":"t","type":"event_msg","payload":{}}\n'))

    assert saved.items == [HELLO, HELLO]
    assert [entry.type for entry in saved.others] == ["event_msg"]


# --- the last line ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 20, len(LINE) - 2])
def test_an_incomplete_last_line_is_told_as_such(rollout, cut):
    """A live session's writer may be in the middle of it."""
    path = rollout(HEADER, LINE, LINE[:cut])

    saved = load_session(path)

    assert saved.items == [HELLO]
    assert saved.skipped == [SkippedLine(3, len(HEADER) + len(LINE), "the last line is incomplete")]


def test_a_last_line_that_lacks_only_its_newline_is_read(rollout):
    """Nothing of it is missing."""
    saved = load_session(rollout(HEADER, LINE[:-1]))

    assert saved.items == [HELLO]
    assert saved.skipped == []


def test_blanks_at_the_end_are_nothing(rollout):
    """Not even an incomplete line."""
    assert load_session(rollout(HEADER, LINE, b"  \t")).skipped == []


def test_a_meta_without_its_newline_is_a_session(rollout):
    """And the header for the writer has one."""
    saved = load_session(rollout(HEADER[:-1]))

    assert saved.session == META
    assert saved._header == HEADER


def test_a_tail_torn_within_a_character_is_an_incomplete_line(rollout):
    """Its last bytes are not UTF-8, which costs that line alone."""
    line = encoded(Message.user("日本語"))
    saved = load_session(rollout(HEADER, LINE, line[: line.index("本".encode()) + 2]))

    assert saved.items == [HELLO]
    assert [skipped.reason for skipped in saved.skipped] == ["the last line is incomplete"]


# --- the first line ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n\n\t"])
def test_an_empty_file_is_no_session(rollout, content):
    """The error says which."""
    with pytest.raises(InvalidRolloutError, match="empty session file") as caught:
        load_session(rollout(content))

    assert caught.value.path.name == "rollout.jsonl"


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"garbage\n", "is not JSON"),
        (HEADER[:20], "the last line is incomplete"),
        (HEADER[:20] + b"\n", "is not JSON"),
        (b"\xef\xbb\xbf" * 2 + HEADER, "is not JSON"),
        (b'{"id":"\xff","timestamp":"t"}\n', "is not UTF-8"),
        (LINE, "it is an entry of another kind"),
        (b'{"record_type":"state"}\n', "it is an entry of another kind"),
        (WRAPPED + b"\n", "it is an entry of another kind"),
        (b'{"id":"x"}\n', "line: has no type, and is neither a session meta nor a state"),
        (b'{"id":3,"timestamp":"t"}\n', "session_meta.id: must be a string; got int"),
        (b"\n" + HEADER, "it is blank"),
    ],
)
def test_a_file_whose_first_line_is_no_meta_is_refused(rollout, first, reason):
    """With the reason, and without the line's text; the file is left as it is."""
    path = rollout(first)

    with pytest.raises(InvalidRolloutError, match="no session meta in the first line: ") as caught:
        load_session(path)

    assert caught.value.problem == f"no session meta in the first line: {reason}"
    assert path.read_bytes() == first


def test_a_file_that_is_no_session_can_still_be_streamed(rollout):
    """To see what is in it, line by line."""
    path = rollout(b"garbage\n", b"\n", LINE)

    assert list(iter_entries(path)) == [SkippedLine(1, 0, "is not JSON"), HELLO]


def test_in_the_newer_format_blank_lines_may_come_first(rollout):
    """Its readers want the meta on the first line that is not blank."""
    saved = load_session(rollout(b"\n  \n", WRAPPED_META, b"\n", WRAPPED, b"\n"))

    assert saved.items == [HELLO]
    assert saved.format == "envelope"
    assert saved._header == WRAPPED_META + b"\n"


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [load_session, lambda path: list(iter_entries(path))])
def test_a_file_that_is_not_there_says_so(tmp_path, read):
    """Not with FileNotFoundError, which may come from anywhere."""
    with pytest.raises(SessionNotFoundError) as caught:
        read(tmp_path / "no-such.jsonl")

    assert caught.value.searched == tmp_path
    assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize("read", [load_session, lambda path: list(iter_entries(path))])
def test_only_regular_files_are_read(tmp_path, read):
    """A FIFO would wait for its writer for ever, a folder cannot be read."""
    os.mkfifo(tmp_path / "fifo")

    for path in (tmp_path / "fifo", tmp_path, "/dev/null"):
        with pytest.raises(InvalidRolloutError, match="is not a regular file"):
            read(path)


def test_a_path_may_be_text(rollout):
    """As anywhere."""
    path = rollout(HEADER, LINE)

    assert load_session(str(path)).items == list(iter_entries(str(path)))[1:]


def test_no_descriptor_stays_open(rollout):
    """Neither when all is read, nor when it is given up half-way or refused."""
    path = rollout(HEADER, LINE * 10)
    before = len(os.listdir("/proc/self/fd"))

    load_session(path)
    next(half := iter_entries(path))
    half.close()
    with pytest.raises(InvalidRolloutError):
        load_session(rollout(LINE))

    assert len(os.listdir("/proc/self/fd")) == before


# --- long lines and large files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 200_000, 262_143, 262_144, 262_145, 600_000, 5_000_000])
def test_a_line_may_be_longer_than_what_is_read_at_once(rollout, length):
    """Wherever the chunks end."""
    long = Message.user("x" * length)
    path = rollout(HEADER, encoded(long), LINE, encoded(long))

    assert load_session(path).items == [long, HELLO, long]


@pytest.mark.parametrize("max_line", [len(HEADER), 1_000, 300_000])
@pytest.mark.parametrize("beyond", [1, 2_000, 700_000])
def test_a_line_over_the_cap_is_skipped_and_what_follows_is_kept(rollout, max_line, beyond):
    """With its true length, number and offset."""
    long = b"x" * (max_line + beyond)
    path = rollout(HEADER, LINE, long, b"\n", LINE, b"bad\n", LINE)

    saved = load_session(path, max_line=max_line)

    assert saved.items == [HELLO] * 3
    first, second = saved.skipped
    assert (first.number, first.offset) == (3, len(HEADER) + len(LINE))
    assert first.reason == f"is longer than may be: {len(long):,} bytes"
    assert (second.number, second.offset) == (5, len(HEADER) + 2 * len(LINE) + len(long) + 1)


def test_a_last_line_over_the_cap_is_skipped_too(rollout):
    """Newline or none."""
    path = rollout(HEADER, b"x" * 1_000_000)

    (skipped,) = load_session(path, max_line=1_000).skipped

    assert skipped == SkippedLine(2, len(HEADER), "is longer than may be: 1,000,000 bytes")


def test_a_line_of_just_the_cap_is_read(rollout):
    """The newline is not counted."""
    path = rollout(HEADER, LINE)

    assert load_session(path, max_line=max(len(LINE), len(HEADER)) - 1).items == [HELLO]


def test_a_long_last_line_is_read_without_its_newline(rollout):
    """It is measured first and read again, as any other that is longer than what is held."""
    path = rollout(HEADER, LINE, encoded(Message.user("x" * 5_000_000)).rstrip())

    assert [len(item.text) for item in load_session(path).items] == [5, 5_000_000]


def test_a_long_line_that_is_cut_while_it_is_read_costs_itself_alone(rollout):
    """Another program truncates the file between the look for its end and the reading."""
    path = rollout(HEADER, LINE, b"x" * 5_000_000, b"\n")
    source = Source(path)
    reread = source.reread

    def cut(offset: int, size: int) -> bytes:
        os.truncate(path, offset + 1_000_000)
        return reread(offset, size)

    source.reread = cut

    with source:
        lines = [line for block in blocks(source, MAX_LINE, 65_536) for line in block.lines]

    assert [len(line) for line in lines] == [len(HEADER), len(LINE), 1_000_000]


def test_a_line_that_nobody_will_see_is_never_held(tmp_path):
    """Longer than a line may be by default: no piece of it is kept."""
    path = written(tmp_path, HEADER + LINE)
    with path.open("r+b") as file:
        file.seek(MAX_LINE + 1, os.SEEK_END)  # NULs that take no room on disk
        file.write(b"\n" + LINE)
    tracemalloc.start()
    try:
        saved = load_session(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert (saved.items, len(saved.skipped)) == ([HELLO, HELLO], 1)
    assert peak < 8_000_000


def test_streaming_takes_the_same_memory_for_any_size(tmp_path):
    """A hundred thousand lines, or one enormous line, in a few megabytes."""
    path = written(tmp_path, HEADER + LINE * 60_000 + b"x" * 50_000_000 + b"\n" + LINE)
    tracemalloc.start()
    try:
        count = sum(1 for _ in iter_entries(path, max_line=1_000_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 60_003
    assert peak < 5_000_000


def test_the_place_of_a_bad_line_far_down_is_right(rollout):
    """Number and offset are worked out over many chunks."""
    many = LINE * 10_000

    saved = load_session(rollout(HEADER, many, b"bad\n", many))

    assert saved.skipped == [SkippedLine(10_002, len(HEADER) + len(many), "is not JSON")]
    assert len(saved.items) == 20_000


# --- the collector ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("content", [HEADER + LINE * 10, HEADER + LINE + b"bad\n", LINE])
def test_the_garbage_collector_is_as_it_was(rollout, enabled, content):
    """On or off, whether the file could be read or not."""
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        load_session(rollout(content))
    except InvalidRolloutError:
        pass  # the last of the three, on purpose
    finally:
        after = gc.isenabled()
        (gc.enable if before else gc.disable)()

    assert after is enabled


def test_the_collector_is_never_off_while_a_caller_holds_an_entry(rollout):
    """Between two entries of a stream it is the program's own."""
    for _ in iter_entries(rollout(HEADER, LINE * 3)):
        assert gc.isenabled()


def test_many_threads_load_at_once(rollout):
    """Each gets the whole session, and the collector is on again at the end."""
    path = rollout(HEADER, LINE * 5_000)
    found = []
    threads = [threading.Thread(target=lambda: found.append(len(load_session(path).items))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert found == [5_000] * 4
    assert gc.isenabled()


def test_a_thread_that_finds_the_collector_paused_leaves_it_to_who_paused_it(monkeypatch):
    """Also where the other one is through between the look and what follows it: the collector stays on."""
    other, is_enabled = _gc_paused(), gc.isenabled

    def look() -> bool:
        found = is_enabled()
        other.__exit__(None, None, None)
        return found

    other.__enter__()
    monkeypatch.setattr(gc, "isenabled", look)
    with _gc_paused():
        pass

    assert is_enabled()


# --- laws -------------------------------------------------------------------------------------------------------------


@given(st.lists(entries, max_size=8))
def test_what_was_written_is_read(folder, recorded):
    """Items in order, the last state, every log entry, nothing skipped."""
    path = written(folder, HEADER + b"".join(map(encoded, recorded)))

    saved = load_session(path)

    assert list(iter_entries(path)) == [META, *recorded]
    assert saved.items == [entry for entry in recorded if is_item(entry)]
    assert saved.logs == [entry for entry in recorded if isinstance(entry, LogEntry)]
    assert saved.state == ([{}] + [entry for entry in recorded if isinstance(entry, SessionStateSnapshot)])[-1]
    assert saved.skipped == []
    assert saved.session == META


@given(st.lists(entries, max_size=4), st.data())
def test_any_prefix_reads_as_a_prefix(folder, recorded, data):
    """A file that was cut at any byte holds the entries up to there, and perhaps one incomplete line."""
    content = HEADER + b"".join(map(encoded, recorded))
    cut = data.draw(st.integers(0, len(content)))
    path = written(folder, content[:cut])

    found = list(iter_entries(path))

    if found and isinstance(found[-1], SkippedLine):
        torn = found.pop()
        assert torn.reason == "the last line is incomplete"
        assert torn.offset == content[:cut].rfind(b"\n") + 1
    assert found == [META, *recorded][: len(found)]
    assert len(found) >= content[:cut].count(b"\n")


@pytest.mark.parametrize("path", [*GOLDEN, DATA / "codex-0.20.0" / "unicode.jsonl"], ids=lambda path: path.stem)
def test_a_file_cut_anywhere_loads(tmp_path, path):
    """Once its first line is whole, every prefix is a session."""
    content = path.read_bytes()
    whole = load_session(path).items
    for cut in range(content.index(b"\n"), len(content), 3):  # nothing here repeats after three bytes
        saved = load_session(written(tmp_path, content[:cut]))
        assert saved.items == whole[: len(saved.items)]
        assert len(saved.skipped) <= 1


garbage = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=20).map(lambda text: text.encode(errors="surrogatepass")),
    st.sampled_from(
        [b"\x00" * 50, b"{", b'{"type":', b"\xef\xbb\xbf", b"[" * 300, b'"\\ud800"', b"NaN", b"\r", HEADER]
    ),
    items.map(encoded).flatmap(lambda line: st.integers(0, len(line)).map(lambda cut: line[:cut])),
)


@given(st.lists(st.tuples(st.booleans(), garbage, entries), max_size=6))
def test_any_bytes_after_a_good_meta_keep_the_valid_lines_in_order(folder, lines):
    """Whatever is between them, and however it is read: nothing is raised, and no valid line is lost."""
    content = HEADER + b"".join(b"\n" + bad + b"\n" if is_bad else encoded(good) for is_bad, bad, good in lines)
    valid = [good for is_bad, _, good in lines if not is_bad]
    path = written(folder, content)

    saved = load_session(path)
    streamed = iter(list(iter_entries(path)))

    assert all(any(entry == found for found in streamed) for entry in valid)
    kept = iter(saved.items)
    assert all(any(item == found for found in kept) for item in valid if is_item(item))


@given(st.binary(max_size=300))
def test_any_bytes_at_all_can_be_streamed(folder, content):
    """Each line that is not blank gives one entry, and the bad ones are reported with their places."""
    path = written(folder, content)

    found = list(iter_entries(path))

    lines = content.split(b"\n")
    assert len(found) == sum(bool(line.strip(b" \t\r")) for line in lines)
    for entry in found:
        if isinstance(entry, SkippedLine):
            assert entry.offset == sum(len(line) + 1 for line in lines[: entry.number - 1])


@given(st.data())
def test_a_flipped_bit_costs_at_most_the_lines_that_it_touches(folder, data):
    """Anywhere after the meta, also in a newline."""
    content = bytearray((DATA / "codex-0.20.0" / "unicode.jsonl").read_bytes())
    start = content.index(b"\n") + 1
    whole = load_session(DATA / "codex-0.20.0" / "unicode.jsonl").items
    at = data.draw(st.integers(start, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))

    saved = load_session(written(folder, bytes(content)))

    kept = sum(item in saved.items for item in whole)
    assert kept >= len(whole) - 2


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_a_saved_session_shows_what_is_in_it_and_no_text(rollout):
    """Counts, not contents."""
    path = rollout(
        HEADER, encoded(Message.user("xyzzy")), LINE, b"bad\n", ENCODER.log(LogEntry("t", "INFO", "a", "xyzzy"))
    )

    assert repr(load_session(path)) == f"SavedSession('{ID}', 2 items, 1 logged, 1 skipped)"


def test_calls_without_an_output_are_told(rollout):
    """So that a program can run them again instead."""
    call = FunctionCall("f", "{}", "c")
    saved = load_session(rollout(HEADER, LINE, encoded(call)))

    assert saved.orphan_calls == [call]


def test_a_saved_session_is_an_input(rollout):
    """SavedSession.to_input() is to_input(items)."""
    answer = Message("assistant", [OutputText("yes")], id="msg_1")
    path = rollout(HEADER, LINE, encoded(Reasoning("rs_1", [SummaryText("hm")])), encoded(answer))

    assert load_session(path).to_input() == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
    ]
