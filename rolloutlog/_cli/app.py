"""The command `rolloutlog` itself: finds the command that was asked for, and turns each ending into an exit code."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click
from click.shell_completion import shell_complete

from .._face.heads import head_if_readable
from .._face.safe import for_terminal, one_line
from .._face.sessions import NotUniqueError
from .._face.words import Clock
from .._version import __version__
from ..exceptions import RolloutError, SessionNotFoundError
from .common import EPILOG_OF_ALL, SCHEMA, VARIABLE, Settings, add_home, home_option
from .missing import closest, no_session
from .output import drop_stdout, json_line, note, prepare_streams, write
from .table import COMMANDS

DONE, FOUND_WRONG, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


class _Group(click.Group):
    """Imports a command's module when it is asked for. The list of all commands needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f".{COMMANDS[cmd_name][0]}", __package__).command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name not in COMMANDS and not name.startswith("-"):
            known = ", ".join(COMMANDS)
            meant = closest(name, COMMANDS)
            hint = "" if meant is None else f"; did you mean {meant!r}?"
            raise click.UsageError(f"there is no command {name!r}; there are {known}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    name="rolloutlog",
    cls=_Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG_OF_ALL,
)
@home_option
@click.option("--version", is_flag=True, help="Show the version; with --json also that of the shapes of JSON.")
@click.option("--json", "as_json", is_flag=True, hidden=True)
@click.pass_context
def app(ctx: click.Context, homes: tuple[str, ...], version: bool, as_json: bool) -> None:
    """Look at recorded sessions: list them, show one, search in all of them, repair a damaged one.

    SESSION is a session's name, its id, the beginning or the end of its id (at least 4 characters), or the path of its
    file.
    """
    if version:
        write(json_line({"version": __version__, "schema": SCHEMA}) if as_json else f"rolloutlog {__version__}")
        write("\n")
        return
    ctx.obj = Settings()
    add_home(ctx, homes)
    if ctx.invoked_subcommand is None:
        if "list" in COMMANDS:
            listing = app.get_command(ctx, "list")
            assert listing is not None
            arguments = ["-n", "10", *(["--json"] if as_json else [])]
            with listing.make_context("list", arguments, parent=ctx) as sub:
                listing.invoke(sub)
            if not as_json:
                note("rolloutlog show SESSION shows one, rolloutlog --help all commands")
        else:
            write(ctx.get_help() + "\n")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command with *arguments*, else those of the process; return the exit code."""
    prepare_streams()
    if (instruction := os.environ.get(VARIABLE)) is not None:
        return shell_complete(app, {}, "rolloutlog", VARIABLE, instruction)
    try:
        # Not `app.main`, which has exit codes of its own for a closed pipe and for Ctrl-C.
        with app.make_context("rolloutlog", list(sys.argv[1:] if arguments is None else arguments)) as ctx:
            result: Any = app.invoke(ctx)
        sys.stdout.flush()
        return result if isinstance(result, int) else DONE
    except BrokenPipeError:
        drop_stdout()
        return DONE
    except (KeyboardInterrupt, click.Abort):
        _flush_or_drop()
        return INTERRUPTED
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _refuse(error)
    except NotUniqueError as error:
        return _fail(_candidates(error), WRONG_USE)
    except SessionNotFoundError as error:
        return _fail(no_session(error, ctx.obj.homes))
    except RolloutError as error:
        return _fail(error)
    except OSError as error:
        where = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return _fail(f"{where}{error.strerror or error}")


def _refuse(error: click.ClickException) -> int:
    """Report wrong use, as click does, but without any character of the command line that a terminal obeys."""
    _flush_or_drop()
    ctx = getattr(error, "ctx", None)
    if ctx is not None:
        sys.stderr.write(for_terminal(ctx.get_usage()) + "\n")
    note(f"{error.format_message()}" + ("" if ctx is None else f" (help: {ctx.command_path} --help)"))
    return error.exit_code


def _candidates(error: NotUniqueError) -> str:
    """Return the message that names the sessions of which one may be meant.

    A session is named by the path of its file where its id is that of another one, or not the one in the file's name.
    """
    clock = Clock()
    heads = [head_if_readable(found) for found in error.found]
    ids = [found.id if head is None else head.id for found, (head, _) in zip(error.found, heads, strict=True)]
    lines, needs_path = [], False
    for found, (head, is_readable), id in zip(error.found, heads, ids, strict=True):
        began = head.began if head is not None and head.began is not None else found.started
        words = one_line(head.name or head.title, 40) if head is not None and is_readable else "(unreadable)"
        is_path = ids.count(id) > 1 or id != found.id
        needs_path = needs_path or is_path
        handle = shlex.quote(str(found.path)) if is_path else id
        lines.append(f"  {handle}  {clock.moment(began)} {clock.zone(began)}  {words}")
    advice = "pass more of the id" + (", or the path" if needs_path else "")
    return "\n".join([f"{len(lines)} sessions are meant by {error.wanted!r}; {advice}", *lines])


def _fail(error: object, code: int = FOUND_WRONG) -> int:
    _flush_or_drop()
    note(str(error))
    return code


def _flush_or_drop() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        drop_stdout()
