"""The copy of a home as Parquet, and SQL over a home: always the answer of now, with nothing else in reach."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import DEADLINE, slow

from rolloutlog import Message, RolloutRecorder, tables
from rolloutlog._paths import rollout_path
from rolloutlog.exceptions import MissingExtraError
from rolloutlog.tables import _sql
from rolloutlog.tables._narrowed import narrowed

pytestmark = pytest.mark.extras
arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

META = '{{"id":"{}","timestamp":"2025-07-{:02}T08:00:00.000Z","instructions":null}}\n'
ITEM = '{{"type":"message","id":null,"role":"user","content":[{{"type":"input_text","text":"{}"}}]}}\n'
CALL = '{"type":"function_call","id":null,"name":"tides","arguments":"{}","call_id":"call_1"}\n'
OUTPUT = '{{"type":"function_call_output","call_id":"call_1","output":"{}"}}\n'


def session(home, day, *lines):
    """Write a session that began on that day of July 2025, and return its file."""
    session_id = f"00000000-0000-4000-8000-{day:012}"
    path = rollout_path(home, 1_751_328_000 + (day - 1) * 86_400, session_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(META.format(session_id, day) + "".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def home(tmp_path):
    """A home with a session on each of three days."""
    for day in (1, 2, 3):
        session(tmp_path / "home", day, ITEM.format(f"day {day}"))
    return tmp_path / "home"


def texts(home, **options):
    """Return the texts of all messages, by way of SQL."""
    query = "SELECT text FROM entries WHERE kind = 'message' ORDER BY text"
    return [row["text"] for row in tables.sql(query, home, **options).to_pylist()]


def copied(folder, table="entries"):
    """Return the rows that an engine finds in the copy by itself."""
    return [row for path in sorted((folder / table).glob("*.parquet")) for row in parquet.read_table(path).to_pylist()]


# --- the copy ---------------------------------------------------------------------------------------------------------


def test_a_copy_has_the_rows_of_the_tables(home):
    """One file a day for each table, with the same columns."""
    done = tables.copy(home)

    assert (done.written, done.kept, done.removed) == (["2025-07-01", "2025-07-02", "2025-07-03"], 0, [])
    assert copied(home / "tables") == arrow.table(tables.entries(home)).to_pylist()
    assert copied(home / "tables", "sessions") == arrow.table(tables.sessions(home)).to_pylist()


def test_only_days_that_changed_are_written_again(home):
    """After an append, a new session, and a removed one."""
    tables.copy(home)
    before = {path: path.stat().st_ino for path in (home / "tables").rglob("*.parquet")}
    with session(home, 2, ITEM.format("day 2")).open("a") as file:
        file.write(ITEM.format("more"))
    session(home, 4, ITEM.format("day 4"))
    (gone,) = home.rglob("rollout-2025-07-01*")
    gone.unlink()

    done = tables.copy(home)

    assert (done.written, done.kept, done.removed) == (["2025-07-02", "2025-07-04"], 1, ["2025-07-01"])
    assert [row["text"] for row in copied(home / "tables") if row["kind"] == "message"] == [
        "day 2",
        "more",
        "day 3",
        "day 4",
    ]
    kept = [path for path in before if path.name == "2025-07-03.parquet"]
    assert [path.stat().st_ino for path in kept] == [before[path] for path in kept]


def test_a_second_copy_writes_nothing(home):
    """Nor does it open a session."""
    tables.copy(home)
    assert tables.copy(home).written == []


def test_only_the_owner_may_read_a_copy(home):
    """It holds what was said."""
    folder = tables.copy(home).dest

    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 6
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o700}


def test_progress_is_told_after_each_day(home):
    """So a bar can be drawn."""
    told = []
    tables.copy(home, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_copy_of_another_home_is_refused(home, tmp_path):
    """Its days would replace and remove those of the first."""
    tables.copy(home, tmp_path / "copy")
    session(tmp_path / "other", 9)

    with pytest.raises(ValueError, match=r"holds the copy of .*home, not of .*other; choose another folder"):
        tables.copy(tmp_path / "other", tmp_path / "copy")

    assert len(list((tmp_path / "copy" / "entries").iterdir())) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_removes_no_day(home):
    """Its days would look as if they had no session."""
    tables.copy(home)
    folder = next(home.rglob("rollout-2025-07-01*")).parent
    folder.chmod(0)
    try:
        with pytest.raises(PermissionError):
            tables.copy(home)
    finally:
        folder.chmod(0o700)
    assert (home / "tables/entries/2025-07-01.parquet").exists()


def test_a_full_disk_costs_no_day_that_was_copied(home, monkeypatch):
    """The error is the system's, no unfinished file is left, and the next copy completes it."""
    tables.copy(home)
    with session(home, 1, ITEM.format("day 1")).open("a") as file:
        file.write(ITEM.format("more"))
    before = copied(home / "tables")
    with monkeypatch.context() as patched:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(parquet.ParquetWriter, "write_batch", full)
        with pytest.raises(OSError, match="No space left"):
            tables.copy(home)

    assert copied(home / "tables") == before
    assert [path.name for path in (home / "tables").rglob(".*")] == []
    assert texts(home) == ["day 1", "day 2", "day 3", "more"]
    assert tables.copy(home).written == ["2025-07-01"]


