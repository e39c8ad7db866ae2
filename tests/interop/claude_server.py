"""A model server on loopback that answers Claude Code with a script, in the stream of Anthropic's Messages API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Block: TypeAlias = dict[str, Any]
# One reply: the blocks of its content.
Reply: TypeAlias = list[Block]

MODEL = "claude-scripted-1"


def text(words: str) -> Block:
    return {"type": "text", "text": words}


def thinking(words: str) -> Block:
    return {"type": "thinking", "thinking": words, "signature": "c2lnbmF0dXJl"}


def tool_use(call_id: str, name: str, **given: Any) -> Block:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


class ClaudeServer:
    """Answers each request of the conversation with the next of *replies*. A context manager: leaving it closes it.

    Args:
        replies: what the model says.
        first: how many requests earlier servers of the same test answered, because each response has an id of its own.

    Attributes:
        requests: the bodies of the requests of the conversation, in order. Those without tools, for a title for
            example, are answered with a short text and not kept.
        usages: the usage that each of the replies told, in order.
        others: requests for anything else.
    """

    def __init__(self, replies: Sequence[Reply], first: int = 0) -> None:
        self.requests: list[dict[str, Any]] = []
        self.usages: list[dict[str, int]] = []
        self.others: list[str] = []
        self._replies = list(replies)
        self._first = first
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.claude = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The base URL for ``ANTHROPIC_BASE_URL``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> ClaudeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, request: dict[str, Any]) -> tuple[int, Reply, dict[str, int]]:
        """Keep *request*; return its number, the reply and its usage."""
        with self._lock:
            if not request.get("tools"):
                return -1, [text("A title")], {"input_tokens": 1, "output_tokens": 1}
            self.requests.append(request)
            number = self._first + len(self.requests)
            usage = {
                "input_tokens": 10 + number,
                "cache_creation_input_tokens": 100 * number,
                "cache_read_input_tokens": 1000 * number,
                "output_tokens": 5 + number,
            }
            self.usages.append(usage)
            return number, self._replies.pop(0) if self._replies else [text("Nothing is left to say.")], usage


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        self._other()

    def do_HEAD(self) -> None:
        self._other()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        if path.endswith("/count_tokens"):
            self._answer({"input_tokens": 1})
        elif path.endswith("/v1/messages"):
            request = json.loads(body)
            number, reply, usage = self.server.claude.take(request)
            if request.get("stream"):
                self._stream(number, reply, usage)
            else:
                whole = {**_opening(number, usage), "content": reply, "stop_reason": "end_turn", "usage": usage}
                self._answer(whole)
        else:
            self._other()

    def _other(self) -> None:
        self.server.claude.others.append(f"{self.command} {self.path}")
        self._answer({})

    def _stream(self, number: int, reply: Reply, usage: dict[str, int]) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in events(number, reply, usage):
            self.wfile.write(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode()))
        self.wfile.flush()

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _opening(number: int, usage: dict[str, int]) -> dict[str, Any]:
    """Return the message as a stream begins it, when only a part of the usage is known."""
    return {
        "id": f"msg_{number:04}",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }


def events(number: int, reply: Reply, usage: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Yield the server-sent events of *reply*."""
    yield {"type": "message_start", "message": _opening(number, usage)}
    for index, block in enumerate(reply):
        kind = block["type"]
        begun, deltas = dict(block), list[dict[str, Any]]()
        if kind == "text":
            begun["text"] = ""
            deltas.append({"type": "text_delta", "text": block["text"]})
        elif kind == "thinking":
            begun["thinking"] = begun["signature"] = ""
            deltas.append({"type": "thinking_delta", "thinking": block["thinking"]})
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        elif kind == "tool_use":
            begun["input"] = {}
            deltas.append({"type": "input_json_delta", "partial_json": json.dumps(block["input"])})
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    reason = "tool_use" if any(block["type"] == "tool_use" for block in reply) else "end_turn"
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": {"output_tokens": usage["output_tokens"]},
    }
    yield {"type": "message_stop"}
