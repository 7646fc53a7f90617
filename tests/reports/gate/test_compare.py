"""What the gate says of each change, in the same environment and in another one, and of nothing else."""

import math
from pathlib import Path
from typing import get_args

import pytest

from tests.reports.gate.made import CLAIM, DOUBT, FIGURES, HERE, PRINTS, THERE, baseline, with_row
from torch_mirror.judge.findings import Doubt, Row
from torch_mirror.judge.verdict import Certificate
from torch_mirror.reports.gate.claim import Claim, Figure, claim_of
from torch_mirror.reports.gate.compare import TELLS_ONLY, Comparison, Kind, compare
from torch_mirror.reports.gate.digits import packed
from torch_mirror.reports.gate.prints import LOW, Timeline
from torch_mirror.reports.gate.words import lines, summary


def changes(now: Claim, environment: dict[str, str], factor: float = 2) -> list[tuple[str, str]]:
    (outcome,) = compare(baseline(CLAIM), baseline(now, environment=environment), factor).outcomes
    return [(c.kind, c.words) for c in outcome.changes]


def kinds(now: Claim, environment: dict[str, str]) -> list[str]:
    return [kind for kind, _ in changes(now, environment)]


both = pytest.mark.parametrize("environment", [HERE, THERE], ids=["here", "elsewhere"])


@both
def test_nothing_changed(environment: dict[str, str]) -> None:
    found = compare(baseline(CLAIM), baseline(CLAIM, environment=environment))
    assert found.passed
    assert [o.changes for o in found.outcomes] == [()]
    words = "nothing changed" if environment is HERE else "nothing became worse"
    assert summary(found) == f"gate: passed, 1 run, {words}"
    said = [line for _, line in lines(found)]
    told = ["the environment has changed: figures are compared by rules for another one, and bits not at all",
            "    processor: one -> another"]  # fmt: skip
    assert said[:-2] == ([] if environment is HERE else told)


@both
def test_a_wrong_or_undecided_run_fails_whatever_was_before(environment: dict[str, str]) -> None:
    wrong = CLAIM._replace(verdict="refuted", why=("first wrong: dW, step 3", "error: 9 ulp"))
    for then in (CLAIM, wrong):
        found = compare(baseline(then), baseline(wrong, environment=environment))
        assert [c[:2] for c in found.outcomes[0].changes] == [("refuted", "first wrong: dW, step 3")]
        assert not found.passed
        assert "    error: 9 ulp" in [line for _, line in lines(found)]
    assert kinds(CLAIM._replace(verdict="vacuous"), environment) == ["vacuous"]


def test_a_run_that_judged_nothing_fails() -> None:
    nothing = claim_of(Certificate("mine.py:net", "float64", 0, 20))
    assert not compare(baseline(nothing), baseline(nothing)).passed
    none = Comparison((), ())
    assert (none.passed, summary(none)) == (False, "gate: failed, nothing was judged")


@both
def test_runs_come_and_go(environment: dict[str, str]) -> None:
    other = CLAIM._replace(name="other")
    found = compare(baseline(CLAIM, other), baseline(CLAIM, environment=environment))
    assert [(o.name, o.verdict, o.passed) for o in found.outcomes] == [
        ("mine.py:net", "certified", True), ("other", "none", False),
    ]  # fmt: skip
    assert found.outcomes[1].changes[0].kind == "vanished"
    found = compare(baseline(CLAIM), baseline(CLAIM, other, environment=environment))
    assert [[c.kind for c in o.changes] for o in found.outcomes] == [[], ["not in the baseline"]]
    assert not found.passed
    assert kinds(CLAIM._replace(steps=10), environment) == ["another run"]
    assert kinds(CLAIM._replace(seed=1), environment) == ["another run"]


