"""Fixed tolerances beside the radius: ``python -m torch_mirror.figures``."""
