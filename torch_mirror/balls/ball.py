"""The ball by the name that the rest of the project imports it by; it stands in cell.py."""

from torch_mirror.balls.cell import Ball as Ball  # noqa: PLC0414 - what this file is for
