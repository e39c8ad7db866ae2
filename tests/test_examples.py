"""Each example runs unchanged, in a process of its own, and prints the output that is documented."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from helpers import DEADLINE, slow

import rolloutlog

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.fixture(autouse=True)
def package_path(monkeypatch):
    """Let the processes that a test starts import the same package as the test itself."""
    package = str(Path(rolloutlog.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])))


def run(script: str, *arguments: str, logs: str = "") -> str:
    """Return the output of *script*; fail if it fails or warns, or if its stderr does not begin with *logs*."""
    command = [sys.executable, "-W", "always", str(EXAMPLES / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    ours = without_foreign_warnings(done.stderr)
    assert ours.startswith(logs) if logs else ours == ""
    return done.stdout


# One warning as Python prints it: the file that it is about, the message, and the line of source if it can be read.
WARNING = re.compile(r"^(?P<file>\S[^\n]*?):\d+: \w*Warning: [^\n]*\n(?:  [^\n]*\n)?", re.MULTILINE)
PACKAGE = f"{Path(rolloutlog.__file__).parent}{os.sep}"


def without_foreign_warnings(stderr: str) -> str:
    """Return *stderr* without warnings about other installed packages; the dependencies of SDKs warn."""

    def kept(warning: re.Match[str]) -> str:
        foreign = "site-packages" in warning["file"] and not warning["file"].startswith(PACKAGE)
        return "" if foreign else warning[0]

    return WARNING.sub(kept, stderr)


@pytest.mark.parametrize("file", [f"{PACKAGE}record.py", f"{EXAMPLES}/agent.py", "sys"])
def test_a_warning_that_we_may_have_caused_is_kept(file):
    """The filter removes the warning of another package, and nothing else."""
    foreign = "/venv/site-packages/parsers.py:12: PendingDeprecationWarning: Please import another.\n  import old\n"
    ours = f"{file}:3: DeprecationWarning: old is deprecated.\n  old()\n"

    assert without_foreign_warnings(f"resumed\n{foreign}{ours}{foreign}done\n") == f"resumed\n{ours}done\n"


def rollouts(home: Path) -> list[Path]:
    """Return the files of all sessions, newest first."""
    return [found.path for found in rolloutlog.find_sessions(home)]


def items_in(path: Path) -> list[dict[str, Any]]:
    """Return the items of a rollout, read without our code; a torn line is skipped."""
    lines = [parsed(line) for line in path.read_bytes().split(b"\n")]
    return [line for line in lines if line.get("type") not in (None, "log")]


def parsed(line: bytes) -> dict[str, Any]:
    """Return the value of *line*; an empty dict if it is torn."""
    try:
        return json.loads(line)
    except ValueError:
        return {}


def steps(printed: str) -> list[int]:
    """Return the numbers of the steps that the agent printed."""
    return [int(number) for number in re.findall(r"^step (\d+)", printed, re.MULTILINE)]


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_example_is_short(script):
    """An example has fewer than 60 lines."""
    lines = (EXAMPLES / script).read_text(encoding="utf-8").splitlines()

    assert len(lines) < 60


def test_every_example_has_a_test():
    """Each script is named in a test, here or in another file; otherwise it would break unnoticed."""
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))

    assert SCRIPTS
    assert [name for name in SCRIPTS if f'"{name}"' not in tests] == []


def test_quickstart_records_items_and_log_entries(home):
    """Four items and two log entries are logged, and read back in order; a warning is on stderr as well."""
    printed = run("quickstart.py", logs="continuing without a map\n")

    (rollout,) = rollouts(home)
    assert [item["type"] for item in items_in(rollout)] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert "entry INFO weather.agent the service answered in 40 ms {'city': 'Oslo'}" in printed
    assert "TimeoutError: the map server is slow" in rolloutlog.load_session(rollout).logs[1].exception


@pytest.mark.system
def test_the_agent_finishes_and_says_so_again(home):
    """Without a kill the agent ends after seven steps; run again, it has nothing to do and prints its plan."""
    first, second = run("sync_agent.py"), run("sync_agent.py")

    assert steps(first) == [1, 2, 3, 4, 5, 6, 7]
    assert steps(second) == []
    assert second == first.splitlines(keepends=True)[-1]


@pytest.mark.system
@pytest.mark.parametrize("kill_at", [1, slow(2), slow(3), 6])
def test_the_agent_resumes_where_it_was_killed(home, kill_at):
    """Killed with SIGKILL at any step and run again, the agent makes the same calls and gets the same outputs."""
    command = [sys.executable, "-u", str(EXAMPLES / "sync_agent.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as agent:
        for line in agent.stdout:
            if line.startswith(f"step {kill_at} "):
                agent.kill()
                break
    (rollout,) = rollouts(home)
    survived = items_in(rollout)

    printed = run("sync_agent.py")

    assert agent.returncode == -signal.SIGKILL
    assert len(survived) - 1 >= kill_at
    assert steps(printed) == list(range(len(survived), 8))
    assert items_in(rollout)[: len(survived)] == survived
    outputs = [item["output"] for item in items_in(rollout) if item["type"] == "function_call_output"]
    assert outputs == ["09:00 to 19:00", "08:30 to 16:30", "always open"]


def test_resume_shows_and_continues_the_session(home):
    """A session with an open call and a torn line is resumed by part of its id, several times."""
    first = run("resume.py", logs=str(home))  # a warning about the line
    (rollout,) = rollouts(home)
    second = run("resume.py", str(rollout), logs=str(rollout))

    assert "line 5 could not be read" in first
    assert (
        "calls without an output: [FunctionCall(name='search', call_id='call_1', '{\"title\": \"Stoner\"}')]" in first
    )
    assert "state: {'model': 'small', 'resumed': 1}" in second
    assert [item["type"] for item in items_in(rollout)] == ["message", "function_call", "message", "message"]


def test_resume_takes_a_session_that_does_not_exist_as_an_error():
    """The error says that the id is unknown, and names the folder that was searched."""
    command = [sys.executable, str(EXAMPLES / "resume.py"), "0123abcd"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)

    assert done.returncode == 1
    assert "no session '0123abcd' in " in done.stderr


def test_dictconfig_records_what_passes_level_and_filter(home):
    """The handler of the configuration writes what its filter lets through, with its instructions and meta."""
    printed = run("dictconfig.py")

    (rollout,) = rollouts(home)
    saved = rolloutlog.load_session(rollout)
    assert printed.startswith("the frost table is from last year\n")
    assert [item.text for item in saved.items] == ["When do tomatoes go outside?"]
    assert [entry.message for entry in saved.logs] == ["the frost table is from last year"]
    assert saved.session.instructions == "You are a gardener."


def test_many_processes_write_whole_lines(home):
    """Four processes write one thousand records into one session, and not a line is torn."""
    run("many_processes.py")

    (rollout,) = rollouts(home)
    assert len(items_in(rollout)) == 1001


# --- the SDKs, against the loopback API -------------------------------------------------------------------------------


@pytest.fixture
def api(monkeypatch):
    """A function that serves the API with the given model, and points the SDK of the examples there."""
    pytest.importorskip("openai", reason="the extra `openai` is not installed")
    from api_server import ResponsesServer  # it imports the SDK's types

    with ExitStack() as stack:

        def serve(model: Any) -> ResponsesServer:
            server = stack.enter_context(ResponsesServer(model))
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            monkeypatch.setenv("OPENAI_API_KEY", "none")
            monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
            return server

        yield serve


def guide(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A model that asks when each place in the question is open, and answers with the outputs."""
    number = len(history)
    outputs = [item["output"] for item in history if item.get("type") == "function_call_output"]
    if history[-1].get("type") == "function_call_output":
        part = {"type": "output_text", "text": f"I heard: {'; '.join(outputs)}.", "annotations": []}
        return [{"type": "message", "id": f"m{number}", "role": "assistant", "status": "completed", "content": [part]}]
    calls = [
        {
            "type": "function_call",
            "name": "opening_hours",
            "arguments": json.dumps({"place": place}),
        }
        for place in ("Pantheon", "Colosseum")
        if place in json.dumps(history[-1])
    ]
    thought = {"type": "reasoning", "id": f"rs{number}", "summary": [], "encrypted_content": "gAAAAB"}
    ids = [{"id": f"fc{number}_{place}", "call_id": f"call{number}_{place}"} for place in range(len(calls))]
    return [thought, *(call | named for call, named in zip(calls, ids, strict=True))]


@pytest.mark.once  # other tests cover the SDKs, in more than one release
def test_the_openai_agent_finishes_and_says_so_again(home, api):
    """Two tool calls and an answer, each accepted by the API; run again, the agent has nothing to do."""
    server = api(guide)

    first, second = run("openai_agent.py"), run("openai_agent.py")

    assert first.endswith(second)
    assert second == "I heard: 09:00 to 19:00; 08:30 to 16:30.\n"
    assert len(server.accepted) == 2
    assert not server.refusals


def test_the_agents_sdk_continues_the_conversation(home, api):
    """A second run asks another question, and the model sees the first one with its answer."""
    pytest.importorskip("agents", reason="the extra `agents` is not installed")
    server = api(guide)

    first, second = run("agents_sdk.py"), run("agents_sdk.py", "And the Colosseum?")

    assert first.startswith("I heard: 09:00 to 19:00.\n5 items in ")
    assert second.startswith("I heard: 09:00 to 19:00; 08:30 to 16:30.\n10 items in ")
    assert not server.refusals
