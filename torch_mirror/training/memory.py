"""Freed memory kept for the next step.

Blocks of some hundred kB, such as the tensors of one step of a large network, go back to the system
when they are freed and come back as fresh pages at the next step. A fresh page costs a fault, which on a
virtual machine can take longer than the arithmetic on it. glibc can be told to keep them.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST_KEPT = 32 << 20   # bytes of a block; glibc's own upper limit
KEPT_IN_ALL = 256 << 20   # bytes of freed memory


def keep_freed_memory() -> None:
    """Tell the C library's allocator to keep freed blocks; nothing happens where it is not glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, KEPT_IN_ALL)
