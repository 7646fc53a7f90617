"""The page: what it says, that all of its pictures have words and numbers, and that nothing breaks out of it."""

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.reports.gate.made import CLAIM, THERE, baseline, with_row
from tests.reports.html import made
from tests.reports.html.parsed import Page
from torch_mirror.judge.series import Curves
from torch_mirror.reports.gate.compare import compare
from torch_mirror.reports.html import page as page_module
from torch_mirror.reports.html.curves import groups
from torch_mirror.reports.html.page import HERE, document
from torch_mirror.visible import visible


@cache
def page() -> Page:
    """All elements of the page on three claims."""
    return Page(made.page())


def words(tag: str, **attributes: str) -> list[str]:
    """The texts of these elements."""
    return [element.words for element in page().all(tag, **attributes)]


def test_the_verdict_stands_at_the_top_in_words() -> None:
    assert words("h1") == ["2 of 3 claims are refuted"]
    assert "The others: 1 certified." in words("p")
    assert any(text.startswith("Refuted: a number is outside its radius") for text in words("p"))
    assert any(text.startswith("Wrong: ") and "dW, step 0" in text and "halved: dW1" in text for text in words("p"))


def test_a_page_without_claims_says_so() -> None:
    assert Page(document([], {}, {})).all("h1")[0].words == "Nothing was judged"


def test_all_claims_stand_in_a_table_that_leads_to_them() -> None:
    links = [element.attributes["href"] for element in page().all("a")]
    assert links == ["#claim-1", "#claim-2", "#claim-3"]
    ids = [element.attributes["id"] for element in page().all("details") if "id" in element.attributes]
    assert [f"#{one}" for one in ids] == links
    assert words("span", class_="badge certified")[0] == "certified"
    sortable = [head for head in page().all("th") if "aria-sort" in head.attributes]
    assert len(sortable) > 9
    assert {head.attributes["aria-sort"] for head in sortable} == {"none"}


def test_a_name_that_would_break_out_stays_text() -> None:
    (script,) = page().all("script")
    assert "".join(script.text) == (HERE / "script.js").read_text()
    assert not page().all("img")
    assert made.HOSTILE in words("h2")
    assert "{{7*7}}" in made.page()
    assert any("a1 = np.maximum(z1, 0) # <script>alert(2)</script>" in text for text in words("td"))
    assert "<2>" in words("dd")


def test_the_page_fetches_nothing_and_forbids_itself_to() -> None:
    (policy,) = [e.attributes["content"] for e in page().all("meta") if "http-equiv" in e.attributes]
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy
    targets = [v for e in page().elements for n, v in e.attributes.items() if n in {"src", "href", "action", "data"}]
    assert all(target.startswith("#") or target == "data:," for target in targets)
    (style,) = page().all("style")
    assert not re.search(r"url\(|@import", "".join(style.text))


def test_every_picture_has_words_and_its_numbers_stand_in_a_table() -> None:
    pictures = [e for e in page().all("svg") if e.attributes.get("aria-hidden") != "true"]
    assert len(pictures) > 20
    assert all(e.attributes["role"] == "img" and len(e.attributes["aria-label"]) > 30 for e in pictures)
    losses = made.right().series
    assert losses is not None
    numbers = [element.words for element in page().all("td")]
    for values in losses.loss.values.values():
        assert all(f"{value:.17g}" in numbers for value in values)
    worst = losses.errors.values["W1"], losses.radii.values["W1"]
    assert all(f"{e:.2g} / {r:.2g}" in numbers for e, r in zip(*worst, strict=True))


def test_every_kind_of_curve_is_there_or_said_to_be_missing() -> None:
    heads = words("h3")
    for title in ("Loss", "Distance of the free runs", "Gradients by layer", "Error against radius", "Weight history"):
        assert heads.count(title) == 2  # of two runs
    assert words("p").count("Not shown: the claim names no held-out data.") == 2
    rows = replace(made.right(), series=None)
    assert any("There are no curves" in e.words for e in Page(document([rows], {}, {})).all("li"))


