"""The same faults, shown to torch-mirror and to what people use in its place: docs/comparison.md.

    pip install --no-deps --target FOLDER -r tests/benchmarks/scoreboard.txt
    PYTHONPATH=FOLDER python -m tests.benchmarks.scoreboard > docs/comparison.md

Four networks of tests/examples with a torch twin, in both precisions. The faults are the selftest's: edits of a line of
the backward pass, of as many kinds as its lines allow; and small ones, which change a gradient by a few millionths. The
others compare the gradients by hand with torch's autograd; what is not installed is not run, and not on the page.
"""

import importlib.util
import logging
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

from reference.claim.tree import named
from reference.errors import TorchMirrorError
from tests.doors.of_the_field import in_dtype
from tests.examples.test_examples import EXAMPLES, leaves, mapped, mapped_like
from torch_mirror import check
from torch_mirror.doors.selftest.backward import Point, moved, named_of
from torch_mirror.doors.selftest.source import MOST, edited, planted_in, right_of

DTYPES = ("float64", "float32")
SEEDS = range(20)
SMALL = 2e-6
"""The size of the small faults, relative to a gradient: 34 times 2^-24, the most that one float32 operation rounds."""


class Seen(NamedTuple):
    """What one tool says of one set of gradients. located: the line; named: the cause, which holds elsewhere too."""

    wrong: bool
    located: bool = False
    named: bool = False


class Case(NamedTuple):
    """A network at some numbers. lines: those on which the planted fault shows, none for a small one."""

    function: Callable[..., Any]
    twin: Callable[..., Any]
    point: Point
    lines: frozenset[int] = frozenset()


Tool = Callable[[Case], Seen]


# --- the tools ----------------------------------------------------------------------------------------


def by_check(case: Case) -> Seen:
    try:
        c = check(case.function, case.point.parameters, *case.point.data)
    except TorchMirrorError:
        return Seen(wrong=False)
    told = {line.number for fault in c.faults for line in fault.wrong}
    name = named_of(c, lambda: check(case.function, moved(case.point).parameters, *case.point.data).causes)
    return Seen(c.verdict == "refuted", bool(told & case.lines), name == "named")


def own(case: Case) -> list[np.ndarray[Any, Any]]:
    gradients = case.function(case.point.parameters, *case.point.data)[1]
    return [np.asarray(g) for g in leaves(mapped_like(case.point.parameters, gradients))]


def autograd(case: Case, dtype: Any = None) -> list[np.ndarray[Any, Any]]:
    def tensor(a: Any, *, grad: bool = False) -> torch.Tensor:
        t = torch.tensor(a)
        return (t.to(dtype) if dtype is not None and t.is_floating_point() else t).requires_grad_(grad)

    p = mapped(lambda a: tensor(a, grad=True), case.point.parameters)
    case.twin(p, *(tensor(a) for a in case.point.data)).backward()
    return [leaf.grad.numpy() for leaf in leaves(p)]


def raised(compare: Callable[[], Any]) -> bool:
    try:
        compare()
    except AssertionError:
        return True
    return False


def by_assert_close(case: Case) -> Seen:
    ours, theirs = ([torch.tensor(a) for a in side] for side in (own(case), autograd(case)))
    return Seen(raised(lambda: torch.testing.assert_close(ours, theirs)))


def by_allclose(case: Case) -> Seen:
    return Seen(not all(np.allclose(a, b) for a, b in zip(own(case), autograd(case), strict=True)))


def by_same(case: Case) -> Seen:
    from torch._dynamo.utils import same

    logging.getLogger("torch._dynamo").setLevel(logging.CRITICAL)  # it writes a line for each difference
    exact = autograd(case, torch.float64)
    theirs, ours, wide = ([torch.tensor(a) for a in side] for side in (autograd(case), own(case), exact))
    return Seen(not same(theirs, ours, wide))


