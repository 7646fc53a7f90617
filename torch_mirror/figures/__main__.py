"""``python -m torch_mirror.figures``."""

from torch_mirror.interrupt import leave_at_once


def main() -> None:
    """Run the command and end the process."""
    leave_at_once()
    from torch_mirror.ending import finish

    finish(_command)


def _command() -> int:
    from torch_mirror.doors.cli import run
    from torch_mirror.figures.command import figures

    return run(command=figures, name="python -m torch_mirror.figures")


if __name__ == "__main__":
    main()
