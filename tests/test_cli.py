"""The conventions of the command: how a session is named, homes, streams, exit codes, help, and the missing extra."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from commands import run, run_apart, start
from helpers import DEADLINE, needs_zstd, slow
from hostile import HARMFUL
from test_view import CHILD, OTHER, PARENT, meta, user

import rolloutlog
from rolloutlog._cli.common import Command, Count
from rolloutlog._cli.output import json_line
from rolloutlog._cli.table import COMMANDS
from rolloutlog._face.sessions import SHORTEST

pytestmark = pytest.mark.extras

NAME = "trip-to-rome"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home with three sessions: two that real programs could have written, and the newest with a name."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path))
    for variable in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "PAGER", "ROLLOUTLOG_PAGER"):
        monkeypatch.delenv(variable, raising=False)
    for second, session_id in enumerate((PARENT, CHILD)):
        path = tmp_path / f"sessions/2025/07/23/rollout-2025-07-23T15-03-2{second}-{session_id}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(meta(session_id) + user(f"hello {second}"))
    with rolloutlog.session(NAME) as session:
        session.record({"role": "user", "content": "Plan a day in Rome"}, {"role": "assistant", "content": "Gladly."})
    # The sources of `import`: never the sessions of the person who runs the tests.
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    said = json.dumps({"type": "user", "uuid": "u1", "message": {"role": "user", "content": "Hi"}})
    claude = tmp_path / "claude/projects/trip/one.jsonl"
    claude.parent.mkdir(parents=True)
    claude.write_text(f"{said}\n")
    (tmp_path / "chat.jsonl").write_text('{"role": "user", "content": "Hi"}\n')
    return tmp_path


def path_of(*arguments):
    """Return the file that SESSION means."""
    code, out, err = run("path", *arguments)
    assert code == 0, err
    return Path(out.removesuffix("\n"))


def commands():
    """Return each command by its name."""
    return {name: import_module(f"rolloutlog._cli.{module}").command for name, (module, _) in COMMANDS.items()}


def test_the_page_has_every_command_and_names_options_that_exist():
    """The table of docs/face.md; a command's usual options, such as `--json`, need no mention."""
    page = (Path(__file__).parents[1] / "docs/face.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `rolloutlog (\w+)[^`]*` \| (.*) \|$", page, re.MULTILINE))

    assert rows.keys() == COMMANDS.keys()
    for name, command in commands().items():
        known = {spelling for parameter in command.params for spelling in [*parameter.opts, *parameter.secondary_opts]}
        named = set(re.findall(r"`(--?[a-z][a-z-]*)", rows[name]))
        if "the same options" in rows[name]:
            named |= set(re.findall(r"`(--?[a-z][a-z-]*)", rows["archive"]))
        assert named <= known, name


# --- how a session is named -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [PARENT, PARENT.upper(), PARENT[-4:], PARENT[-8:], PARENT[-17:]])
def test_a_session_is_named_by_its_id_or_the_end_of_it(wanted):
    """Lists show the end, because ids of sessions that began together begin alike."""
    assert PARENT in path_of(wanted).name


def test_a_session_is_named_by_the_beginning_of_its_id(home):
    """As everywhere in the package, if only one begins like that."""
    (home / f"sessions/2025/07/23/rollout-2025-07-23T15-03-21-{CHILD}.jsonl").unlink()

    assert PARENT in path_of(PARENT[:8]).name


@pytest.mark.parametrize("piece", ["ef", "1", "0A1"])
def test_a_piece_of_an_id_that_is_too_short_says_so(piece):
    """The error says how long it must be, and so does the help; another text gets no such advice."""
    code, _, err = run("path", piece)

    assert code == 1
    assert f"no session {piece!r} in " in err
    assert f"needs at least {SHORTEST} characters" in err
    assert "characters" not in run("path", "xy")[2]
    assert f"(at least {SHORTEST} characters)" in " ".join(run("--help").out.split())


def test_a_missing_session_is_asked_for_in_the_words_of_the_help():
    """Each way to name one."""
    ways = "name, its id, the beginning or the end of its id (at least 4 characters), or "

    assert f"expected a SESSION: its {ways}a path" in run("path")[2]
    assert f"a session's {ways}the path of its file" in " ".join(run("--help").out.split())


