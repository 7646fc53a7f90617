"""Trace files: every one its own, and what a hostile or damaged one may do, which is nothing."""

import io
import os
import struct
import threading
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference import Trace
from reference.errors import InputError
from reference.traces.files import LIMIT
from reference.traces.pieces import PIECE

MEMORY = 20 * PIECE
"""Bytes that the refusal of a small file may take, whatever the file says."""


def small(k: float = 1.0) -> Trace:
    return Trace(3, {"x": np.full((2000,), k)}, {"W": np.full((4, 2), k)}, {"q": np.full((3, 5), k)}, first=7)


def header(shape: str, descr: str = "'<f8'") -> bytes:
    """The beginning of an .npy file, version 1.0, whatever it promises."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **options)
    return file.getvalue()


def archive(path: Path, compression: int = zipfile.ZIP_STORED, **entries: bytes) -> Path:
    """A trace file of two steps, with these entries (a double underscore stands for a slash)."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("__torch_mirror__.npy", npy(np.array([2, 0])))
        for name, contents in entries.items():
            file.writestr(name.replace("__", "/") + ".npy", contents)
    return path


def bomb(path: Path) -> Path:
    """Some megabytes of zeros in a few kilobytes, of a right form."""
    return archive(path, zipfile.ZIP_DEFLATED, constants__x=npy(np.zeros(1 << 23, np.uint8)))


def declared(path: Path) -> Path:
    """A header that promises 32 GB, with nothing behind it."""
    return archive(path, constants__x=header("(4_000_000_000,)".replace("_", "")))


def understated(path: Path) -> Path:
    """An archive that says 200 bytes of an entry that unpacks to 8 megabytes; no more than those are unpacked."""
    bomb(path)
    data = bytearray(path.read_bytes())
    size = struct.pack("<I", (1 << 23) + 128)
    assert data.count(size) == 2, "once before the entry, and once in the list"
    path.write_bytes(bytes(data).replace(size, struct.pack("<I", 200)))
    return path


def crowded(path: Path) -> Path:
    """A list of entries that takes more memory than the numbers of the trace."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("__torch_mirror__.npy", npy(np.array([2, 0])))
        file.writestr("constants/x.npy", b"")
        file.filelist += [file.filelist[-1]] * 100_000
    return path


def hollow(path: Path) -> Path:
    """A file with a hole of 200 megabytes, which is said to be its list of entries."""
    with path.open("wb") as file:
        file.truncate(200 << 20)
        file.seek(0, os.SEEK_END)
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 200 << 20, 0, 0))
    return path


def folder(path: Path) -> Path:
    with zipfile.ZipFile(archive(path), "a") as file:
        file.writestr("constants/", b"")
    return path


def text(path: Path) -> Path:
    with zipfile.ZipFile(archive(path), "a") as file:
        file.writestr("README.txt", "nothing")
    return path


def twice(path: Path) -> Path:
    archive(path, constants__x=npy(np.ones(2)))
    with zipfile.ZipFile(path, "a") as file, pytest.warns(match="Duplicate name"):
        file.writestr("constants/x.npy", npy(np.zeros(2)))
    return path


def place(*numbers: Any) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("__torch_mirror__.npy", npy(np.array(numbers)))
        return path

    return write


def pickled(path: Path) -> Path:
    return archive(path, constants__x=npy(np.array([Ran()], object), allow_pickle=True))


class Ran:
    """What a pickle could do if it were read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("it ran",))


