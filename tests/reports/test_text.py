"""A certificate as text."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.reports.drawn import LATER, LOSS, WRONG, certificates
from torch_mirror.judge.findings import Doubt, Finding, Row, Sign
from torch_mirror.judge.verdict import Certificate, Ruling
from torch_mirror.reports import text

WORST = Finding(0.5, 12, "dW", "torch", "local", (0, 2), 1.5, 1.25, 0.5, 3.0)
ROW = Row("dW", "local", "torch", 7001, 21_003, worst=WORST, resolution=2.0**-50, zero=False)
CERTIFIED = Certificate("linear-neuron", "float64", 0, 1000, (ROW,), end_distance=1.1e-15)


def certificate(*refutations: Finding, **changes: Any) -> Certificate:
    """The certified run with these refutations and changes."""
    rows = tuple(Row(f.tensor, f.check, f.side, first=f, zero=False) for f in refutations)
    return replace(CERTIFIED, **{"rows": (ROW, *rows), **changes})


def test_a_certified_run_is_one_line() -> None:
    assert text.line(CERTIFIED, 16) == (
        "linear-neuron     float64   1000 steps    7001 tensors      21003 elements  "
        "worst 0.5 of its radius (dW, step 12, torch)      free runs end 1.1e-15 apart  certified"
    )
    assert text.details(CERTIFIED) == []
    too_wide = certificate(rows=(ROW._replace(judged=20_000, vacuous=1_004, infinite=1),))
    assert text.line(too_wide).startswith("linear-neuron  float64   1000 steps    7001 tensors      21003 elements")


def test_of_a_trajectory_the_distance_is_told_and_no_element() -> None:
    """It is one of two runs: there is no ulp of it (NaN), and nothing that is 0 of 1."""
    amplified = "of which 0.125 is their distance before it, amplified"
    f = Finding(79_000.0, 3, "parameters", "both", "trajectory", (), 0.5, 0.125, 4.75e-6, math.nan)
    assert text.details(certificate(f)) == [
        "    first wrong: parameters, step 3, both, trajectory check",
        f"      the free runs are 0.5 apart, {amplified}; the rest is 7.9e+04 times its radius",
    ]


def test_a_refuted_run_names_the_first_wrong_tensor_and_then_the_others() -> None:
    refuted = certificate(LATER, WRONG)
    assert text.line(refuted).endswith("  refuted")
    assert text.details(refuted) == [
        "    first wrong: dW, step 3, torch, local check; 2 of 10 elements outside",
        "      element (0, 2): seen 1.5, expected 1.25",
        "      error: 1.13e+15 ulp, 4e+03 times its radius",
        "    also refuted:",
        "      W, step 7, torch, where the radius is 0 and only equality will do",
    ]


def test_a_scalar_has_no_index_and_shows_the_digits_of_its_dtype() -> None:
    third = LOSS._replace(expected=float(np.float32(1 / 3)))
    assert text.details(certificate(third, dtype="float32"))[:2] == [
        "    first wrong: loss, step 3, numpy, local check; 1 of 1 element outside",
        "      its value: seen nan, expected 0.333333343",
    ]
    assert text.details(certificate(third))[1].endswith("expected 0.3333333432674408")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": (ROW._replace(vacuous=1, infinite=1),)}, "vacuous: the radius of 1 element is infinite"),
        ({"rows": (ROW._replace(vacuous=30, infinite=30),)}, "vacuous: the radius of 30 elements is infinite"),
        ({"rows": (ROW._replace(judged=2, vacuous=3),)}, "vacuous: most radii of dW exceed its largest value"),
        ({"idle": ("the loss never moved",)}, "vacuous: the loss never moved"),
        ({"rows": ()}, "vacuous: no element was judged"),
    ],
)
def test_a_vacuous_run_says_why(changes: dict[str, Any], said: str) -> None:
    vacuous = certificate(**changes)
    assert text.line(vacuous).endswith("  vacuous")
    assert text.details(vacuous) == ["    " + said]


def test_the_first_infinite_radius_is_named() -> None:
    born = WORST._replace(tensor="dW", side="numpy", step=4, index=(1, 2), seen=math.nan, expected=math.nan)
    later = born._replace(tensor="W", step=5, index=())
    rows = tuple(Row(f.tensor, "local", "numpy", 1, 0, 3, infinite=3, unbounded=f) for f in (later, born))
    assert text.details(certificate(rows=rows)) == [
        "    vacuous: the radius of 6 elements is infinite",
        "      first in dW, step 4, numpy, element (1, 2): nan, where its equation gives nan",
    ]


def test_notes_are_shown() -> None:
    assert text.details(certificate(notes=("as the document prints it",))) == ["    as the document prints it"]


@given(certificates())
def test_text_is_whole_lines(c: Certificate) -> None:
    for line in [text.line(c), *text.details(c, rows=True)]:
        assert line == line.rstrip()
        assert len(line.splitlines()) == 1


def test_the_rows_are_a_table_of_which_no_figure_is_more_than_what_is_known() -> None:
    rows = (
        ROW,
        Row("z1", "end to end", "both", 3, 0, 12, infinite=12, under=0.25, resolution=math.inf, zero=False),
        Row("W2", "local", "torch", 3, 12, under=0.25, worst=WORST._replace(ratio=0.125), resolution=1e-3, zero=False),
        Row("dW2", "local", "torch", 3, 12),
    )
    assert text.table(rows) == [
        "tensor  check       side   judged  vacuous    worst  resolution",
        "dW      local       torch   21003        0      0.5     8.9e-16",
        "z1      end to end  both        0       12     none         inf",
        "W2      local       torch      12        0  <= 0.25       0.001",
        "dW2     local       torch      12        0        0        none",
    ]
    assert text.details(CERTIFIED, rows=True) == [f"    {line}" for line in text.table([ROW])]


def test_a_ruling_stands_below_the_first_wrong_tensor() -> None:
    ruling = Ruling("the reference's backward does not belong to its own forward", "dW", 3, (0, 2), 1.5, 1.25, 1.5)
    assert text.details(certificate(WRONG, LATER, ruling=ruling))[2:5] == [
        "      error: 1.13e+15 ulp, 4e+03 times its radius",
        "      arbiter: the reference's backward does not belong to its own forward",
        "        at (0, 2): derivative 1.5, reference 1.25, mirror 1.5",
    ]


@pytest.mark.parametrize(
    ("ruling", "lines"),
    [
        (
            Ruling("no derivative exists there", "dz", 0, (1,), None, 0.0, 0.25, -0.5, 0.25),
            [
                "      arbiter: no derivative exists there",
                "        at (1,): from the left -0.5, from the right 0.25, reference 0, mirror 0.25",
            ],
        ),
        (
            Ruling("the mirror strays", "W", 0, (), None, 1.0, 2.0, note="its update is not the reference's"),
            [
                "      arbiter: the mirror strays",
                "        reference 1, mirror 2",
                "        its update is not the reference's",
            ],
        ),
        (
            Ruling("too large for exact arithmetic", "dW", 0, (1, 2), note="about 9 operations, 8 at most"),
            ["      arbiter: too large for exact arithmetic", "        about 9 operations, 8 at most"],
        ),
    ],
)
def test_rulings_in_words(ruling: Ruling, lines: list[str]) -> None:
    written = text.details(certificate(WRONG, ruling=ruling))
    assert written[3:] == lines
    assert max(map(len, written)) <= 120


@pytest.mark.parametrize(
    ("sign", "figure", "probability", "said"),
    [
        ("factor", 1.000001000123, 2e-30, "dW, torch: 1.000001 times what its equation gives; the probability that"),
        ("element", 14.5178, 4.9e-42, "an element is 14.5 standard deviations of its rounding away from its equation"),
        ("size", 3.25, 1e-300, "its errors are 3.25 times as large as those of independent roundings; the probability"),
    ],
)
def test_a_doubt_is_said_with_its_probability(sign: Sign, figure: float, probability: float, said: str) -> None:
    row = ROW._replace(sought=16, doubt=Doubt(sign, figure, probability))
    c = certificate(rows=(row, ROW._replace(tensor="db")))
    first, *rest = text.details(c)
    assert first.startswith("    doubt: dW, torch: ")
    assert said in first
    assert first.endswith({2e-30: "at most 2e-30", 4.9e-42: "at most 5e-42", 1e-300: "below 1e-300"}[probability])
    assert rest == [
        "      it is within its radius, which allows for the worst that rounding may do, and so not refuted;",
        "      a factor that does not belong there, a sample left out or numbers of fewer digits would look like this",
        "      (sought at 16 of 1000 steps; strict=True, or --strict, lets it fail)",
    ]
    assert text.line(replace(c, strict=True)).endswith("  doubted")
    assert text.details(replace(c, strict=True))[-1] == "      (sought at 16 of 1000 steps; strict, so that it fails)"


def test_a_doubt_about_a_formula_is_said_without_a_probability() -> None:
    first, *_ = text.details(certificate(rows=(ROW._replace(sought=1, doubt=Doubt("formula", 284.3, 0.0)),)))
    assert first == (
        "    doubt: dW, torch: its formula: torch's operations, done in float64, are off by 284 times what rounding "
        "each constant and each result to float32 once can do"
    )
