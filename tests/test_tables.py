"""The tables of a home: every line a row, every session a row, each counted once, whichever engine asks."""

from __future__ import annotations

import datetime as dt
import json
import os
import pickle
import sys
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pytest
from fleet_corpus import build

from rolloutlog import Message, RolloutRecorder, iter_lines, load_session, tables
from rolloutlog._entries import LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from rolloutlog._face.outputs import read_output
from rolloutlog._item import Item
from rolloutlog._reading.blocks import _zstd
from rolloutlog.exceptions import InvalidRolloutError, MissingExtraError
from rolloutlog.tables import _arrow, _columns
from rolloutlog.tables._rules import KINDS, _plain_code, kind_of_item, outcome_of

pytestmark = pytest.mark.extras
arrow = pytest.importorskip("pyarrow")

ROOT = Path(__file__).parents[1]
NEEDLE = "heliotrope-7261"
META = '{"id":"5973b6c0-94b8-487b-a530-2aeb6098ae0e","timestamp":"2025-07-20T08:00:00.000Z","instructions":null}\n'


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home of two hundred sessions in all shapes, most of them short."""
    made = tmp_path_factory.mktemp("fleet")
    build(made, 200, mean=300, seed=6, compressed=_zstd() is not None)
    return made


@pytest.fixture(scope="module")
def truth(home):
    """The sums over the sessions in that home, as the program that made it knows them."""
    return json.loads((home / "truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rows(home):
    """All rows, with every column."""
    return arrow.table(tables.entries(home, columns=list(_arrow.ENTRIES))).to_pylist()


def files(home):
    return sorted(path for path in home.rglob("rollout-*") if path.is_file())


def column(table, name):
    return list(chain.from_iterable(batch.column(name).to_pylist() for batch in table.batches()))


# --- the corpus is what it says ---------------------------------------------------------------------------------------


def test_the_corpus_has_every_peculiarity(truth):
    """Otherwise the tests below would show less than they say."""
    expected = {"plain", "copied fork", "sub-agent", "fork by reference", "revision", "compaction", "torn", "dirty"}
    assert expected <= set(truth["kinds"])
    assert truth["kinds"]["no session"] == 1


# --- three questions, exactly -----------------------------------------------------------------------------------------


def calls_by_tool(found):
    """Return calls and failures by tool, of rows (name, kind, is_error)."""
    counted = {}
    for name, kind, is_error in found:
        one = counted.setdefault(name, [0, 0])
        one[0] += kind == "tool_call"
        one[1] += is_error is True
    return counted


def test_calls_and_failures_by_tool_are_exact(home, truth):
    """Copies count once, and each shape of output tells whether it failed."""
    table = tables.entries(home, kinds={"tool_call", "tool_output"}, columns=["name", "kind", "is_error"])
    found = (tuple(row.values()) for batch in table.batches() for row in batch.to_pylist())
    assert calls_by_tool(found) == truth["calls"]


CALLS = """
    SELECT name, count(*) FILTER (kind = 'tool_call') AS calls, count(*) FILTER (is_error) AS failures
    FROM e WHERE kind IN ('tool_call', 'tool_output') GROUP BY name
"""
TOKENS = """
    SELECT strftime(timestamp AT TIME ZONE 'UTC', '%Y-%m-%d') AS day, model, sum(input_tokens)::BIGINT,
        sum(cached_tokens)::BIGINT, sum(output_tokens)::BIGINT, sum(reasoning_tokens)::BIGINT, count(*)
    FROM e WHERE kind = 'usage' GROUP BY ALL
