"""The command ``torch-mirror``: options in, lines out, exit status (see ``torch_mirror.ending``)."""

import os
import sys
from collections.abc import Sequence

import click

from torch_mirror import __version__
from torch_mirror.doors.commands.check import check
from torch_mirror.doors.commands.compare import compare
from torch_mirror.doors.commands.explain import explain
from torch_mirror.doors.commands.gate import gate
from torch_mirror.doors.commands.init import init
from torch_mirror.doors.commands.selftest import reproduce, selftest
from torch_mirror.doors.commands.traces import certify, record
from torch_mirror.doors.commands.verify import verify
from torch_mirror.doors.console import suggested
from torch_mirror.ending import finish, status_of

COMPLETION = "_TORCH_MIRROR_COMPLETE"
"""What a shell sets that asks click how a line may go on."""

class Commands(click.Group):
    """A group that names the nearest command where one is not known, as click does from 8.4 on."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known, name = self.list_commands(ctx), args[0]
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            near = suggested(name, known)
            ctx.fail(f"unknown command {name!r}: {f'{near} ' if near else ''}known are {', '.join(known)}")
        return super().resolve_command(ctx, args)


COMMANDS = [check, verify, certify, gate, record, compare, selftest, reproduce, init, explain]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, commands=COMMANDS)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Hold a PyTorch mirror up to networks written by hand in NumPy."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, and raise SystemExit with its status: for programs that call it and go on."""
    sys.exit(status_of(lambda: run(arguments)))


def run(arguments: Sequence[str] | None = None, command: click.Command = cli, name: str = "torch-mirror") -> int:
    """Run a command, with sys.argv's arguments by default; returns its exit status.

    click's own ``main`` would exit, with status 1 where it meets a closed pipe or Ctrl-C.
    """
    if COMPLETION in os.environ:
        command.main(prog_name=name)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with command.make_context(name, [*given], obj=given) as context:  # which takes from its list what it has read
            command.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return 0


if __name__ == "__main__":
    finish(run)
