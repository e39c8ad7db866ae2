"""The Responses API on loopback, as far as an agent loop uses it: it checks its input like the real API, and streams.

The model is a function from the input to the output items, so it returns the same output if an agent that was killed
asks again. Input that the API refuses gets status 400 and the API's message, as far as that is public.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from api_schema import Refusal, refused_item

Item = dict[str, Any]
Model = Callable[[list[Item]], list[Item]]
Followers = dict[str, list[str]]

# The kinds of output that answer each kind of call. A local shell call may also be answered by a function call output,
# as Codex does. Other calls (web search, code interpreter, ...) hold their output themselves. The API is known to
# require outputs of the calls that it waits for. For tool searches and programs, which it runs by itself, the vendor's
# Agents SDK never sends a call without its output.
ANSWERS: dict[str, tuple[str, ...]] = {
    "function_call": ("function_call_output",),
    "custom_tool_call": ("custom_tool_call_output",),
    "local_shell_call": ("local_shell_call_output", "function_call_output"),
    "shell_call": ("shell_call_output",),
    "apply_patch_call": ("apply_patch_call_output",),
    "computer_call": ("computer_call_output",),
    "tool_search_call": ("tool_search_output",),
    "mcp_approval_request": ("mcp_approval_response",),
    "program": ("program_output",),
}
OUTPUTS = frozenset(output for outputs in ANSWERS.values() for output in outputs)


class ResponsesServer:
    """Serves ``POST /v1/responses`` until it is closed; a context manager.

    Args:
        model: called with each accepted input, on the request's thread.
        followers: what an earlier server remembered.

    Attributes:
        accepted: the accepted inputs, in order.
        refusals: why other inputs were refused.
        followers: what the API remembers of its answers: for each id of reasoning, the ids of the items that it led to.
    """

    def __init__(self, model: Model, followers: Mapping[str, list[str]] | None = None) -> None:
        # Owned by `_lock`, because each request has its own thread.
        self.accepted: list[list[Item]] = []
        self.refusals: list[Refusal] = []
        self.followers = dict(followers or {})
        self._model = model
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        # The default is to check every half second whether to end.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="api", daemon=True)

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ResponsesServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def respond(self, request: dict[str, Any]) -> list[Item] | Refusal:
        """Return the output items for *request*, or why there are none."""
        given = request.get("input")
        items: list[Item] = [{"role": "user", "content": given}] if isinstance(given, str) else list(given or ())
        with self._lock:
            refusal = refused(items, self.followers) or (_not_kept(items) if request.get("store") is False else None)
            if refusal is not None:
                self.refusals.append(refusal)
                return refusal
            self.accepted.append(items)
        output = self._model(items)
        with self._lock:
            self.followers |= _followers(output)
        return output


def refused(items: Sequence[Item], followers: Followers) -> Refusal | None:
    """Return why the API refuses *items* as its input, or `None` if it accepts them.

    Args:
        items: the input.
        followers: what the API remembers of its answers: for each id of reasoning, the ids of the items that it led to.
    """
    if not items:
        return Refusal("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    looks = (refused_item(item, f"input[{index}]") for index, item in enumerate(items))
    refusal = next(filter(None, looks), None)
    return refusal or _refused_ids(items) or _refused_calls(items) or _refused_reasoning(items, followers)


def _not_kept(items: Sequence[Item]) -> Refusal | None:
    """Return why an API that stores nothing (``store=False``) refuses reasoning: it would have to look up its text."""
    for item in items:
        if item.get("type") == "reasoning" and "id" in item and not item.get("encrypted_content"):
            problem = f"Item with id '{item['id']}' not found. Items are not persisted when `store` is set to false."
            hint = "Try again with `store` set to true, or remove this item from your input."
            return Refusal(f"{problem} {hint}", "input", status=404)
    return None


def _refused_ids(items: Sequence[Item]) -> Refusal | None:
    seen: set[str] = set()
    for item in items:
        item_id = item.get("id")
        if item_id in seen and item["type"] != "local_shell_call_output":
            problem = f"Duplicate item found with id {item_id}. Remove duplicate items from your input and try again."
            return Refusal(problem, "input")
        seen |= {item_id} - {None}
    return None


def _refused_calls(items: Sequence[Item]) -> Refusal | None:
    waiting: dict[str, Item] = {}
    asked: dict[str, str] = {}
    for index, item in enumerate(items):
        kind, call_id = item.get("type", "message"), item.get("call_id")
        if kind in ANSWERS:
            name = call_id or item.get("id") or f"input[{index}]"  # a search of the API's needs neither
            waiting[name] = item
            asked |= {one: kind for one in (name, item.get("id")) if one}
        elif kind in OUTPUTS:
            call_id = item.get(_ANSWERED_BY.get(kind, "call_id"))
            if call_id is None and kind == "tool_search_output":  # the API searched by itself
                call_id = next((key for key, call in reversed(waiting.items()) if _is_nameless_search(call)), None)
            if call_id is None:
                continue  # the output of a tool that was not called by a model
            if kind not in ANSWERS.get(asked.get(call_id, ""), ()):
                return Refusal(_NO_CALL.get(kind, "No tool call found for {} with call_id {}.").format(
                    kind.replace("_", " "), call_id), "input")  # fmt: skip
            waiting = {key: call for key, call in waiting.items() if call_id not in (key, call.get("id"))}
    running = {item["caller"].get("caller_id") for item in items if item.get("caller")}
    for call_id, call in waiting.items():
        if call["type"] != "program" or call_id not in running:
            return Refusal(f"No tool output found for {call['type'].replace('_', ' ')} {call_id}.", "input")
    return None


def _is_nameless_search(call: Item) -> bool:
    return call["type"] == "tool_search_call" and call.get("call_id") is None


# The key by which an output names its call, and the message if there is no such call, where these differ from most.
_ANSWERED_BY = {"local_shell_call_output": "id", "mcp_approval_response": "approval_request_id"}
_NO_CALL = {
    "mcp_approval_response": "The following MCP approval requests have {}s but weren't passed as input: {}.",
}


def _refused_reasoning(items: Sequence[Item], followers: Followers) -> Refusal | None:
    present = {item.get("id") for item in items}
    for index, item in enumerate(items):
        item_id = item.get("id")
        if item.get("type") != "reasoning":
            continue
        after = items[index + 1] if index + 1 < len(items) else {}
        required = followers.get(str(item_id), [after.get("id")])[0]
        if not _is_models(after) or after.get("id") != required:
            problem = "was provided without its required following item."
            return Refusal(f"Item '{item_id}' of type 'reasoning' {problem}", "input")
    for item in items:
        missing = [thought for thought, led_to in followers.items() if item.get("id") in led_to]
        if missing and missing[0] not in present:
            problem = f"was provided without its required 'reasoning' item: '{missing[0]}'."
            return Refusal(f"Item '{item['id']}' of type '{item.get('type', 'message')}' {problem}", "input")
    return None


def _is_models(item: Item) -> bool:
    kind = item.get("type", "message" if item else "_output")
    if kind == "message":
        return item.get("role") == "assistant"
    return not kind.endswith(("_output", "_response"))


def _followers(output: list[Item]) -> Followers:
    """Return the ids that each reasoning in *output* led to: of the items up to the next reasoning, else of that."""
    found: Followers = {}
    following = ""
    led_to: list[str] = []
    for item in reversed(output):
        if item["type"] == "reasoning":
            found[item["id"]] = led_to or [following]
            led_to = []
        elif "id" in item:
            led_to = [item["id"], *led_to]
        following = item.get("id", "")
    return {thought: ids for thought, ids in found.items() if ids != [""]}


# --- the wire ---------------------------------------------------------------------------------------------------------


def response(output: list[Item], **changes: Any) -> dict[str, Any]:
    """Return a whole response object around *output*."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "model": "stand-in",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 1,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 1,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 2,
        },
        **changes,
    }


