"""Whatever stands in a folder stands in its table, so that nothing is left out of the checks without a word.

A new network, loss or optimizer is its file and its row; the message of the test that fails says which row.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import reference
import torch_mirror
from reference.networks import mlp
from reference.optimizers.groups import Groups
from tests.conformance import test_losses, test_networks, test_optimizers
from tests.conformance.losses import LOSSES
from tests.conformance.networks import NETWORKS
from tests.conformance.optimizers import OPTIMIZERS, WRONG
from torch_mirror import losses, networks, optimizers
from torch_mirror.by_name import class_of, file_of
from torch_mirror.doors.console import MAKERS, PAGES, REPORTS
from torch_mirror.optimizers import CLIPS

REFERENCE, TORCH_MIRROR = (Path(package.__path__[0]) for package in (reference, torch_mirror))


class Folder(NamedTuple):
    """A folder of the reference, the table of its files, the kinds that the checks have rows of, and what is no row."""

    name: str
    table: Mapping[str, Any]
    where: str                  # the table is
    row: str
    checked: Callable[[], set[type]]
    helpers: frozenset[str] = frozenset()

    @property
    def home(self) -> str:
        return f"reference.{self.name}"


def kinds(parts: Iterable[Any]) -> set[type]:
    """The types of what is in the rows, and in what wraps others."""
    found: set[type] = set()
    for part in parts:
        found.add(type(part))
        if isinstance(part, Groups):
            found |= kinds(own for _, own in part.groups)
        elif type(part) in CLIPS:
            found |= kinds([part.optimizer])
    return found


FOLDERS = [
    Folder(
        "networks", networks.NETWORKS, "NETWORKS in torch_mirror/networks/__init__.py",
        "Row(lambda X: (X(4, 3), ...)), of small ones with every option",
        lambda: kinds(row.network for row in NETWORKS.values()),
    ),
    Folder(
        "losses", losses.LOSSES, "LOSSES in torch_mirror/losses.py",
        "Row(lambda loss: nn.XLoss(reduction=loss.reduction))",
        lambda: kinds(row.loss for row in LOSSES.values()), frozenset({"reduction"}),
    ),
    Folder(
        "optimizers", optimizers.OPTIMIZERS, "OPTIMIZERS in torch_mirror/optimizers.py",
        'Row(lambda _: torch.optim.X, (names of options), lambda _: {"v": torch\'s key of the state}, {values drawn})',
        lambda: kinds(OPTIMIZERS.values()) & kinds(right for right, *_ in WRONG.values()) - {Groups, *CLIPS},
        frozenset({"clipping", "groups", "parts", "schedule"}),
    ),
]  # fmt: skip
EACH = pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])


def files(folder: Path) -> set[str]:
    return {file.stem for file in folder.glob("*.py")} - {"__init__"}


def flaws(folder: Folder, inside: set[str]) -> list[str]:
    """What is missing of these files, in words that say what to add."""
    rows = [
        f'reference/{folder.name}/{file}.py has no row: add "{file}": {folder.row} to {folder.where}'
        for file in sorted(inside - folder.helpers - folder.table.keys())
    ]
    return rows + [f"no file reference/{folder.name}/{file}.py: its row in {folder.where} is left over" for file in
                   sorted(folder.table.keys() - inside)]  # fmt: skip


@EACH
def test_every_file_has_its_row(folder: Folder) -> None:
    inside = files(REFERENCE / folder.name)
    assert flaws(folder, inside) == []
    (told,) = flaws(folder, inside | {"perceptron"})
    assert told.startswith(f'reference/{folder.name}/perceptron.py has no row: add "perceptron": Row(')
    assert folder.where in told
    assert len(flaws(folder, inside - folder.helpers - {next(iter(folder.table))})) == 1


def test_a_file_stands_for_the_class_of_its_own_name_alone() -> None:
    """Not for what else it holds, nor for what is made of the class elsewhere."""

    class Variant(mlp.MLP):
        pass

    named = [file_of("reference.networks", kind) for kind in (mlp.MLP, mlp.Parameters, Variant, dict)]
    assert named == ["mlp", "", "", ""]
    assert file_of("reference.losses", mlp.MLP) == ""
    assert class_of("reference.networks", "two_layer_relu").__name__ == "TwoLayerReLU"
    with pytest.raises(AttributeError, match=r"reference\.losses\.reduction has no class of its own name, reduction"):
        class_of("reference.losses", "reduction")


def unmirrored(mirrors: set[str]) -> list[str]:
    """The networks without a mirror, and mirrors without a network, in words."""
    ours = files(REFERENCE / "networks")
    missing = [f"add torch_mirror/networks/{file}.py: parameters(network), and the module" for file in ours - mirrors]
    return sorted(missing + [f"add reference/networks/{file}.py, whose mirror there is" for file in mirrors - ours])


def test_every_network_has_a_mirror() -> None:
    mirrors = files(TORCH_MIRROR / "networks")
    assert unmirrored(mirrors) == []
    assert unmirrored(mirrors - {"mlp"} | {"x"}) == [
        "add reference/networks/x.py, whose mirror there is",
        "add torch_mirror/networks/mlp.py: parameters(network), and the module",
    ]


@EACH
def test_every_row_is_checked(folder: Folder) -> None:
    """By the conformance suite; an optimizer beside a wrong one, too."""
    assert folder.checked() == {class_of(folder.home, file) for file in folder.table}


def test_what_goes_around_an_optimizer_is_checked() -> None:
    assert {Groups, *CLIPS} <= kinds(OPTIMIZERS.values()) & kinds(right for right, *_ in WRONG.values())


@pytest.mark.parametrize("of", [test_networks, test_losses, test_optimizers], ids=lambda of: of.__name__)
def test_every_check_has_what_it_must_refuse(of: Any) -> None:
    assert set(of.FAULTY) == set(of.CHECKS)


def test_every_report_of_a_run_has_its_option() -> None:
    """A module of torch_mirror/reports that makes a text of certificates, or files, is one, and so is no other.

    What the gate writes is made of a comparison, and has options of its own.
    """
    folder = TORCH_MIRROR / "reports"
    modules = {path for path in folder.rglob("*.py") if "gate" not in path.relative_to(folder).parts}
    made = re.compile(r"^def (document|files)\(", re.MULTILINE)
    written = {path.relative_to(TORCH_MIRROR) for path in modules if made.search(path.read_text())}
    known = {Path(*module.split(".")[1:]).with_suffix(".py") for module in MAKERS.values()}
    assert written == known, "add what is missing to REPORTS and MAKERS in torch_mirror/doors/console.py"
    assert set(MAKERS) == set(REPORTS) >= set(PAGES)
