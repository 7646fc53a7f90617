"""``python -m torch_mirror`` is the command ``torch-mirror``, which begins here: with nothing to wait for."""

from torch_mirror.interrupt import leave_at_once


def main() -> None:
    """Run the command and end the process."""
    leave_at_once()
    from torch_mirror.ending import finish

    finish(_command)


def _command() -> int:
    from torch_mirror.doors.cli import run

    return run()


if __name__ == "__main__":
    main()
