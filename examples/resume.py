"""Take a session up again by its id: python resume.py [path, id, or the beginning of an id]

It also takes rollouts that the Codex CLI wrote. Without an argument it first makes a session to take up.
"""

from __future__ import annotations

import sys

from rolloutlog import FunctionCall, Message, RolloutRecorder


def main(wanted: str | None = None) -> None:
    """Show what the session *wanted* holds, and go on in the same file."""
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

        recorder.record(Message.user("Go on, please"))
        recorder.record_state({**saved.state, "resumed": saved.state.get("resumed", 0) + 1})
    print("taken up again:", recorder.stats.written, "lines more")


def made_earlier() -> str:
    """Record a session that ends in the middle of a call, with a torn line behind it, and return part of its id."""
    with RolloutRecorder.create(instructions="You are a librarian.", meta={"cwd": "/tmp"}) as recorder:
        recorder.record({"role": "user", "content": "Who wrote Stoner?"})
        recorder.record(FunctionCall(name="search", arguments='{"title": "Stoner"}', call_id="call_1"))
        recorder.record_state({"model": "small"})
    with recorder.path.open("ab") as rollout:  # what a power cut or a full disk leaves of a line
        rollout.write(b'{"type":"mess')
    return recorder.session.id[:8]


if __name__ == "__main__":
    main(*sys.argv[1:2])