@pytest.mark.parametrize("typed", ["trip-to-rom", "Trip-to-Rome", "trip_to_rome"])
def test_a_name_that_is_nearly_one_names_it(typed):
    """Among the newest sessions."""
    code, _, err = run("path", typed)

    assert code == 1
    assert err.startswith(f"rolloutlog: no session {typed!r} in ")
    assert err.endswith(f"; did you mean {NAME!r}? rolloutlog list shows all\n")
    assert "did you mean" not in run("path", "oslo")[2]


@pytest.mark.parametrize("named_by", ["id", "path"])
def test_a_link_that_leads_nowhere_is_named(home, named_by):
    """The session is listed, so "no session" would be of no help."""
    path = home / f"sessions/2025/07/23/rollout-2025-07-23T15-03-22-{OTHER}.jsonl"
    path.symlink_to(home / "nowhere")

    code, _, err = run("show", OTHER if named_by == "id" else path)

    assert (code, err) == (1, f"rolloutlog: the link {path} leads nowhere: there is no {home / 'nowhere'}\n")


def test_a_session_is_named_by_its_name():
    """A name is whole: its beginning means nothing."""
    assert path_of(NAME) == rolloutlog.load_session(NAME).path
    assert run("path", NAME[:-1]).code == 1


def test_a_session_is_named_by_its_path(home):
    """Absolute, relative, or from the user's own folder."""
    path = next(home.rglob("*.jsonl"))

    assert path_of(path) == path
    assert path_of(os.path.relpath(path)) == Path(os.path.relpath(path))


def test_the_newest_session_has_a_name_of_its_own():
    """`--last`, in place of SESSION."""
    assert path_of("--last") == path_of(NAME)


def test_a_session_is_read_from_stdin(home):
    """As in `zcat x | rolloutlog path -`; the file exists while the command runs."""
    code, out, _ = run_apart("path", "-", data=meta(PARENT))

    assert code == 0
    assert out.endswith(".jsonl\n")
    assert not Path(out.strip()).exists()


def test_an_ambiguous_session_names_the_candidates():
    """With their time and their first words; that is wrong use."""
    code, out, err = run("path", PARENT[:8])

    assert (code, out) == (2, "")
    assert PARENT in err
    assert CHILD in err
    assert "hello 1" in err


@pytest.mark.parametrize("kind", ["a folder", "a link that leads nowhere"])
def test_a_candidate_that_cannot_be_read_is_listed(home, kind):
    """It is marked, and the others are listed as before."""
    path = home / f"sessions/2025/07/23/rollout-2025-07-23T15-03-21-{CHILD}.jsonl"
    path.unlink()
    path.mkdir() if kind == "a folder" else path.symlink_to(home / "nowhere")

    code, out, err = run("path", PARENT[:8])

    assert (code, out) == (2, "")
    words = {line.split()[0]: line for line in err.splitlines()[1:]}
    assert words.keys() == {PARENT, CHILD}
    assert words[CHILD].endswith("  (unreadable)")
    assert words[PARENT].endswith("  hello 0")


def test_candidates_of_one_id_are_named_by_their_paths(home):
    """More of the id would not tell them apart."""
    path = home / f"sessions/2025/07/23/rollout-2025-07-23T15-03-21-{CHILD}.jsonl"
    path.write_bytes(meta(PARENT) + user("a copy"))

    code, _, err = run("path", PARENT[:8])

    first, *candidates = err.splitlines()
    assert code == 2
    assert first.endswith("pass more of the id, or the path")
    named = [shlex.split(line)[0] for line in candidates]
    assert sorted(map(path_of, named)) == sorted(path.parent.iterdir())


