"""The data are scikit-learn's own, bit for bit, and scikit-learn is not imported for them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reference import datasets
from reference.errors import InputError
from reference.experiments import diabetes_split


def test_digits_are_scikit_learn_s() -> None:
    from sklearn.datasets import load_digits

    x, t = datasets.digits()
    theirs = load_digits()
    assert x.dtype == np.float64
    assert t.dtype == np.int64
    np.testing.assert_array_equal(16 * x, theirs.images)  # a sixteenth is exact
    np.testing.assert_array_equal(t, theirs.target)
    assert (x.min(), x.max(), set(t.tolist())) == (0, 1, set(range(10)))


def test_diabetes_data_are_scikit_learn_s() -> None:
    from sklearn.datasets import load_diabetes

    ours, theirs = datasets.diabetes(), load_diabetes(return_X_y=True)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("held_out", [0.2, 0.25, 0.5])
@pytest.mark.parametrize("samples", [7, 442])
def test_the_split_is_scikit_learn_s(samples: int, held_out: float, seed: int) -> None:
    from sklearn.model_selection import train_test_split

    x, t = (a[:samples] for a in datasets.diabetes())
    x_train, x_test, t_train, t_test = train_test_split(x, t, test_size=held_out, random_state=seed)
    ours = datasets.split(x, t, held_out, seed)
    for one, other in zip(ours, (x_train, t_train, x_test, t_test), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(ours.x, datasets.split(x, t, held_out, seed + 1).x)  # the comparison can fail


def test_document_001_s_data_come_out() -> None:
    documented = diabetes_split()
    x, t, x_held_out, t_held_out = datasets.split(*datasets.diabetes(), 0.2, 42)
    ours = (x, t[:, None], x_held_out, t_held_out[:, None], float(datasets.diabetes()[1].mean()))
    for one, other in zip(ours, documented, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_label_is_the_next_character() -> None:
    text = datasets.sentence(30)
    assert "".join(text.alphabet[i] for i in text.x) == datasets.TEXT[:30]
    assert "".join(text.alphabet[i] for i in text.t) == datasets.TEXT[1:31]
    assert set(text.alphabet) == set(datasets.TEXT)
    assert text.x.dtype == np.int64
    assert text.t.dtype == np.int64


def test_the_alphabet_does_not_depend_on_the_length() -> None:
    longest = datasets.sentence(len(datasets.TEXT) - 1)
    short = datasets.sentence(1)
    assert short.alphabet == longest.alphabet
    assert short.x[0] == longest.x[0]


@pytest.mark.parametrize("length", [0, -1, len(datasets.TEXT)])
def test_a_length_that_the_text_does_not_have_is_an_input_error(length: int) -> None:
    with pytest.raises(InputError, match=f"length: expected a number of characters from 1 to .*, got {length}"):
        datasets.sentence(length)


@pytest.mark.parametrize(
    ("code", "loads"),
    [("datasets.digits(); datasets.diabetes()", False), ("datasets.digits(); import sklearn.datasets", True)],
)
def test_scikit_learn_is_not_imported(code: str, *, loads: bool) -> None:
    """The second case shows that the test can fail."""
    script = f"import sys; from reference import datasets; {code}; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == int(loads)


def test_where_scikit_learn_is_not_installed_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"digits\.csv\.gz: .* \(pip install 'torch-mirror\[documents\]'\), got none"):
        datasets.digits()


def test_a_file_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Empty:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(datasets, "find_spec", lambda _name: Empty)
    with pytest.raises(InputError, match=r"data file diabetes_data_raw\.csv\.gz: expected scikit-learn"):
        datasets.diabetes()
