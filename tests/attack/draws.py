"""What is drawn for an attack: balls, the exact numbers they are about, and what other evaluations have for them."""

import math
import zlib
from typing import Any, NamedTuple

import numpy as np

from tests.attack.adversary import KINDS, Operand, any_radius, centre_of, exact_operand, hostile, moved_operand
from tests.attack.evaluations import ENVIRONMENTS
from tests.attack.operation import Operation
from torch_mirror.balls.format import Format

NUMBERS = 500
"""Elements of the result, about, in one draw in bulk; fewer if the operands are much larger than that."""

BLOCKS = 8
"""Kinds of numbers that one draw in bulk mixes, for each operand."""


class Plan(NamedTuple):
    """All that it takes to make a draw again; what a plan leaves open is drawn."""

    key: tuple[int, ...]                  # of the random numbers
    moved: bool                           # whether operands lie anywhere in balls of their own
    wider: bool                           # whether centres are of a wider precision than the one under test
    kinds: tuple[str, ...] | None = None  # of each operand; if open, BLOCKS of them for each
    environment: str | None = None        # torch's
    numbers: int = NUMBERS


def numbered(name: str, fmt: Format, seed: int, number: int) -> Plan:
    """A draw in bulk: exact and moved by turns, and in one of two precisions by turns."""
    key = (seed, number, fmt.precision, zlib.crc32(name.encode()))
    return Plan(key, moved=number % 2 == 1, wider=number // 2 % 2 == 1)


class Draw(NamedTuple):
    """Operands of many cases."""

    format: Format
    operands: tuple[Operand, ...]
    constants: tuple[Any, ...]
    moved: bool
    environment: str


def given(*arrays: Any, fmt: Format) -> Draw:
    """One case that is made by hand: its operands, exact or an Operand that says what it is."""
    operands = [a if isinstance(a, Operand) else exact_operand(np.asarray(a, fmt.dtype)[None], fmt) for a in arrays]
    return Draw(fmt, tuple(operands), (), moved=any(isinstance(a, Operand) for a in arrays), environment="")


def drawn(operation: Operation, fmt: Format, plan: Plan) -> Draw:
    """Numbers that hurt, as the centre of balls."""
    rng = np.random.default_rng(list(plan.key))
    constants = operation.constants(rng)
    sizes = [math.prod(shape) for shape in operation.shapes]
    blocks = BLOCKS if plan.kinds is None else 1
    with np.errstate(all="ignore"):
        ones = (np.ones((1, *shape)) for shape in operation.shapes)
        results = operation.of_cases(operation.equation)(*ones, *constants).size
    each = max(1, plan.numbers // (blocks * max(results, sum(sizes) // 4)))

    def kind(i: int) -> str:
        return rng.choice(KINDS).item() if plan.kinds is None else plan.kinds[i]

    values = tuple(
        np.concatenate([hostile(kind(i), (each, *shape), fmt, rng) for _ in range(blocks)])
        for i, shape in enumerate(operation.shapes)
    )
    with np.errstate(all="ignore"):
        values = tuple(np.asarray(v, fmt.dtype) for v in operation.domain(fmt, rng, values))
    centre = centre_of(fmt, "wider" if plan.wider else "tested")
    environment = rng.choice(["", *ENVIRONMENTS]).item() if plan.environment is None else plan.environment
    if environment == "flushed":  # which reads subnormal operands as zero, and those are outside of the model
        values = tuple(np.where(np.abs(v) < fmt.tiny, 0, v) for v in values)
    if plan.moved:
        operands = tuple(moved_operand(v, any_radius(v, fmt, rng), fmt, rng, centre) for v in values)
    else:
        operands = tuple(exact_operand(v, fmt, centre) for v in values)
    if environment == "flushed" and any(((o.other != 0) & (np.abs(o.other) < fmt.tiny)).any() for o in operands):
        environment = ""
    return Draw(fmt, operands, constants, plan.moved, environment)
