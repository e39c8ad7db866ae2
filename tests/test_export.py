"""`rolloutlog export` and `rolloutlog scan`: the three formats, where files go, and which secrets are replaced."""

from __future__ import annotations

import json
import os
import stat
import threading
import webbrowser
from pathlib import Path

import ferry
import hostile
import pytest
from test_redaction import SECRETS

pytest.importorskip("nh3", reason="the extra `cli` is not installed")

from commands import run, run_apart
from helpers import DEADLINE
from markdown_it import MarkdownIt
from test_page import ELEMENTS, Elements

import rolloutlog
from rolloutlog._cli.export import _descriptor
from rolloutlog._face.document import prose

pytestmark = pytest.mark.extras

FORMATS = ["html", "markdown", "json", "messages", "atif"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of its own, and a folder for what is only looked at."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def path(tmp_path):
    return ferry.ferry(tmp_path)


@pytest.fixture
def leaky(home):
    """A session with a secret in each place where one can be."""
    token = SECRETS["GitHub token"]
    with rolloutlog.session(f"deploy {token}", instructions=f"Use {token}", meta={"cwd": f"/home/{token}"}) as session:
        session.record({"role": "user", "content": f"Deploy with {token}."})
        arguments = json.dumps({"cmd": f"deploy --token {token}"})
        session.record({"type": "function_call", "name": "exec_command", "arguments": arguments, "call_id": "c"})
        session.record({"type": "function_call_output", "call_id": "c", "output": f"ok {token}"})
        session.record({"role": "assistant", "content": f"Done, with {token} and {SECRETS['npm token']}."})
        session.log(f"deployed {token}")
    return session.path


# --- formats ----------------------------------------------------------------------------------------------------------


def test_html_is_the_page(path):
    """Without any option, in a pipe, the page comes out."""
    code, out, err = run("export", path)

    assert code == 0
    assert out.startswith("<!doctype html>")
    assert out.rstrip().endswith("</html>")
    assert "nothing was redacted" in err


def test_json_is_the_input_of_an_api(path):
    """The items are those that `to_input()` gives, as one list."""
    code, out, _ = run("export", path, "--format", "json")

    assert code == 0
    assert json.loads(out) == rolloutlog.load_session(path).to_input()


def test_messages_are_those_of_chat_completions(home):
    """Items that they have no place for are counted by their kind."""
    with rolloutlog.session("chat") as session:
        session.record({"role": "user", "content": "Hi"}, {"type": "reasoning", "id": "rs_1", "summary": []})

    code, out, err = run("export", session.path, "--format", "messages")

    assert code == 0
    assert json.loads(out) == [{"role": "user", "content": "Hi"}]
    assert "not carried: an item of the type 'reasoning' (1×)" in err


def test_a_trajectory_is_one_object(path):
    """It is what `to_atif()` gives."""
    code, out, _ = run("export", path, "--format", "atif")

    assert code == 0
    assert json.loads(out) == rolloutlog.load_session(path).to_atif()


def test_json_of_a_session_without_items(home):
    """An empty list is a list."""
    with rolloutlog.session("empty") as session:
        pass

    assert run("export", session.path, "--format", "json").out == "[]\n"


def test_markdown_has_turns_as_headings_and_outputs_in_folds(path):
    """Headings are the turns; a call is a fold, and its output is between fences."""
    code, out, _ = run("export", path, "--format", "markdown")

    lines = out.split("\n")
    assert code == 0
    assert lines[0] == "# The timetable skips the last ferry on the night when the clocks change"
    assert [line for line in lines if line.startswith("## ")] == ["## 1 · You", "## 2 · You", "## 3 · You"]
    assert "<summary><code>$ python3 -m unittest 2&gt;&amp;1 &#124; tail -40</code> · <b>exit 1</b> · 0.3 s" in out
    assert out.count("<details>") == out.count("</details>")
    assert "+    boat = dt.datetime.combine(day, pier.first, zone).astimezone(dt.UTC)" in out


def test_a_fence_is_longer_than_the_fences_in_an_output(home):
    """An output that holds fences cannot end its own."""
    with rolloutlog.session("fences") as session:
        session.record({"role": "user", "content": "x"})
        session.record({"type": "function_call", "name": "cat", "arguments": "{}", "call_id": "c"})
        session.record({"type": "function_call_output", "call_id": "c", "output": "````\n</details>\n````"})

    assert "\n`````\n````\n</details>\n````\n`````\n" in run("export", session.path, "--format", "markdown").out


@pytest.mark.parametrize(("name", "begins"), [("a.html", "<!doctype"), ("a.md", "# The"), ("a.json", "[\n{")])
def test_the_name_of_the_file_tells_the_format(name, begins, path, tmp_path):
    """Without --format, the suffix decides."""
    code, out, err = run("export", path, "-o", tmp_path / name)

    assert (code, out) == (0, "")
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)
    assert f"wrote {tmp_path / name}" in err


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_in_a_folder_gets_a_name(format, path, tmp_path):
    """The folder is made; the name has the day, the end of the id and the first words."""
    code, _, _ = run("export", path, "--format", format, "-o", f"{tmp_path}/new/pages/")

    (file,) = (tmp_path / "new/pages").iterdir()
    assert code == 0
    assert file.name.partition(".")[0] == "2026-11-30-c29e6aa0-the-timetable-skips-the-last-ferry-on-the-night"