@both
def test_doubted_anew(environment: dict[str, str]) -> None:
    said = ("doubted", "z, torch, local: doubted anew: factor 1.000001, probability 1e-09")
    assert changes(with_row(0, doubt=DOUBT), environment) == [said]
    doubted = with_row(0, doubt=DOUBT)
    assert compare(baseline(doubted), baseline(doubted, environment=environment)).passed


@both
@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (DOUBT, Doubt("factor", 1.0000019, 1e-9), ""),
        (DOUBT, Doubt("factor", 1.000001, 1e-99), ""),  # more samples of the same fault
        (DOUBT, Doubt("factor", 1.5, 1e-9), "the doubt grew: factor 1.000001, probability 1e-09 -> factor 1.5, "),
        (DOUBT, Doubt("factor", 0.5, 1e-9), "the doubt grew: factor 1.000001, probability 1e-09 -> factor 0.5, "),
        (DOUBT, Doubt("element", 9.0, 1e-9), "element 9, probability 1e-09; the doubt of the baseline is another one:"),
        (Doubt("size", 7.0, 1e-9), Doubt("size", 13.9, 1e-9), ""),
        (Doubt("size", 7.0, 1e-9), Doubt("size", 14.1, 1e-9), "the doubt grew: size 7, probability 1e-09 -> size 14.1"),
        (DOUBT, None, ""),
    ],
)
def test_a_doubt_may_not_grow(environment: dict[str, str], then: Doubt, now: Doubt | None, said: str) -> None:
    found = compare(baseline(with_row(0, doubt=then)), baseline(with_row(0, doubt=now), environment=environment))
    assert [c.kind for c in found.outcomes[0].changes] == (["doubt grew"] if said else [])
    assert found.passed == (not said)
    assert all(c.words.startswith(f"z, torch, local: {said}") for c in found.outcomes[0].changes)


@both
def test_rows_come_and_go(environment: dict[str, str]) -> None:
    said = ("no longer judged", "z, torch, local: 1000 elements judged before, none now")
    assert changes(CLAIM._replace(figures=FIGURES[1:]), environment) == [said]
    more = CLAIM._replace(figures=(*FIGURES, FIGURES[0]._replace(tensor="new")))
    assert kinds(more, environment) == ["newly judged"]
    assert compare(baseline(CLAIM), baseline(more, environment=environment)).passed


@both
@pytest.mark.parametrize(
    ("row", "changed", "here", "elsewhere"),
    [
        (0, {"judged": 999}, ["fewer judged"], ["fewer judged"]),
        (0, {"judged": 990, "vacuous": 10}, ["fewer judged"], []),
        (0, {"judged": 499, "vacuous": 501}, ["fewer judged"], ["fewer judged"]),
        (2, {"judged": 20, "vacuous": 80}, ["fewer judged"], []),
        (2, {"judged": 20, "vacuous": 79}, ["fewer judged"], ["fewer judged"]),
        (3, {"judged": 20}, ["fewer judged"], []),
        (3, {"judged": 0}, ["fewer judged"], ["fewer judged"]),
        (0, {"judged": 2000}, [], []),
        (0, {"resolution": 1.003e-15}, ["resolution"], []),
        (0, {"resolution": 1.001e-15}, [], []),
        (0, {"resolution": 5e-15}, ["resolution"], []),
        (0, {"resolution": float("inf")}, ["resolution"], []),
        (0, {"resolution": 1e-16}, [], []),
        (2, {"resolution": 9e-14}, ["resolution"], []),
        (3, {"resolution": 1.0}, [], []),
        (0, {"headroom": 0.51}, ["headroom"], []),
        (0, {"headroom": 0.49}, [], []),
        (2, {"headroom": 0.9}, [], []),  # a bound
        (2, {"headroom": 0.9, "bound": False}, ["headroom"], []),
    ],
)
def test_each_figure_by_the_rule_of_its_environment(
    environment: dict[str, str], row: int, changed: dict[str, object], here: list[str], elsewhere: list[str]
) -> None:
    assert kinds(with_row(row, **changed), environment) == (here if environment is HERE else elsewhere)


