"""`rolloutlog completion`: the script with which a shell completes commands, options and sessions."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from .common import VARIABLE, define
from .output import write

SHELLS = ("bash", "zsh", "fish")


@define(
    name="completion",
    examples=[
        ("rolloutlog completion bash", 'in ~/.bashrc: eval "$(rolloutlog completion bash)"'),
        ("rolloutlog completion fish", "to ~/.config/fish/completions/rolloutlog.fish"),
    ],
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and sessions in your shell."""
    found = get_completion_class(shell)
    assert found is not None  # click has all three
    write(found(ctx.find_root().command, {}, "rolloutlog", VARIABLE).source() + "\n")
