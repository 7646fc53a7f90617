"""What has a mirror in torch has a row, so that nothing is left out of the checks without a word."""

from collections.abc import Iterable
from typing import Any

import pytest

import reference.losses
from reference.optimizers.groups import Groups
from tests.conformance import test_losses, test_networks, test_optimizers
from tests.conformance.losses import LOSSES
from tests.conformance.networks import NETWORKS
from tests.conformance.optimizers import OPTIMIZERS, WRONG
from torch_mirror.losses import CRITERIA
from torch_mirror.networks import MIRRORS
from torch_mirror.optimizers import CLIPS, KINDS


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


def test_every_network_has_a_row() -> None:
    assert kinds(row.network for row in NETWORKS.values()) == set(MIRRORS)


def test_every_loss_has_a_row_and_a_mirror() -> None:
    assert kinds(row.loss for row in LOSSES.values()) == set(CRITERIA)
    assert {kind.__name__ for kind in CRITERIA} == set(reference.losses.__all__)


def test_every_optimizer_has_a_row_and_a_wrong_one() -> None:
    assert kinds(OPTIMIZERS.values()) == {*KINDS, *CLIPS, Groups}
    assert {*KINDS, *CLIPS, Groups} <= kinds(right for right, *_ in WRONG.values())


@pytest.mark.parametrize("of", [test_networks, test_losses, test_optimizers], ids=lambda of: of.__name__)
def test_every_check_has_what_it_must_refuse(of: Any) -> None:
    assert set(of.FAULTY) == set(of.CHECKS)
