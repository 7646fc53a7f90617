"""check_forward: ports of torch modules to NumPy, right and with a mistake in each."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reference.errors import InputError, UnknownNameError
from torch_mirror import check_forward

draw = np.random.default_rng(0).standard_normal
P = {"W1": draw((4, 5)), "b1": draw(5), "g": draw(5), "s": draw(5), "W2": draw((5, 3)), "b2": draw(3)}
NAMES = {
    "W1": "0.weight.T", "b1": "0.bias", "g": "1.weight", "s": "1.bias", "W2": "3.weight.T", "b2": "3.bias",
}  # fmt: skip
X = draw((6, 4))


def module(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.GELU(), nn.Linear(5, 3)).to(dtype)


def port(p: Any, x: Any, eps: float = 1e-5, ddof: int = 0, by_tanh: bool = False) -> Any:  # noqa: FBT001, FBT002 - as people do
    z = x @ p["W1"] + p["b1"]
    n = p["g"] * (z - z.mean(axis=1, keepdims=True)) / np.sqrt(z.var(axis=1, keepdims=True, ddof=ddof) + eps) + p["s"]
    if by_tanh:
        h = 0.5 * n * (1 + np.tanh(np.sqrt(2 / np.pi) * (n + 0.044715 * n**3)))
    else:
        from scipy.special import erf  # type: ignore[import-untyped]  # it has no stubs here

        h = 0.5 * n * (1 + erf(n / np.sqrt(2.0)))
    return h @ p["W2"] + p["b2"], {"z": z, "n": n, "h": h}


VALUES = {"z": "0", "n": "1", "h": "2"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_right_port_is_certified(dtype: torch.dtype) -> None:
    net = module(dtype)
    before = {name: a.clone() for name, a in net.state_dict().items()}
    result = check_forward(port, net, P, NAMES, X, values=VALUES)
    assert result.certified, str(result)
    assert [row.name for row in result.rows] == ["z", "n", "h", "output"]
    assert all(torch.equal(a, before[name]) for name, a in net.state_dict().items())
    assert next(net.parameters()).dtype == dtype


@pytest.mark.parametrize(
    ("options", "first"), [({"eps": 1e-6}, "n"), ({"ddof": 1}, "n"), ({"by_tanh": True}, "h")]
)
def test_the_first_layer_that_differs_is_named(options: dict[str, Any], first: str) -> None:
    result = check_forward(lambda p, x: port(p, x, **options), module(), P, NAMES, X, values=VALUES)
    assert result.verdict == "refuted"
    wrong = [row.name for row in result.rows if row.word == "WRONG"]
    assert wrong[0] == first, str(result)


def test_a_transposed_square_weight_and_what_nothing_names() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    W = draw((4, 4))
    b, V, c = (net[i].get_parameter(n).detach().double().numpy() for i, n in ((0, "bias"), (1, "weight"), (1, "bias")))

    def mine(p: Any, x: Any) -> Any:
        return (x @ p + b) @ V.T + c

    assert check_forward(mine, net, W, {"p": "0.weight.T"}, X).certified
    assert check_forward(mine, net, W, {"p": "0.weight"}, X).verdict == "refuted"
    assert "0.bias" in str(check_forward(mine, net, W, {"p": "0.weight.T"}, X))


def test_what_does_not_fit_together_is_told() -> None:
    with pytest.raises(UnknownNameError, match="without a name"):
        check_forward(port, module(), P, {"W1": "0.weight.T"}, X)
    with pytest.raises(UnknownNameError, match="parameter of the module"):
        check_forward(port, module(), P, {**NAMES, "W1": "7.weight"}, X)
    with pytest.raises(InputError, match=r"shape \(5, 4\), got \(4, 5\) \(is it 0.weight.T\?\)"):
        check_forward(port, module(), P, {**NAMES, "W1": "0.weight"}, X)
    with pytest.raises(UnknownNameError, match=r"^unknown submodule '9': known are 0, 1, 2, 3$"):
        check_forward(port, module(), P, NAMES, X, values={"z": "9"})
    with pytest.raises(UnknownNameError, match="value of the function"):
        check_forward(port, module(), P, NAMES, X, values={"q": "0"})


def test_a_column_is_named_as_a_session_names_it() -> None:
    linear = torch.nn.Linear(3, 2).double()
    p = {"W": np.arange(6.0).reshape(2, 3), "b": np.array([[1.0], [2.0]])}

    def mine(p: Any, x: Any) -> Any:
        return (p["W"] @ x.T + p["b"]).T

    names = {"W": "weight", "b": "bias[:, None]"}
    x = np.linspace(-1, 1, 12).reshape(4, 3)
    assert check_forward(mine, linear, p, names, x).certified
    assert check_forward(mine, linear, {**p, "b": 2 * p["b"]}, names, x).certified  # the module is given them
    assert check_forward(lambda p, x: mine(p, x) + 1, linear, p, names, x).verdict == "refuted"
    with pytest.raises(InputError, match="parameter W"):
        check_forward(mine, linear, p, {**names, "W": "weight[:, None]"}, x)


# --- the function's own run -------------------------------------------------------------------------------------------


def halves(p: Any, x: Any) -> Any:
    return (x @ p["W1"]).astype(np.float16) + p["b1"]


def infinite(p: Any, x: Any) -> Any:
    return (1e5 * (x @ p["W1"])).astype(np.float16) / 1e5 + p["b1"]


def by_type(p: Any, x: Any) -> Any:
    z = x @ p["W1"] + p["b1"]
    return np.zeros_like(z) if type(z) is np.ndarray else z


OTHER = "another number"


@pytest.mark.parametrize(("function", "said"), [(halves, OTHER), (infinite, "gives nan"), (by_type, OTHER)])
def test_what_the_function_itself_does_not_give_is_not_certified(function: Any, said: str) -> None:
    names = {"W1": "weight.T", "b1": "bias"}
    p = {name: P[name] for name in names}
    with np.errstate(all="ignore"):
        result = check_forward(function, nn.Linear(4, 5), p, names, X)
    assert result.verdict == "undecided", str(result)
    assert said in result.rows[0].why


def test_a_right_port_in_float32_is_certified() -> None:
    p = {name: a.astype(np.float32) for name, a in P.items()}
    result = check_forward(port, module(), p, NAMES, X.astype(np.float32), values=VALUES)
    assert result.certified, str(result)


def test_an_output_of_nothing_but_0_could_not_have_failed() -> None:
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
    p = {"W1": P["W1"], "b1": P["b1"] - 1e6}
    result = check_forward(lambda p, x: 0 * (x @ p["W1"] + p["b1"]), net, p, {n: NAMES[n] for n in p}, X)
    assert result.verdict == "undecided", str(result)


def test_a_module_of_several_outputs_is_told() -> None:
    p = {"W": np.ones((3, 4)), "R": np.ones((3, 1)), "b": np.zeros(3), "c": np.zeros(3)}
    names = {"W": "weight_ih_l0", "R": "weight_hh_l0", "b": "bias_ih_l0", "c": "bias_hh_l0"}
    with pytest.raises(InputError, match=r"the module's output: expected one tensor; .*, got tuple"):
        check_forward(lambda p, x: x @ p["W"].T, nn.GRU(4, 1), p, names, X)
