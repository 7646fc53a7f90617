"""Sizes and shapes, from what a file says of them."""

import ast

from torch_mirror.doors.starting.sizes import shapes_told


def test_the_shapes_that_a_docstring_tells() -> None:
    text = 'def f(x, t, s):\n    """x: (N, in), t: (N, ) numbers, s: () a number; ids: a list of whole numbers."""\n'
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.FunctionDef)
    assert shapes_told(function) == {"x": ["N", "in"], "t": ["N"], "s": [], "ids": None}