KILLED = """
import os, sys, time
from rolloutlog import tables
from rolloutlog.tables import _copy
steps = int(sys.argv[2])
class Sites:
    def __getattr__(self, name):
        return getattr(os, name)
def counted(call):
    def run(*arguments, **options):
        global steps
        steps -= 1
        if steps == 0:
            os.kill(os.getpid(), 9)
        return call(*arguments, **options)
    return run
sites = Sites()
sites.replace, sites.makedirs = counted(os.replace), counted(os.makedirs)
_copy.os, _copy.open_file = sites, counted(_copy.open_file)
tables.copy(sys.argv[1])
"""


@pytest.mark.parametrize("step", [step if step % 3 == 1 else slow(step) for step in range(1, 11)])
def test_a_copy_that_is_killed_is_completed_by_the_next(home, step):
    """Before each of its changes: every file is whole, the answers are right, and nothing unfinished is left."""
    environment = {**os.environ, "PYTHONPATH": str(Path(tables.__file__).parents[2])}
    command = [sys.executable, "-c", KILLED, str(home), str(step)]
    assert subprocess.run(command, env=environment, timeout=DEADLINE).returncode == -signal.SIGKILL

    assert all(row["text"] in (None, "day 1", "day 2", "day 3") for row in copied(home / "tables"))
    assert texts(home) == ["day 1", "day 2", "day 3"]
    tables.copy(home)
    assert copied(home / "tables") == arrow.table(tables.entries(home)).to_pylist()
    assert [path.name for path in (home / "tables").rglob(".*")] == []


def test_a_damaged_file_of_a_copy_is_written_again(home):
    """As after a power cut, since nothing is synced."""
    tables.copy(home)
    for name in ("entries/2025-07-01.parquet", "sessions/2025-07-02.parquet"):
        path = home / "tables" / name
        path.write_bytes(path.read_bytes()[:-9])

    assert texts(home) == ["day 1", "day 2", "day 3"]
    assert tables.copy(home).written == ["2025-07-01", "2025-07-02"]


# --- SQL --------------------------------------------------------------------------------------------------------------

duckdb = pytest.importorskip("duckdb")


def test_sql_joins_the_views(home):
    """Lines, sessions, and calls with their outputs."""
    session(home, 4, CALL, OUTPUT.format("unsupported call: tides"), CALL, OUTPUT.format("low"), CALL)

    calls = tables.sql("SELECT name, output, is_error FROM calls ORDER BY line", home).to_pylist()
    joined = tables.sql("SELECT count(*) AS n FROM entries JOIN sessions USING (session_id)", home).to_pylist()

    assert [tuple(row.values()) for row in calls] == [
        ("tides", "unsupported call: tides", True),
        ("tides", "low", None),
        ("tides", None, None),
    ]
    assert joined == [{"n": 4 + 3 + 5}]


