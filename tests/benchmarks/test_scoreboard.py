"""The scoreboard's tools say what they should of right code and of wrong, and its page is of these tools."""

from itertools import islice

from tests.benchmarks import scoreboard
from tests.benchmarks import scoreboard_cases as cases
from tests.benchmarks import scoreboard_tools as tools
from tests.examples.test_examples import EXAMPLES
from tests.pages.api import ROOT

WRITTEN = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
HERE = ["torch_mirror.check", "torch.testing.assert_close", "numpy.allclose", "torch.autograd.gradcheck"]


def test_the_page_is_of_these_tools_and_these_networks() -> None:
    head = scoreboard.HEAD.format(
        names=", ".join(EXAMPLES), seeds=len(cases.SEEDS), small=cases.SMALL
    )
    assert WRITTEN.startswith(f"{head}\n{scoreboard.TABLE}\n")
    assert WRITTEN.endswith(scoreboard.TAIL)
    rows = [line.split(" | ")[:2] for line in WRITTEN.splitlines() if line.startswith("| `")]
    assert rows == [[f"| `{name}`", dtype] for name in tools.TOOLS for dtype in cases.DTYPES]


def test_every_tool_lets_right_code_pass_and_finds_what_is_large() -> None:
    assert {*HERE} <= {*tools.TOOLS}
    right = next(cases.honest("float64"))
    assert [name for name in HERE if tools.TOOLS[name][0](right).wrong] == []
    for case in islice(cases.faults("float64"), 2):  # the code is the edited one until the next is asked for
        seen = {name: tools.TOOLS[name][0](case) for name in HERE}
        assert [name for name, s in seen.items() if not s.wrong] == []
        assert [name for name, s in seen.items() if s.located] == ["torch_mirror.check"]


def test_what_is_small_is_small_enough_for_a_usual_tolerance() -> None:
    case = next(cases.small("float32"))
    assert not tools.by_assert_close(case).wrong
    assert tools.by_check(case).wrong


def test_the_code_is_its_own_again_after_an_edit() -> None:
    list(islice(cases.faults("float64"), 3))
    assert not tools.by_check(next(cases.honest("float64"))).wrong
