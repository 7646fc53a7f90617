"""``python -m torch_mirror.figures``."""

from torch_mirror.figures.command import figures

if __name__ == "__main__":
    figures(prog_name="python -m torch_mirror.figures")
