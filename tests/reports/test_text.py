"""A certificate as text and as JSON."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torch_mirror.judge.verdict import Certificate, Finding, Ruling
from torch_mirror.reports import text

WORST = Finding(0.5, 12, "dW", "torch", "local", (0, 2), 1.5, 1.25, 0.5, 3.0)
WRONG = Finding(4e3, 3, "dW", "torch", "local", (0, 2), 1.5, 1.25, 2.0**-14, 1.1259e15, 2, 10)
LATER = Finding(math.inf, 7, "W", "torch", "local", (0, 0), 2.0, 1.0, 0.0, 4.5e15, 1, 10)
LOSS = Finding(math.inf, 3, "loss", "numpy", "local", (), math.nan, 0.1, 0.0, math.nan, 1, 1)
CERTIFIED = Certificate("linear-neuron", "float64", 0, 1000, 7001, 21_003, 0, WORST, end_distance=1.1e-15)


def certificate(**changes: Any) -> Certificate:
    """The certified run, changed."""
    return Certificate(**{**CERTIFIED.__dict__, **changes})


def findings() -> st.SearchStrategy[Finding]:
    """Any finding at all, with Python's numbers and NumPy's."""
    numbers = st.one_of(st.floats(), st.floats(width=32).map(np.float32), st.floats().map(np.float64))
    counts = st.one_of(st.integers(0, 10**9), st.integers(0, 10**9).map(np.int64))
    return st.builds(
        Finding,
        tensor=st.sampled_from(["dW", "loss"]), step=counts, index=st.lists(counts, max_size=3).map(tuple),
        ratio=numbers, seen=numbers, expected=numbers,
        radius=numbers, ulp=numbers, outside=counts, size=counts,
    )  # fmt: skip


def rulings() -> st.SearchStrategy[Ruling]:
    """Any ruling at all."""
    numbers = st.none() | st.floats() | st.floats().map(np.float64)
    return st.builds(
        Ruling,
        tensor=st.sampled_from(["dW", "loss"]), step=st.integers(0, 9).map(np.int64),
        index=st.lists(st.integers(0, 9).map(np.int64), max_size=3).map(tuple),
        derivative=numbers, reference=numbers, mirror=numbers, left=numbers, right=numbers,
        note=st.sampled_from(["", "its update is not the reference's"]),
    )  # fmt: skip


def certificates() -> st.SearchStrategy[Certificate]:
    """Any certificate at all."""
    return st.builds(
        Certificate,
        experiment=st.sampled_from(["linear-neuron", "my own"]),
        dtype=st.sampled_from(["float32", "float64"]),
        worst=st.none() | findings(),
        refutations=st.lists(findings(), max_size=3).map(tuple),
        end_distance=st.none() | st.floats(),
        seconds=st.floats(),
        ruling=st.none() | rulings(),
    )


def strictly(text: str) -> Any:
    """Read JSON as a strict reader does: NaN and Infinity are errors."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_certified_run_is_one_line() -> None:
    assert text.line(CERTIFIED, 16) == (
        "linear-neuron     float64   1000 steps    7001 tensors      21003 elements  "
        "worst 0.5 of its radius (dW, step 12, torch)      free runs end 1.1e-15 apart  certified"
    )
    assert text.details(CERTIFIED) == []


def test_a_refuted_run_names_the_first_wrong_tensor_and_then_the_others() -> None:
    refuted = certificate(refutations=(LATER, WRONG))
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
    assert text.details(certificate(dtype="float32", refutations=(third,)))[:2] == [
        "    first wrong: loss, step 3, numpy, local check; 1 of 1 element outside",
        "      its value: seen nan, expected 0.333333343",
    ]
    assert text.details(certificate(refutations=(third,)))[1].endswith("expected 0.3333333432674408")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vacuous": 1}, "vacuous: the radius of 1 element is infinite"),
        ({"vacuous": 30}, "vacuous: the radius of 30 elements is infinite"),
        ({"idle": ("the loss never moved",)}, "vacuous: the loss never moved"),
        ({"judged": 0, "worst": None}, "vacuous: no element was judged"),
    ],
)
def test_a_vacuous_run_says_why(changes: dict[str, Any], said: str) -> None:
    vacuous = certificate(**changes)
    assert text.line(vacuous).endswith("  vacuous")
    assert text.details(vacuous) == ["    " + said]


def test_notes_are_shown() -> None:
    assert text.details(certificate(notes=("as the document prints it",))) == ["    as the document prints it"]


@given(certificates())
def test_text_is_whole_lines(c: Certificate) -> None:
    for line in [text.line(c), *text.details(c)]:
        assert line == line.rstrip()
        assert len(line.splitlines()) == 1


@given(st.lists(certificates(), max_size=3))
def test_json_is_strict_and_loses_nothing(cs: list[Certificate]) -> None:
    whole = strictly(text.document(cs, {"python": "3.11"}, {"torch": 1}))
    assert whole["versions"] == {"python": "3.11"}
    assert whole["threads"] == {"torch": 1}
    for c, run in zip(cs, whole["runs"], strict=True):
        assert (run["experiment"], run["verdict"]) == (c.experiment, c.verdict)
        assert (run["judged"], run["vacuous"], run["steps"]) == (c.judged, c.vacuous, c.steps)
        assert len(run["refutations"]) == len(c.refutations)
        assert (run["ruling"] is None) == (c.ruling is None)
        fields = [(run["worst"], item) for item in (c.worst._asdict().items() if c.worst else ())]
        fields += [(run["ruling"], item) for item in (c.ruling._asdict().items() if c.ruling else ())]
        for written, (field, value) in fields:
            came = written[field]
            if value is None or isinstance(value, str):
                assert came == value
            else:
                np.testing.assert_array_equal(np.array(came, dtype=np.float64), np.array(value, dtype=np.float64))


def test_a_ruling_stands_below_the_first_wrong_tensor() -> None:
    ruling = Ruling("the reference's backward does not belong to its own forward", "dW", 3, (0, 2), 1.5, 1.25, 1.5)
    assert text.details(certificate(refutations=(WRONG, LATER), ruling=ruling))[2:5] == [
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
    written = text.details(certificate(refutations=(WRONG,), ruling=ruling))
    assert written[3:] == lines
    assert max(map(len, written)) <= 120


@given(st.floats())
def test_a_number_that_json_cannot_hold_is_a_string_that_float_reads(x: float) -> None:
    written = text.number(x)
    assert written is not None
    assert isinstance(written, str) == (not math.isfinite(x))
    np.testing.assert_array_equal(float(written), x)


def test_no_number_is_null() -> None:
    assert text.number(None) is None