def test_figures_are_told_then_and_now() -> None:
    assert changes(with_row(0, headroom=0.75), HERE) == [
        ("headroom", "z, torch, local: headroom 0.25 -> 0.75 (3 times), of which 1 is the whole radius")
    ]
    assert changes(with_row(0, headroom=0.75), HERE, factor=3.5) == []
    assert changes(with_row(0, resolution=1e-14), HERE) == [
        ("resolution", "z, torch, local: resolution 1e-15 -> 1e-14 (10 times): the check became blinder")
    ]


def test_where_bits_have_changed_a_resolution_may_move_a_little() -> None:
    other = (PRINTS[0]._replace(whole="CCCCCCCC"), PRINTS[1])
    assert kinds(with_row(0, resolution=1.9e-15)._replace(prints=other), HERE) == ["bits"]
    assert kinds(with_row(0, resolution=2.1e-15)._replace(prints=other), HERE) == ["resolution", "bits"]


@both
def test_a_tensor_that_is_0_from_now_on_fails(environment: dict[str, str]) -> None:
    """0 is within every radius: of a gradient that is lost on both sides nothing else would be told."""
    assert CLAIM.figures[0].resolution is not None
    assert kinds(with_row(0, resolution=None), environment) == ["resolution"]


def scaled(times: float, many: int) -> Claim:
    """The claim, with so many of its rows so many times as coarse, and as near to their radius."""
    worse = (
        f._replace(headroom=times * f.headroom, resolution=f.resolution and times * f.resolution)
        for f in (*CLAIM.figures[:2], *CLAIM.figures[4:], *CLAIM.figures[2:4])[:many]
    )
    found = {f.place: f for f in worse}
    return CLAIM._replace(figures=tuple(found.get(f.place, f) for f in CLAIM.figures))


def test_elsewhere_many_rows_together_may_not_get_worse() -> None:
    blinder = ("resolution", "resolution: a quarter of its local checks became blinder, 1.6 times or more")
    assert [changes(scaled(1.6, many), THERE) for many in (1, 2)] == [[], [blinder]]  # of five that have a resolution
    assert changes(scaled(1.4, 7), THERE) == []
    worse = ("headroom", "headroom: half of its rows use 5 times as much of their radius, or more")
    assert [worse in changes(scaled(5, many), THERE) for many in (3, 4)] == [False, True]  # of seven
    assert [c for c in changes(scaled(3.9, 7), THERE) if c[0] == "headroom"] == []
    assert worse not in changes(scaled(5, 7), THERE, factor=2.5)


def test_bits_are_told_the_first_tensor_first_and_pass() -> None:
    z, dW = (p._replace(whole="CCCCCCCC", chain="xxxxxx") for p in PRINTS)
    now = CLAIM._replace(prints=(dW, z._replace(sample=packed([0, 0, 1, 0, 0], LOW))), distance=2e-14)
    assert changes(now, HERE) == [
        ("bits", "z, torch: bits changed from step 0 on: 1 of its 5 elements, by at most 1 ulp (modulo 16)"),
        ("bits", "dW, torch: bits changed from step 0 on"),
        ("bits", "the free runs ended 1e-14 apart, and end 2e-14 apart now"),
    ]
    assert compare(baseline(CLAIM), baseline(now)).passed
    assert changes(now, THERE) == []


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ("ABCDEFGHIJKLMNOPQRST", "first at one of the steps 4 to 7"),  # which tells nothing
        ("ABCDExxxxxxxxxxxxxxx", "first at one of the steps 5 to 7"),
        ("ABCDEFGxxxxxxxxxxxxx", "from step 7 on"),
        ("ABxxxxxxxxxxxxxxxxxx", "first at one of the steps 4 to 7"),  # another tensor was earlier
        ("ABCDEFGHxxxxxxxxxxxx", "first at one of the steps 4 to 7"),  # a digit that was equal by chance
    ],
)
def test_the_timeline_of_a_side_narrows_the_step_of_its_tensors(chain: str, said: str) -> None:
    z = PRINTS[0]._replace(whole="CCCCCCCC", chain="ABCxxx")
    now = CLAIM._replace(prints=(z, PRINTS[1]), timelines=(Timeline("torch", chain),))
    assert changes(now, HERE) == [("bits", f"z, torch: bits changed {said}")]