"""
FOUND = f"SELECT DISTINCT session_id FROM e WHERE contains(text, '{NEEDLE}') ORDER BY 1"


def test_duckdb_answers_exactly(home, truth):
    """It takes the object from a variable, and begins it again for each query."""
    duckdb = pytest.importorskip("duckdb")
    e = tables.entries(home)  # noqa: F841 (DuckDB finds it by its name)

    assert {name: counts for name, *counts in duckdb.sql(CALLS).fetchall()} == truth["calls"]
    tokens = {}
    for day, model, *counts in duckdb.sql(TOKENS).fetchall():
        tokens.setdefault(day, {})[model] = counts
    assert tokens == truth["tokens"]
    assert [row[0] for row in duckdb.sql(FOUND).fetchall()] == truth["found"]


def test_polars_answers_exactly(home, truth):
    """One line makes a frame of the table."""
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(tables.entries(home))

    is_output = pl.col("kind") == "tool_output"
    calls = frame.filter(pl.col("kind").is_in(["tool_call", "tool_output"])).group_by("name")
    counted = calls.agg((~is_output).sum().alias("calls"), pl.col("is_error").sum().alias("failures"))
    assert {name: counts for name, *counts in counted.iter_rows()} == truth["calls"]
    usage = frame.filter(pl.col("kind") == "usage").with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%d"))
    sums = pl.col("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens").sum()
    tokens = {}
    for day, model, *counts in usage.group_by("timestamp", "model").agg(sums, pl.len()).iter_rows():
        tokens.setdefault(day, {})[model] = counts
    assert tokens == truth["tokens"]
    found = frame.filter(pl.col("text").str.contains(NEEDLE, literal=True))["session_id"].unique()
    assert sorted(found) == truth["found"]


def test_pandas_answers_exactly(home, truth):
    """One line makes a frame of the table."""
    pd = pytest.importorskip("pandas", minversion="3")
    frame = pd.DataFrame.from_arrow(tables.entries(home))

    calls = frame[frame.kind.isin(["tool_call", "tool_output"])]
    found = zip(calls.name.tolist(), calls.kind.tolist(), calls.is_error.eq(True).tolist(), strict=True)
    assert calls_by_tool(found) == truth["calls"]
    usage = frame[frame.kind == "usage"]
    names = ["input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"]
    grouped = usage.groupby([usage.timestamp.dt.strftime("%Y-%m-%d"), "model"])
    tokens = {}
    for (day, model), group in grouped:
        tokens.setdefault(day, {})[model] = [*(int(group[name].sum()) for name in names), len(group)]
    assert tokens == truth["tokens"]
    texts = frame[frame.text.fillna("").str.contains(NEEDLE, regex=False)]
    assert sorted(set(texts.session_id)) == truth["found"]


@pytest.mark.parametrize("table", [tables.entries, tables.sessions])
@pytest.mark.parametrize("engine", ["pyarrow", "duckdb", "polars", "pandas"])
def test_an_engine_takes_a_table_twice_in_a_row(engine, table, home):
    """A stream could be read only once."""
    module = pytest.importorskip(engine, minversion={"pandas": "3"}.get(engine))
    e = table(home)

    def count():
        taken = e  # DuckDB finds it by its name here
        if engine == "duckdb":
            return module.sql("SELECT count(*) FROM taken").fetchall()[0][0]
        frames = {"pyarrow": "table", "polars": "DataFrame"}
        return len(module.DataFrame.from_arrow(e) if engine == "pandas" else getattr(module, frames[engine])(taken))

    first = count()

    assert first > 100
    assert count() == first


def test_sessions_add_up_to_the_truth(home, truth):
    """One row for each session, with the sums of all its files."""
    found = arrow.table(tables.sessions(home)).to_pylist()

    assert len(found) == len({row["session_id"] for row in found}) == truth["sessions"]
    assert sum(row["calls"] for row in found) == sum(calls for calls, _ in truth["calls"].values())
    assert sum(row["failures"] for row in found) == sum(failures for _, failures in truth["calls"].values())
    names = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
    counted = [counts for day in truth["tokens"].values() for counts in day.values()]
    assert [sum(row[name] for row in found) for name in names] == [sum(one) for one in zip(*counted, strict=True)][:4]
    kinds = {row["kind"] for row in found}
    assert kinds == {"user", "fork", "subagent"}


# --- the rows are the lines -------------------------------------------------------------------------------------------


def expected_kind(entry):
    """Return the kinds that a row for *entry* may have."""
    if isinstance(entry, Item):
        return {kind_of_item(entry.type)}
    if isinstance(entry, OtherEntry):
        return {"turn_context": {"turn"}, "compacted": {"compaction"}}.get(entry.type, {"event", "usage"})
    known = {SessionMeta: {"session"}, SessionStateSnapshot: {"state"}, SkippedLine: {"skipped"}}
    return {"log", "usage"} if isinstance(entry, LogEntry) else known[type(entry)]


@pytest.mark.slow
def test_the_rows_are_the_lines_that_iter_lines_yields(home, rows):
    """The same lines, of the same kinds and texts, copied or not; both were written apart."""
    by_path = {}
    for row in arrow.table(tables.entries(home, inherited=True)).to_pylist():
        by_path.setdefault(row["path"], []).append(row)
    for path in files(home):
        found = by_path.pop(str(path))
        if found[0]["type"] == "file":
            with pytest.raises(InvalidRolloutError, match=found[0]["text"]):
                load_session(path)
            continue
        lines = list(iter_lines(path))
        assert [row["line"] for row in found] == [line.number for line in lines]
        for row, line in zip(found, lines, strict=True):
            entry = line.entry
            assert row["kind"] in expected_kind(entry)
            is_copied_meta = isinstance(entry, SessionMeta) and row["line"] > 1
            assert row["inherited"] is (line.inherited or is_copied_meta)
            if isinstance(entry, Item) and entry.type in ("message", "reasoning", "function_call_output"):
                assert row["text"] == entry.text
            if isinstance(entry, SkippedLine):
                assert row["text"] == entry.reason
            elif row["timestamp"] is not None:
                assert row["timestamp"] == line.timestamp
    assert not by_path


def test_the_session_of_each_row_is_that_of_its_file(home, rows):
    """Also where turns were taken back, and the file has another name."""
    for row in rows:
        if row["type"] != "file":
            assert row["session_id"] in row["path"]


@pytest.mark.slow
def test_inherited_rows_are_left_out_unless_they_are_asked_for(home, rows):
    """Then they are marked, and the others are the same."""
    with_copies = arrow.table(tables.entries(home, columns=list(_arrow.ENTRIES), inherited=True)).to_pylist()

    assert [row for row in with_copies if not row["inherited"]] == rows
    assert len(with_copies) > len(rows)


ODD_LINES = [
    # The keys in another order, or with spaces.
    '{"type":"response_item","payload":{"type":"message","role":"user","content":[]},"timestamp":"2025-10-01T08:00:00Z"}',
    '{"payload":{"role":"user","type":"message","content":[]},"type":"response_item","timestamp":"2025-10-01T08:00:00Z"}',
    '{"timestamp": "2025-10-01T08:00:00Z", "type": "event_msg", "payload": {"type": "token_count", "info": null}}',
    # A type of an item as the type of a wrapped line, and types that no table has.
    '{"timestamp":"2025-10-01T08:00:00Z","type":"message","payload":{},"role":"user","content":[]}',
    '{"timestamp":"2025-10-01T08:00:00Z","type":"web_search_call","payload":{}}',
    '{"type":"web_search_call","payload":{},"timestamp":"2025-10-01T08:00:00Z"}',
    '{"timestamp":"2025-10-01T08:00:00Z","type":"unheard_of","payload":{"type":"token_count"}}',
    '{"timestamp":"2025-10-01T08:00:00Z","type":"response_item","payload":{"type":"unheard_call","call_id":"c"}}',
    '{"timestamp":"2025-10-01T08:00:00Z","type":"event_msg","payload":[]}',
    '{"type":"unheard_of","x":1}',
    '{"record_type":"state","step":1}',
    '{"type":"log","timestamp":"2025-10-01T08:00:00Z","level":"INFO","logger":"tides","message":"high"}',
]


def test_odd_lines_are_rows_of_the_same_kinds_whatever_is_asked_for(tmp_path):
    """A line is left unparsed only where its first bytes prove its kind, and they prove nothing of these."""
    path = tmp_path / "some.jsonl"
    path.write_text(META + "\n".join(ODD_LINES) + "\n")
    everything = [row for batch in tables.batches([path]) for row in batch.to_pylist()]

    for kind in KINDS:
        found = [row for batch in tables.batches([path], kinds={kind}) for row in batch.to_pylist()]
        assert found == [row for row in everything if row["kind"] == kind]
    assert [row["kind"] for row in everything[1:4]] == ["message", "message", "event"]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_one_kind_are_the_same_as_among_all(kind, home, rows):
    """Lines that are not parsed would not have been rows of that kind, and tell nothing that these rows need."""
    found = arrow.table(tables.entries(home, kinds={kind}, columns=list(_arrow.ENTRIES))).to_pylist()

    assert found == [row for row in rows if row["kind"] == kind]


def test_the_raw_line_is_the_line(home, rows):
    """As text, without the newline."""
    for row in rows[:500]:
        if row["kind"] not in ("skipped",) and not row["path"].endswith(".zst"):
            lines = Path(row["path"]).read_bytes().split(b"\n")
            assert row["raw"].encode() == lines[row["line"] - 1]


def test_an_output_of_a_fork_by_reference_has_the_name_of_the_call_in_the_other_file(tmp_path):
    """The fork may begin between both."""
    base, fork = "0199a2c4-5a6b-7c8d-9e0f-112233445566", "0199a2c4-5a6b-7c8d-9e0f-112233445577"
    stamp = '{"timestamp":"2025-10-01T08:00:00.000Z","type":'

    def meta(session_id, more=""):
        payload = f'"id":"{session_id}","timestamp":"2025-10-01T08:00:00.000Z","cwd":"/","originator":"o"{more}'
        return f'{stamp}"session_meta","payload":{{{payload},"cli_version":"1"}}}}\n'

    call = '{"type":"function_call","name":"tides","arguments":"{}","call_id":"call_1"}'
    text = meta(base) + f'{stamp}"response_item","payload":{call}}}\n'
    reference = f',"forked_from_id":"{base}","history_base":{{"thread_id":"{base}","end_byte_offset":{len(text)}}}'
    output = '{"type":"function_call_output","call_id":"call_1","output":"high"}'
    folder = tmp_path / "sessions/2025/10/01"
    folder.mkdir(parents=True)
    (folder / f"rollout-2025-10-01T08-00-00-{base}.jsonl").write_text(text)
    lines = meta(fork, reference) + f'{stamp}"response_item","payload":{output}}}\n'
    (folder / f"rollout-2025-10-01T08-00-01-{fork}.jsonl").write_text(lines)

    assert column(tables.entries(tmp_path, kinds={"tool_output"}), "name") == ["tides"]


def test_a_loaded_session_tells_which_other_lines_were_copied(home):
    """Events and records of a fork's parent are the first of its others, so sums can leave them out."""
    copied = 0
    for path in files(home):
        with suppress(InvalidRolloutError):
            saved = load_session(path)
            lines = saved.lines(kinds={"event", "turn_context", "compacted", "other"})
            own_file = [line.inherited for line in lines][-len(saved.others) or 1_000_000 :]
            assert own_file == [number < saved.inherited_others for number in range(len(saved.others))]
            copied += saved.inherited_others
    assert copied > 100


