"""A session as today's Codex writes it, for snapshots: instructions, commands in scripts, a patch, a failure.

The shapes are those of release 0.169; the texts are ours.
"""

from __future__ import annotations

import json
from typing import Any

ID = "01a22bc7-f2e5-7f00-9cfd-fc06c29e6aa0"
FILE_NAME = f"rollout-2026-11-30T04-48-21-{ID}.jsonl"
PATCH = """\
*** Begin Patch
*** Update File: tides.py
@@
-    end = begin + dt.timedelta(days=1)
+    end = (begin + dt.timedelta(days=1)).astimezone(zone)
*** End Patch
"""
_LISTING = "".join(f"{number:3}  {word} = {number * 7}\n" for number, word in enumerate(["high", "low", "pier"] * 16))


def session() -> bytes:
    """Return the file."""
    lines = [
        _line(0, "session_meta", id=ID, timestamp=_time(0), cwd="/home/ana/tides", **_PROGRAM),
        _line(0, "event_msg", type="task_started"),
        _item(0, type="message", role="developer", content=_input("You are a careful engineer. " * 60)),
        _item(0, type="message", role="user", content=_input(_INSTRUCTIONS)),
        _line(0, "turn_context", cwd="/home/ana/tides", model="gpt-6.1-sol"),
        _said("user", 0, _PROMPT),
        _thought(1, "**Looking at the repository**\n\nThe failure is at the end of March: daylight saving time?"),
        _said("assistant", 1, "I'll look at the code and run the tests first."),
        *_ran(1, "git log --oneline | head -5; ls -la; cat tides.py", _LISTING),
        *_ran(2, "python3 -m unittest 2>&1 | tail -40", f"..\n{'-' * 70}\nRan 2 tests in 0.038s\n\nOK\n", seconds=0.2),
        _thought(2, "**Checking the arithmetic across the change of clocks**\n\nLet me print it."),
        *_ran(
            2, "python3 - <<'P'\nimport tides\nfor day in (28, 29, 30):\n    print(day, tides.highs(day))\nP", _PRINTED
        ),
        *_ran(3, "python3 -m unittest tests.test_tides.Highs.no_such_test", _FAILED, code=1, seconds=0.3),
        *_script(4, f"text(await tools.apply_patch({json.dumps(PATCH)}));", "{}"),
        _said("assistant", 4, _ANSWER, phase="final_answer"),
        _line(4, "event_msg", type="task_complete", duration_ms=4100),
        _said("user", 64, "## Thanks!\n\nCommit it, please."),
        *_ran(65, "git commit -qam 'Say which time zone is missing'", "", seconds=0.1),
        _said("assistant", 65, "Committed."),
    ]
    return b"".join(lines)


_PROGRAM = {"originator": "codex_exec", "cli_version": "0.169.0", "source": "exec"}
_PROMPT = (
    "The tide table skips a high water at the end of March. `python3 -m unittest` fails since we added 2026. "
    "Find out why and fix it, with as small a change as you can."
)
_INSTRUCTIONS = "# AGENTS.md instructions for /home/ana/tides\n\n<INSTRUCTIONS>\nTimes are UTC inside.\n</INSTRUCTIONS>"
_PRINTED = "".join(f"2026-03-{day} ['02:48:32+01:00', '15:13:46+01:00']\n" for day in range(28, 36))
_FAILED = "E\n" + "=" * 70 + "\nERROR: no_such_test (unittest.loader._FailedTest.no_such_test)\n" + "  File\n" * 7
_ANSWER = """\
The day of the change has **23 hours**, and `begin + timedelta(days=1)` is arithmetic on the clock.

- `end` is now converted before it is compared.
- The table for 2026 has all 705 high waters.

```python
end = (begin + dt.timedelta(days=1)).astimezone(zone)
```
"""
_calls = iter(range(1_000_000))


def _time(second: int) -> str:
    return f"2026-11-30T03:{48 + second // 60}:{(21 + second) % 60:02}.187Z"


def _line(second: int, kind: str, **payload: Any) -> bytes:
    line = {"timestamp": _time(second), "type": kind, "payload": payload}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _item(second: int, **item: Any) -> bytes:
    return _line(second, "response_item", **item)


def _input(text: str) -> list[dict[str, str]]:
    return [{"type": "input_text", "text": text}]


def _said(role: str, second: int, text: str, **keys: Any) -> bytes:
    part = "input_text" if role == "user" else "output_text"
    return _item(second, type="message", role=role, content=[{"type": part, "text": text}], **keys)


def _thought(second: int, text: str) -> bytes:
    return _item(second, type="reasoning", summary=[{"type": "summary_text", "text": text}], encrypted_content="gAAAA")


def _ran(second: int, command: str, output: str, *, code: int = 0, seconds: float = 0.0) -> list[bytes]:
    """Return the lines of a command and its output, both in the wrapping of Codex."""
    result = {"chunk_id": "9433f7", "wall_time_seconds": 0.00001, "exit_code": code, "output": output}
    script = f"text(await tools.exec_command({json.dumps({'cmd': command})}));"
    return _script(second, script, json.dumps(result), seconds)


def _script(second: int, script: str, output: str, seconds: float = 0.0) -> list[bytes]:
    call = f"call_{next(_calls)}"
    head = f"Script completed\nWall time {seconds:.1f} seconds\nOutput:\n"
    parts = [{"type": "input_text", "text": text} for text in (head, output)]
    return [
        _item(second, type="custom_tool_call", status="completed", call_id=call, name="exec", input=script),
        _item(second, type="custom_tool_call_output", call_id=call, output=parts),
    ]


def main(arguments: list[str]) -> int:
    """Run the command with *arguments* in a home with this session; print it as a terminal of 80 columns shows it.

    The pages show what this prints.
    """
    import os
    import sys
    import tempfile
    from pathlib import Path

    from commands import run

    os.environ |= {"COLUMNS": "80", "NO_COLOR": "1", "ROLLOUTLOG_PAGER": "", "TZ": "UTC"}
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"ROLLOUTLOG_HOME": home}
        folder = Path(home, "sessions/2026/11/30")
        folder.mkdir(parents=True)
        (folder / FILE_NAME).write_bytes(session())
        code, out, err = run(*arguments, terminal=True)
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
