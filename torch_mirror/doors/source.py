"""Experiments and ensembles as Python to paste: the same numbers, bit for bit, without a file."""

import dataclasses
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import numpy as np

from reference.arrays import Array
from reference.claim.ensemble import Ensemble
from reference.claim.experiment import Experiment


def source_of(experiment: Experiment | Ensemble, name: str = "experiment") -> str:
    """Statements that import what they need and make the experiment, under that name.

    The network and the parameters must be of classes that their module has under their own name, so must the
    functions that parameter groups may have, and the network's repr must be Python, as that of a dataclass is.
    """
    e = experiment
    parts = (e, e.loss, e.optimizer, e.network, e.parameters, e.batches, e.penalty)
    kinds = list(_named_things(parts))
    modules = sorted({kind.__module__ for kind in kinds})
    imports = [
        f"from {module} import {', '.join(sorted({k.__name__ for k in kinds if k.__module__ == module}))}"
        for module in modules
    ]
    fields = [(f.name, getattr(e, f.name)) for f in dataclasses.fields(e)]
    given = [(f, v) for f, v in fields if f not in DEFAULTS or v != DEFAULTS[f]]
    lines = [f"    {field}={value_of(value)}," for field, value in given]
    return "\n".join(["import numpy as np", *imports, "", f"{name} = {type(e).__name__}(", *lines, ")"])


def _named_things(part: Any) -> Iterator[Any]:
    """The classes and functions that the Python of a part has by name; those of what is inside it as well."""
    if isinstance(part, FunctionType):
        yield part
    elif isinstance(part, (tuple, list)) and not hasattr(part, "_fields"):
        for value in part:
            yield from _named_things(value)
    elif isinstance(part, tuple):
        yield type(part)
        for value in part:
            yield from _named_things(value)
    elif type(part).__module__ != "builtins" and not isinstance(part, np.ndarray):
        yield type(part)


DEFAULTS = {"name": "unnamed", "seed": None, "batches": None, "penalty": None, "accumulate": 1}
"""Of the fields that have one in Experiment and Ensemble."""


def value_of(value: Any) -> str:
    """Python for an array, a function, or dicts, lists and tuples of them; else the value's own repr."""
    if isinstance(value, np.ndarray):
        return array(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        fields = ", ".join(f"{field}={value_of(v)}" for field, v in zip(value._fields, value, strict=True))
        return f"{type(value).__name__}({fields})"
    if isinstance(value, FunctionType):
        return value.__name__
    if isinstance(value, (dict, list, tuple)):
        return _container(value)
    return repr(value)


def _container(value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name!r}: {value_of(v)}' for name, v in value.items())}}}"
    inside = ", ".join(map(value_of, value))
    return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' if len(value) == 1 else ''})"


def array(a: Array) -> str:
    """The shortest decimals that tell the numbers of the dtype apart; whole numbers and bools as they are."""
    if a.dtype.kind != "f":
        return f"np.array({a.tolist()}, dtype=np.{a.dtype})"
    if not a.any() and not np.signbit(a).any():
        return f"np.zeros({a.shape}{_dtype(a)})"
    shortest = np.array([float(str(v)) for v in a.flat]).reshape(a.shape)
    return f"np.array({shortest.tolist()}{_dtype(a)})"


def _dtype(a: Array) -> str:
    return "" if a.dtype == np.float64 else f", dtype=np.{a.dtype}"
