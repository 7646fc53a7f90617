"""``python -m torch_mirror`` is the command ``torch-mirror``, which begins here."""

from torch_mirror.extras import or_exit


def main() -> None:
    """Run the command and exit."""
    with or_exit():
        from torch_mirror.doors import cli

        cli.main()


if __name__ == "__main__":
    main()
