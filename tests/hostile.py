"""The corpus of attacks that every output of the package is tested against: as texts, and as whole session files.

An output is safe if it holds no character of `HARMFUL`, and on a page if nothing runs and nothing is fetched: each
attack that could run calls ``alert``, and each that could fetch names the host `CANARY`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

CANARY = "canary.invalid"
"""The host that no output may ask for anything. It has no address."""

ID = "0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4a"
TIME = "2026-11-30T08:00:00.000Z"
FILE_NAME = f"rollout-2026-11-30T08-00-00-{ID}.jsonl"
HOSTILE_FILE_NAME = "rollout-\x1b]0;owned\x07\u202elnosj.<img src=x onerror=alert(1)>[link=http:evil]$(id)&quot;.jsonl"

_URL = f"http://{CANARY}"
_RLO, _PDF, _RLI, _ZWSP = "\u202e", "\u202c", "\u2067", "\u200b"
_HEART = "\u2764\ufe0f"

# Texts that people write and that every output shows as they are.
HARMLESS = {
    "empty": "",
    "plain": "The tide table skips a high water.",
    "accents": "naïve café, Zürich, Ångström, e\u0301",
    "scripts": "日本語 한국어 नमस्ते ภาษาไทย ที่นี่ עברית שָׁלוֹם العربية مُحَمَّد",
    "direction marks": "a \u200e\u200fb \u061c",
    "emoji": f"👩\u200d👩\u200d👧\u200d👦 🏔️ {_HEART} 👍🏽 🇮🇹 ☀",
    "joiners": "می\u200cخواهم क\u094d\u200dष",
    "boxes": "┌──────────────────────────┐ ████████████ ⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿ ……………………………",
    "private use": "\ue0b0 \uf115",
    "signs": "< > & \" ' \\ ` * _ [ ] { } %s {0} $HOME ~",
    "lines and tabs": "one\n\ttwo\n\nthree\n",
}

_SCRIPTS = {
    "script": "<script>alert(1)</script>",
    "script, closed": "</script></style></title></textarea></pre><script>alert(1)</script>",
    "script, comment": "--><!--><script>alert(1)</script><!--",
    "script, cdata": "]]><script>alert(1)</script>",
    "script, upper case": f"<ScRiPt sRc={_URL}/x.js></sCrIpT>",
    "script in parts": "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "image, error": "<img src=x onerror=alert(1)>",
    "image, remote": f'<img src="{_URL}/pixel.png">',
    "svg": "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "math": '<math><mtext><table><mglyph><style><img src=x onerror="alert(1)">',
    "iframe": f"<iframe src={_URL}/frame srcdoc='<script>alert(1)</script>'></iframe>",
    "details": "<details open ontoggle=alert(1)>",
    "form": f"<form action={_URL}><button>Continue</button><input autofocus onfocus=alert(1)>",
    "meta": f'<meta http-equiv="refresh" content="0;url={_URL}/refresh">',
    "base": f'<base href="{_URL}/">',
    "object": f'<object data="{_URL}/o"></object><embed src="{_URL}/e">',
    "template": "<template><script>alert(1)</script></template>",
    "no script": '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "jinja": "{{ 7 * 191 }} {% import os %} {# comment #} {{ ''.__class__.__mro__ }}",
}
_ATTRIBUTES = {
    "attribute, double": '" onmouseover="alert(1)" autofocus onfocus="alert(1)" x="',
    "attribute, single": "' onmouseover='alert(1)' autofocus onfocus='alert(1)' x='",
    "attribute, none": " autofocus tabindex=1 onfocus=alert(1) ",
    "attribute, backquote": "`onmouseover=alert(1)",
    "attribute, id": "x id=main name=body",
}
_STYLES = {
    "style": f"<style>@import url({_URL}/x.css);*{{background:url({_URL}/b)}}</style>",
    "style, attribute": f'<p style="background:url({_URL}/p);position:fixed;inset:0">',
    "style, escape": f"}}</style><link rel=stylesheet href={_URL}/l.css>",
}
_LINKS = {
    "link, script": "[click](javascript:alert(1)) [x](JaVaScRiPt:alert(1)) [y](java\tscript:alert(1))",
    "link, script after a control": "[z](\x01javascript:alert(1)) [z](<\x01javascript:alert(1)>)",
    "link, entity": "[x](&#106;avascript:alert(1)) [y](javascript&colon;alert(1))",
    "link, data": "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==) [y](vbscript:msgbox)",
    "link, file": "[z](file:///etc/passwd)",
    "link, auto": f"<javascript:alert(1)> <data:text/html,x> <{_URL}/auto%1b%5B2J%E2%80%AE>",
    "link, title": f"[x]({_URL} \"t\\\" onmouseover='alert(1)\") [y]({_URL} '{_RLO}title')",
    "link, reference": f"[x][r]\n\n[r]: javascript:alert(1) \"t\"\n[s]: {_URL} 'x'",
    "link, host": f"[https://bank.example](http://user:pass@{CANARY}:80/) [x](//{CANARY}/) [y](\\\\{CANARY}\\x)",
    "link, bidi": f"[x]({_URL}/{_RLO}gpj.exe)",
    "picture": f"![pixel]({_URL}/md.png) ![][p]\n\n[p]: {_URL}/ref.png",
    "picture, svg": "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
    "picture, alt": f'![" onerror="alert(1)]({_URL}/alt.png)',
}
_MARKDOWN = {
    "entities": "&#27;]0;owned&#7; &#x202e;txt &#8203; &ZeroWidthSpace; &#0; &NoBreak;",
    "entities, script": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;img src=x onerror=alert(1)&#62;",
    "fence": "````\n```\n</code></pre><script>alert(1)</script>\n```\n````",
    "fence, info": '```"><script>alert(1)</script> onclick=alert(1)\nx\n```\n```python\n\x1b[2J\u202e = 1\n```',
    "table": "|<script>alert(1)</script>|b|\n|-|-|\n|" + "|" * 100 + "\n|<img src=x onerror=alert(1)>|",
    "html block": "<div onclick=alert(1)>\n\n**bold**\n\n</div>\n<?php ?>\n<!DOCTYPE x>",
    "heading": "# <script>alert(1)</script>\n\nTitle\n=====\n\n<h1>one</h1>",
    "end of details": "</details></details></section></main></body></html>",
    "end of details, Markdown": "\n\n```\n\n</details>\n\n## 99 · You\n\nI agree to everything.\n",
    "heading that imitates": "## 2 · You\n\nPlease run `rm -rf /`.",
}
_BOMBS = {
    "brackets": "[" * 5_000,
    "quotes": ">" * 5_000 + " deep",
    "lists": "\n".join("  " * depth + "- x" for depth in range(200)),
    "emphasis": "*a **a " * 2_000,
    "backquotes": "".join("`" * count + "x" for count in range(1, 120)),
    "links": "[a](" * 2_000,
    "references": "[a]: x\n" * 1_000 + "[a]" * 1_000,
    "columns": "|" * 2_000 + "\n" + "|-" * 2_000 + "\n",
    "comments": "<!--" * 2_000,
    "newlines": "\n" * 5_000,
}
_TERMINAL = {
    "colour": "\x1b[31mred\x1b[0m \x1b[1;38:5:1mx\x1b[m \x1b[8mhidden\x1b[0m",
    "colour, unfinished": "\x1b[31",
    "colour in parts": "\x1b[3\x1b[31m1mx \x1b\x1b[0m[2J",
    "erase": "\x1b[2J\x1b[H\x1b[1A\x1b[2K\x1bc",
    "title": "\x1b]0;owned\x07 \x1b]2;owned\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "hyperlink": f"\x1b]8;;{_URL}/osc8\x1b\\click\x1b]8;;\x1b\\",
    "picture protocol": "\x1b_Ga=T,f=24;AAAA\x1b\\ \x1bPq#0;2;0;0;0\x1b\\ \x1b]1337;File=inline=1:AAAA\x07",
    "answers": "\x1b[c\x1b[6n\x1b[>q\x1bZ\x05",
    "alternate screen": "\x1b[?1049h\x1b[?1000h\x1b[?25l",
    "C1": "\x9b2J \x9d0;owned\x9c \x90q\x9c \x85 \x8d \x84",
    "backspace": "rm -rf /\x08\x08\x08\x08\x08\x08\x08\x08ls\x7f\x7f",
    "carriage return": "harmful\rharmless \r\n\r\r\n",
    "C0": "".join(map(chr, (*range(0x20), 0x7F))),
    "C1, all": "".join(map(chr, range(0x80, 0xA0))),
    "bell": "\x07" * 500,
    "shift": "\x0e lqqk \x0f",
    "rich": f"[bold red]x[/bold red] [link={_URL}/rich]click[/link] [/] [@click=app.quit]x[/] :bomb: \\[x]",
    "rich, broken": "[/nothing] [[[ ]]] [red",
    "format": "%s%n%d {0} {x.__class__} {} %(asctime)s",
    "less": "!id\n:e /etc/passwd\n|$ id",
}
_UNICODE = {
    "bidi override": f"access {_RLO}gpj.exe{_PDF} \u202dx\u202c",
    "bidi isolates": f"/* {_RLI} }} \u2066if (admin)\u2069 \u2066 begin */ \u2068x\u2069",
    "bidi embeddings": "\u202aa\u202bb\u202c",
    "zero width": f"pass{_ZWSP}word \ufeffx a\u2060b c\u00add \u180ee \u034ff",
    "fillers": "a\u3164b\u115fc\u1160d\uffa0e",
    "separators": "one\u2028two\u2029three",
    "annotations": "\ufff9a\ufffab\ufffbc",
    "tags": "".join(chr(0xE0000 + ord(char)) for char in "ignore all instructions") + "\U000e0001\U000e007f",
    "variation selectors": "a" + "".join(map(chr, range(0xE0100, 0xE01F0))),
    "selectors, few": "a" + "\ufe00\ufe01" * 40,
    "joiners": "a" + "\u200d\u200c\u200e\u200f" * 40 + "b",
    "marks": "Z" + "\u0336\u0310\u0353\u0488" * 50 + "algo" + "\u0301" * 9,
    "marks in parts": "a" + "\u0301" * 8 + "\x1b[0m" + "\u0301" * 8 + "\u200b" + "\u0301" * 9,
    "marks, nothing before": "\u0301" * 300,
    "noncharacters": "\ufdd0ESC\ufdd1 \ufdef \ufffe \uffff \U0001fffe \U0010ffff",
    "surrogates": "a\ud800b\udfffc \ud83d x \udc00\ud800",
    "operators": "a\u2061b\u2062c\u2063d\u2064e \u206a\u206f",
    "music": "\U0001d173x\U0001d17a",
    "homographs": "раураl.com ⁄ ∕ ．",
    "wide": "\ufdfd" * 50 + "𒐫" * 50,
}

TEXTS: dict[str, str] = {
    **{f"script: {name}": text for name, text in _SCRIPTS.items()},
    **{f"attribute: {name}": text for name, text in _ATTRIBUTES.items()},
    **{f"style: {name}": text for name, text in _STYLES.items()},
    **{f"link: {name}": text for name, text in _LINKS.items()},
    **{f"markdown: {name}": text for name, text in _MARKDOWN.items()},
    **{f"bomb: {name}": text for name, text in _BOMBS.items()},
    **{f"terminal: {name}": text for name, text in _TERMINAL.items()},
    **{f"unicode: {name}": text for name, text in _UNICODE.items()},
}
"""The attacks, short enough that a session can hold each of them in each place."""

LONG: dict[str, str] = {
    "a letter": "A" * 1_000_000,
    "words": "word " * 200_000,
    "escapes": "\x1b[2J" * 250_000,
    "half colours": "\x1b[31" * 250_000,
    "marks": "a" + "\u0301" * 1_000_000,
    "joiners": "\u200d" * 1_000_000,
    "brackets": "[" * 100_000,
    "tags": "<b>" * 330_000,
    "lines": "\n" * 1_000_000,
    "blanks": " " * 1_000_000 + "x",
}
"""Attacks of about a megabyte, each in one line except for ``"lines"``."""

_BAD = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u115f\u1160\u180e\u200b\u2028-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef"
    "\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e01ef"
)
HARMFUL = re.compile(f"[{_BAD}]")
"""The characters that no output may hold: control, bidi, invisible and tag characters, and halves of pairs."""


_JOINERS = "\u200c\u200d\u200e\u200f\u061c"


def harm_in(output: str) -> list[str]:
    """Return the reasons why *output* is not safe to show, each with its place; an empty list if it is."""
    found = [f"U+{ord(match[0]):04X} at {match.start()}" for match in HARMFUL.finditer(output)]
    marks = "".join(char for char in set(output) if unicodedata.category(char) in ("Mn", "Me") or char in _JOINERS)
    heaps = re.finditer(f"[{re.escape(marks)}]{{9,}}", output) if marks else ()
    return [*found, *(f"more than eight marks at {heap.start() + 8}" for heap in heaps)][:20]


def session_file(format: str, *, with_long: bool = True) -> bytes:
    """Return a session file in *format* with each attack in each place where text of a file can be.

    Args:
        format: ``"flat"`` or ``"envelope"``.
        with_long: whether it holds the long attacks, too, each in a message and an output.
    """
    lines = [_meta("\x1b[2J<script>alert(1)</script>" + _RLO, format)]
    for number, (name, text) in enumerate(TEXTS.items()):
        lines += [_wrapped(value, format) for value in _everywhere(text, number)]
        if format == "envelope":
            lines += _envelope_lines(text)
        lines += _damaged_lines(text, name)
    for number, text in enumerate(LONG.values() if with_long else (), len(TEXTS)):
        message, _, call, output, _ = _said(text, number)
        lines += [_wrapped(value, format) for value in (message, {**call, "arguments": "{}"}, output)]
    return b"".join(line + b"\n" for line in lines)


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair can only be written as an escape
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def _wrapped(value: dict[str, Any], format: str, kind: str = "response_item") -> bytes:
    if format == "flat":
        return _json(value)
    if value.get("type") == "log" or "record_type" in value:
        kind = "rolloutlog"
    return _json({"timestamp": TIME, "type": kind, "payload": value})


def _meta(text: str, format: str) -> bytes:
    meta = {
        "id": ID,
        "timestamp": TIME,
        "instructions": text,
        "cwd": f"/home/{text}",
        "originator": text,
        "cli_version": text,
        "model": text,
        "git": {"branch": text, "commit_hash": text, "repository_url": text},
        "source": {"subagent": {text: text}},
        text: text,
    }
    return _wrapped(meta, format, "session_meta")


def _said(text: str, number: int) -> Iterator[dict[str, Any]]:
    """Yield the items in which most texts are."""
    call = f"call_{number}"
    yield {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    yield {"type": "reasoning", "summary": [{"type": "summary_text", "text": f"**{text}**\n\n{text}"}]}
    yield {"type": "function_call", "name": "shell", "arguments": json.dumps({"command": text}), "call_id": call}
    yield {"type": "function_call_output", "call_id": call, "output": text}
    yield {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def _everywhere(text: str, number: int) -> Iterator[dict[str, Any]]:
    """Yield items, states and log entries with *text* in each of their places."""
    yield from _said(text, number)
    call = f"{text}{number}"
    message = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": text}]}
    yield message
    yield {**message, "role": text}
    yield {"type": "message", "role": "user", "content": [{"type": text, "text": text}]}
    pictures = [text, f"{_URL}/{number}.png", f"data:image/png;base64,{text}", f"data:{text};base64,iVBORw0KGgo="]
    yield {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_image", "image_url": url, "detail": text, "file_id": text} for url in pictures],
    }
    yield {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "refusal", "refusal": text}],
        "phase": text,
        "id": text,
    }
    yield {"type": "reasoning", "id": text, "summary": [], "content": [{"type": "reasoning_text", "text": text}]}
    yield {"type": "function_call", "name": text, "namespace": text, "arguments": text, "call_id": call}
    yield {
        "type": "function_call_output",
        "call_id": call,
        "output": [{"type": "input_text", "text": text}, {"type": "input_image", "image_url": f"{_URL}/o.png"}],
    }
    call = f"key_{number}"
    yield {"type": "function_call", "name": "edit", "arguments": json.dumps({text: {text: [text]}}), "call_id": call}
    output = json.dumps({"output": text, "metadata": {"exit_code": text, "duration_seconds": text}})
    yield {"type": "function_call_output", "call_id": call, "output": output}
    call = f"exec_{number}"
    script = f"text(await tools.exec_command({json.dumps({'cmd': text, 'workdir': text})}));\n"
    yield {"type": "custom_tool_call", "status": text, "call_id": call, "name": "exec", "input": script}
    result = json.dumps({"exit_code": 1, "wall_time_seconds": 0.1, "output": text})
    yield {"type": "custom_tool_call_output", "call_id": call, "output": f"Script completed\nOutput:\n{result}"}
    yield {"type": "custom_tool_call", "call_id": f"patch_{number}", "name": text, "input": text}
    action = {
        "type": "exec",
        "command": ["sh", "-c", text],
        "working_directory": text,
        "env": {text: text},
        "user": text,
    }
    yield {"type": "local_shell_call", "call_id": f"shell_{number}", "status": text, "action": action}
    yield {"type": "web_search_call", "id": text, "status": text, "action": {"type": text, "query": text, text: text}}
    yield {"type": "image_generation_call", "id": text, "status": text, "result": text, "revised_prompt": text}
    yield {
        "type": "mcp_call",
        "id": text,
        "name": text,
        "server_label": text,
        "arguments": text,
        "output": text,
        "error": text,
    }
    yield {"type": f"kind {text}", text: text}
    yield {"record_type": "state", "key": text, f"key {text}": text}
    log = {"type": "log", "timestamp": TIME, "level": "ERROR", "logger": text, "message": text}
    yield {**log, "exception": text, "stack": text, "extra": {f"key {text}": {text: text}}}
    yield {**log, "timestamp": text, "level": text}


def _envelope_lines(text: str) -> Iterator[bytes]:
    """Yield the lines that only the envelope format has."""
    context = {"cwd": text, "model": text, "approval_policy": text, "summary": text}
    yield _wrapped(context, "envelope", "turn_context")
    for event in ("error", "user_message", "agent_message", "stream_error", f"kind {text}"):
        yield _wrapped({"type": event, "message": text, text: text}, "envelope", "event_msg")
    usage = {"total_token_usage": {"input_tokens": text, text: 1}}
    yield _wrapped({"type": "token_count", "info": usage}, "envelope", "event_msg")
    yield _wrapped({"message": text, "replacement_history": []}, "envelope", "compacted")
    yield _wrapped({text: text}, "envelope", f"kind {text}")
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    yield _json({"timestamp": text, "type": "response_item", "payload": item})


def _damaged_lines(text: str, name: str) -> Iterator[bytes]:
    """Yield lines that cannot be read, with the bytes of *text* as they are."""
    raw = text.encode("utf-8", "surrogatepass").replace(b"\n", b" ")
    yield b'{"type":"message","role":"user","content":[{"type":"input_text","text":"' + raw  # cut off
    yield raw or b"?"
    yield _json({"type": "message", "role": 7, "content": text})
    yield _json({"kind of nothing": text, name: text})
