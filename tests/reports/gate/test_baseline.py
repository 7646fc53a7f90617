"""A baseline as text: read back as it was, the same whatever the order, and never read where it is not whole."""

import re
from pathlib import Path
from random import Random
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reference.errors import InputError
from tests.reports.drawn import certificates
from tests.reports.gate.made import CLAIM, DOUBT, baseline, with_row
from torch_mirror.judge.findings import Check, Side
from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports.gate.baseline import read, written
from torch_mirror.reports.gate.claim import Baseline, Claim, Figure, claim_of, short
from torch_mirror.reports.gate.prints import Print, Timeline

ROOT = Path(__file__).parents[3]
NAMES = st.text(max_size=5) | st.sampled_from([*"\ud800\n\u2028\u202e %[#", "\udcff\ud83d", "end 1"])
NUMBERS = st.floats(allow_nan=False).map(short)
FIGURES = st.builds(
    Figure, NAMES, st.sampled_from(get_args(Side)), st.sampled_from(get_args(Check)), st.integers(0, 10**12),
    st.integers(0, 99), NUMBERS, st.booleans(), st.none() | NUMBERS, st.none() | st.just(DOUBT),
)  # fmt: skip
CODES = st.text("AZaz09-_", min_size=2, max_size=8)
VALUES = st.floats().map(float.hex) | st.integers().map(str) | st.just("none")
PRINTS = st.builds(Print, NAMES, st.sampled_from(["torch", "numpy"]), CODES, CODES, VALUES, CODES)
TIMELINES = st.builds(Timeline, st.sampled_from(["torch", "numpy"]), CODES)
CLAIMS = st.builds(
    Claim, NAMES, st.sampled_from(["float32", "float64"]), st.none() | st.integers(0, 10**40), st.integers(0, 10**6),
    st.sampled_from(["certified", "doubted"]), st.none() | NUMBERS,
    st.lists(FIGURES, max_size=4, unique_by=lambda f: f.place).map(tuple),
    st.lists(PRINTS, max_size=4, unique_by=lambda p: p[:2]).map(tuple),
    st.lists(TIMELINES, max_size=2, unique_by=lambda t: t.side).map(tuple),
)  # fmt: skip
BASELINES = st.builds(
    Baseline, st.dictionaries(NAMES | st.just("numpy blas"), NAMES | st.just("a = b"), max_size=3),
    st.lists(CLAIMS, max_size=3, unique_by=lambda c: c.key).map(tuple),
)  # fmt: skip
SAMPLE = CLAIM.prints[0].sample
TEXT = written(baseline(with_row(1, doubt=DOUBT), CLAIM._replace(dtype="float32", seed=None)))


def alike(one: Baseline) -> tuple[dict[str, str], dict[object, tuple[object, ...]]]:
    """What a baseline says, whatever the order."""
    return one.environment, {c.key: (*c[2:6], {*c.figures}, {*c.prints}, {*c.timelines}) for c in one.claims}


ODD = CLAIM._replace(name="\ud800 \n", figures=(CLAIM.figures[0]._replace(tensor="\udcff#"),))


