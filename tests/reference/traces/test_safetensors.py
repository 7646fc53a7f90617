"""Traces in .safetensors files: what others read and write, and what a hostile one may do, which is nothing."""

import json
import os
import struct
import tempfile
import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import Trace
from reference.errors import InputError, TorchMirrorError
from reference.traces.files import read_arrays, write_arrays
from reference.traces.pieces import PIECE, filled
from reference.traces.safetensors import DTYPES, HEADER

MEMORY = 20 * PIECE
"""Bytes that the refusal of a small file may take, whatever the file says."""

PLACE = '"__torch_mirror__":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}'
DATA = struct.pack("<2q", 2, 0)
BYTES = b'0123456789-{}[],:"eFIU\0\xff'
"""What damage puts into a header: what means something there, and what does not."""


def bare(contents: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(contents)
        return path

    return write


def info(dtype: str, shape: Any, begin: Any, end: Any, **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


def raw(path: Path, header: str | bytes, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else header.encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def file(path: Path, entries: Mapping[str, Any], data: bytes = b"") -> Path:
    """A trace of two steps with these entries behind its first 16 bytes."""
    told = json.dumps(entries)[1:-1]
    return raw(path, f"{{{PLACE}{told and ','}{told}}}", DATA + data)


def x(dtype: str, shape: Any, begin: Any, end: Any, data: bytes = b"", **more: Any) -> Callable[[Path], Path]:
    return lambda path: file(path, {"constants/x": info(dtype, shape, begin, end, **more)}, data)


def hollow(path: Path) -> Path:
    """A file with a hole of 200 megabytes, which are said to be an array."""
    x("U8", [200 << 20], 16, 16 + (200 << 20))(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + (200 << 20))
    return path


def nested(path: Path) -> Path:
    return raw(path, "[" * (HEADER - 1))


def twice(path: Path) -> Path:
    second = '"constants/x":{"dtype":"U8","shape":[1],"data_offsets":[16,17]}'
    return raw(path, f"{{{PLACE},{second},{second}}}", DATA + b"1")


def shape_twice(path: Path) -> Path:
    return raw(path, f'{{{PLACE[:-1]},"shape":[2]}}}}', DATA)


def overlap(path: Path) -> Path:
    return file(path, {"constants/x": info("F64", [2], 16, 32), "constants/t": info("F64", [2], 24, 40)}, bytes(24))


def same_place(path: Path) -> Path:
    return file(path, {"constants/x": info("F64", [1], 16, 24), "constants/t": info("F64", [1], 16, 24)}, bytes(8))


def place(text: bytes) -> Callable[[Path], Path]:
    return lambda path: raw(path, f"{{{PLACE}}}", text)


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (bare(b""), "8 bytes that say how long its header is, got 0"),
    "another format": (bare(b"PK\3\4" * 9), f"a header of {HEADER} bytes at most"),
    "32 GB of header": (lambda path: raw(path, "{}", length=32 * 10**9), "bytes at most, got 32000000000"),
    "2^64 of header": (lambda path: raw(path, "{}", length=2**64 - 1), "bytes at most, got 18446744073709551615"),
    "a cut header": (lambda path: raw(path, "{}", length=9), "expected a header of 9 bytes, got 2 and no more"),
    "brackets without end": (nested, "a trace that Trace.save wrote"),
    "a hundred thousand lists": (lambda path: raw(path, "[" + "[]," * (HEADER // 3 - 1) + "0]"), "a header such as"),
    "a hundred thousand dicts": (lambda path: raw(path, "[" + "{}," * (HEADER // 3 - 1) + "0]"), "a header such as"),
    "a number without end": (lambda path: raw(path, '{"a":' + "9" * 900_000 + "}"), "a trace that Trace.save wrote"),
    "no JSON": (lambda path: raw(path, "{'a': 1}"), "a trace that Trace.save wrote"),
    "no UTF-8": (lambda path: raw(path, b'{"\xff": 1}'), "a trace that Trace.save wrote"),
    "32 GB of numbers": (x("F64", [4 * 10**9], 16, 16 + 32 * 10**9), "expected 32000000016 bytes of arrays, .* got 16"),
    "a hollow file": (hollow, r"1048576 bytes of arrays at most \(Trace.load\(path, limit=...\) takes more\), got 209"),
    "an array twice": (twice, "each name once, got a second 'constants/x'"),
    "a shape twice": (shape_twice, "each name once, got a second 'shape'"),
    "arrays in each other": (overlap, "constants/t in .* begin at byte 32, where the one before ends, got 24"),
    "arrays in one place": (same_place, "to begin at byte 24, where the one before ends, got 16"),
    "a gap": (x("F64", [1], 24, 32, bytes(16)), "to begin at byte 16, where the one before ends, got 24"),
    "more behind": (x("F64", [1], 16, 24, bytes(9)), "expected 24 bytes of arrays, as its header says, got 25"),
    "fewer bytes than the shape": (x("F64", [2], 16, 24, bytes(8)), r"16 bytes, as shape \(2,\) .* has, got 8"),
    "more bytes than the shape": (x("F64", [2], 16, 40, bytes(24)), r"16 bytes, as shape \(2,\) .* has, got 24"),
    "backwards": (x("F64", [1], 24, 16, bytes(8)), r"data_offsets \[begin, end\], .* got \[24, 16\]"),
    "below 0": (x("F64", [1], -8, 0, bytes(8)), r"data_offsets \[begin, end\], .* got \[-8, 0\]"),
    "half a byte": (x("F64", [1], 16.0, 24, bytes(8)), r"data_offsets \[begin, end\], .* got \[16.0, 24\]"),
    "a negative shape": (x("F64", [-1, -1], 16, 24, bytes(8)), r"a shape of 64 whole numbers at most.*\[-1, -1\]"),
    "a shape that is true": (x("F64", [True], 16, 24, bytes(8)), r"a shape of 64 whole numbers at most.*\[True\]"),
    "a shape that is none": (x("F64", 1, 16, 24, bytes(8)), "a shape of 64 whole numbers at most, .* got 1"),
    "no end of axes": (x("F64", [1] * 65, 16, 24, bytes(8)), "a shape of 64 whole numbers at most"),
    "a huge empty shape": (x("F64", [0, 10**30], 16, 16), "a trace that Trace.save wrote"),
    "brain floats": (x("BF16", [4], 16, 24, bytes(8)), "x in trace file .* a dtype that NumPy has .* got 'BF16'"),
    "floats of a byte": (x("F8_E4M3", [8], 16, 24, bytes(8)), "a dtype that NumPy has .* got 'F8_E4M3'"),
    "complex": (x("C64", [1], 16, 24, bytes(8)), "a dtype that NumPy has .* got 'C64'"),
    "a dtype that is none": (x([], [1], 16, 24, bytes(8)), r"a dtype that NumPy has .* got \[\]"),  # type: ignore[arg-type]  # on purpose
    "an odd member": (x("F64", [1], 16, 24, bytes(8), strides=[8]), "data_offsets, dtype, shape, got .*strides"),
    "no info": (lambda path: file(path, {"constants/x": 7}), "data_offsets, dtype, shape, got 7"),
    "a bool of 2": (x("BOOL", [2], 16, 18, b"\1\2"), "bools, each a byte 0 or 1, got a byte 2"),
    "another group": (lambda path: file(path, {"a/b": info("U8", [1], 16, 17)}, b"1"), "arrays called .*'a/b'"),
    "no name": (lambda path: file(path, {"tensors/": info("U8", [1], 16, 17)}, b"1"), "arrays called .*'tensors/'"),
    "too long a header": (
        lambda path: raw(path, f"{{{PLACE}}}".ljust(HEADER + 1), DATA), "a header of 1048576 bytes .* got 1048577",
    ),
    "a place without end": (
        lambda path: raw(path, '{"__torch_mirror__":{"dtype":"U8","shape":[999999],"data_offsets":[0,999999]}}',
                         bytes(999999)), r"two whole numbers from 0 on, got shape \(999999,\)",
    ),
    "-1 steps": (place(struct.pack("<2q", -1, 0)), r"steps and first, two whole numbers from 0 on, got \[-1, 0\]"),
    "first is -5": (place(struct.pack("<2q", 2, -5)), r"steps and first, .*, got \[2, -5\]"),
    "no place": (lambda path: raw(path, "{}"), "a trace that Trace.save wrote, with __torch_mirror__"),
    "a hash of 3 bytes": (
        lambda path: file(path, {"hashes/x": info("U8", [3], 16, 19)}, b"abc"), "hash of x in .* SHA-256 in 32 bytes",
    ),
    "a hash of signed bytes": (
        lambda path: file(path, {"hashes/x": info("I8", [32], 16, 48)}, bytes(32)), "hash of x in .* of int8",
    ),
    "a name without end": (
        lambda path: file(path, {"names/x": info("U8", [1001], 16, 1017)}, b"y" * 1001), r"1000 bytes .*\(1001,\)",
    ),
    "a name of floats": (
        lambda path: file(path, {"names/x": info("F32", [1], 16, 20)}, b"abcd"), "name of x in .* a text in 1000 bytes",
    ),
    "a name in no UTF-8": (
        lambda path: file(path, {"names/x": info("U8", [1], 16, 17)}, b"\xff"), "name of x in .* a text in UTF-8",
    ),
    "a name of nothing": (
        lambda path: file(path, {"names/x": info("U8", [1], 16, 17)}, b"y"), "unknown array for x in trace file .*'y'",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_little_memory(tmp_path: Path, case: str) -> None:
    write, said = HOSTILE[case]
    path = write(tmp_path / "trace.safetensors")
    tracemalloc.start()
    try:
        with pytest.raises(TorchMirrorError, match=said) as error:
            Trace.load(path, limit=1 << 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert f"trace file {path}" in str(error.value)
    assert peak < MEMORY


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(BYTES)), min_size=1, max_size=4))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(damage: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.safetensors"
        Trace(2, {"x": np.arange(6.0).reshape(2, 3)}, {"W": np.ones((3, 2))}, {"y": np.zeros((2, 2))}).save(path)
        data = bytearray(path.read_bytes())
        for at, byte in damage:
            data[at] = byte
        path.write_bytes(data)
        with suppress(TorchMirrorError):
            Trace.load(path)


@pytest.mark.parametrize("mode", ["a pipe", "a folder"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "trace.safetensors"
    os.mkfifo(path) if mode == "a pipe" else path.mkdir()
    with pytest.raises(InputError, match=r"a readable file, got (no regular file|Is a directory)"):
        Trace.load(path)


def test_a_file_that_says_what_is_so_is_read(tmp_path: Path) -> None:
    """In an order of its own, with texts besides, blanks behind its header, and an array of nothing."""
    entries = {"constants/e": info("F64", [0, 3], 32, 32), "tensors/q": info("F32", [2, 1], 24, 32),
               "constants/s": info("F64", [], 16, 24), "__metadata__": {"by": "hand"}}  # fmt: skip
    told = json.dumps(entries)[1:-1]
    numbers = struct.pack("<d2f", 2.5, 1.0, -3.0)
    trace = Trace.load(raw(tmp_path / "trace.SafeTensors", f"{{{PLACE},{told}}}    ", DATA + numbers))
    assert (trace.steps, trace.first, float(trace["s"]), trace["e"].shape) == (2, 0, 2.5, (0, 3))
    assert trace["q"].tolist() == [[1.0], [-3.0]]
    assert trace["q"].dtype == np.float32


def test_what_is_read_is_what_was_saved(tmp_path: Path) -> None:
    numbers = np.arange(PIECE // 8 + 3)  # more than are read at once
    kinds = [np.dtype(kind) for kind in DTYPES.values()]
    data: dict[str, Any] = {kind.name: (numbers % 1000).astype(kind) for kind in kinds}
    data |= {"transposed": np.arange(6.0).reshape(2, 3).T, "strided": np.arange(9.0)[::-2]}
    data |= {"swapped": np.arange(3.0).astype(">f8"), "column": np.asfortranarray(np.arange(4.0).reshape(2, 2))}
    hashes = {"x": "0123456789abcdef" * 4}
    trace = Trace(2, data, {"W": np.ones((3, 2))}, {"q": np.zeros((2, 1))}, 9, {"m.W": np.ones((3, 2))}, hashes)
    for name in ("trace.safetensors", "trace.npz"):
        trace.save(tmp_path / name)
        again = Trace.load(bytes(tmp_path / name))  # type: ignore[arg-type]  # what os.fsencode gives is a path, too
        assert (again.steps, again.first, set(again), again.hashes) == (2, 9, set(trace), hashes)
        for tensor, a in trace.items():
            assert again[tensor].dtype == a.dtype.newbyteorder("=")
            assert np.array_equal(again[tensor], a)
            again[tensor][...] = 0  # and may be written to


def test_what_is_as_long_as_it_may_be_is_read(tmp_path: Path) -> None:
    assert Trace.load(raw(tmp_path / "a.safetensors", f"{{{PLACE}}}".ljust(HEADER), DATA)).steps == 2
    name = "y" * 1000
    entries = {f"constants/{name}": info("U8", [1], 16, 17), "names/x": info("U8", [1000], 17, 1017)}
    assert list(Trace.load(file(tmp_path / "a.safetensors", entries, b"1" + name.encode()))) == ["x"]


def test_a_file_that_grows_shorter_while_it_is_read_is_told() -> None:
    pieces = iter([bytes(8), bytes(3), b""])
    with pytest.raises(InputError, match="q: expected 24 bytes, got 11 and no more"):
        filled("q", (3,), np.dtype("f8"), 24, lambda _size: next(pieces))


def test_every_array_begins_where_its_numbers_may_be_mapped(tmp_path: Path) -> None:
    arrays = {f"{kind}{n}": np.zeros(n, kind) for kind in ("i1", "f4", "f8", "i2") for n in (1, 3)}
    write_arrays(tmp_path / "a.safetensors", arrays)
    data = (tmp_path / "a.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    told = json.loads(data[8 : 8 + length])
    assert set(told) == set(arrays)
    assert [name for name, a in arrays.items() if (8 + length + told[name]["data_offsets"][0]) % a.itemsize] == []


def test_an_array_wider_than_float64_is_told_where_to_go(tmp_path: Path) -> None:
    trace = Trace(0, {"x": np.zeros(2, np.longdouble)}, {})
    if np.dtype(np.longdouble).itemsize == 8:
        pytest.skip("longdouble is float64 here")
    with pytest.raises(InputError, match=r"constants/x in .*: expected float64 or narrower, .*\(.npz has\), got"):
        trace.save(tmp_path / "trace.safetensors")
    assert list(tmp_path.iterdir()) == []
    trace.save(tmp_path / "trace.npz")


def test_too_many_arrays_are_told(tmp_path: Path) -> None:
    trace = Trace(0, {f"x{i}": np.zeros(1) for i in range(20_000)}, {})
    with pytest.raises(InputError, match=r"header of a .safetensors file: expected 1048576 bytes at most"):
        trace.save(tmp_path / "trace.safetensors")
    assert list(tmp_path.iterdir()) == []


# --- the package of that name -------------------------------------------------------------------------


def test_the_package_reads_what_is_written_here(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy", reason="a second reader: pip install safetensors")
    arrays: dict[str, Any] = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.arange(5, dtype=np.int8)}
    arrays |= {"c": np.asarray(a=True), "\u00fc'\\": np.ones(0)}
    write_arrays(tmp_path / "a.safetensors", arrays)
    read = package.load_file(tmp_path / "a.safetensors")
    assert set(read) == set(arrays)
    for name, a in arrays.items():
        assert (read[name].dtype, read[name].tolist()) == (a.dtype, a.tolist())


def test_what_the_package_writes_is_read_here(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy", reason="a second writer: pip install safetensors")
    arrays = {code: np.arange(6).reshape(2, 3).astype(kind) for code, kind in DTYPES.items()}
    package.save_file(arrays, tmp_path / "a.safetensors", metadata={"format": "np"})
    read = read_arrays(tmp_path / "a.safetensors")
    assert set(read) == set(arrays)
    for name, a in arrays.items():
        assert (read[name].dtype, read[name].tolist()) == (a.dtype, a.tolist())