@pytest.mark.parametrize("name", ["trips/rome", "../up", "trips/day.1", "x" * 300 + "/y"])
def test_a_session_whose_name_has_a_slash_is_found(name, monkeypatch, tmp_path):
    """Where there is no such path; a file that is there comes first."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with rolloutlog.session(name) as session:
        session.record({"role": "user", "content": "go"})

    assert path_of(name) == session.path
    if len(name) < 100:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(meta(PARENT))
        assert path_of(name) == Path(name)


@pytest.mark.parametrize("name", ["/trips/rome", "~/rome", "trips/rome.jsonl", "trips/rome.zst"])
def test_a_list_names_a_session_by_its_id_where_its_name_is_a_path(name, tmp_path_factory):
    """A handle that a list shows can be typed."""
    home = tmp_path_factory.mktemp("other")
    with rolloutlog.session(name, home=home) as session:
        session.record({"role": "user", "content": "go"})

    assert run("path", "--home", home, name).code == 1
    assert path_of("--home", home, run("list", "--home", home).out.split("\t")[0]) == session.path


def test_a_missing_path_says_where_was_looked():
    """As a path and as a name; a text that can only be a path is not looked for in the home."""
    assert run("path", "trips/rome").err.startswith("rolloutlog: no session 'trips/rome' in trips, nor as a name in ")
    assert run("path", "trips/rome.jsonl").err.startswith("rolloutlog: no session 'trips/rome.jsonl' in trips; ")


def test_the_newest_of_no_sessions_is_an_error(tmp_path_factory):
    """The option is not the name of a session."""
    home = tmp_path_factory.mktemp("empty")

    assert run("show", "--home", home, "--last") == (1, "", f"rolloutlog: there is no session yet in {home}\n")


@pytest.mark.parametrize("unreadable", [0, 1])
def test_the_newest_of_two_homes_is_found_beside_one_that_cannot_be_read(home, tmp_path_factory, unreadable):
    """The time of that one is in its name."""
    homes = [tmp_path_factory.mktemp("homes") for _ in range(2)]
    files = [
        each / f"sessions/2025/07/2{day}/rollout-2025-07-2{day}T15-03-20-{PARENT}.jsonl"
        for day, each in enumerate(homes, 3)
    ]
    for index, file in enumerate(files):
        file.parent.mkdir(parents=True)
        file.mkdir() if index == unreadable else file.write_bytes(
            meta(PARENT, timestamp=f"2025-07-2{3 + index}T15:03:20Z")
        )

    assert path_of("--last", "--home", homes[0], "--home", homes[1]) == files[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "-n"],
        ["search", "Rome", "-n"],
        ["tail", NAME, "-n"],
        ["tail", NAME, "--raw", "-n"],
        ["show", NAME, "--from"],
        ["show", NAME, "--to"],
        ["show", NAME, "--line"],
        ["show", NAME, "--json", "--line"],
        ["show", NAME, "--raw", "--line"],
        ["prune", "--keep-last"],
        ["prune", "--larger-than"],
        ["prune", "--older-than"],
        ["archive", "--older-than"],
        ["archive", "--larger-than"],
        ["view", "--port"],
    ],
)
def test_a_number_that_is_too_large_is_all_or_an_error(arguments):
    """It never ends in a traceback."""
    code, out, err = run(*arguments, "9" * 20)

    assert code in (0, 1, 2), err
    assert out if arguments[0] in ("list", "search", "tail") else code < 2 or err


@pytest.mark.parametrize(
    "wanted", ["nothing", PARENT[-3:], OTHER, "./none.jsonl", "~no-such-user/x", "\x1b[2J", "\udcff"]
)
def test_a_session_that_is_not_there_is_an_error(wanted):
    """Of one line, on stderr, without any character that a terminal obeys."""
    code, out, err = run("path", wanted)

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("rolloutlog: no session ")
    assert not HARMFUL.search(err)


@pytest.mark.parametrize("arguments", [["path"], ["path", NAME, "--last"], ["path", NAME, "more"], ["path", "--nix"]])
def test_wrong_use_is_said_and_exits_with_2(arguments):
    """Usage and one line, on stderr."""
    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert err.startswith("Usage: rolloutlog path")
    assert "rolloutlog: " in err


def test_an_unknown_command_names_the_known_ones():
    """A person who mistyped sees what there is."""
    code, _, err = run("lst")

    assert code == 2
    assert "there is no command 'lst'; there are " in err


@pytest.mark.parametrize(("typed", "meant"), [("shw", "; did you mean 'show'?"), ("LIST", "; did you mean 'list'?")])
def test_an_unknown_command_names_the_one_that_may_be_meant(typed, meant):
    """As an unknown option does."""
    assert meant in run(typed)[2]


def test_an_unknown_command_that_is_like_none_suggests_none():
    """A guess that is far from what was typed would only confuse."""
    assert "did you mean" not in run("zzz")[2]


@pytest.mark.parametrize("value", ["x", "-1", "1.5", ""])
def test_a_number_that_is_none_is_explained(value):
    """With what was expected, and what came."""
    code, _, err = run("list", "-n", value)

    assert code == 2
    assert f"expected a whole number from 0; got {value!r}" in err


def test_each_number_is_explained_in_the_same_way():
    """No option has a type of click for numbers, whose sentences are of another kind."""
    types = [parameter.type for command in commands().values() for parameter in command.params]
    numbers = [type for type in types if isinstance(type, click.types.IntParamType | click.types.FloatParamType)]

    assert len(numbers) > 5
    assert all(type(each) is Count for each in numbers)
    assert "expected a whole number from 0 to 65535; got '70000'" in run("view", "--port", "70000")[2]


# --- homes ------------------------------------------------------------------------------------------------------------


def test_a_home_is_named_before_or_after_the_command(home, tmp_path_factory):
    """Then the default ones are not looked through."""
    other = tmp_path_factory.mktemp("other")
    with rolloutlog.session("elsewhere", home=other) as session:
        session.record({"role": "user", "content": "x"})

    assert path_of("elsewhere", "--home", other).is_relative_to(other)
    assert run("--home", other, "path", "elsewhere").code == 0
    assert run("--home", other, "path", NAME).code == 1
    assert run("path", "--home", other, "--home", home, NAME).code == 0
    assert run("--home", other / "none", "path", NAME).code == 2


def test_ours_and_codexs_homes_are_looked_through(tmp_path, monkeypatch):
    """Both, unless the environment names one."""
    monkeypatch.delenv("ROLLOUTLOG_HOME")
    monkeypatch.delenv("CODEX_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "own"))
    path = tmp_path / f"own/.codex/sessions/2025/07/23/rollout-2025-07-23T15-03-20-{OTHER}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(meta(OTHER))
    with rolloutlog.session("mine") as session:
        session.record({"role": "user", "content": "x"})

    assert path_of(OTHER[-8:]) == path
    assert path_of("mine").is_relative_to(tmp_path / "own/.rolloutlog")
    assert "in ~/.rolloutlog and ~/.codex" in run("path", "none").err


# --- output -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_json_holds_no_character_that_a_terminal_obeys():
    """Not even those that JSON allows; and it is the same value."""
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x10FFFF)])) + "naïve 日本語 🏔️\U000e0041"

    line = json_line({"text": text})

    assert not HARMFUL.search(line)
    assert json.loads(line) == {"text": text}


def test_a_path_is_printed_exactly_for_programs(tmp_path):
    """Also one that is not text. A terminal gets a text that it cannot obey."""
    name = os.fsdecode(b"\xff\x1b[2J.jsonl")
    (tmp_path / name).write_bytes(meta(PARENT))

    process = run_apart  # a pipe in a process of its own
    assert process("path", tmp_path / name, "--json").code == 0
    assert not HARMFUL.search(run("path", tmp_path / name, terminal=True).out)
    command = [sys.executable, "-m", "rolloutlog", "path", str(tmp_path / name)]
    assert subprocess.run(command, capture_output=True, timeout=DEADLINE).stdout == os.fsencode(tmp_path / name) + b"\n"


def test_the_versions_are_printed():
    """That of the package, and for programs that of the shapes of JSON."""
    assert run("--version").out == f"rolloutlog {rolloutlog.__version__}\n"
    assert json.loads(run("--version", "--json").out) == {"version": rolloutlog.__version__, "schema": 1}


# --- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_ends_in_two_examples(name):
    """They are the quickest way to learn one."""
    command = commands()[name]

    text = run(name, "--help").out

    assert isinstance(command, Command)
    assert len(command.examples) == 2
    assert " ".join(text.split()).endswith(" ".join(command.examples[-1]))


@pytest.mark.parametrize(
    ("name", "line"),
    # The viewer runs until Ctrl-C: see tests/test_cli_view.py.
    [(name, line) for name, command in commands().items() if name != "view" for line, _ in command.examples],
)
def test_an_example_runs(name, line, tmp_path, monkeypatch):
    """In a home with a session called trip-to-rome."""
    if name == "archive":
        needs_zstd()
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(line)

    code, _, err = run(*arguments)

    assert program == "rolloutlog"
    assert code == 0, err


def test_the_help_of_all_imports_no_command():
    """So it stays quick, as `list` does."""
    code = "import sys; from rolloutlog._cli.app import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE)

    assert done.returncode == 0
    for module, text in COMMANDS.values():
        assert text in " ".join(done.stdout.split())
        assert f"rolloutlog._cli.{module}" not in done.stderr.split()


# --- endings ----------------------------------------------------------------------------------------------------------


def test_without_the_extra_one_line_says_what_to_do():
    """And the exit code is that of wrong use."""
    code = "import sys; sys.modules['click'] = None; from rolloutlog.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rolloutlog: the command needs click and rich: pip install 'rolloutlog[cli]'\n"


def test_importing_the_package_imports_nothing_of_the_command():
    """Nor of what it shows."""
    code = "import sys, rolloutlog; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE)
    loaded = done.stdout.split()

    assert "rolloutlog" in loaded
    packages = ("click", "rich", "jinja2", "markdown_it", "pygments", "nh3")
    packages += ("rolloutlog._cli", "rolloutlog._face", "rolloutlog._care", "rolloutlog._chat")
    assert [name for name in loaded if name.startswith(packages)] == []


def test_an_interrupt_exits_with_130():
    """Ctrl-C, without a traceback."""
    code = (
        "import sys, rolloutlog._cli.path as module\n"
        "from rolloutlog._cli.app import run\n"
        "def stop(*_, **__): raise KeyboardInterrupt\n"
        "module.command.callback = stop\n"
        "sys.exit(run(['path', '--last']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE)

    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, "")


# --- streams ----------------------------------------------------------------------------------------------------------


def closed(streams, *arguments):
    """Run the command as a shell runs it with *streams* closed, such as ``>&-``."""
    words = [sys.executable, "-m", "rolloutlog", *map(str, arguments)]
    script = f"{shlex.join(words)} {streams}"
    environment = {**os.environ, "PYTHONPATH": str(Path(rolloutlog.__file__).parents[1])}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment, timeout=DEADLINE)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("arguments", ["search hello", "stats", "doctor"])
def test_a_pipe_without_a_reader_ends_quietly(arguments):
    """As in `rolloutlog search hello | head -n 0`."""
    reading, writing = os.pipe()
    os.close(reading)
    with start(*arguments.split(), stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate(timeout=DEADLINE)

    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        slow("show --last"),
        "show --last --raw",
        "list",
        slow("list --json"),
        slow("stats"),
        slow("path --last"),
        "export --last -o -",
        "tail --last --raw",
        slow("repair --last"),
        "--help",
        slow("--version"),
        slow(""),
    ],
)
def test_a_result_that_cannot_be_printed_is_an_error(arguments):
    """Without stdout, one line says so."""
    code, out, err = closed(">&-", *arguments.split())

    assert (code, out) == (1, "")
    assert err == "rolloutlog: stdout is closed, so the result cannot be printed; open it, or use a pipe\n"


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_file_is_written_without_streams(streams, tmp_path):
    """And it holds nothing else, though its number may be that of a stream."""
    assert closed(streams, "export", NAME, "-o", tmp_path / "page.html")[0] == 0
    assert (tmp_path / "page.html").read_bytes() == run("export", NAME).out.encode()


@pytest.mark.parametrize("arguments", [["import", "messages", "chat.jsonl"], ["prune", NAME, "--apply"]], ids=" ".join)
def test_work_is_done_without_stdout(arguments, home, monkeypatch):
    """Its report is left out."""
    monkeypatch.chdir(home)
    before = set(home.rglob("rollout-*.jsonl"))

    code, _, err = closed(">&-", *arguments)

    assert (code, err) == (0, "")
    assert set(home.rglob("rollout-*.jsonl")) != before


def test_without_stderr_the_result_is_printed_alone():
    """No hint gets onto stdout."""
    assert closed("2>&-", "show", NAME)[:2] == (0, run("show", NAME).out)
    assert closed("2>&-", "show", "nothing")[:2] == (1, "")


def test_without_stdin_there_is_no_session_on_it():
    """The error names the ways."""
    code, out, err = closed("<&-", "show", "-")

    assert (code, out) == (2, "")
    assert "stdin is closed; pass a SESSION, or use a pipe" in err


def test_a_session_prints_nothing_without_stdout(monkeypatch):
    """From Python as well, where `print` prints nothing either."""
    saved = rolloutlog.load_session(NAME)
    monkeypatch.setattr(sys, "stdout", None)

    saved.show()

    assert sys.stdout is None


@pytest.mark.parametrize("encoding", ["ascii", slow("latin-1"), slow("utf-8")])
@pytest.mark.parametrize(
    "arguments",
    [["show", "tram", "--json"], ["show", "tram", "--last-answer"], ["show", "tram", "--raw"]]
    + [["export", "tram", "-o", "-", "--format", format] for format in ("json", "messages", "html", "markdown")],
    ids=" ".join,
)
def test_no_encoding_changes_what_is_written(arguments, encoding):
    """JSON is escaped; a document and bytes are UTF-8, as they say."""
    with rolloutlog.session("tram") as session:
        session.record({"role": "assistant", "content": "Zürich – 東京 🚋"})

    process = start(*arguments, env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    out, _ = process.communicate(timeout=DEADLINE)

    assert process.returncode == 0
    text = out.decode()
    if "--json" in arguments or "messages" in arguments or "json" in arguments:
        if encoding != "utf-8":
            assert text.isascii()
        text = json.dumps(
            [json.loads(line.rstrip(",")) for line in text.splitlines() if len(line) > 1], ensure_ascii=False
        )
    assert "Zürich – 東京 🚋" in text


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("ascii", r"Z\xfcrich - \u6771\u4eac"), ("latin-1", r"Zürich - \u6771\u4eac")],
)
def test_text_loses_no_character_that_an_encoding_does_not_have(encoding, words):
    """It is escaped, and the signs that we draw have stand-ins; also in a list, in an error, and from Python."""
    with rolloutlog.session("tram") as session:
        session.record({"role": "user", "content": "Zürich – 東京"})
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    python = "import rolloutlog; rolloutlog.load_session('tram').show()"

    shown, error = start("show", "tram", env=environment).communicate(timeout=DEADLINE)
    listed, _ = start("list", env=environment).communicate(timeout=DEADLINE)
    _, missing = start("show", "東", env=environment).communicate(timeout=DEADLINE)
    printed = subprocess.run(
        [sys.executable, "-c", python], env={**os.environ, **environment}, stdout=subprocess.PIPE, timeout=DEADLINE
    ).stdout

    assert error == b""
    for out in (shown, listed, printed):
        assert words in out.decode(encoding)
        assert "?" not in out.decode(encoding)
    assert re.search("1 [-·] You ---", shown.decode(encoding))
    assert r"no session '\u6771' in " in missing.decode(encoding)


# --- completion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell):
    """It asks the command for words."""
    code, out, _ = run("completion", shell)

    assert code == 0
    assert "_ROLLOUTLOG_COMPLETE" in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("rolloutlog sh", ["show"]),
        ("rolloutlog show tri", [NAME]),
        ("rolloutlog show 1d2e", [PARENT[-8:], CHILD[-8:]]),
        ("rolloutlog show --dep", ["--depth"]),
        ("rolloutlog show --depth t", ["talk", "tools"]),
        ("rolloutlog show --home /nowhere 1d2e", []),
    ],
)
def test_a_shell_completes_commands_options_and_sessions(words, expected):
    """By names and by the ends of ids."""
    count = len(words.split()) - 1
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(count), "_ROLLOUTLOG_COMPLETE": "bash_complete"}

    out = run_apart(env=asked).out

    assert sorted(line.partition(",")[2] for line in out.split()) == sorted(expected)
