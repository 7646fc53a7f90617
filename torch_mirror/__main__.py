"""``python -m torch_mirror`` is the command ``torch-mirror``."""

from torch_mirror.doors.cli import main

if __name__ == "__main__":
    main()
