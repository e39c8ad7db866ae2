"""An agent on the OpenAI SDK is killed at every point of its loop, with each of its tools and each way of asking."""

# ruff: noqa: E402 - the imports below need the SDK
from __future__ import annotations

import pytest

openai = pytest.importorskip("openai", reason="the extra `openai` is not installed")

import sdk_tools
from api_server import ANSWERS, ResponsesServer
from helpers import DEADLINE, start

import rolloutlog

# A kill leaves the same lines with each release of the SDK. Other tests cover the SDK's types in several releases.
# tests/test_openai_sdk.py kills one agent.
pytestmark = [pytest.mark.once, pytest.mark.slow]


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory):
    """The rollout of an agent that was not killed, and what the API remembers of it."""
    home = tmp_path_factory.mktemp("unharmed")
    with pytest.MonkeyPatch.context() as patch, ResponsesServer(sdk_tools.model()) as server:
        point_at(server, home, patch)
        assert sdk_tools.run("whole") == sdk_tools.FINAL
    assert not server.refusals
    return next(rolloutlog.find_sessions(home)).path, server.followers


def point_at(server, home, patch):
    """Let an agent of this process use *server*, and keep its session in *home*."""
    patch.setenv("OPENAI_BASE_URL", server.url)
    patch.setenv("OPENAI_API_KEY", "none")
    patch.setenv("ROLLOUTLOG_HOME", str(home))


def test_every_kind_of_call_is_among_the_tools(unharmed):
    """Each is answered by the agent or by the API."""
    kinds = {item.type for item in rolloutlog.load_session(unharmed[0]).items}

    assert ANSWERS.keys() <= kinds
    assert all(kinds.intersection(answers) for answers in ANSWERS.values())


@pytest.mark.parametrize("answers_first", [True, False])
def test_the_api_takes_the_input_after_a_loss_of_any_lines(answers_first, unharmed, tmp_path):
    """With any number of lines lost to a kill, the agent finishes, and the API refuses no request."""
    path, followers = unharmed
    lines = path.read_bytes().splitlines(keepends=True)
    refused = {}
    for kept in range(2, len(lines)):
        home = tmp_path / str(kept)
        left = home / path.relative_to(path.parents[4])
        left.parent.mkdir(parents=True)
        left.write_bytes(b"".join(lines[:kept]))
        with (
            pytest.MonkeyPatch.context() as patch,
            ResponsesServer(sdk_tools.model(first=10), followers) as server,
        ):
            point_at(server, home, patch)
            try:
                assert sdk_tools.run("whole", answers_first) == sdk_tools.FINAL
            except openai.BadRequestError:
                refused[kept] = server.refusals
    assert refused == {}


@pytest.mark.parametrize(
    ("way", "answers_first"),
    [("whole", True), ("item_by_item", True), ("item_by_item", False), ("asynchronous", False)],
)
def test_an_agent_that_is_killed_after_any_record_comes_to_its_end(way, answers_first, home):
    """Killed with SIGKILL in the middle of a stream or between its calls; the API refuses no request."""
    with ResponsesServer(sdk_tools.model()) as server:
        agent = start(sdk_tools.die_again_and_again, server.url, way, answers_first)
        printed, errors = agent.communicate(timeout=DEADLINE)

    assert agent.returncode == 0, errors
    assert server.refusals == []
    assert int(printed) > 4
