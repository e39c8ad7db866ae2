"""`rolloutlog export`: a session as a page, as Markdown, or as JSON for APIs and other programs."""

from __future__ import annotations

import os
import re
import stat
import sys
import webbrowser
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._face.entries import DEPTHS, Depth
from .._face.heads import Head, read_head
from .._face.titles import sentence
from .._face.words import counted
from .._reading.reader import load_session
from ..exceptions import RolloutError
from ..redaction import redacted_value
from .common import define, session_argument
from .output import json_line, note, write_document, write_json_text

if TYPE_CHECKING:
    from .._face.transcript import Transcript

_SUFFIXES = {
    "html": ".html",
    "markdown": ".md",
    "json": ".json",
    "messages": ".messages.json",
    "atif": ".atif.json",
}

# The names of sessions' files, and of what a repair kept of them. No export writes compressed lines.
_NAME_OF_SESSION = re.compile(r"(rollout-.*\.jsonl|.*\.jsonl\.zst)(\.before-repair-\d+)?", re.DOTALL | re.IGNORECASE)
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})", re.ASCII)


@define(
    name="export",
    examples=[
        ("rolloutlog export --last -o .", "the newest session as a page in this folder; --open shows it"),
        ("rolloutlog export trip-to-rome --format markdown -o rome.md", "as Markdown"),
    ],
)
@session_argument
@click.option("--format", "format", type=click.Choice(list(_SUFFIXES)), help="Default: by the name of FILE, else html.")
@click.option(
    "-o", "target", metavar="FILE|DIR", help="Where to; in a folder the file gets a name of its own. -: stdout."
)
@click.option("--depth", type=click.Choice(DEPTHS), default="tools", show_default=True, help="How much to show.")
@click.option("--full", is_flag=True, help="Cut nothing: neither long outputs nor large pictures.")
@click.option("--redact", is_flag=True, help="Replace keys, tokens and passwords; print how many of which kind.")
@click.option("--open", "is_opened", is_flag=True, help="Show the page in the browser.")
@click.pass_context
def command(
    ctx: click.Context,
    path: Path,
    format: str | None,
    target: str | None,
    depth: Depth,
    full: bool,
    redact: bool,
    is_opened: bool,
) -> None:
    """Write a session as one file that others can read.

    html is one page without a script; calls, outputs and reasoning are folded. json is the list of items that an API
    takes as input, messages is that of Chat Completions, atif is a trajectory (ATIF 1.8). DEPTH: user is what people
    said; talk has the answers; tools has calls; full cuts no output; all has instructions and events.
    """
    format = format or _format_of(target)
    if is_opened and format != "html":
        raise click.UsageError("--open shows a page, so it needs --format html", ctx)
    if target is None and not is_opened and format == "html" and sys.stdout.isatty():
        raise click.UsageError("a page fills the terminal; pass -o FILE, -o DIR or --open", ctx)
    descriptor = _descriptor(target)
    if is_opened and descriptor is not None:
        raise click.UsageError(f"--open shows a file, and -o {target} is none; pass -o FILE or -o DIR, or neither", ctx)
    head, pieces, found = _exported(path, format, depth, full or depth in ("full", "all"), redact, target)
    if (target is None and not is_opened) or descriptor == 1:
        write = write_document if format in ("html", "markdown") else write_json_text
        for piece in pieces:
            write(piece)
    elif descriptor is not None:
        with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as stream:
            stream.writelines(pieces)
    else:
        file = _place(head, format, target)
        _check_place(file, path, ctx)
        if _write_file(file, pieces, is_private=target is None):
            note(f"wrote {file}")
    _tell_redaction(found, redact)
    if is_opened and not webbrowser.open(file.absolute().as_uri()):
        note("no browser was found; open the file yourself")


def _format_of(target: str | None) -> str:
    suffixes = {".md": "markdown", ".markdown": "markdown", ".json": "json"}
    return suffixes.get(Path(target or "").suffix.lower(), "html")


def _exported(
    path: Path, format: str, depth: Depth, is_whole: bool, redact: bool, target: str | None
) -> tuple[Head, Iterable[str], Counter[str]]:
    """Return the session's head, the pieces of its file, and the secrets, counted while the pieces are made."""
    from .._face.redacted import RedactedTranscript
    from .._face.transcript import Transcript

    transcript: Transcript = RedactedTranscript(path) if redact else Transcript(path)
    counts: Counter[str] = transcript.found if isinstance(transcript, RedactedTranscript) else Counter()
    if format == "json":
        return transcript.head, _as_list(load_session(path).to_input(), redact, counts), counts
    if format == "messages":
        return transcript.head, _as_list(_messages(path), redact, counts), counts
    if format == "atif":
        told = load_session(path).to_atif()
        return transcript.head, [json_line(redacted_value(told, counts) if redact else told) + "\n"], counts
    if format == "markdown":
        from .._face.document import document

        return transcript.head, document(transcript, depth, is_whole=is_whole), counts
    from .._face.page import Options, page

    parent = _page_of_parent(transcript.head, target)
    return transcript.head, [page(transcript, Options(depth, is_whole, parent))], counts