def test_a_wrong_gradient_is_shown_by_its_lines_with_value_and_derivative() -> None:
    right, wrong = (page().all("tr", class_=f"is-{mark}")[-1] for mark in ("right", "wrong"))
    assert "dz1 = da1 * (z1 > 0)" in right.words
    assert "= dL/d z1" in right.words
    row = next(row for row in made.gradients().rows if row.name == "dW1")
    assert "dW1 = x.T @ dz1 / 2" in wrong.words
    assert f"{list(row.index)} {row.seen:.6g}{row.expected:.6g}" in wrong.words
    graph = page().all("ul", class_="graph")[-1]
    assert graph.words.startswith("dW1 made.py:")
    assert "dz1 made.py" in graph.words
    assert any("a factor 1/2 at d(W1)" in text for text in words("p"))


def test_so_is_a_wrong_tensor_of_a_run_whose_backward_pass_is_at_fault() -> None:
    (row,) = [e for e in page().all("tr", class_="is-wrong") if "2 * (x.mT @ dy)" in e.words]
    f = made.wrong().first
    assert f is not None
    assert f"{f.seen:.6g}" in row.words
    assert any("2 * (x.mT @ dy)" in text or "dW" in text for text in words("p"))
    c = replace(made.wrong(), series=made.wrong().series and made.wrong().series._replace(shown=None))  # type: ignore[union-attr]  # it has one
    assert not Page(document([c], {}, {})).all("tr", class_="is-wrong")


def distance(apart: list[float], way: list[float]) -> str:
    """What is said below the distance of a run that went so."""
    c = made.right()
    assert c.series is not None
    curves = Curves((0, 9, 20), {"distance": np.array(apart), "way from the start": np.array(way)})
    shown = groups(replace(c, series=c.series._replace(distance=curves)))[1]
    assert [line.name for line in shown.charts[0].lines] == [*curves.values]
    return shown.about


@pytest.mark.parametrize(
    ("apart", "way", "said"),
    [
        ([0, 1, 2], [1, 2, 3], "cannot be compared from step 20 on (of those shown, step 9 is the last before it)"),
        ([0, 1.1, 2], [1, 2, 3], "cannot be compared from step 9 on (of those shown, step 0 is the last before it)"),
        ([1, 1, 2], [1, 3, 3], "cannot be compared from step 20 on (of those shown, step 9 is the last before it)"),
        ([1, 2, 2], [1, 3, 3], "cannot be compared from step 0 on (the first that is shown)"),
        ([1, 2, 1], [1, 3, 3], "the end states can be compared"),
        ([0, 0, 0], [0, 0, 0], "the end states can be compared"),
    ],
)
def test_from_which_step_the_end_states_cannot_be_compared(apart: list[float], way: list[float], said: str) -> None:
    assert said in distance(apart, way)


def test_a_wrong_gradient_has_a_map_of_its_errors() -> None:
    pictures = made.gradients().pictures
    assert pictures is not None
    (sheet,) = pictures.sheets
    outside = int((sheet.ratio > 1).sum())
    assert sheet.ratio.shape == (3, 4)
    assert any(f"dW1, 3 x 4: {outside} of 12 elements are outside" in text for text in words("p"))
    (heat,) = [e for e in page().all("svg") if e.attributes.get("viewbox") == "0 0 4 3"]
    assert heat.attributes["aria-label"].startswith("dW1, 3 x 4")
    numbers = words("td")
    assert all(f"{x:.2g}" in numbers for x in sheet.ratio.flat)


def test_what_reproduces_it_stands_there_as_a_script_that_fails() -> None:
    scripts = page().all("pre", class_="script")
    assert len(scripts) == 2  # of the run and of the gradients
    for script in scripts:
        try:
            exec("".join(script.text), {"__name__": "x"})  # noqa: S102 - our own
        except AssertionError as error:
            assert "is right" in str(error)  # noqa: PT017 - what it ends in is the point
        else:
            raise AssertionError(script.words)