def test_stdout_can_be_named(path):
    """`-o -` is stdout."""
    assert run("export", path, "-o", "-").out == run("export", path).out


@pytest.mark.parametrize(
    ("target", "descriptor"),
    [("-", 1), ("/dev/stdout", 1), ("/dev/stderr", 2), ("/dev/fd/63", 63), ("/proc/self/fd/1", 1), ("fd/1", None)],
)
def test_the_path_of_a_stream_is_its_descriptor(target, descriptor):
    """None of these paths is opened or replaced, which would lose what was written to the stream before."""
    assert _descriptor(target) == descriptor


def test_a_page_does_not_fill_a_terminal(path):
    """On a terminal, a page needs a place; the error names the ways."""
    code, out, err = run("export", path, terminal=True)

    assert (code, out) == (2, "")
    assert "pass -o FILE, -o DIR or --open" in err


def test_open_writes_a_private_file_and_shows_it(path, tmp_path, monkeypatch):
    """Only the user can read the page that is opened, because it may hold anything."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)

    code, out, _ = run("export", path, "--open")

    (file,) = (tmp_path / "cache/rolloutlog/pages").iterdir()
    assert (code, out, opened) == (0, "", [file.as_uri()])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("way", ["path", "symbolic link", "hard link", "other name"])
def test_the_session_itself_is_never_the_target(format, way, path, tmp_path):
    """It is refused by each path that leads to it, and holds what it held."""
    if way == "other name":  # nothing but its inode tells that it is the session
        path = path.rename(tmp_path / "other.html")
    before, target = path.read_bytes(), tmp_path / "link.html"
    if way == "symbolic link":
        target.symlink_to(path)
    elif way == "hard link":
        target.hardlink_to(path)
    else:
        target = path

    code, out, err = run("export", path, "--format", format, "-o", target)

    assert (code, out) == (2, "")
    assert f"expected a file for the export, got {target}" in " ".join(err.split())
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "name",
    ["rollout-x.jsonl", "rollout-x.jsonl.zst", "rollout-x.jsonl.before-repair-1", "kept.jsonl.zst", "session.jsonl"],
)
def test_another_session_is_never_the_target(name, path, tmp_path):
    """Known by its name, or by the line that it begins with."""
    other = tmp_path / name
    other.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    before = other.read_bytes()

    assert run("export", path, "-o", other).code == 2
    assert other.read_bytes() == before


def test_a_flat_session_of_another_name_is_never_the_target(path, tmp_path):
    """Its first line names no type, and its instructions may be long."""
    other = tmp_path / "kept.txt"
    other.write_text(json.dumps({"id": "x", "timestamp": "2025-07-23T15:03:20Z", "instructions": 9_000 * "x"}) + "\n")
    before = other.read_bytes()

    assert run("export", path, "-o", other).code == 2
    assert other.read_bytes() == before


def test_a_new_file_is_not_named_like_a_session(path, tmp_path):
    """Else it would be listed as one."""
    assert run("export", path, "-o", tmp_path / "rollout-new.jsonl").code == 2
    assert not (tmp_path / "rollout-new.jsonl").exists()


def test_an_export_may_be_replaced(path, tmp_path):
    """Also where it has the suffix of lines of JSON; a private file stays private."""
    file = tmp_path / "items.jsonl"
    for _ in range(2):
        assert run("export", path, "--format", "json", "-o", file).code == 0
        file.chmod(0o600)
    file.chmod(0o640)

    assert run("export", path, "--format", "json", "-o", file).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize("command", ["show", "export", "tail"])
def test_nothing_is_printed_to_the_end_of_the_session_that_is_read(command, path):
    """`rolloutlog show X --raw >> X` would never end."""
    before = path.read_bytes()
    with path.open("ab") as end:
        code, _, err = run_apart(command, path, stdout=end)

    assert code == 2
    assert "the file of the session itself" in err
    assert path.read_bytes() == before


def test_a_link_stays_and_its_file_is_replaced(path, tmp_path):
    """Also a link to a link, and one whose file does not exist yet."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "second").symlink_to("pages/page.html")
    (tmp_path / "first.html").symlink_to(tmp_path / "second")
    for _ in range(2):
        assert run("export", path, "-o", tmp_path / "first.html").code == 0

        assert (tmp_path / "first.html").is_symlink()
        assert (tmp_path / "second").is_symlink()
        assert (tmp_path / "pages/page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("is_link", [False, True])
def test_a_fifo_is_written_into(is_link, path, tmp_path):
    """It stays a FIFO, and no file is said to be written."""
    fifo = target = tmp_path / "fifo"
    os.mkfifo(fifo)
    if is_link:
        target = tmp_path / "link"
        target.symlink_to(fifo)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text(encoding="utf-8")), daemon=True)
    reader.start()

    code, out, err = run("export", path, "-o", target)
    is_fifo = stat.S_ISFIFO(fifo.stat().st_mode)
    assert is_fifo, "the FIFO was replaced"
    reader.join(DEADLINE)

    assert (code, out) == (0, "")
    assert read == [run("export", path).out]
    assert "wrote" not in err