def test_a_day_is_one_of_utc_wherever_the_program_runs(home, monkeypatch):
    """As in the names of the copy's files."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        found = tables.sql("SELECT strftime(started, '%d %H') AS day FROM sessions ORDER BY day", home).to_pylist()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [row["day"] for row in found] == ["01 08", "02 08", "03 08"]


@pytest.mark.parametrize("is_copied", [False, True])
def test_sql_answers_for_now_whatever_was_copied(home, is_copied):
    """A day that changed since the copy is read from its sessions, and a new one too."""
    if is_copied:
        tables.copy(home)
    with session(home, 2, ITEM.format("day 2")).open("a") as file:
        file.write(ITEM.format("more"))
    session(home, 4, ITEM.format("day 4"))
    next(home.rglob("rollout-2025-07-01*")).unlink()

    assert texts(home) == ["day 2", "day 3", "day 4", "more"]
    counted = tables.sql("SELECT count(*) AS n, sum(items)::INT AS items FROM sessions", home).to_pylist()
    assert counted == [{"n": 3, "items": 4}]


def test_sql_reads_no_session_of_a_day_that_is_in_the_copy(home, monkeypatch):
    """That is what makes it fast."""
    tables.copy(home)
    monkeypatch.setattr(_sql, "row_batches", lambda *_, **__: pytest.fail("a session was read"))
    monkeypatch.setattr(_sql, "session_batches", lambda *_: pytest.fail("a session was read"))

    assert texts(home) == ["day 1", "day 2", "day 3"]


def test_sql_over_several_homes(home, tmp_path):
    """One of them with a copy."""
    tables.copy(home)
    session(tmp_path / "other", 9, ITEM.format("elsewhere"))

    assert texts([home, tmp_path / "other"]) == ["day 1", "day 2", "day 3", "elsewhere"]


def test_a_call_and_its_output_tell_how_long_it_took(tmp_path):
    """In seconds."""
    line = '{{"timestamp":"2025-07-01T08:00:0{}.500Z","type":"response_item","payload":{}}}\n'
    path = session(tmp_path, 1)
    path.write_text(
        META.format(path.stem[-36:], 1) + line.format(1, CALL[:-1]) + line.format(3, OUTPUT.format("")[:-1])
    )

    assert tables.sql("SELECT seconds FROM calls", tmp_path).to_pylist() == [{"seconds": 2.0}]


def test_a_session_that_is_moved_to_the_archive_counts_once(home):
    """Also while it is in both places, compressed in one of them."""
    moved = home / "archived_sessions" / next(home.rglob("rollout-2025-07-01*")).name
    moved.parent.mkdir()
    moved.write_bytes(next(home.rglob("rollout-2025-07-01*")).read_bytes())

    assert texts(home) == ["day 1", "day 2", "day 3"]


def test_sql_over_a_home_without_sessions(tmp_path):
    """Has no rows."""
    assert texts(tmp_path) == []


QUERIES = {
    "SELECT name, count(*) FROM entries WHERE kind IN ('tool_call', 'tool_output') GROUP BY name": (
        {"tool_call", "tool_output"},
        {"name", "kind"},
    ),
    "SELECT text FROM entries WHERE kind = 'message' AND line > 1": ({"message"}, {"text", "kind", "line"}),
    "SELECT count(*) FROM entries WHERE kind = 'message' OR kind = 'event'": (
        {"message", "event"},
        {"kind", "session_id"},
    ),
    "SELECT count(*) FROM entries WHERE kind IS NULL": (set(), set()),
}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_reads_only_the_kinds_and_columns_that_it_needs(query, home, monkeypatch):
    """Lines of other kinds are not parsed for it."""
    asked = []

    checked = _sql.checked

    def noted(kinds, columns, **options):
        asked.append({"kinds": kinds, "columns": columns})
        return checked(kinds, columns, **options)

    monkeypatch.setattr(_sql, "checked", noted)
    session(home, 4, CALL, OUTPUT.format("done"), ITEM.format("bye"))

    tables.sql(query, home)

    kinds, columns = QUERIES[query]
    assert [set(one["kinds"]) for one in asked] == ([kinds] if kinds else [])
    assert all(set(one["columns"]) <= columns for one in asked)


NARROWED = [
    "SELECT count(*) AS n FROM entries",
    "SELECT line, text FROM entries WHERE text LIKE 'day%' ORDER BY ALL",
    "SELECT kind, type FROM entries WHERE NOT (is_error AND name = 'tides') OR is_error IS NULL ORDER BY ALL",
    "SELECT line FROM entries WHERE is_error = false OR name = 'kind' ORDER BY ALL",
    "SELECT kind FROM entries WHERE kind > 'm' AND kind <> 'tool_call' ORDER BY ALL",
    "SELECT a.line, b.kind FROM entries a JOIN entries b USING (session_id) WHERE a.kind = 'message' ORDER BY ALL",
    "SELECT count(*) AS n FROM entries WHERE timestamp < '2025-07-02'",
    "SELECT line FROM entries LIMIT 0",
]


@pytest.mark.parametrize("query", NARROWED)
def test_a_query_that_reads_less_has_the_answer_of_one_that_reads_all(query, home):
    """Whatever the engine asks of the reader."""
    duckdb = pytest.importorskip("duckdb")
    failed = OUTPUT.format("Exit code: 1\\nWall time: 0.1 seconds\\nOutput:\\n")
    session(home, 4, CALL, failed, CALL, OUTPUT.format("Exit code: 0\\nWall time: 0.1 seconds\\nOutput:\\n"))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("entries", arrow.table(tables.entries(home)))
        expected = connection.sql(query).to_arrow_table().to_pylist()

    assert tables.sql(query, home).to_pylist() == expected


def test_a_query_reports_how_many_rows_were_read(home):
    """Those that are in the copy are not read from the sessions."""
    told = []

    tables.sql("SELECT count(*) FROM entries", home, progress=told.append)
    assert told[-1] == 6

    tables.copy(home)
    session(home, 4, ITEM.format("new"))
    tables.sql("SELECT count(*) FROM entries", home, progress=told.append)
    assert told[-1] == 2


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self):
        return True


def test_progress_on_a_terminal_is_how_many_rows_were_read(home, monkeypatch):
    """On stderr, so that the answer is as it is in a pipe."""
    pytest.importorskip("rich")
    progress = pytest.importorskip("rolloutlog._cli.progress")
    shown = Terminal()
    monkeypatch.setattr(progress, "_PATIENCE", -1)
    monkeypatch.setattr(sys, "stderr", shown)
    with progress.progress("reading", "rows") as show:
        tables.sql("SELECT count(*) FROM entries", home, progress=show)

    assert "reading 6 rows" in shown.getvalue()


def test_the_rows_of_a_narrowed_table_cannot_be_taken_for_none(home):
    """An engine that does not ask for a scanner fails, because there are no files; it does not answer from nothing."""
    dataset = pytest.importorskip("pyarrow.dataset")
    table = narrowed(lambda kinds, columns: tables.entries(home, kinds=kinds, columns=columns).batches())

    assert table.to_table(columns=["kind"]).num_rows == 6
    with pytest.raises(OSError, match=r"session|No such file"):
        dataset.Scanner.from_dataset(table).to_table()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM '{secret}'",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM glob('{folder}/*')",
        "COPY entries TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.db'",
        "EXPORT DATABASE '{folder}/out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET python_enable_replacements = true",
        "SELECT * FROM connection",
        "SELECT * FROM home",
    ],
)
@pytest.mark.parametrize("is_copied", [False, True])
def test_a_query_reaches_nothing_but_the_views(query, is_copied, home, tmp_path):
    """No file, no extension, no setting, and no variable of the program."""
    if is_copied:
        tables.copy(home)
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "secret.csv").write_text("a,b\n1,2\n")

    with pytest.raises(ValueError, match=r"Error"):
        tables.sql(query.format(folder=folder, secret=folder / "secret.csv"), home)

    assert [path.name for path in folder.iterdir()] == ["secret.csv"]


def test_without_duckdb_the_error_says_what_to_install(monkeypatch):
    """Before anything is read."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rolloutlog\[duckdb\]'"):
        tables.sql("SELECT 1")


def test_a_recorder_is_seen_while_it_records(tmp_path):
    """All that was flushed."""
    with RolloutRecorder.create(tmp_path) as recorder:
        recorder.record(Message.user("first"))
        recorder.flush()
        assert texts(tmp_path) == ["first"]
        tables.copy(tmp_path)
        recorder.record(Message.user("second"))
        recorder.flush()
        assert texts(tmp_path) == ["first", "second"]