def entry(contents: bytes, compression: int = zipfile.ZIP_STORED) -> Callable[[Path], Path]:
    return lambda path: archive(path, compression, constants__x=contents)


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a bomb": (bomb, r"1048576 bytes of arrays at most \(Trace.load\(path, limit=...\) takes more\), got 83\d{5}"),
    "32 GB in a header": (declared, "expected 32000000000 bytes, as shape .* has, got 0"),
    "an understated size": (understated, "a trace that Trace.save wrote, got Bad CRC-32"),
    "a crowded list": (crowded, f"a list of entries of {PIECE} bytes at most"),
    "a hollow list": (hollow, f"a list of entries of {PIECE} bytes at most"),
    "a folder": (folder, "arrays and nothing else .*, got an entry 'constants/'"),
    "an odd entry": (text, "arrays and nothing else .*, got an entry 'README.txt'"),
    "an array twice": (twice, "each array once, got a second 'constants/x'"),
    "another group": (lambda path: archive(path, others__x=npy(np.ones(1))), "arrays called constants/.*'others/x'"),
    "no name": (lambda path: archive(path, constants__=npy(np.ones(1))), "arrays called constants/.*'constants/'"),
    "-1 steps": (place(-1, 0), r"steps and first, two whole numbers from 0 on, got \[-1, 0\]"),
    "first is -5": (place(2, -5), r"steps and first, .*, got \[2, -5\]"),
    "half a step": (place(0.5, 0), r"steps and first, .*, got \[0.5, 0.0\]"),
    "a pickle": (pickled, "an array of numbers, got dtype object"),
    "text": (entry(npy(np.array(["a"]))), "an array of numbers, got dtype <U1"),
    "complex": (entry(npy(np.array([1j]))), "an array of numbers, got dtype complex128"),
    "records": (entry(npy(np.zeros(1, "f8,i4"))), "an array of numbers, got dtype"),
    "too few bytes": (entry(npy(np.ones(3))[:-1]), "expected 24 bytes, as shape .* has, got 23"),
    "too many bytes": (entry(npy(np.ones(3)) + b" "), "expected 24 bytes, as shape .* has, got 25"),
    "a negative shape": (entry(header("(-1, -8)") + bytes(64)), "as shape .* has, got 64"),
    "a shape of True": (entry(header("(True,)") + bytes(8)), "a shape of whole numbers, got"),
    "no end of axes": (entry(header(f"({'1, ' * 99})") + bytes(8)), "a trace that Trace.save wrote"),
    "a huge empty shape": (entry(header("(0, 1" + "0" * 30 + ")")), "a trace that Trace.save wrote"),
    "brackets without end": (entry(header("(" * 5000)), "an array as numpy.save writes it"),
    "a long header": (entry(b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 30)), "an array as numpy.save writes it"),
    "no array": (entry(b"not an array"), "an array as numpy.save writes it"),
    "another compression": (entry(npy(np.ones(3)), zipfile.ZIP_LZMA), "compressed in another way"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    write, said = HOSTILE[case]
    path = write(tmp_path / "trace.npz")
    monkeypatch.chdir(tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=said) as error:
            Trace.load(path, limit=1 << 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert f"trace file {path}: expected " in str(error.value)
    assert peak < MEMORY
    assert not (tmp_path / "it ran").exists()


def test_the_limit_is_what_may_be_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.npz"
    small().save(path)
    with zipfile.ZipFile(path) as file:
        size = sum(one.file_size for one in file.infolist())
    assert Trace.load(path, limit=size)["x"].shape == (2000,)
    with pytest.raises(InputError, match=f"{size - 1} bytes of arrays at most .*, got {size}"):
        Trace.load(path, limit=size - 1)
    assert size < LIMIT


@pytest.mark.parametrize("limit", [-1, 1.5, True, "1 GB", None])
def test_a_limit_is_a_number_of_bytes(tmp_path: Path, limit: Any) -> None:
    with pytest.raises(InputError, match="limit: expected a number of bytes"):
        Trace.load(tmp_path / "trace.npz", limit=limit)


def test_too_little_memory_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small().save(tmp_path / "trace.npz")

    def none_left(*_: object) -> None:
        raise MemoryError("Unable to allocate 1 GiB")

    monkeypatch.setattr(np, "empty", none_left)
    with pytest.raises(InputError, match="no more than memory holds, got Unable to allocate 1 GiB"):
        Trace.load(tmp_path / "trace.npz")


@pytest.mark.parametrize("mode", ["a pipe", "a device", "a link to a pipe"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, mode: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    paths: dict[str, Any] = {"a pipe": pipe, "a device": "/dev/zero", "a link to a pipe": link}
    with pytest.raises(InputError, match="a readable file, got no regular file"):
        Trace.load(paths[mode])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_other_programs_may_write_one(tmp_path: Path, order: Any, save: Callable[..., None]) -> None:
    x = np.asarray(np.arange(600.0).reshape(2, 3, 100), order=order)
    entries = {"__torch_mirror__": np.array([2, 0]), "tensors/q": x, "constants/e": np.ones((0, 3)), "constants/s": 2.5}
    save(tmp_path / "trace.npz", **entries)
    trace = Trace.load(tmp_path / "trace.npz")
    assert np.array_equal(trace["q"], x)
    assert (trace["e"].shape, trace["s"].shape, float(trace["s"])) == ((0, 3), (), 2.5)


def test_what_is_read_is_what_was_saved(tmp_path: Path) -> None:
    kinds: list[Any] = [np.float32, np.float64, np.longdouble, np.int8, np.uint64, np.bool_]
    numbers = np.arange(PIECE // 8 + 3)  # more than are read at once
    data: dict[str, Any] = {np.dtype(kind).name: numbers.astype(kind) for kind in kinds}
    trace = Trace(2, data, {"W": np.ones((3, 2))}, {"q": np.zeros((2, 1))}, 9, {"m.W": np.ones((3, 2))})
    trace.save(tmp_path / "trace.npz")
    again = Trace.load(bytes(tmp_path / "trace.npz"))  # type: ignore[arg-type]  # what os.fsencode gives is a path, too
    assert (again.steps, again.first, list(again)) == (2, 9, list(trace))
    for name, a in trace.items():
        assert again[name].dtype == a.dtype
        assert np.array_equal(again[name], a)
        again[name][...] = 0  # and may be written to


@pytest.mark.parametrize(
    "value", [[1.0], None, np.array([{}]), np.ma.masked_array([1.0], [True]), np.array(["a"]), np.array([1j])]
)
def test_a_trace_that_holds_no_numbers_is_not_saved(tmp_path: Path, value: Any) -> None:
    with pytest.raises(InputError, match=r"constants/x in trace file .*: expected an array of numbers, got"):
        Trace(0, {"x": value}, {}).save(tmp_path / "trace.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_hash_that_is_none_is_told_with_its_file_and_not_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hash of x in trace file .*trace\.npz: expected SHA-256"):
        Trace(0, {}, {}, hashes={"x": "abc"}).save(tmp_path / "trace.npz")
    assert list(tmp_path.iterdir()) == []


def test_every_thread_saves_its_own_trace(tmp_path: Path) -> None:
    wrong: list[object] = []

    def work(k: int) -> None:
        path = tmp_path / f"{k}.npz"
        for _ in range(20):
            small(k).save(path)
            again = Trace.load(path)
            if not all((a == k).all() for a in again.values()):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{k}.npz" for k in range(4)]