def test_a_descriptor_is_written_to_where_it_is(path, tmp_path):
    """`-o /dev/fd/N` writes after what was written to it, also where it is a file."""
    with (tmp_path / "file").open("w", encoding="utf-8") as file:
        file.write("before\n")
        file.flush()

        code, out, err = run("export", path, "-o", f"/dev/fd/{file.fileno()}")

    assert (code, out) == (0, "")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "before\n" + run("export", path).out
    assert "wrote" not in err


def test_open_needs_a_file(path):
    """A browser cannot show stdout."""
    code, out, err = run("export", path, "--open", "-o", "-")

    assert (code, out) == (2, "")
    assert "-o - is none" in err


def test_open_needs_a_page(path):
    """A browser shows no Markdown."""
    assert run("export", path, "--format", "markdown", "--open").code == 2


def test_the_page_of_a_fork_leads_to_the_page_of_its_parent(path, tmp_path):
    """If the parent's page is in the same folder, the fold with the inherited turns leads to it."""
    lines = path.read_bytes().splitlines(keepends=True)
    meta = json.loads(lines[0])
    meta["payload"] |= {"id": hostile.ID, "forked_from_id": ferry.ID}
    fork = tmp_path / hostile.FILE_NAME
    fork.write_bytes(b"".join([json.dumps(meta).encode() + b"\n", *lines]))
    pages = tmp_path / "pages"

    run("export", path, "-o", f"{pages}/")
    run("export", fork, "-o", f"{pages}/")

    parent, child = (next(pages.glob(f"*-{end}-*.html")) for end in (ferry.ID[-8:], hostile.ID[-8:]))
    assert f'<a href="{parent.name}">{ferry.ID[-8:]}</a>' in child.read_text(encoding="utf-8")