# --- our own sessions -------------------------------------------------------------------------------------------------


def test_logs_states_and_responses_of_ours_are_rows(tmp_path):
    """A response that we recorded is a usage row with its model."""
    usage = {"input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 4}}
    with RolloutRecorder.create(tmp_path) as recorder:
        recorder.record(Message.user("hello"))
        recorder.record_state({"step": 1})
        recorder.record_log(LogEntry("2025-07-20T08:00:00.000Z", "INFO", "tides", "high water"))
        kept = {"response": {"id": "resp_1", "model": "m", "usage": usage}}
        recorder.record_log(LogEntry("2025-07-20T08:00:01.000Z", "INFO", "rolloutlog", "a response", extra=kept))

    found = arrow.table(tables.entries(tmp_path)).to_pylist()

    assert [row["kind"] for row in found] == ["session", "message", "state", "log", "usage"]
    assert found[3]["text"] == "high water"
    assert found[3]["timestamp"].minute == 0
    assert [found[4][name] for name in ("model", "input_tokens", "cached_tokens", "output_tokens")] == ["m", 9, 4, 2]


# --- the rule for failures --------------------------------------------------------------------------------------------

HEAD = (
    "Chunk ID: 9badd8\nWall time: 0.0000 seconds\nProcess exited with code {}\nOriginal token count: 1\nOutput:\nhi\n"
)
SCRIPT = {"type": "input_text", "text": "Script completed\nWall time 0.1 seconds\nOutput:\n"}
RESULT = '{{"chunk_id":"9a","wall_time_seconds":0.000006,"exit_code":{},"original_token_count":1,"output":"hi\\n"}}'


@pytest.mark.parametrize(
    ("output", "outcome"),
    [
        ('{"output":"hi\\n","metadata":{"exit_code":0,"duration_seconds":0.1}}', (0, False)),
        ('{"output":"","metadata":{"exit_code":127,"duration_seconds":0.1}}', (127, True)),
        ("Exit code: 0\nWall time: 0.1 seconds\nOutput:\nhi", (0, False)),
        ("Exit code: 2\nWall time: 0.1 seconds\nTotal output lines: 3\nOutput:\nhi", (2, True)),
        (HEAD.format(0), (0, False)),
        (HEAD.format(-9), (-9, True)),
        ([SCRIPT, {"type": "input_text", "text": RESULT.format(0)}], (0, False)),
        ([SCRIPT, {"type": "input_text", "text": RESULT.format(1)}], (1, True)),
        ("unsupported call: weather", (None, True)),
        ("tool call error: no such tool", (None, True)),
        ("aborted", (None, True)),
        ("aborted by user after 2.1s", (None, True)),
        ("aborted landings are rare", (None, None)),
        ("09:00 to 19:00", (None, None)),
        ("", (None, None)),
    ],
)
def test_an_output_tells_whether_it_failed(output, outcome):
    """Each shape that a release of Codex wrote; null where it does not say."""
    assert outcome_of({"type": "function_call_output", "call_id": "c", "output": output}) == outcome


def test_the_quick_look_at_an_output_finds_what_the_whole_reading_finds(home, rows):
    """For every output of the corpus that it is sure of, which must be most of those with a code."""
    sure = told = 0
    for row in rows:
        if row["kind"] == "tool_output":
            value = json.loads(row["raw"])
            item = value.get("payload", value)
            result, code = read_output(item), _plain_code(item["output"])
            told += result.exit_code is not None
            if code is not None:
                assert (code, code != 0) == (result.exit_code, result.is_failed)
                sure += 1
    assert sure > 0.9 * told


@pytest.mark.parametrize(
    "output",
    [
        'Exit code: 0\nWall time: 0.1 seconds\nOutput:\n{"output":"x","metadata":{"exit_code":3}}',
        "Exit code: 0\nWall time: 0.1 seconds\nOutput:\nunsupported call: x",
        '{"output":"unsupported call: x","metadata":{"exit_code":0,"duration_seconds":0.1}}',
        '{"output":"a","metadata":{"exit_code":0,"duration_seconds":0.1}} and more',
        'text that ends like this: ,"metadata":{"exit_code":0,"duration_seconds":0.1}}',
    ],
)
def test_the_quick_look_leaves_odd_outputs_to_the_whole_reading(output):
    """It must never be sure of another code than that."""
    assert _plain_code(output) is None


# --- files that cannot be read ----------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_a_row_and_costs_no_other(tmp_path):
    """A folder, a file that is missing, an empty one, and one without a meta in its first line."""
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "garbage.jsonl").write_text("oops\n")
    good = tmp_path / "good.jsonl"
    good.write_text(META)
    names = ["empty", "folder", "garbage", "missing", "good"]
    paths = [tmp_path / f"{name}.jsonl" for name in names]

    found = [row for batch in tables.batches(paths) for row in batch.to_pylist()]

    assert [(row["kind"], row["type"]) for row in found] == [("skipped", "file")] * 4 + [("session", "session_meta")]
    assert [row["text"] for row in found[:3]] == [
        "empty session file",
        "is not a regular file",
        "no session meta in the first line: is not JSON",
    ]
    assert "missing.jsonl" in found[3]["text"]


