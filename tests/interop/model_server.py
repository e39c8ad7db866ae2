"""A model on loopback that follows a script: the Responses API as far as Codex uses it.

A reply is a list of output items that the test wrote out in full, and requests are kept unchanged. A request that is
not in the script is answered by a short message that says so, so that a test sees it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Item = dict[str, Any]
Replies: TypeAlias = Sequence[list[Item] | None]
NOTHING_LEFT: list[Item] = [
    {
        "type": "message",
        "id": "msg_unscripted",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "(the script had no further reply)", "annotations": []}],
    }
]


class ModelServer:
    """Serves scripted replies, one for each request, until it is closed.

    Args:
        replies: the output items of each reply, in the order of the requests. `None` is a reply that never comes: the
            request stays open, as when a program is killed while the model works. If several agents ask at once: the
            replies for each of them, by its name.
    """

    def __init__(self, replies: Replies | Mapping[str, Replies]) -> None:
        # Owned by `_lock`, because each request has its own thread.
        self.requests: list[dict[str, Any]] = []
        self.unexpected: list[str] = []
        self.stalled = threading.Event()
        # The replies left for each agent; without agents, under the empty name.
        scripts = replies if isinstance(replies, Mapping) else {"": replies}
        self._replies = {name: list(script) for name, script in scripts.items()}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.model = self
        self._thread = threading.Thread(
            # The default is to check every half second whether to end, which is longer than a whole session.
            target=self._server.serve_forever,
            args=(0.01,),
            name="model-server",
            daemon=True,
        )

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._server.server_address[1])

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, request: dict[str, Any]) -> tuple[int, list[Item] | None]:
        """Keep *request*; return its number and the items to answer it with, or `None` for a reply that never comes."""
        with self._lock:
            self.requests.append(request)
            script = self._replies.get("" if "" in self._replies else agent_of(request))
            return len(self.requests) - 1, script.pop(0) if script else NOTHING_LEFT

    def note_unexpected(self, what: str) -> None:
        """Keep a request for a path that this server does not have."""
        with self._lock:
            self.unexpected.append(what)

    def stall(self) -> None:
        """Announce that a reply is withheld, and withhold it until the server closes."""
        self.stalled.set()
        self._closing.wait()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    model: ModelServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """Answer the request for a list of models with an empty one, and refuse other requests."""
        if self._path().endswith("/models"):
            self._answer(200, {"object": "list", "data": [], "models": []})
        else:
            self._refuse()

    def do_POST(self) -> None:
        """Stream the next reply."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._path().endswith("/responses"):
            self._refuse()
            return
        try:
            request = json.loads(body)
        except ValueError:
            self._refuse(f" in encoding {self.headers.get('Content-Encoding')!r}")
            return
        number, reply = self.server.model.take(request)
        if reply is None:
            self.server.model.stall()
        else:
            self._stream(reply, number)

    def _stream(self, reply: list[Item], number: int) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in events(reply, number):
            # json.dumps escapes newlines, so one event is one data line.
            self.wfile.write(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode()))
        self.wfile.flush()

    def _refuse(self, detail: str = "") -> None:
        self.server.model.note_unexpected(f"{self.command} {self.path}{detail}")
        self._answer(404, {"error": {"message": "this model server serves nothing here"}})

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _path(self) -> str:
        return self.path.partition("?")[0]


def agent_of(request: dict[str, Any]) -> str:
    """Return the name of the agent that sent *request*, such as ``/root``; only the newest release has names."""
    return str(json.loads(request["client_metadata"]["x-codex-turn-metadata"]).get("agent_name"))


def usage(number: int) -> dict[str, Any]:
    """Return the tokens that the response to the request of this *number*, from 0, is said to cost: never the same."""
    read, written = 100 + 7 * number, 10 + number
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 3 * number},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": number},
        "total_tokens": read + written,
    }


def events(reply: list[Item], number: int) -> Iterator[dict[str, Any]]:
    """Yield the server-sent events of the response to the request of this *number*, whose output is *reply*."""
    response = {"id": f"resp_{number}", "object": "response"}
    yield {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}}
    for index, item in enumerate(reply):
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {
        "type": "response.completed",
        "response": {**response, "status": "completed", "output": reply, "usage": usage(number)},
    }
