"""A baseline as text: read back as it was, the same whatever the order, and never read where it is not whole."""

import re
from pathlib import Path
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.errors import InputError
from tests.reports.drawn import certificates
from tests.reports.gate.made import CLAIM, DOUBT, baseline, with_row
from torch_mirror.judge.findings import Check, Side
from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports.gate.baseline import read, written
from torch_mirror.reports.gate.claim import Baseline, Claim, Figure, claim_of, short
from torch_mirror.reports.gate.prints import Print

ROOT = Path(__file__).parents[3]
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.floats(allow_nan=False).map(short)
FIGURES = st.builds(
    Figure, NAMES, st.sampled_from(get_args(Side)), st.sampled_from(get_args(Check)), st.integers(0, 10**12),
    st.integers(0, 99), NUMBERS, st.booleans(), st.none() | NUMBERS, st.none() | st.just(DOUBT),
)  # fmt: skip
CODES = st.text("AZaz09-_", min_size=2, max_size=8)
VALUES = st.floats().map(float.hex) | st.integers().map(str) | st.just("none")
PRINTS = st.builds(Print, NAMES, st.sampled_from(["torch", "numpy"]), CODES, CODES, VALUES, CODES)
CLAIMS = st.builds(
    Claim, NAMES, st.sampled_from(["float32", "float64"]), st.none() | st.integers(0, 9), st.integers(0, 10**6),
    st.sampled_from(["certified", "doubted"]), st.none() | NUMBERS,
    st.lists(FIGURES, max_size=4, unique_by=lambda f: f.place).map(tuple),
    st.lists(PRINTS, max_size=4, unique_by=lambda p: p[:2]).map(tuple),
)  # fmt: skip
BASELINES = st.builds(
    Baseline, st.dictionaries(st.sampled_from(["numpy", "numpy blas"]), st.sampled_from(["2.4", "a = b"])),
    st.lists(CLAIMS, max_size=3, unique_by=lambda c: c.key).map(tuple),
)  # fmt: skip
TEXT = written(baseline(with_row(1, doubt=DOUBT), CLAIM._replace(dtype="float32", seed=None)))


def alike(one: Baseline) -> tuple[dict[str, str], dict[object, tuple[object, ...]]]:
    """What a baseline says, whatever the order."""
    return one.environment, {c.key: (*c[2:6], {*c.figures}, {*c.prints}) for c in one.claims}


@given(BASELINES)
def test_what_is_written_is_read_back(one: Baseline) -> None:
    text = written(one)
    came = read(text)
    assert alike(came) == alike(one)
    assert written(came) == text
    assert text.isascii()


@given(BASELINES, st.randoms(use_true_random=False))
def test_the_order_does_not_count(one: Baseline, random: Random) -> None:
    claims = list(one.claims)
    random.shuffle(claims)
    turned = Baseline(dict(reversed(one.environment.items())), tuple(
        c._replace(figures=c.figures[::-1], prints=c.prints[::-1]) for c in claims
    ))  # fmt: skip
    assert written(turned) == written(one)


@given(certificates())
def test_nothing_of_a_certificate_is_lost_in_writing(c: Certificate) -> None:
    one = claim_of(c)._replace(figures=())
    if one.distance == one.distance:  # NaN is not equal to itself
        assert alike(read(written(baseline(one)))) == alike(baseline(one._replace(why=())))


def test_one_line_is_one_tensor_by_one_check_of_one_side() -> None:
    lines = written(baseline(CLAIM._replace(figures=CLAIM.figures[:4]))).splitlines()
    assert lines[4:] == [
        "[mine.py:net float64]",
        "seed 0 steps 20 certified apart 1e-14",
        "dW both end-to-end 90+10 <0.03 3e-14",
        "dW numpy local 40+0 0.5 -",
        "dW torch bits BBBBBBBB AABBCC 0x1.0000000000000p-3 -",
        "dW torch local 100+0 0.125 2e-15",
        "z torch bits AAAAAAAA AABBCC 0x1.8000000000000p-3 AAAAAAAAAAAAAAA",
        "z torch local 1000+0 0.25 1e-15",
        "end 1",
    ]


@pytest.mark.parametrize("left", range(len(TEXT.splitlines())))
def test_a_file_that_was_cut_is_told(left: int) -> None:
    for text in ("\n".join(TEXT.splitlines()[:left]), TEXT.replace(TEXT.splitlines()[left][3:], "", 1)):
        if not TEXT.splitlines()[left].startswith("#") or text.count("\n") < TEXT.count("\n"):
            with pytest.raises(InputError, match="baseline"):
                read(text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("baseline 1", "baseline 2", r"the form 1, or an older one from 1 on, got 2: a newer torch-mirror reads it"),
        ("baseline 1", "baseline 0", "got 0: there is none"),
        ("torch-mirror baseline", "torch_mirror", "expected a file that begins with 'torch-mirror baseline 1'"),
        ("[mine.py:net float32]", "[mine.py:net float64]", "expected each run once, got one twice"),
        ("z torch local", "dW torch local", "expected each tensor, side and check once"),
        ("z torch bits", "dW torch bits", "expected each tensor, side and check once"),
        ("z torch local", "<<<<<<< HEAD\nz torch local", r"line [0-9]+: expected tensor, side, check"),
        ("end 2", "end 3", "expected an end of 2 runs, got 'end 3'"),
        ("end 2", "end 2\nz torch local 1+0 0 -", "expected a last line with the number of runs"),
        ("seed -", "seed x", "expected the seed, steps, verdict and distance"),
        ("certified apart", "fine apart", "expected the seed, steps, verdict"),
        ("apart 1e-14", "apart near", "expected a number in the place of 'near'"),
        ("torch local", "jax local", "expected a known side and check"),
        ("torch local", "torch global", "expected a known side and check"),
        ("1000+0", "1000", "two counts"),
        ("0.25", "1e999", "expected a number that a float holds"),
        ("0.25", "0.2.5", "expected a number in the place of '0.2.5'"),
        ("factor", "rumour", "expected a doubt by one of"),
        ("AAAAAAAA", "A?", "two hashes, a value and last bits"),
        ("0x1.8000000000000p-3", "0x1.8q", "expected a number as float.hex writes it"),
        ("environment numpy = 2.4.6", "environment numpy", "expected environment NAME = WHAT"),
        ("environment numpy = 2.4.6", "numpy = 2.4.6", "expected the environment, and behind it the runs"),
    ],
)
def test_what_is_no_baseline_is_told(old: str, new: str, said: str) -> None:
    text = TEXT.replace(old, new, 1)
    assert text != TEXT
    with pytest.raises(InputError, match=re.escape(said) if "(" in said else said):
        read(text)


def test_the_baseline_of_this_project_is_small_and_of_its_form() -> None:
    text = (ROOT / ".ci" / "baseline.txt").read_text()
    assert len(text.encode()) < 200_000
    assert written(read(text)) == text
