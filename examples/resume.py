"""Resume a session by its id: python resume.py [path, id, or the beginning of an id]

Rollouts of the Codex CLI work as well. Without an argument it first creates a session to resume.
"""

from __future__ import annotations

import sys

from rolloutlog import FunctionCall, Message, RolloutRecorder


def main(wanted: str | None = None) -> None:
    """Show the session *wanted*, and continue it in the same file."""
    recorder, saved = RolloutRecorder.resume(wanted or made_earlier())
    with recorder:
        print(f"{saved} of {saved.session.timestamp[:10]}")
        for line in saved.skipped:
            print(f"  line {line.number} could not be read: {line.reason}")
        for item in saved.items:
            print(f"  {item!r}")
        print("state:", dict(saved.state))
        print("calls without an output:", saved.orphan_calls)
        for wire in saved.to_input():
            print("to the model:", wire)

        recorder.record(Message.user("Continue, please"))
        recorder.record_state({**saved.state, "resumed": saved.state.get("resumed", 0) + 1})
    print("resumed:", recorder.stats.written, "more lines")


def made_earlier() -> str:
    """Record a session that ends in the middle of a call, append an incomplete line, and return part of the id."""
    with RolloutRecorder.create(instructions="You are a librarian.", meta={"cwd": "/tmp"}) as recorder:
        recorder.record({"role": "user", "content": "Who wrote Stoner?"})
        recorder.record(FunctionCall(name="search", arguments='{"title": "Stoner"}', call_id="call_1"))
        recorder.record_state({"model": "small"})
    with recorder.path.open("ab") as rollout:  # part of a line, as a power cut or a full disk leaves it
        rollout.write(b'{"type":"mess')
    return recorder.session.id[:8]


if __name__ == "__main__":
    main(*sys.argv[1:2])