# --- safety -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session_format", ["flat", "envelope"])
@pytest.mark.parametrize("format", ["markdown", "json", "messages", "atif"])
@pytest.mark.slow
def test_a_hostile_session(format, session_format, tmp_path):
    """No format lets a harmful character through."""
    file = tmp_path / hostile.FILE_NAME
    file.write_bytes(hostile.session_file(session_format, with_long=False))

    code, out, err = run("export", file, "--format", format, "--depth", "all")

    assert code == 0
    assert hostile.HARMFUL.search(out) is None
    assert hostile.harm_in(err) == []
    assert format != "markdown" or hostile.harm_in(out) == []  # JSON keeps each mark of a text


@pytest.mark.parametrize("name", hostile.TEXTS)
@pytest.mark.slow
def test_no_text_breaks_out_of_its_place_in_markdown(name):
    """Even a renderer that allows HTML makes no element, picture or large heading of a text."""
    html = MarkdownIt("commonmark").enable("table").render(f"{prose(hostile.TEXTS[name])}\n\n<i>after</i>\n")

    elements = Elements(html)
    assert set(elements.tags) <= (ELEMENTS | {"h5", "h6"}) - {"img", "h1", "h2", "h3", "details", "style"}
    assert elements.tags.count("i") == 1


# --- redaction --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("depth", ["tools", "all"])
def test_redact_leaves_no_secret(format, depth, leaky):
    """None is left at any place, and stderr says how many of which kind were replaced."""
    code, out, err = run("export", leaky, "--format", format, "--depth", depth, "--redact")

    assert code == 0
    assert SECRETS["GitHub token"][:20] not in out
    assert SECRETS["npm token"][:20] not in out
    assert "[redacted: npm token]" in out.replace("\\", "")
    assert "secrets replaced:" in err
    assert "1  npm token" in err


@pytest.mark.parametrize("format", FORMATS)
def test_without_redact_a_secret_is_left(format, leaky):
    """Nothing is replaced unless it is asked for; stderr says so."""
    _, out, err = run("export", leaky, "--format", format)

    assert SECRETS["npm token"] in out.replace("\\", "")
    assert "nothing was redacted" in err


def test_scan_names_kinds_and_lines_and_no_secret(leaky):
    """Exit code 1 tells that there are secrets; they are counted by kind, and none is shown."""
    code, out, _ = run("scan", leaky)

    assert code == 1
    assert "     1  npm token  line 5\n" in out
    assert "GitHub token  lines 1, 2, 3, 4, 5" in out
    assert SECRETS["npm token"][:12] not in out


def test_scan_as_json(leaky):
    """One object for each kind."""
    code, out, _ = run("scan", leaky, "--json")

    rows = {row["kind"]: row for row in map(json.loads, out.splitlines())}
    assert code == 1
    assert rows["npm token"] == {"kind": "npm token", "count": 1, "lines": [5]}


def test_scan_without_findings(path):
    """Exit code 0."""
    assert run("scan", path)[:2] == (0, "0 secrets found\n")


@pytest.mark.parametrize("file", sorted((Path(__file__).parent / "data").rglob("*.jsonl")), ids=lambda path: path.stem)
@pytest.mark.parametrize("format", FORMATS)
def test_every_session_in_the_tests_can_be_exported(format, file):
    """Sessions that real Codex wrote, in both formats, with and without redaction."""
    for options in ([], ["--redact"]):
        code, out, err = run("export", file, "--format", format, *options)
        assert code == 0, err
        assert hostile.harm_in(out) == []
