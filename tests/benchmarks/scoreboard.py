"""The same faults, shown to torch-mirror and to what people use in its place: docs/comparison.md.

    pip install --no-deps --target FOLDER -r tests/benchmarks/scoreboard.txt
    PYTHONPATH=FOLDER python -m tests.benchmarks.scoreboard > docs/comparison.md

scoreboard_cases.py has what they are shown, in both precisions; scoreboard_tools.py, how each is asked. What is not
installed is not run, and not on the page.
"""

import importlib.util
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import torch

from tests.benchmarks.scoreboard_cases import DTYPES, SEEDS, SMALL, Case, faults, honest, small
from tests.benchmarks.scoreboard_tools import TOOLS, Seen, Tool
from tests.examples.test_examples import EXAMPLES


class Score(NamedTuple):
    """Of one tool and one precision: how many of how many, and the time of each look."""

    alarms: tuple[int, int]
    found: tuple[int, int]
    small: tuple[int, int]
    located: int
    named: int
    right: float
    wrong: float


def score(tool: Tool, dtype: str) -> Score:
    tool(next(honest(dtype)))  # loads what it needs
    right, _, at_right = _all(tool, honest(dtype))
    found, seen, at_wrong = _all(tool, faults(dtype))
    tiny, _, _ = _all(tool, small(dtype))
    return Score(right, found, tiny, sum(s.located for s in seen), sum(s.named for s in seen), at_right, at_wrong)


def _all(tool: Tool, cases: Iterator[Case]) -> tuple[tuple[int, int], list[Seen], float]:
    seen, seconds = [], 0.0
    for case in cases:
        started = time.process_time()
        seen.append(tool(case))
        seconds += time.process_time() - started
    return (sum(s.wrong for s in seen), len(seen)), seen, seconds / len(seen)


HEAD = """# Beside other tools

The same right and wrong gradients, shown to `check` and to what people use in its place, each with the defaults of its
release. The page is made by `python -m tests.benchmarks.scoreboard`, whose docstring says how; what it does not list
was not run.

- **False alarms**: four networks by hand that are right ({names}), at {seeds} draws of 6 samples and 5 of 600.
- **Faults found**: edits of one line of the backward pass, as `torch-mirror selftest` plants them: a factor, a sign, a
  mask, a sum for a mean, a transposition. Only such as change a gradient by more than its rounding.
- **Small faults found**: one gradient too large by {small:g} of itself, as N - 1 for N makes it where a batch has
  500,000 samples. In float32 that is 34 roundings.
- **Line**: how often the line of the fault is told. **Cause**: how often what was done is named, so that it holds at
  other numbers, too. The others do neither. Nor is there a side here: one function is judged, and autograd is believed
  by whoever compares with it. [Verdicts](verdicts.md) has the side.
- **Time**: of the processor, of each look at right and at wrong code, loading left out. Of `check` the search for
  the cause is most of it.
"""


def page() -> str:
    rows = []
    for name, (tool, package) in TOOLS.items():
        if importlib.util.find_spec(package) is not None:
            rows += [line(name, dtype, score(tool, dtype)) for dtype in DTYPES]
    head = HEAD.format(names=", ".join(EXAMPLES), seeds=len(SEEDS), small=SMALL)
    return "\n".join([head, TABLE, *rows, "", TAIL])


TABLE = """| tool | precision | false alarms | faults found | small faults found | line | cause | time: right, wrong |
|---|---|---|---|---|---|---|---|"""
TAIL = """`gradcheck` is meant for float64 alone: of a float32 network it has the numbers, in float64. The comparisons
need a second program that is right, autograd of the same network written again in torch; `check` and `gradcheck` need
none. `same` is given a run of the twin in float64, too.

The networks are small, and the edits large: all tools but `msprobe` find every one. They differ in what they call wrong
that is right, in what is small, and in what they say of it.

`padiff` holds a module of torch against a layer of PaddlePaddle: here the module's backward pass is the one by hand,
and Paddle differentiates the layer. By default it compares the mean of each gradient, to 1e-7 of itself, so that a mean
that is 0 but for rounding is an alarm. `msprobe` (the package mindstudio-probe) is made for Ascend's processors. What
runs without one is its comparison of arrays in files, and its rule for these was asked here. It gives no word on an
array of one element.
"""


def line(name: str, dtype: str, s: Score) -> str:
    def of(pair: tuple[int, int]) -> str:
        return f"{pair[0]} of {pair[1]}"

    told = [f"{n} of {s.found[1]}" for n in (s.located, s.named)] if name == "torch_mirror.check" else ["-", "-"]
    times = f"{1000 * s.right:.1f} ms, {1000 * s.wrong:.1f} ms"
    cells = [f"`{name}`", dtype, of(s.alarms), of(s.found), of(s.small), *told, times]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write(page().rstrip("\n") + "\n")