def by_gradcheck(case: Case) -> Seen:
    """A function of torch whose backward pass is the one by hand; in float64, which alone it is meant for."""
    data = [in_dtype(a, "float64") for a in case.point.data]
    flat = [torch.tensor(np.asarray(a, np.float64), requires_grad=True) for a in leaves(case.point.parameters)]

    class Mine(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(*tensors)
            return torch.tensor(float(case.function(_tree(case, tensors), *data)[0]), dtype=torch.float64)

        @staticmethod
        def backward(ctx: Any, dy: torch.Tensor) -> Any:
            p = _tree(case, ctx.saved_tensors)
            return tuple(dy * torch.tensor(g) for g in leaves(mapped_like(p, case.function(p, *data)[1])))

    return Seen(not torch.autograd.gradcheck(Mine.apply, flat, raise_exception=False))


def _tree(case: Case, tensors: Any) -> Any:
    values = iter(tensors)
    return mapped(lambda _: next(values).detach().numpy().copy(), case.point.parameters)


def by_chex(case: Case) -> Seen:
    import chex  # type: ignore[import-not-found]  # scoreboard.txt has it

    return Seen(raised(lambda: chex.assert_trees_all_close(own(case), autograd(case))))


def by_polygraphy(case: Case) -> Seen:
    from polygraphy.comparator import CompareFunc, IterationResult  # type: ignore[import-not-found]  # the same
    from polygraphy.logger import G_LOGGER  # type: ignore[import-not-found]  # the same

    G_LOGGER.module_severity = G_LOGGER.CRITICAL
    sides = [IterationResult({str(i): a for i, a in enumerate(s)}, runner_name=n)
             for n, s in (("numpy", own(case)), ("torch", autograd(case)))]  # fmt: skip
    return Seen(not all(bool(r) for r in CompareFunc.simple()(*sides).values()))


TOOLS: dict[str, tuple[Tool, str]] = {
    "torch_mirror.check": (by_check, "torch_mirror"),
    "torch.testing.assert_close": (by_assert_close, "torch"),
    "numpy.allclose": (by_allclose, "numpy"),
    "torch._dynamo.utils.same, with a float64 run": (by_same, "torch"),
    "torch.autograd.gradcheck": (by_gradcheck, "torch"),
    "chex.assert_trees_all_close": (by_chex, "chex"),
    "polygraphy, CompareFunc.simple": (by_polygraphy, "polygraphy"),
}
"""Each with the defaults of its release, and the package that it is of."""


# --- what they are shown ------------------------------------------------------------------------------


@cache
def point(network: str, dtype: str, seed: int = 0, wide: int = 1) -> Point:
    """Parameters and data; wide: how many times as many of the samples."""
    module, _, data = EXAMPLES[network]
    draws = np.random.default_rng(seed)
    p = module.init(draws)
    rows = [data(draws) for _ in range(wide)]
    axis = 1 if network == "columns" else 0
    together = (np.concatenate(arrays, axis=axis) for arrays in zip(*rows, strict=True))
    return Point(in_dtype(p, dtype), tuple(in_dtype(a, dtype) for a in together))


def honest(dtype: str) -> Iterator[Case]:
    """The networks as they are, at other numbers each time, with 6 samples and with 600."""
    for name, (module, twin, _) in EXAMPLES.items():
        yield from (Case(module.loss, twin, point(name, dtype, seed)) for seed in SEEDS)
        yield from (Case(module.loss, twin, point(name, dtype, seed, 100)) for seed in SEEDS[:5])


def faults(dtype: str) -> Iterator[Case]:
    """Each network with each edit of its backward pass, while that is in its code."""
    for name, (module, twin, _) in EXAMPLES.items():
        at, count = point(name, dtype), 0
        right = right_of(module.loss, at)
        assert right is not None
        for planted in planted_in(right.lines):
            with edited(planted):
                if count < MOST and _counts(Case(module.loss, twin, at), right, dtype):
                    count += 1
                    yield Case(module.loss, twin, at, planted.edit.lines)


def _counts(case: Case, right: Any, dtype: str) -> bool:
    """Whether the edited code runs, gives gradients of the right shapes, and others by more than their rounding."""
    try:
        gradients = case.function(case.point.parameters, *case.point.data)[1]
        own_named = named(gradients)
        if any(np.shape(own_named[name]) != g.shape for name, g in right.gradients.items()):
            return False
    except Exception:  # noqa: BLE001 - whatever an edited program raises
        return False
    share = float(np.finfo(dtype).eps / np.finfo(np.float64).eps)  # how much coarser than the float64 of the radii
    return any(
        bool((np.abs(np.asarray(own_named[name], np.float64) - g.value) > 2 * share * np.asarray(g.radius)).any())
        for name, g in right.gradients.items()
    )


def small(dtype: str) -> Iterator[Case]:
    """One gradient of each network a few millionths too large, one after the other."""
    for name, (module, twin, _) in EXAMPLES.items():
        at = point(name, dtype)
        for which in range(len(list(leaves(at.parameters)))):
            yield Case(_scaled(module.loss, which), twin, at)


def _scaled(loss: Callable[..., Any], which: int) -> Callable[..., Any]:
    def mine(p: Any, *data: Any) -> Any:
        value, gradients = loss(p, *data)
        numbers = iter(range(len(list(leaves(p)))))
        return value, mapped(lambda g: g * (1 + SMALL) if next(numbers) == which else g, mapped_like(p, gradients))

    return mine


# --- the page -----------------------------------------------------------------------------------------


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

The networks are small, and the edits large: every tool finds these. They differ in what they call wrong that is right,
in what is small, and in what they say of it. Not run here: `padiff`, which needs PaddlePaddle, and `msprobe`.
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