def _as_list(values: Iterable[Any], redact: bool, counts: Counter[str]) -> Iterable[str]:
    """Yield *values*, objects, one on each line of a list."""
    before = "["
    for value in values:
        yield before + "\n" + json_line(redacted_value(value, counts) if redact else value)
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _messages(path: Path) -> list[Any]:
    """Return the messages of the session, and say what is not carried."""
    from .._chat.outgoing import converted

    messages, told = converted(load_session(path).context, "chat", "close", False)
    for what, count in Counter(what for _, what in told).most_common():
        note(f"not carried: {what} ({count:,}×)")
    return messages


def _tell_redaction(found: Counter[str], redact: bool) -> None:
    if not redact:
        note("nothing was redacted; --redact replaces keys, tokens and passwords")
        return
    note(f"{counted(found.total(), 'secret')} replaced" + (":" if found else ""))
    for kind, count in found.most_common():
        note(f"  {count:>5,}  {kind}")


# --- files ------------------------------------------------------------------------------------------------------------


def file_name(head: Head, format: str) -> str:
    """Return the name of a session's file: its day, the end of its id, and its first words."""
    day = f"{head.began:%Y-%m-%d}" if head.began is not None else "session"
    words = re.sub(r"[^a-z0-9]+", "-", sentence(head.title).lower())[:48].strip("-")
    short_id = re.sub(r"[^A-Za-z0-9]+", "", head.short_id)
    return "-".join(filter(None, (day, short_id, words))) + _SUFFIXES[format]


def _place(head: Head, format: str, target: str | None) -> Path:
    """Return where the file belongs; its folder exists."""
    if target is None:  # a page that is only looked at
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rolloutlog" / "pages"
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cache / file_name(head, format)
    path = Path(target).expanduser()
    if path.is_dir() or target.endswith("/"):
        path.mkdir(parents=True, exist_ok=True)
        return path / file_name(head, format)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _descriptor(target: str | None) -> int | None:
    """Return the descriptor that *target* names. Its path is never opened, which would begin at its start again."""
    named = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}.get(target or "")
    match = _DESCRIPTOR.fullmatch(target or "")
    return int(match[1]) if match else named


def _check_place(file: Path, session: Path, ctx: click.Context) -> None:
    """Refuse a *file* that is a session, by whatever path or link it was named: it would be lost."""
    real = Path(os.path.realpath(file))
    if any(map(_NAME_OF_SESSION.fullmatch, (file.name, real.name))) or _holds_session(real, session):
        raise click.UsageError(
            f"expected a file for the export, got {file}, which is a session or named like one, and a session is never "
            "replaced; pass -o with another FILE, or with a DIR",
            ctx,
        )


def _holds_session(file: Path, session: Path) -> bool:
    try:
        held = file.stat()
    except FileNotFoundError:
        return False
    if os.path.samestat(held, session.stat()):
        return True
    if not stat.S_ISREG(held.st_mode):
        return False
    try:
        return read_head(file).meta is not None
    except RolloutError:
        return False


def _page_of_parent(head: Head, target: str | None) -> str | None:
    """Return the name of the page of the session that this one was forked from, if it is in the same folder."""
    if head.parent_id is None or target in (None, "-"):
        return None
    folder = Path(target or "").expanduser()
    short_id = re.sub(r"[^A-Za-z0-9]+", "", head.parent_id[-8:])
    if not folder.is_dir() or not short_id:
        return None
    pages = sorted(folder.glob(f"*-{short_id}*.html"))
    return pages[0].name if pages and re.fullmatch(r"[\w.-]+", pages[0].name, re.ASCII) else None


def _write_file(path: Path, pieces: Iterable[str], *, is_private: bool) -> bool:
    """Write *pieces* to the file that *path* leads to, which has its old contents until all of it is written.

    A FIFO or a device stays what it is: *pieces* are written into it. Returns whether a file was written.
    """
    try:
        before = path.stat()
    except FileNotFoundError:
        before = None
    if before is not None and not stat.S_ISREG(before.st_mode):
        with os.fdopen(os.open(path, os.O_WRONLY), "w", encoding="utf-8") as file:
            file.writelines(pieces)
        return False
    path = Path(os.path.realpath(path))  # a link stays, and its file is replaced
    mode = 0o600 if is_private else 0o666
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            if before is not None and not is_private:
                new.chmod(stat.S_IMODE(before.st_mode))
            file.writelines(pieces)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return True
