"""`rolloutlog sql`: queries over all homes, as a table, JSON or CSV."""

from __future__ import annotations

import json
import sys

import pytest
from commands import run, run_apart

import rolloutlog
import rolloutlog.tables
from rolloutlog._face.widths import cells

pytestmark = pytest.mark.extras
pytest.importorskip("duckdb")

COUNT = "SELECT kind, count(*) AS n FROM entries GROUP BY kind ORDER BY kind"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home with one session, in which a program tried to colour the terminal."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")
    with rolloutlog.session("tides") as session:
        session.record({"role": "user", "content": "high\twater, \x1b[31mred\x1b]0;x\x07\nlow"})
    return tmp_path


def test_rows_are_lines_with_tabs():
    """For people and for `cut`."""
    assert run("sql", COUNT) == (0, "kind\tn\nmessage\t1\nsession\t1\n", "")


def test_a_terminal_gets_aligned_columns(monkeypatch):
    """Wide characters take two columns, and numbers are at the right."""
    monkeypatch.setenv("COLUMNS", "80")
    query = "SELECT * FROM (VALUES ('東京', 7, true), ('Oslo', 1234, NULL)) AS v(place, n, \"is far\")"

    assert run("sql", query, terminal=True) == (0, "place     n  is far\n東京      7  True\nOslo   1234\n", "")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_longer_than_the_terminal_is_wide(monkeypatch, width):
    """The narrow column is whole, numbers are, and the wide ones share the rest."""
    monkeypatch.setenv("COLUMNS", str(width))
    query = "SELECT repeat('東京 ', 60) AS a, 'Oslo' AS b, repeat('x', 300) AS c, 12345 AS n"
    code, out, err = run("sql", query, terminal=True)
    lines = out.splitlines()

    assert code == 0
    assert max(map(cells, lines)) <= width
    assert "Oslo" in lines[1]
    if width == 20:
        assert err == "rolloutlog: 2 more columns did not fit; --json and --csv print all, and so does a pipe\n"
        return
    assert cells(lines[1]) > width - 2
    assert (lines[1].split()[-1], err) == ("12345", "")
    first, third = cells(lines[1][: lines[1].index("Oslo")]), cells(lines[1][lines[1].index("Oslo") + 4 : -5])
    assert abs(first + 2 - third) <= 3


def test_a_pipe_gets_whole_values_with_tabs(monkeypatch):
    """Whatever the width is."""
    monkeypatch.setenv("COLUMNS", "20")

    assert run("sql", "SELECT repeat('x', 300) AS c, 1 AS n").out == f"c\tn\n{'x' * 300}\t1\n"


def test_rows_as_json():
    """One object on each line; a sum is a number, and a time is ISO 8601."""
    query = "SELECT kind, sum(line) AS lines, TIMESTAMPTZ '2025-07-20 08:00:00Z' AS time FROM entries GROUP BY kind"
    code, out, _ = run("sql", "--json", f"{query} ORDER BY kind")

    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"kind": "message", "lines": 2, "time": "2025-07-20T08:00:00.000Z"},
        {"kind": "session", "lines": 1, "time": "2025-07-20T08:00:00.000Z"},
    ]


@pytest.mark.parametrize(
    ("form", "out"),
    [
        ([], "a\ta\tb\n1\t2\t3\n"),
        (["--csv"], "a,a,b\n1,2,3\n"),
        (["--json"], '{"a":1,"a_1":2,"b":3}\n'),
    ],
)
def test_columns_of_one_name_are_all_printed(form, out):
    """As a join has them; keys of an object differ, so the second has a number."""
    assert run("sql", *form, "SELECT 1 AS a, 2 AS a, 3 AS b") == (0, out, "")


def test_any_value_that_sql_makes_can_be_json():
    """Lists, objects, intervals, dates and ids."""
    query = "SELECT [1, 2] AS a, {'b': DATE '2025-07-20'} AS b, INTERVAL 2 DAY AS c, uuid() AS d, 'x'::BLOB AS e"
    (row,) = map(json.loads, run("sql", "--json", query)[1].splitlines())

    assert (row["a"], row["b"], row["e"]) == ([1, 2], {"b": "2025-07-20"}, "78")
    assert len(row["d"]) == 36
    assert row["c"]


def test_rows_as_csv():
    """With quotes where they are needed."""
    assert run("sql", "--csv", "SELECT 1 AS a, 'x,y' AS b, NULL AS c")[1] == 'a,b,c\n1,"x,y",\n'


def test_csv_is_utf8_in_each_encoding():
    """It has no escapes, and a `?` in place of a character would be another value."""
    code, out, _ = run_apart("sql", "--csv", "SELECT 'Zürich 東京' AS a", env={"PYTHONIOENCODING": "ascii"})

    assert (code, out) == (0, "a\nZürich 東京\n")


def test_no_terminal_obeys_a_text():
    """Nor does a text make a row of its own."""
    _, out, _ = run("sql", "SELECT text FROM entries WHERE kind = 'message'")

    assert out.count("\n") == 2
    assert not set("\x1b\x07") & set(out)
    assert not set("\x1b\x07") & set(run("sql", "--json", "SELECT text FROM entries")[1])


def test_a_query_that_duckdb_refuses_is_an_error_with_its_reason():
    """On stderr, with exit code 1."""
    code, out, err = run("sql", "SELECT nothing FROM entries")

    assert (code, out) == (1, "")
    assert "nothing" in err


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    """In the words of a person who types commands."""
    monkeypatch.setitem(sys.modules, "duckdb", None)

    told = "rolloutlog: queries need duckdb and pyarrow: pip install 'rolloutlog[cli,duckdb]'\n"
    assert run("sql", "SELECT 1") == (1, "", told)


def test_no_rows_are_said():
    """On stderr, so a program reads an empty table."""
    assert run("sql", "SELECT 1 AS a WHERE false") == (0, "a\n", "rolloutlog: no rows\n")


@pytest.mark.parametrize("is_copied", [False, True])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) AS n FROM sessions",
        "SELECT count(*) AS n FROM entries WHERE kind = 'message'",
        "SELECT count(*) AS n FROM sessions JOIN entries USING (session_id) WHERE entries.kind = 'message'",
    ],
)
def test_files_that_cannot_be_read_are_counted_on_stderr(home, query, is_copied):
    """Also where the rows come from a copy, and where a query reads the files twice."""
    (good,) = rolloutlog.find_sessions(home)
    for digit, data in (("1", b""), ("2", b"garbage\n")):
        good.path.with_name(f"{good.path.stem[:-1]}{digit}.jsonl").write_bytes(data)
    if is_copied:
        rolloutlog.tables.copy(home)

    told = "rolloutlog: 2 files could not be read; the entries of the type 'file' say why\n"
    assert run("sql", query, "--home", home) == (0, "n\n1\n", told)
    assert run("sql", "SELECT count(*) AS n FROM entries WHERE type = 'file'", "--home", home).out == "n\n2\n"


def test_only_one_form_can_be_asked_for():
    """As the message says."""
    assert "expected --json or --csv, not both (help: rolloutlog sql --help)" in run("sql", "--json", "--csv", "x")[2]
