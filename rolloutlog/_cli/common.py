"""The conventions of all commands: options that mean the same everywhere, how a session is named, and examples."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click
from click.shell_completion import CompletionItem

from .._face.safe import for_terminal
from .._face.sessions import SHORTEST, default_homes, find_session, newest_first, none_yet
from ..exceptions import RolloutError
from .output import note

if TYPE_CHECKING:
    from .._face.heads import Head
    from .._paths import FoundFile

SCHEMA = 1
"""The version of the shapes that `--json` prints. It rises when a key changes its meaning or is removed."""

VARIABLE = "_ROLLOUTLOG_COMPLETE"
"""The variable by which the script of a shell asks for words."""

# A shell completes among so many of the newest sessions.
_MOST_LOOKED_AT = 200

EPILOG_OF_ALL = "Without a command, the ten newest sessions are listed."

_F = TypeVar("_F", bound=Callable[..., Any])


class Count(click.IntRange):
    """A whole number from *least* to *most*. One that is too large for a length means the largest length.

    The type of every number on the command line, so that a wrong one is explained in one way.
    """

    def __init__(self, least: int = 0, most: int | None = None) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number that *value* is."""
        try:
            return min(int(super().convert(value, param, ctx)), sys.maxsize)
        except click.BadParameter:
            most = "" if self.max is None else f" to {self.max}"
            self.fail(f"expected a whole number from {self.min}{most}; got {value!r}", param, ctx)


@attrs.define
class Settings:
    """The settings of the whole run: the homes that were named, in order."""

    named: list[Path] = attrs.Factory(list)

    @property
    def homes(self) -> list[Path]:
        """The homes to look through."""
        return self.named or default_homes()


class Command(click.Command):
    """A command that takes `--home` as the group does, and whose help ends in examples.

    Args:
        examples: command lines, each with what it does. The tests run them.
    """

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.params.append(click.Option(_HOME_NAMES, **_HOME_SETTINGS))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with the homes that were named after it, too."""
        if not isinstance(ctx.obj, Settings):
            ctx.obj = Settings()
        add_home(ctx, ctx.params.pop("homes"))
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        with formatter.section("Examples"):
            formatter.write_dl(list(self.examples), col_max=60)


_HOME_NAMES = ("--home", "homes")
_HOME_SETTINGS: dict[str, Any] = {
    "multiple": True,
    "metavar": "DIR",
    "help": "Look for sessions there only; can be repeated. Default: ROLLOUTLOG_HOME, else ~/.rolloutlog and ~/.codex.",
}


home_option = click.option(*_HOME_NAMES, **_HOME_SETTINGS)


def add_home(ctx: click.Context, homes: Sequence[str]) -> None:
    """Remember *homes*, which were named on the command line."""
    for home in homes:
        path = Path(home).expanduser()
        if not path.is_dir():
            raise click.UsageError(f"--home: there is no folder {home}", ctx)
        ctx.obj.named.append(path)


def define(*, examples: Sequence[tuple[str, str]], **options: Any) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that makes a `Command` of a function."""
    return click.command(cls=Command, examples=examples, **options)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on each line.")
utc_option = click.option("--utc", is_flag=True, help="Show times in UTC, not in local time.")
archived_option = click.option("--archived", is_flag=True, help="Look among the archived sessions instead.")


def session_argument(function: _F) -> _F:
    """Add the argument SESSION, and `--last`, which takes its place: the function gets the file as ``path``."""

    def add(given: _F) -> _F:
        given = click.option("--last", is_flag=True, help="The newest session, in place of SESSION.")(given)
        return click.argument("session", required=False, metavar="SESSION", shell_complete=_complete)(given)

    def run(*args: Any, session: str | None, last: bool, **kwargs: Any) -> Any:
        ctx = click.get_current_context()
        path = session_path(ctx, session, last)
        _check_stdout(ctx, path)
        return function(*args, path=path, **kwargs)

    run.__doc__, run.__name__ = function.__doc__, function.__name__
    run.__dict__.update(function.__dict__)
    return add(run)  # type: ignore[arg-type]