def test_what_was_judged_and_what_was_not() -> None:
    cells = words("td")
    for row in made.right().rows:
        assert row.tensor in cells
        assert row.resolution is None or f"{row.resolution:.3g}" in cells
    idle = replace(made.right(), idle=("no step was taken",), notes=("the start was not judged",))
    said = [e.words for e in Page(document([idle], {}, {})).all("li")]
    assert {"no step was taken", "the start was not judged"} <= set(said)


def test_the_environment_stands_at_the_end() -> None:
    assert words("dt") == ["python", "numpy", "threads of torch"]


def test_the_same_verdicts_give_the_same_page() -> None:
    page_module._template.cache_clear()
    again = document([made.right(), made.wrong(), made.gradients()], {"python": "3", "numpy": "<2>"}, {"torch": 1})
    assert again == made.page()


# --- what the gate says -------------------------------------------------------------------------------


def test_what_has_changed_since_a_baseline_stands_at_the_top() -> None:
    then, now = baseline(CLAIM, CLAIM._replace(name="gone")), baseline(with_row(0, resolution=1.0))
    found = Page(document([made.right()], {}, {}, compare(then, now)))
    assert found.all("h1")[0].words == "The gate failed, 2 of 2 runs"
    said = [e.words for e in found.all("p")]
    assert any(text.startswith("It fails: mine.py:net float64: z, torch, local: resolution") for text in said)
    assert "mlp-relu is certified." in said
    (row,) = [e for e in found.all("tr") if e.words.startswith("failsmine.py:net")]
    assert "the check became blinder" in row.words
    assert [e.attributes["href"] for e in found.all("a")] == ["#claim-1", "#claim-1"]  # what is gone has no claim
    passed = Page(document([made.right()], {}, {}, compare(then, baseline(*then.claims, environment=THERE))))
    assert passed.all("h1")[0].words == "The gate passed, 2 runs, nothing became worse"
    assert "processor: one -> another" in [e.words for e in passed.all("li")]


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\x1b", "\ud800", "\x00", "\u200b"])
def test_a_sign_that_does_not_show_is_spelled_on_the_page(sign: str) -> None:
    text = document([replace(made.right(), experiment=f"a{sign}b", notes=(f"c{sign}d",))], {sign: sign}, {})
    assert sign not in text
    assert Page(text).all("title")[0].words == f"a{visible(sign)}b is certified · torch-mirror"
    text.encode()


# --- contrast -----------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2, "relative luminance")."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: str, b: str) -> float:
    """Of two colours (WCAG 2.2, "contrast ratio"): 4.5 and more is read as text, 3 and more is seen as a line."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_that_contrast_is_measured() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#777777", "#ffffff") < 4.5 < contrast("#767676", "#ffffff")  # the well-known pair


def test_text_and_lines_are_seen_in_both_themes() -> None:
    style = (HERE / "style.css").read_text()
    pairs = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", style))
    colours = {name: pair.split(", ") for name, pair in pairs.items()}
    tones = {name: f"{name}-back" for name in ("right", "wrong", "doubt")}
    for theme in (0, 1):
        at = {name: pair[theme] for name, pair in colours.items()}
        for back in ("page", "card"):
            for text in ("text", "quiet", "link", *tones):
                assert contrast(at[text], at[back]) >= 4.5, (text, back, theme)
            for line in ("first", "second", "third", "fourth", "fifth", "sixth"):
                assert contrast(at[line], at[back]) >= 3, (line, back, theme)
        for tone, back in tones.items():
            for text in (tone, "text", "quiet"):
                assert contrast(at[text], at[back]) >= 4.5, (text, back, theme)


def test_no_colour_is_given_in_one_theme_alone() -> None:
    style = (HERE / "style.css").read_text()
    alone = re.sub(r"light-dark\(#\w+, #\w+\)", "", style)
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b", alone)



def test_that_a_missing_end_would_be_noticed() -> None:
    for broken in ("<p><b>x</p>", "<table><tr><td>x</div>", "<div>"):
        try:
            Page(broken)
        except AssertionError:
            continue
        raise AssertionError(broken)
