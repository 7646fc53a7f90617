"""The tools of the scoreboard: each is shown gradients by hand, and says whether they are wrong.

Those that compare are given autograd of the same network, written again in torch, or in Paddle for padiff.
"""

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

import numpy as np
import torch

from reference.errors import TorchMirrorError
from tests.benchmarks.scoreboard_cases import Case
from tests.doors.of_the_field import in_dtype
from tests.examples import dicts
from tests.examples.test_examples import EXAMPLES, leaves, mapped, mapped_like
from torch_mirror import check
from torch_mirror.doors.selftest.backward import moved, named_of


class Seen(NamedTuple):
    """What one tool says of one set of gradients. located: the line; named: the cause, which holds elsewhere too."""

    wrong: bool
    located: bool = False
    named: bool = False


Tool = Callable[[Case], Seen]


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
    EXAMPLES[case.network][1](p, *(tensor(a) for a in case.point.data)).backward()  # type: ignore[no-untyped-call]  # untyped in torch
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
    return Seen(not torch.autograd.gradcheck(by_hand(case, data), flat, raise_exception=False))


def by_hand(case: Case, data: Sequence[Any]) -> Callable[..., torch.Tensor]:
    """The loss as a function of torch, of the parameters as tensors, whose backward pass is the one by hand."""

    class Mine(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(*tensors)
            return torch.tensor(float(case.function(_tree(case, tensors), *data)[0]), dtype=tensors[0].dtype)

        @staticmethod
        def backward(ctx: Any, dy: torch.Tensor) -> Any:
            p = _tree(case, ctx.saved_tensors)
            return tuple(dy * torch.tensor(g) for g in leaves(mapped_like(p, case.function(p, *data)[1])))

    return Mine.apply


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


def _dicts(paddle: Any, p: Any, x: Any, t: Any) -> Any:
    scores = paddle.nn.functional.relu(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    penalty = dicts.REG * ((p["W1"] ** 2).sum() + (p["W2"] ** 2).sum())
    return paddle.nn.functional.cross_entropy(scores, t) + penalty


def _pairs(paddle: Any, p: Any, x: Any, t: Any) -> Any:
    for W, b in p[:-1]:
        x = paddle.tanh(x @ W + b)
    W, b = p[-1]
    return ((x @ W + b - t) ** 2).sum() / (2 * len(t))


def _columns(paddle: Any, p: Any, x: Any, t: Any) -> Any:
    probabilities = paddle.nn.functional.sigmoid(p["W2"] @ paddle.tanh(p["W1"] @ x + p["b1"]) + p["b2"])
    return paddle.nn.functional.binary_cross_entropy(probabilities, t, reduction="sum") / t.shape[1]


def _layer_objects(paddle: Any, p: Any, x: Any, t: Any) -> Any:
    hidden = paddle.nn.functional.leaky_relu(x @ p[0] + p[1], 0.125)
    return paddle.nn.functional.mse_loss(hidden @ p[2] + p[3], t)


IN_PADDLE = {"dicts": _dicts, "pairs": _pairs, "columns": _columns, "layer_objects": _layer_objects}


def by_padiff(case: Case) -> Seen:
    """A layer of Paddle, which differentiates it, beside a module of torch whose backward pass is the one by hand."""
    # without these it replaces torch's and Paddle's own functions for all that runs in this process, and asks for a GPU
    os.environ.update(PADIFF_API_CHECK="OFF", PADIFF_TENSOR_METHOD="OFF", PADIFF_CUDA_MEMORY="OFF")
    import paddle  # type: ignore[import-not-found]  # scoreboard.txt has it
    import padiff  # type: ignore[import-not-found]  # the same
    from padiff.utils import diff_log_path  # type: ignore[import-not-found]  # the same

    mine, start = by_hand(case, case.point.data), case.point.parameters

    class Layer(paddle.nn.Layer):  # type: ignore[misc]  # untyped in Paddle
        def __init__(self) -> None:
            super().__init__()
            self.p = paddle.nn.ParameterList([
                self.create_parameter(a.shape, dtype=str(a.dtype), default_initializer=paddle.nn.initializer.Assign(a))
                for a in leaves(start)
            ])  # fmt: skip

        def forward(self) -> Any:
            values = iter(self.p)
            p, data = mapped(lambda _: next(values), start), map(paddle.to_tensor, case.point.data)
            return IN_PADDLE[case.network](paddle, p, *data)

    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.p = torch.nn.ParameterList(torch.tensor(a) for a in leaves(start))

        def forward(self) -> Any:
            return mine(*self.p)

    with redirect_stdout(StringIO()):
        right = padiff.auto_diff(Layer(), Module(), ({}, {}), auto_weights=False, options={})
    shutil.rmtree(diff_log_path, ignore_errors=True)  # a folder beside the program, with what it found
    return Seen(not right)


def by_msprobe(case: Case) -> Seen:
    """Its word on two arrays of two folders, reached or not: by their cosine and the largest difference.

    It says neither where it has no cosine, as of an array of one element.
    """
    from msprobe.core.common.const import CompareConst  # type: ignore[import-not-found]  # scoreboard.txt has it
    from msprobe.core.compare.multiprocessing_compute import check_accuracy  # type: ignore[import-not-found]  # the same
    from msprobe.core.compare.npy_compare import compare_ops_apply  # type: ignore[import-not-found]  # the same

    columns = [CompareConst.COSINE, CompareConst.MAX_ABS_ERR]
    pairs = zip(own(case), autograd(case), strict=True)
    with redirect_stdout(StringIO()):  # its log
        told = [compare_ops_apply(a, b, error_flag=False, err_msg="", column_names=columns)[0] for a, b in pairs]
        words = [check_accuracy(*numbers) for numbers in told]
    return Seen(CompareConst.ACCURACY_CHECK_NO in words)


TOOLS: dict[str, tuple[Tool, str]] = {
    "torch_mirror.check": (by_check, "torch_mirror"),
    "torch.testing.assert_close": (by_assert_close, "torch"),
    "numpy.allclose": (by_allclose, "numpy"),
    "torch._dynamo.utils.same, with a float64 run": (by_same, "torch"),
    "torch.autograd.gradcheck": (by_gradcheck, "torch"),
    "chex.assert_trees_all_close": (by_chex, "chex"),
    "polygraphy, CompareFunc.simple": (by_polygraphy, "polygraphy"),
    "padiff.auto_diff": (by_padiff, "padiff"),
    "msprobe, check_accuracy": (by_msprobe, "msprobe"),
}
"""Each with the defaults of its release, and the package that it is of."""