@pytest.mark.skipif(_zstd() is None, reason="needs the extra zstd")
def test_a_file_that_was_compressed_since_it_was_listed_is_read(tmp_path):
    """Codex compresses idle sessions at any time."""
    path = tmp_path / "some.jsonl"
    Path(f"{path}.zst").write_bytes(_zstd().compress(META.encode()))

    assert [row["kind"] for batch in tables.batches([path]) for row in batch.to_pylist()] == ["session"]


def test_a_time_that_is_none_is_null(tmp_path):
    """And costs no other time of the batch."""
    path = tmp_path / "some.jsonl"
    line = '{"timestamp":"%s","type":"event_msg","payload":{"type":"x"}}\n'
    path.write_text(META + line % "yesterday" + line % "2025-07-20T08:00:01.123Z" + line % "2025-07-20T08:00:01")

    found = [row["timestamp"] for batch in tables.batches([path]) for row in batch.to_pylist()]

    assert [time and time.isoformat() for time in found[1:]] == [
        None,
        "2025-07-20T08:00:01.123000+00:00",
        "2025-07-20T08:00:01+00:00",
    ]


# --- arguments --------------------------------------------------------------------------------------------------------


def test_only_files_that_were_begun_since_are_read(home, rows):
    """By their names."""
    since = dt.date(2026, 1, 1)
    found = set(column(tables.entries(home, columns=["path"], since=since), "path"))
    assert found == {row["path"] for row in rows if Path(row["path"]).name >= "rollout-2026-01-01"}
    assert 0 < len(found) < len({row["path"] for row in rows})


