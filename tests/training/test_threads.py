"""How many threads compute: one while something is verified, and afterwards as many as before."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import threadpoolctl
import torch

from reference import experiments
from torch_mirror import verify
from torch_mirror.training.threads import VARIABLES, one_thread

Threads = dict[str, int]


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two in every pool, as on a machine with two processors."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    with threadpoolctl.threadpool_limits(limits=2):
        torch.set_num_threads(2)
        yield
    torch.set_num_threads(before)


def threads() -> Threads:
    """Of each pool, as the calling thread sees it; torch gives a new thread its number when it is asked."""
    found = {"torch": torch.get_num_threads()}
    for pool in threadpoolctl.threadpool_info():
        found[f"{pool['internal_api']} {pool['filepath']}"] = pool["num_threads"]
    return found


def test_within_it_is_one_and_behind_it_what_it_was() -> None:
    before = threads()
    assert set(before.values()) == {2}
    with one_thread():
        assert set(threads().values()) == {1}
    assert threads() == before


def test_an_error_leaves_it_as_well() -> None:
    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError
    assert set(threads().values()) == {2}


def test_one_inside_another() -> None:
    with one_thread():
        with one_thread():
            assert set(threads().values()) == {1}
        assert set(threads().values()) == {1}
    assert set(threads().values()) == {2}


@pytest.mark.parametrize("early", ["the first", "the second"])
def test_two_threads_at_once_leave_all_as_it_was(early: str) -> None:
    """OpenBLAS has one number for the whole process, which the last to leave sets back; OpenMP one for each thread."""
    together, early_has_left, first_is_in = threading.Barrier(2, timeout=60), threading.Event(), threading.Event()
    seen: dict[str, Threads] = {}

    def work(who: str) -> None:
        seen[f"{who} before"] = threads()
        together.wait()
        if who == "the second":
            assert first_is_in.wait(60)
        with one_thread():
            first_is_in.set()
            together.wait()
            seen[f"{who} inside"] = threads()
            together.wait()
            if who != early:
                assert early_has_left.wait(60)
                seen["the last inside"] = threads()
        seen[f"{who} behind"] = threads()
        if who == early:
            early_has_left.set()

    both = [threading.Thread(target=work, args=(who,)) for who in ("the first", "the second")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    late = {"the first": "the second", "the second": "the first"}[early]
    for who in (early, late):  # a library of OpenMP that is loaded already may give a new thread a number of its own
        assert 2 in seen[f"{who} before"].values()
    for when in (f"{early} inside", f"{late} inside", "the last inside"):
        assert set(seen[when].values()) == {1}, when
    assert seen[f"{late} behind"] == seen[f"{late} before"]
    of_process = {name for name in seen[f"{early} behind"] if name.startswith("openblas")}
    assert of_process
    own = {name: n for name, n in seen[f"{early} behind"].items() if name not in of_process}
    assert own.items() <= seen[f"{early} before"].items()
    assert set(threads().values()) == {2}


def test_whoever_says_otherwise_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with one_thread():
        assert set(threads().values()) == {2}


def test_runs_verified_at_once_leave_all_as_it_was() -> None:
    """As this thread sees it, and one that is new."""

    def counts() -> list[Threads]:
        found: list[Threads] = [threads()]
        new = threading.Thread(target=lambda: found.append(threads()))
        new.start()
        new.join()
        return found

    e = replace(experiments.load("mlp-relu"), steps=2)
    before = counts()
    many = [threading.Thread(target=lambda k=k: [verify(e) for _ in range(1 + k)]) for k in range(3)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()
    assert counts() == before
