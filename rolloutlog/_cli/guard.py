"""Lets only the person who started `rolloutlog view` see sessions: who asks, from where, and what a browser may do."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from hmac import compare_digest
from typing import Any, TypeAlias
from urllib.parse import parse_qs, quote

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_READING = ("GET", "HEAD")
# A browser says one of these of a request that a person made: of an address that was typed, and of a link on our pages.
_OWN_SITES = ("none", "same-origin")


class Guard:
    """An ASGI app that hands a request to another one only if the person who has the link made it.

    Another web page in the same browser can send requests here, also under a name of its own that leads to this
    machine. So the host must be this server's, and the browser must not say that another site asked. Other users of
    the machine can send requests, too; they have neither the link nor the cookie.

    Args:
        app: the app.
        port: where the server listens.
        policy: the content security policy of all responses.

    Attributes:
        token: opens the viewer; part of the link that is printed.
        passing_token: the same, once: for a link that the list of processes shows, as the command line of a browser.
    """

    def __init__(self, app: App, port: int, policy: str) -> None:
        self.token, self.passing_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._app, self._hosts = app, (f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode())
        self._cookie, self._secret = f"rolloutlog-{port}", secrets.token_urlsafe(32)
        self._has_passed = False
        self._headers = [
            (b"content-security-policy", policy.encode("ascii")),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise TypeError(f"expected a request of HTTP; got {scope['type']}")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
            return
        status, text, headers = refusal
        body = f"{text}\n".encode()
        own = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await send_with_headers({"type": "http.response.start", "status": status, "headers": own + headers})
        body = b"" if scope["method"] == "HEAD" else body
        await send_with_headers({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> tuple[int, str, list[tuple[bytes, bytes]]] | None:
        """Return status, text and headers of the answer to a request that the app does not get; else `None`."""
        hosts = _all_of(scope, b"host")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return 400, "This server has another name. Open the link that rolloutlog view printed.", []
        if scope["method"] not in _READING:
            return 405, "This server only shows sessions.", [(b"allow", b"GET, HEAD")]
        if any(site.decode("latin-1") not in _OWN_SITES for site in _all_of(scope, b"sec-fetch-site")) or any(
            origin != b"http://" + hosts[0] for origin in _all_of(scope, b"origin")
        ):
            return 403, "Another site asked for this page. Type or paste the link that rolloutlog view printed.", []
        if (token := _token_in(scope)) is not None:
            if not self._opens(token):
                return 403, "This link is not valid any more. Open the one that rolloutlog view printed.", []
            cookie = f"{self._cookie}={self._secret}; HttpOnly; SameSite=Strict; Path=/"
            place = quote(scope["path"].encode("utf-8", "replace")) if scope["path"][:2] != "//" else "/"
            return 303, "", [(b"location", place.encode("ascii")), (b"set-cookie", cookie.encode("ascii"))]
        if not self._has_cookie(scope):
            return 403, "Open the link that rolloutlog view printed.", []
        return None

    def _opens(self, token: str) -> bool:
        """Whether *token* is one of ours; the passing one is so once."""
        if compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
            return True
        if self._has_passed or not compare_digest(token.encode("utf-8", "replace"), self.passing_token.encode()):
            return False
        self._has_passed = True
        return True

    def _has_cookie(self, scope: Scope) -> bool:
        mine = f"{self._cookie}={self._secret}".encode()
        pairs = (pair for header in _all_of(scope, b"cookie") for pair in header.split(b";"))
        return any(compare_digest(pair.strip(), mine) for pair in pairs)


def _all_of(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


def _token_in(scope: Scope) -> str | None:
    return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("token", ())), None)
