"""Convolutions that add up their terms, which is what a sum's radius is for.

Without oneDNN torch gives 3 x 3 convolutions of float32 from batches of 16 on to NNPACK, which multiplies Winograd
transforms of tiles: a result has then an error in proportion to its whole tile, and not to its own terms. Measured, of
sums of 36 terms: 99 u times the sum of their magnitudes, where adding up has 3 u. No bound by the terms holds for it.
Source: Lavin & Gray, Fast algorithms for convolutional neural networks, CVPR 2016, section 4; Barabasz, Anderson,
Soodhalter & Gregg, Error analysis and improving the accuracy of Winograd convolution for deep neural networks, ACM
TOMS 46(4), 2020; torch.backends.nnpack (documentation).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

_LOCK = Lock()
_BEFORE: list[bool] = []  # of every run that is inside now, whether NNPACK was on as it entered


@contextmanager
def term_by_term() -> Iterator[None]:
    """Within it torch leaves NNPACK alone; as it was when the last of several runs at once is through."""
    with _LOCK:
        _BEFORE.append(_BEFORE[0] if _BEFORE else _switch(on=False))
    try:
        yield
    finally:
        with _LOCK:
            before = _BEFORE.pop()
            if not _BEFORE:
                _switch(on=before)


def _switch(*, on: bool) -> bool:
    """NNPACK on or off; returns what it was before."""
    (before,) = torch.backends.nnpack.set_flags(on)  # type: ignore[no-untyped-call]  # torch's own
    return bool(before)