def events(output: list[Item]) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream of *output*: each item as it begins, its text or arguments, and the end."""
    yield {"type": "response.created", "response": response([], status="in_progress")}
    for index, item in enumerate(output):
        place = {"item_id": item.get("id", ""), "output_index": index}
        yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
        if item["type"] == "function_call":
            for bit in _bits(item["arguments"]):
                yield {"type": "response.function_call_arguments.delta", "delta": bit, **place}
        if item["type"] == "message":
            yield from _parts(item, place)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": response(output)}


def _parts(message: Item, place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for index, part in enumerate(message["content"]):
        at = {**place, "content_index": index}
        if part["type"] != "output_text":
            yield {"type": "response.content_part.added", "part": part, **at}
            continue
        yield {"type": "response.content_part.added", "part": {**part, "text": "", "annotations": []}, **at}
        for bit in _bits(part["text"]):
            yield {"type": "response.output_text.delta", "delta": bit, "logprobs": [], **at}
        yield {"type": "response.output_text.done", "text": part["text"], "logprobs": [], **at}


def _begun(item: Item) -> Item:
    empty: dict[str, Item] = {"message": {"content": []}, "function_call": {"arguments": ""}}
    return {**item, "status": "in_progress", **empty.get(item["type"], {})} if item["type"] in empty else item


def _bits(text: str) -> Iterator[str]:
    for start in range(0, len(text), 7):
        yield text[start : start + 7]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: ResponsesServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the error, unless the client was an agent that was killed while it waited."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        """Answer a request for a response."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/responses":
            self._answer(404, {"error": {"message": f"no {self.path} here", "type": "invalid_request_error"}})
            return
        made = self.server.api.respond(request)
        if isinstance(made, Refusal):
            self._answer(made.status, made.body())
        elif request.get("stream"):
            self._stream(made)
        else:
            self._answer(200, response(made))

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _stream(self, output: list[Item]) -> None:
        numbered = ({**event, "sequence_number": number} for number, event in enumerate(events(output)))
        lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in numbered]
        self._send(200, "text/event-stream", "".join(lines).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