def _check_stdout(ctx: click.Context, path: Path) -> None:
    """Refuse to print what is read from a session to its own end, as `cat` does."""
    try:
        out, file = os.fstat(sys.stdout.fileno()), path.stat()
    except (OSError, ValueError):  # a test's stream has no descriptor
        return
    if stat.S_ISREG(out.st_mode) and os.path.samestat(out, file):
        raise click.UsageError(
            f"stdout is {path}, the file of the session itself; send the output to another file", ctx
        )


def _complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names and the ends of ids that begin like *incomplete*, newest first, with their first words."""
    from .._face.heads import read_head
    from .._face.safe import one_line

    root = ctx.find_root().params.get("homes") or ()
    homes = [Path(home).expanduser() for home in (*root, *(ctx.params.get("homes") or ()))] or default_homes()
    items: list[CompletionItem] = []
    for found in islice(newest_first(homes), _MOST_LOOKED_AT):
        try:
            head = read_head(found.path)
        except (OSError, RolloutError):
            continue
        words = for_terminal(one_line(head.title, 60))
        for handle in (head.name, head.short_id):
            if handle and handle.startswith(incomplete) and for_terminal(handle) == handle:
                items.append(CompletionItem(handle, help=words))
                break
    return items


def session_path(ctx: click.Context, session: str | None, last: bool) -> Path:
    """Return the file of the session that was named, of the newest one, or of what stdin holds.

    Raises:
        click.UsageError: no session was named, or two ways at once.
        SessionNotFoundError, NotUniqueError: as `find_session`.
    """
    settings: Settings = ctx.obj
    if last and session is not None:
        raise click.UsageError("expected SESSION or --last, not both", ctx)
    if last:
        return newest_session(settings.homes)
    if session is None:
        raise click.UsageError(
            "expected a SESSION: its name, its id, the beginning or the end of its id"
            f" (at least {SHORTEST} characters), or a path; or --last",
            ctx,
        )
    if session == "-":
        if ctx.params.get("follow"):
            raise click.UsageError("stdin cannot be followed; pass the path of a file, or leave out -f", ctx)
        return _stdin_as_file(ctx)
    return find_session(session, settings.homes)


def newest_session(homes: Sequence[Path]) -> Path:
    """Return the file of the newest session in *homes*.

    Raises:
        click.ClickException: there is no session yet.
    """
    from .._face.heads import with_heads

    newest = [first for home in homes if (first := next(with_heads(newest_first([home]), is_exact=True), None))]
    if not newest:
        raise click.ClickException(none_yet(homes))

    # Names of files tell local time or UTC, so the newest of each home are compared by what they hold.
    def began(each: tuple[FoundFile, Head | None, bool]) -> dt.datetime:
        found, head, _ = each
        return found.started if head is None or head.began is None else head.began

    return max(newest, key=began)[0].path


def handle_to_type(head: Head) -> str:
    """Return how the next command can name the session of this one, for a shell; empty if it cannot.

    It is what the person typed, because that means this session: an id does not lead to a file outside of the homes,
    and a name may mean a newer session.
    """
    ctx = click.get_current_context()
    typed, settings = ctx.params.get("session"), ctx.obj
    if typed is None:  # --last, which may mean another session soon
        from .._face.printing import handle_of

        typed = handle_of(head)
    if typed.startswith("-") or not typed.isprintable() or for_terminal(typed) != typed:
        return ""
    return " ".join([shlex.quote(typed), *(f"--home {shlex.quote(str(home))}" for home in settings.named)])


def _stdin_as_file(ctx: click.Context) -> Path:
    """Copy stdin to a private file that is removed at the end: a session is read from a file, more than once."""
    if sys.stdin is None:
        raise click.UsageError("- is the session on stdin, and stdin is closed; pass a SESSION, or use a pipe", ctx)
    file = ctx.with_resource(tempfile.NamedTemporaryFile(prefix="rolloutlog-", suffix=".jsonl"))  # noqa: SIM115
    if sys.stdin.isatty():
        note("reads a session from the terminal; Ctrl-D ends it")
    while chunk := sys.stdin.buffer.read(1 << 20):
        file.write(chunk)
    file.flush()
    return Path(file.name)
