"""``python -m torch_mirror`` is the command ``torch-mirror``."""

from torch_mirror.cli import main

if __name__ == "__main__":
    main()
