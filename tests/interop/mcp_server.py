"""A server of the Model Context Protocol on standard input and output with one tool, for a real Codex to start."""

from __future__ import annotations

import json
import sys
from typing import Any

TOOL = {
    "name": "add",
    "description": "adds two numbers",
    "inputSchema": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    "annotations": {"readOnlyHint": True},
}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return the result of *method*; an empty one for an unknown method."""
    if method == "initialize":
        about = {"capabilities": {"tools": {}}, "serverInfo": {"name": "sums", "version": "1"}}
        return {"protocolVersion": params["protocolVersion"], **about}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        total = sum(params["arguments"].values())
        return {"content": [{"type": "text", "text": str(total)}], "structuredContent": {"sum": total, "none": None}}
    return {}


def main() -> None:
    """Answer until the input ends; a message without an id needs no answer."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            result = answer(asked["method"], asked.get("params") or {})
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