@given(BASELINES)
@example(baseline(ODD, environment={"\udcff = ": " \x85"}))
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
    assert re.sub(" sum .*", "", lines[-1]) == "end 1"
    assert re.sub(" sum .*", "", lines[5]) == "seed 0 steps 20 certified apart 1e-14"
    assert [lines[4], *lines[6:-1]] == [
        "[mine.py:net float64]",
        "torch steps ABCDEFGHIJKLMNOPQRST",
        "dW both end-to-end 90+10 <0.03 3e-14",
        "dW numpy local 40+0 0.5 -",
        "dW torch bits BBBBBBBB ABCDEF 0x1p-3 -",
        "dW torch local 100+0 0.125 2e-15",
        f"z torch bits AAAAAAAA ABCDEF 0x1.8p-3 {SAMPLE}",
        "z torch local 1000+0 0.25 1e-15",
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
        ("baseline 2", "baseline 3", r"expected the form 2, got 3: a newer torch-mirror reads it"),
        ("baseline 2", "baseline 1", "got 1: delete it, and --update writes it anew"),
        ("torch-mirror baseline", "torch_mirror", "expected a file that begins with 'torch-mirror baseline 2'"),
        ("[mine.py:net float32]", "[mine.py:net float64]", "expected each run and each part of the environment once"),
        ("z torch local", "dW torch local", "expected each tensor, side and check once"),
        ("z torch bits", "dW torch bits", "expected each tensor, side and check once"),
        ("z torch local", "<<<<<<< HEAD\nz torch local", r"line [0-9]+: expected tensor, side, check"),
        ("end 2", "end 3", "expected an end of 2 runs, got 'end 3 sum"),
        ("end 2 sum ", "end 2\nz torch local 1+0 0 - ", "expected a last line with the number of runs"),
        ("seed -", "seed x", "expected the seed, steps, verdict, distance and sum"),
        ("certified apart", "fine apart", "expected the seed, steps, verdict"),
        ("apart 1e-14", "apart near", "expected a number in the place of 'near'"),
        ("torch steps", "jax steps", "expected side, 'steps' and a hash"),
        ("torch steps A", "torch steps !", "expected side, 'steps' and a hash"),
        ("torch local", "jax local", "expected a known side and check"),
        ("torch local", "torch global", "expected a known side and check"),
        ("1000+0", "1000", "two counts"),
        ("1000+0", "0+0", "expected the sum of its lines, as --update wrote them"),
        ("z torch local", "%FFz torch local", "expected the sum of its lines, as --update wrote them"),
        ("apart 1e-14", "apart 1e-13", "expected the sum of its lines, as --update wrote them"),
        ("numpy = 2.4.6", "numpy = 2.4.7", "expected the sum of its lines, as --update wrote them"),
        ("environment numpy = 2.4.6", "environment numpy = 1\nenvironment numpy = 2", "part of the environment once"),
        ("0.25", "1e999", "expected a number that a float holds"),
        ("0.25", "0.2.5", "expected a number in the place of '0.2.5'"),
        ("factor", "rumour", "expected a doubt by one of"),
        ("AAAAAAAA", "A?", "two hashes, a value and last bits"),
        ("0x1.8p-3", "0x1.8q", "expected a number as float.hex writes it"),
        ("environment numpy = 2.4.6", "environment numpy", "expected environment NAME = WHAT"),
        ("environment numpy = 2.4.6", "numpy = 2.4.6", "expected the environment, and behind it the runs"),
    ],
)
def test_what_is_no_baseline_is_told(old: str, new: str, said: str) -> None:
    text = TEXT.replace(old, new, 1)
    assert text != TEXT
    with pytest.raises(InputError, match=re.escape(said) if "(" in said else said):
        read(text)


LINES = TEXT.splitlines()


@given(st.sampled_from([i for i, line in enumerate(LINES) if not line.startswith("#")]), st.data())
def test_no_line_can_be_lost_doubled_moved_or_changed(i: int, data: st.DataObject) -> None:
    line = LINES[i]
    at = data.draw(st.integers(0, len(line) - 1))
    other = line[:at] + data.draw(st.sampled_from("0+ a#")) + line[at + 1 :]
    j = data.draw(st.sampled_from([k for k, one in enumerate(LINES) if one != line and not one.startswith("#")]))
    moved = [*LINES]
    moved[i], moved[j] = LINES[j], line
    before, behind = LINES[:i], LINES[i + 1 :]
    for lines in ([*before, *behind], [*before, line, line, *behind], [*before, other, *behind], moved):
        if lines != LINES:
            with pytest.raises(InputError, match="baseline"):
                read("\n".join(lines))


def test_changes_of_different_runs_can_be_merged() -> None:
    """As two branches make them: each run has a sum of its own."""
    one, two = (CLAIM._replace(dtype=dtype) for dtype in ("float32", "float64"))
    branches = (one, two), (one._replace(steps=9), two), (one, two._replace(steps=8))
    base, ours, theirs = (written(baseline(*claims)).splitlines() for claims in branches)
    merged = [b if a == c else c for a, b, c in zip(base, ours, theirs, strict=True)]
    assert {c.steps for c in read("\n".join(merged)).claims} == {9, 8}


def test_the_baseline_of_this_project_is_small_and_of_its_form() -> None:
    text = (ROOT / ".ci" / "baseline.txt").read_text()
    assert len(text.encode()) < 200_000
    assert written(read(text)) == text
