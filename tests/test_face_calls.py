"""Calls and outputs as people read them, in each of the shapes in which real programs wrap them."""

from __future__ import annotations

import json

import pytest

from rolloutlog._face.calls import read_call
from rolloutlog._face.outputs import Image, read_output
from rolloutlog._face.scripts import ToolCall, tool_calls

pytestmark = pytest.mark.once

PATCH = "*** Begin Patch\n*** Update File: tides.py\n@@\n-import datetime\n+import datetime as dt\n*** End Patch"


def function(name, arguments):
    """Return a function call with *arguments*, an object or text."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"type": "function_call", "name": name, "arguments": text, "call_id": "c"}


def script(text):
    """Return a call of Codex's tool that runs a script."""
    return {"type": "custom_tool_call", "name": "exec", "input": text, "call_id": "c"}


def output(text, kind="function_call_output", **keys):
    """Return an output, of text or of parts."""
    return {"type": kind, "call_id": "c", "output": text, **keys}


def parts(*texts):
    """Return an output of Codex's script tool."""
    return output([{"type": "input_text", "text": text} for text in texts], "custom_tool_call_output")


EXEC = {"type": "exec", "command": ["bash", "-lc", "ls -l"]}
SHELL_CALL = {"type": "shell_call", "action": {"commands": ["ls", "pwd"]}}


@pytest.mark.parametrize(
    ("call", "command"),
    [
        (function("shell", {"command": ["bash", "-lc", "ls -l"], "timeout_ms": 1}), "ls -l"),
        (function("shell", {"command": ["ls", "my file"]}), "ls 'my file'"),
        (function("container.exec", {"command": ["/bin/sh", "-c", "ls"]}), "ls"),
        (function("exec_command", {"cmd": "ls"}), "ls"),
        (function("shell_command", {"command": "ls\n"}), "ls"),
        ({"type": "local_shell_call", "action": EXEC}, "ls -l"),
        (SHELL_CALL, "ls\npwd"),
        (script('text(await tools.exec_command({"cmd": "ls", "workdir": "/x"}));'), "ls"),
        (script("const r = await tools.exec_command({cmd: 'ls'}); text(r.output);"), "ls"),
        (script("const cmd = `ls`;\ntext(await tools.exec_command({cmd}));"), "ls"),
        (
            script("const r = await Promise.all([tools.exec_command({cmd:'a'}), tools.exec_command({cmd:'b'})]);"),
            "a\nb",
        ),
    ],
)
def test_a_command_for_a_shell_is_unwrapped(call, command):
    """A person sees the command, in whichever way the program wrapped it."""
    found = read_call(call)

    assert (found.command, found.is_shell) == (command, True)


@pytest.mark.parametrize(
    ("call", "command"),
    [
        (function("weather", {"city": "Zürich", "days": 2}), 'weather(city="Zürich", days=2)'),
        (function("weather", "{no json"), "weather {no json"),
        (function("weather", "[1]"), "weather([1])"),
        (function("weather", {}), "weather()"),
        (function("shell", {"command": 7}), "shell(command=7)"),
        (function("edit", {"a b": 1}), 'edit({"a b":1})'),
        (
            script("text(await tools.write_stdin({session_id: 7, chars: 'y\\n'}));"),
            r'write_stdin(session_id=7, chars="y\n")',
        ),
        (script("text(1 + 1)"), "text(1 + 1)"),
        ({"type": "custom_tool_call", "name": "sql", "input": "select 1"}, "sql select 1"),
        ({"type": "web_search_call", "action": {"type": "search", "query": "tides"}}, "search the web: tides"),
        ({"type": "mcp_call", "name": "find", "server_label": "docs", "arguments": '{"q":"x"}'}, 'docs.find(q="x")'),
        ({"type": "local_shell_call", "action": {"type": "teleport"}}, 'local_shell(type="teleport")'),
        ({"type": "new_call", "id": "x", "what": [1]}, "new(what=[1])"),
    ],
)
def test_another_call_shows_its_tool_and_its_arguments(call, command):
    """Arguments that are not JSON are shown as they are; a script that is not understood is shown whole."""
    found = read_call(call)

    assert (found.command, found.is_shell) == (command, False)


