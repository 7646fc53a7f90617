"""What a factor is, in words: 6 is "N (the batch)" where the batch has six samples."""

from collections.abc import Mapping
from fractions import Fraction
from itertools import product

from torch_mirror.tape.patterns import number

SMALL = 12
"""Whole numbers that need no meaning."""

Sizes = Mapping[str, float]
"""Sizes, none of them 0, by what they are called: {"N (the batch)": 6, "W1.shape[1]": 5}."""

EQUAL = 1e-9
"""Two factors are taken for the same if they differ by no more; whether one is right is for the radii to say."""


def snapped(c: float) -> float:
    """The whole number, or one over it, that a factor is but for rounding; else the factor."""
    for whole in (round(c), c and 1 / round(1 / c) if 1e-9 < abs(c) < 1 else 0):
        if whole and abs(c - whole) <= EQUAL * abs(c):
            return float(whole)
    return c


def plausible(c: float) -> bool:
    """Whether somebody may have meant the factor: p / q, one of them at most 64, and the other at most a million.

    Arrays of few elements, as of a bias, are multiples of each other by chance; by such a factor they seldom are.
    """
    for x in (abs(c), 1 / abs(c)):
        fraction = Fraction(x).limit_denominator(64)
        if fraction and fraction.numerator <= 10**6 and abs(x - fraction) <= EQUAL * x:
            return True
    return False


def in_words(c: float, sizes: Sizes) -> str:
    """The factor, and what it may be: ``6 = N (the batch)``, ``-1``, ``0.25 = 1 / x.shape[1] or 1 / W1.shape[0]``."""
    meanings = meanings_of(c, sizes)
    return f"{number(c)} = {' or '.join(meanings[:2])}" if meanings else number(c)


def meanings_of(c: float, sizes: Sizes) -> list[str]:
    """All that the factor may be, of the simplest kind that has one: a size; 1 / size; two of them with 2 or a sign."""
    if abs(c) in (1.0, 2.0, 0.5):
        return []
    sign = "-" if c < 0 else ""
    for kind in (_one, _inverse, _less_one, _two):
        found = list(dict.fromkeys(text for value, text in kind(sizes) if abs(value - abs(c)) <= EQUAL * abs(c)))
        if found:
            return [f"{sign}{text}" for text in found]
        if kind is _one and abs(c) <= SMALL and float(c).is_integer():
            break  # 3 is 3, and no half of a size
    return []


def _one(sizes: Sizes) -> list[tuple[float, str]]:
    return [(n, what) for what, n in sizes.items()]


def _inverse(sizes: Sizes) -> list[tuple[float, str]]:
    return [(1 / n, f"1 / {what}") for what, n in sizes.items()]


def _less_one(sizes: Sizes) -> list[tuple[float, str]]:
    """As of a variance without bias, or a sample too few."""
    found = []
    for what, n in sizes.items():
        name = what.split(" (")[0]
        if n > 1:
            found += [(n / (n - 1), f"{name} / ({name} - 1)"), ((n - 1) / n, f"({name} - 1) / {name}")]
            found += [(1 / (n - 1), f"1 / ({name} - 1)")]
    return found


def _two(sizes: Sizes) -> list[tuple[float, str]]:
    found = []
    sizes = {what.split(" (")[0]: n for what, n in sizes.items()}
    for what, n in sizes.items():
        found += [(2 * n, f"2 {what}"), (n / 2, f"{what} / 2")]
        found += [(2 / n, f"2 / {what}"), (1 / (2 * n), f"1 / (2 {what})")]
    for (a, n), (b, m) in product(sizes.items(), repeat=2):
        if a < b:
            found += [(n * m, f"{a} x {b}"), (1 / (n * m), f"1 / ({a} x {b})")]
        if a != b:
            found.append((n / m, f"{a} / {b}"))
    return found
