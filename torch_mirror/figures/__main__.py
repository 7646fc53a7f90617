"""``python -m torch_mirror.figures``."""

from torch_mirror.extras import or_exit

if __name__ == "__main__":
    with or_exit():
        from torch_mirror.figures.command import figures

        figures(prog_name="python -m torch_mirror.figures")