@pytest.mark.parametrize(
    "call",
    [
        {"type": "custom_tool_call", "name": "apply_patch", "input": PATCH},
        function("apply_patch", {"input": PATCH}),
        function("shell", {"command": ["apply_patch", PATCH]}),
        function("shell", {"command": ["bash", "-lc", f"apply_patch <<'EOF'\n{PATCH}\nEOF\n"]}),
        script(f"text(await tools.apply_patch({json.dumps(PATCH)}));"),
        script(f"const patch = String.raw`{PATCH}`;\ntext(await tools.apply_patch(patch));"),
        script(f"text(await tools.apply_patch({json.dumps(PATCH.splitlines())}.join('\\n')));"),
    ],
)
def test_a_patch_is_a_diff_of_named_files(call):
    """In each of the ways in which a model can apply one."""
    found = read_call(call)

    assert (found.command, found.diff, found.is_shell) == ("apply_patch tides.py", PATCH, False)


@pytest.mark.parametrize(
    "text",
    [
        "if (false) await tools.exec_command({cmd: 'rm -r /'});",
        "for (const cmd of all) await tools.exec_command({cmd});",
        "const f = () => tools.exec_command({cmd: 'ls'});",
        "ready && tools.exec_command({cmd: 'ls'});",
        "let cmd = 'old'; cmd = 'new'; await tools.exec_command({cmd});",
        "const input = {cmd: 'old'}; input.cmd = 'new'; await tools.exec_command(input);",
        "await tools.exec_command({cmd: `ls ${folder}`});",
        "await tools[name]({cmd: 'ls'});",
        "const t = tools; await t.exec_command({cmd: 'ls'}); tools.x",
        "await tools.exec_command({cmd: 'ls'",
        "await tools.exec_command({cmd: 'ls'}, 1);",
        "await tools.exec_command(" + "[" * 1000,
        "tools." + "{" * 2_000_000,
        "// tools.",
        'await tools.exec_command({cmd: "ls}); text("a");',
        "await tools.exec_command({cmd: 'ls'}); text(`a);",
        *("tools." + text * (900_000 // len(text)) for text in ("`\\`", "'\\'", "/*a", "//", "'\\\n")),
    ],
)
def test_a_script_that_does_not_only_call_with_constants_is_not_read(text):
    """A guess would show a command that perhaps never ran."""
    assert tool_calls(text) == []


def test_a_call_in_a_string_or_a_comment_is_none():
    """Only a script's own calls are found."""
    text = '// tools.a({})\n/* tools.b({}) */ text("tools.c({})"); await tools.d("\\u{1f3d4}\\ud83c\\udfd4A" + `b`);'

    assert tool_calls(text) == [ToolCall("d", "🏔🏔Ab")]


@pytest.mark.parametrize("comment", ["// tools.b({})", "/* tools.b({}) */", "/* tools.b({})"])
def test_a_comment_at_the_end_adds_nothing(comment):
    """Also where it has no end."""
    assert tool_calls(f"await tools.a({{}}); {comment}") == [ToolCall("a", {})]


def test_the_time_to_look_for_a_patch_grows_with_the_length_only():
    """A megabyte takes no second; if the time grew with the square, an hour."""
    command = "apply_patch <<EOF" + "\n" * 1_000_000

    assert read_call(function("shell", {"command": ["bash", "-lc", command]})).command == command.rstrip("\n")


@pytest.mark.parametrize(
    ("item", "text", "exit_code", "seconds", "failed"),
    [
        (output("plain"), "plain", None, None, False),
        (
            output(json.dumps({"output": "a\n", "metadata": {"exit_code": 1, "duration_seconds": 0.2}})),
            "a\n",
            1,
            0.2,
            True,
        ),
        (
            output(json.dumps({"output": "a\n", "metadata": {"exit_code": 0, "duration_seconds": 0}})),
            "a\n",
            0,
            0.0,
            False,
        ),
        (output("Exit code: 2\nWall time: 0.5 seconds\nOutput:\na\n"), "a\n", 2, 0.5, True),
        (
            output(
                "Chunk ID: 4d5586\nWall time: 0.0100 seconds\nProcess exited with code 0\n"
                "Original token count: 2\nOutput:\ndirect\n"
            ),
            "direct\n",
            0,
            0.01,
            False,
        ),
        (
            parts(
                "Script completed\nWall time 0.2 seconds\nOutput:\n", '{"chunk_id":"9","exit_code":1,"output":"E\\n"}'
            ),
            "E\n",
            1,
            0.2,
            True,
        ),
        (parts("Script completed\nWall time 0.1 seconds\nOutput:\n", "hello\n"), "hello\n", None, 0.1, False),
        (
            parts(
                "Script completed\nWall time 0.1 seconds\nOutput:\n",
                '{"chunk_id":"a","exit_code":0,"output":"one"}',
                '{"chunk_id":"b","exit_code":3,"output":"two\\n"}',
            ),
            "one\ntwo\n",
            3,
            0.1,
            True,
        ),
        (parts("Script completed\nWall time 0.0 seconds\nOutput:\n", "{}"), "", None, 0.0, False),
        (
            parts("Script failed\nWall time 0.0 seconds\nOutput:\n", "Script error:\nError: boom"),
            "Script error:\nError: boom",
            None,
            0.0,
            True,
        ),
        (output("unsupported call: x"), "unsupported call: x", None, None, True),
        (output("a", status="incomplete"), "a", None, None, True),
        (output('{"sky":"clear"}'), '{"sky":"clear"}', None, None, False),
        (output('{"output":"part of some data"}'), '{"output":"part of some data"}', None, None, False),
        (
            {
                "type": "shell_call_output",
                "output": [{"stdout": "a", "stderr": "b", "outcome": {"type": "exit", "exit_code": 1}}],
            },
            "ab",
            1,
            None,
            True,
        ),
        ({"type": "mcp_call", "name": "x", "output": None, "error": "no"}, "no", None, None, True),
        ({"type": "mcp_approval_response", "approve": False}, "not approved", None, None, True),
    ],
)
def test_an_output_is_unwrapped(item, text, exit_code, seconds, failed):
    """Text, exit code and seconds, whether the program wrote them as lines before the text, as JSON or as both."""
    found = read_output(item)

    assert (found.text, found.exit_code, found.seconds, found.is_failed) == (text, exit_code, seconds, failed)


def test_an_output_that_codex_cut_in_its_middle_is_unwrapped():
    """The JSON around it cannot be parsed any more; the rest of it is text all the same."""
    warning = "Warning: truncated output (original token count: 102251)\nTotal output lines: 1\n\n"
    cut = (
        '{"chunk_id":"e2","wall_time_seconds":0.1,"exit_code":1,"output":"1\\n2\\n\\u00e9…99 tokens truncated…\\n8\\n"}'
    )

    found = read_output(parts("Script completed\nWall time 0.1 seconds\nOutput:\n", warning + cut))

    assert (found.text, found.exit_code, found.is_cut) == ("1\n2\né…99 tokens truncated…\n8\n", 1, True)


@pytest.mark.parametrize(
    "item",
    [
        parts("Script completed\nWall time 0.5 seconds\nOutput:\n", '{"chunk_id":"5","session_id":26126,"output":""}'),
        parts("Script running with cell ID 28\nWall time 10.0 seconds\nOutput:\n", ""),
        output("Wall time: 1.0 seconds\nProcess running with session ID 7\nOutput:\n"),
    ],
)
def test_a_command_that_still_runs_says_so(item):
    """So it is not taken for one that ended without an output."""
    assert read_output(item).is_running


@pytest.mark.parametrize(
    ("item", "images"),
    [
        (
            output([{"type": "input_image", "image_url": "data:image/png;base64,aGk="}]),
            (Image("data:image/png;base64,aGk=", 26),),
        ),
        (
            output([{"type": "input_image", "image_url": "https://example.invalid/x"}]),
            (Image("https://example.invalid/x"),),
        ),
        ({"type": "image_generation_call", "result": "aGk="}, (Image("data:image/png;base64,aGk=", 4),)),
        (output([{"type": "input_image", "file_id": "file_1"}]), (Image(None),)),
    ],
)
def test_pictures_in_an_output_are_found(item, images):
    """With the size of those that are in the file."""
    assert read_output(item).images == images