def test_columns_come_in_the_order_in_which_they_are_asked_for(home):
    """And no others."""
    assert tables.entries(home, columns=["text", "kind"]).schema.names == ["text", "kind"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": {"outputs"}}, "there is no kind 'outputs'; there are session, message"),
        ({"kinds": "usage"}, "kinds must be a list of names; got the string"),
        ({"columns": ["texts"]}, "there is no column 'texts'; there are session_id, path"),
    ],
)
def test_a_name_that_does_not_exist_is_refused_at_once(options, message):
    """Before an engine asks for rows."""
    with pytest.raises(ValueError, match=message):
        tables.entries(**options)


def test_the_share_of_a_worker_can_be_sent_to_it(home, rows):
    """Paths and names can be pickled, and all shares together are the whole."""
    shares = pickle.loads(pickle.dumps(tables.plan(home, bytes=1 << 20)))

    found = [
        row["line"]
        for share in shares
        for batch in tables.batches(share, columns=["line"])
        for row in batch.to_pylist()
    ]

    assert len(shares) > 3
    assert len(found) == len(rows)
    assert sorted(chain.from_iterable(shares)) == [str(path) for path in files(home)]


def test_the_shares_of_workers_are_even_and_hold_whole_sessions(home):
    """No worker gets much more than another, and a session's files are in one share."""
    shares = tables.plan(home, bytes=1 << 20)
    sizes = [sum(os.stat(path).st_size * (4 if path.endswith(".zst") else 1) for path in share) for share in shares]
    assert max(sizes) < 1.5 * min(sizes)
    owners = {}
    for number, share in enumerate(shares):
        for path in share:
            session_id = Path(path).name[len("rollout-YYYY-MM-DDThh-mm-ss-") :][:36]
            assert owners.setdefault(session_id, number) == number


def test_a_share_needs_a_size():
    """Of a byte at least."""
    with pytest.raises(ValueError, match="bytes must be at least 1; got 0"):
        tables.plan(bytes=0)


def test_a_batch_is_never_large(home, monkeypatch):
    """So memory does not depend on how much there is, not even for one session."""
    monkeypatch.setattr(_columns, "_ROWS", 100)
    path = max(files(home), key=lambda file: file.stat().st_size)

    counts = [batch.num_rows for batch in tables.batches([path], inherited=True)]

    assert len(counts) > 1
    assert max(counts) < 1_000


def test_without_pyarrow_the_error_says_what_to_install(monkeypatch):
    """As soon as a table is asked for."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rolloutlog\[arrow\]'"):
        tables.entries()