@pytest.mark.parametrize("headroom", [1e9, math.inf, math.nan])
@pytest.mark.parametrize("environment", [HERE, THERE])
def test_of_a_row_that_is_wrong_nothing_else_is_told(headroom: float, environment: dict[str, str]) -> None:
    """Its resolution is one of wrong numbers: no check became blinder. The run fails by its verdict."""
    why = ("first wrong: z", "  its value: seen 1, expected 2", "also refuted:", "  dW")
    wrong = {"headroom": headroom, "resolution": 1.0}
    now = with_row(0, **wrong)._replace(verdict="refuted", why=why)
    assert changes(now, environment) == [("refuted", "first wrong: z")]
    certified = with_row(0, **wrong)  # as where it is within the rounding of another form: then it is told as ever
    assert environment == THERE or [kind for kind, _ in changes(certified, environment)][:1] == ["resolution"]
    found = compare(baseline(CLAIM), baseline(now._replace(figures=now.figures[1:])))
    assert [line for _, line in lines(found)][1:-1] == [
        "    first wrong: z", "      its value: seen 1, expected 2", "    also refuted:", "      dW",
        "    z, torch, local: 1000 elements judged before, none now",
    ]  # fmt: skip


def test_a_new_row_of_which_nothing_was_judged_is_not_told() -> None:
    one = "p, both, trajectory: 1 elements that the baseline does not have"
    for judged, told in ((0, []), (1, [("newly judged", one)])):
        new = Figure("p", "both", "trajectory", judged, 0, 0.0, True, None)
        assert changes(CLAIM._replace(figures=(*CLAIM.figures, new)), HERE) == told


def test_few_changes_of_a_kind_are_told_and_the_others_counted() -> None:
    many = tuple(FIGURES[0]._replace(tensor=f"z{i}") for i in range(9))
    found = compare(baseline(CLAIM._replace(figures=many)), baseline(CLAIM._replace(figures=many[:2])))
    said = [line for _, line in lines(found)]
    assert said[0] == "mine.py:net float64  certified, FAILS"
    assert (len(said), said[-2:]) == (6, [
        "    and 4 more of this kind (no longer judged)", "gate: failed, 1 of 1 runs",
    ])  # fmt: skip
    assert [line for _, line in lines(compare(baseline(CLAIM), baseline(CLAIM)), quiet=True)] == [
        "gate: passed, 1 run, nothing changed"
    ]


def test_what_is_kept_of_a_certificate() -> None:
    row = Row("dW", "local", "torch", 9, 90, 3, under=0.123456, resolution=1.23456e-15, doubt=DOUBT)
    kept = claim_of(Certificate("mine", "float64", None, 9, (row,), end_distance=1.23456e-9))
    assert (kept.verdict, kept.seed, kept.distance, kept.judged) == ("certified", None, 1.235e-9, 90)
    assert kept.figures[0][:8] == ("dW", "torch", "local", 90, 3, 0.1235, True, 1.235e-15)
    assert kept.figures[0].doubt == DOUBT


def test_every_kind_of_change_is_explained() -> None:
    page = (Path(__file__).parents[3] / "docs" / "gate.md").read_text()
    fails = {kind: "no" if kind in TELLS_ONLY else "yes" for kind in get_args(Kind)}
    assert [kind for kind in fails if f"| {kind} | {fails[kind]} |" not in page] == []
    assert len(fails) == page.count("| yes |") + page.count("| no |")
