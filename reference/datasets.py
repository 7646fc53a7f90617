"""Data that networks are trained on: images of digits and the diabetes data, as scikit-learn ships them, and a text.

scikit-learn's files are read where they lie, and scikit-learn itself is not imported, which takes a second. What its
own functions make of them (``load_digits``, ``load_diabetes``, ``train_test_split``) is made here again, bit for bit.
Everything is float64, or int64 for labels and characters.
"""

import gzip
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reference.arrays import Array
from reference.errors import InputError
from reference.options import number_that, whole

TEXT = (
    "a number that a machine holds is almost never the number that was meant. it is the nearest one on a grid, and "
    "every sum and every product moves it to the grid again. each move is small, and most of them cancel, but nobody "
    "is told when they do not. so we keep a second number beside the first: how far off it may be by now. where the "
    "two of them agree with what another machine has found, all is well. where they do not, one of us is wrong, and "
    "the line that made the number is the place to look."
)
"""What the recurrent network reads: small letters, spaces and four marks."""


class Labelled(NamedTuple):
    """Inputs and the class of each."""

    x: Array  # (samples, ...)
    t: Array  # (samples,), whole numbers from 0


class Sentence(NamedTuple):
    """A text in numbers: each character is its place in the alphabet, and its label is the character after it."""

    alphabet: str
    x: Array  # (length,)
    t: Array  # (length,)


class Split(NamedTuple):
    """Data to train on, and data held out."""

    x: Array           # (samples - held out, in)
    t: Array           # (samples - held out,)
    x_held_out: Array  # (held out, in)
    t_held_out: Array  # (held out,)


def digits() -> Labelled:
    """1797 images of handwritten digits: x (1797, 8, 8), from 0 to 1 in steps of 1/16; t (1797,), from 0 to 9.

    Source: scikit-learn's load_digits, the test set of Alpaydin and Kaynak, Optical Recognition of Handwritten Digits
    (UCI Machine Learning Repository, 1998). Raises InputError where scikit-learn is not installed.
    """
    rows = _table("digits.csv.gz", ",")
    return Labelled(rows[:, :-1].reshape(-1, 8, 8) / 16, rows[:, -1].astype(np.int64))


def diabetes() -> tuple[Array, Array]:
    """x (442, 10), columns of mean 0 and squared norm 1; t (442,), the progression of the disease after a year.

    Source: scikit-learn's load_diabetes; Efron et al., Least Angle Regression (2004), section 7. Raises InputError
    where scikit-learn is not installed.
    """
    x, t = _table("diabetes_data_raw.csv.gz"), _table("diabetes_target.csv.gz")
    return (x - x.mean(axis=0)) / x.std(axis=0) / len(x) ** 0.5, t


def split(x: Array, t: Array, held_out: float, seed: int) -> Split:
    """A random part of the samples is held out: the first of a permutation by numpy.random.RandomState(seed).

    held_out: the share of them, rounded up to a whole number. Source: scikit-learn's train_test_split.
    Raises InputError for a share that is not between 0 and 1, and for a seed that is no whole number from 0 on.
    """
    held_out = number_that("held_out", held_out, lambda share: 0 <= share <= 1, "a share between 0 and 1")
    if whole("seed", seed) >= 2**32:
        raise InputError("seed", "a number below 2^32, as numpy.random.RandomState takes", repr(seed))
    order = np.random.RandomState(seed).permutation(len(x))  # what scikit-learn draws from
    out, kept = order[: ceil(held_out * len(x))], order[ceil(held_out * len(x)) :]
    return Split(x[kept], t[kept], x[out], t[out])


def sentence(length: int) -> Sentence:
    """The first characters of ``TEXT`` and what comes after each; the alphabet is that of the whole text.

    Raises InputError for a length that the text does not have.
    """
    if not isinstance(length, (int, np.integer)) or not 1 <= length < len(TEXT):
        raise InputError("length", f"a number of characters from 1 to {len(TEXT) - 1}", length)
    alphabet = "".join(sorted(set(TEXT)))
    codes = np.array([alphabet.index(character) for character in TEXT[: length + 1]], np.int64)
    return Sentence(alphabet, codes[:-1], codes[1:])


def _table(file: str, delimiter: str | None = None) -> Array:
    """A table among scikit-learn's data. Raises InputError if it is not there."""
    package = find_spec("sklearn")
    folders = (package.submodule_search_locations if package else None) or []
    for folder in folders:
        path = Path(folder) / "datasets" / "data" / file
        if path.is_file():
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                return np.loadtxt(lines, delimiter=delimiter)
    raise InputError(f"data file {file}", "scikit-learn, which has it (pip install 'torch-mirror[documents]')", "none")
