"""Loads everything, then forks a copy of itself for each program that asks (tests/warm/__init__.py says what for)."""

import atexit
import contextlib
import fcntl
import gc
import importlib
import io
import marshal
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

PACKAGES = ("reference", "torch_mirror")
UNWANTED = ("__main__", "pytest_plugin", "strategies", "drawn")
"""Modules that run, or that load pytest or hypothesis, which no command does."""


ABOVE = 500
"""The numbers of all open files are below."""


class Request(NamedTuple):
    """What a program was called with, and where.

    unbuffered: Python's -u; ignored: whether Ctrl-C is, as in the background of a script; numbers: of what the program
    had open; files: the same as the server has it.
    """

    arguments: list[str]
    folder: str
    variables: dict[str, str]
    unbuffered: bool
    ignored: bool
    numbers: list[int]
    files: list[int]


def load() -> None:
    """All that a command may load, and what torch loads with its first optimizer."""
    import jinja2  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import torch
    import tqdm  # noqa: F401

    torch.optim.SGD([torch.zeros(1)], 0.1)
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith(UNWANTED) and not any(f".{name}." in module.name for name in UNWANTED):
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # what is never looked at again is never copied


def serve(address: str) -> Request:
    """Fork for each program that asks, until standard input ends. Only a copy returns: with what it is to do."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    copies: dict[socket.socket, int] = {}
    with selectors.DefaultSelector() as waiting:
        waiting.register(0, selectors.EVENT_READ)
        waiting.register(listening, selectors.EVENT_READ)
        os.write(1, b"listening\n")
        while True:
            for key, _ in waiting.select():
                if key.fd == 0:
                    for pid in copies.values():
                        os.kill(pid, signal.SIGKILL)
                    os._exit(0)
                if key.fileobj is listening:
                    connection, _ = listening.accept()
                    request = received(connection)
                    if request is None:
                        connection.close()
                        continue
                    pid = os.fork()
                    if not pid:
                        return request
                    copies[connection] = pid
                    told_of(connection, pid, request, waiting)
                elif key.fileobj in copies:  # the program was killed
                    os.kill(copies[key.fileobj], signal.SIGKILL)
                    waiting.unregister(key.fileobj)
                elif key.data is not None:
                    tell_the_end(key, copies.pop(key.data), waiting)


def received(connection: socket.socket) -> Request | None:
    """What a program asks for; None if it was killed before it had asked."""
    size, files, text = b"", list[int](), b""
    with contextlib.suppress(ConnectionError):
        size, files, _, _ = socket.recv_fds(connection, 8, 250)
        while len(text) < int.from_bytes(size) and (more := connection.recv(1 << 16)):
            text += more
    if not size or len(text) < int.from_bytes(size):
        for file in files:
            os.close(file)
        return None
    arguments, folder, variables, unbuffered, ignored, numbers = marshal.loads(text)  # noqa: S302 - by a program of ours
    return Request(arguments, folder, variables, unbuffered, ignored, numbers, files)


def told_of(connection: socket.socket, pid: int, request: Request, waiting: selectors.BaseSelector) -> None:
    """Tell a program of its copy, and wait for the end of either."""
    for file in request.files:
        os.close(file)
    waiting.register(connection, selectors.EVENT_READ)
    waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, connection)
    with contextlib.suppress(OSError):
        connection.sendall(pid.to_bytes(8))


def tell_the_end(key: selectors.SelectorKey, pid: int, waiting: selectors.BaseSelector) -> None:
    """Tell a program, if it is still there, how its copy ended."""
    _, status = os.waitpid(pid, 0)
    waiting.unregister(key.fd)
    os.close(key.fd)
    if key.data in [other.fileobj for other in waiting.get_map().values()]:
        waiting.unregister(key.data)
        with contextlib.suppress(OSError):
            key.data.sendall(os.waitstatus_to_exitcode(status).to_bytes(8, signed=True))
    key.data.close()


def become(request: Request, paths: list[str]) -> NoReturn:
    """Be the process that was asked for, and end as Python does. paths: of the server, but for what is its own."""
    kept = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, ABOVE) for file in request.files]
    os.closerange(0, ABOVE)
    for file, number in zip(kept, request.numbers, strict=True):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.variables)
    signal.signal(signal.SIGINT, signal.SIG_IGN if request.ignored else signal.default_int_handler)
    _streams(unbuffered=request.unbuffered or "PYTHONUNBUFFERED" in os.environ)
    given = [str(Path(path).absolute()) for path in request.variables.get("PYTHONPATH", "").split(os.pathsep) if path]
    what, *rest = request.arguments
    first = request.folder if what == "-m" else "" if what == "-c" else str(Path(what).absolute().parent)
    sys.path[:] = [first, *given, *paths]
    os._exit(ended(what, rest))


def _streams(*, unbuffered: bool) -> None:
    """Python's own, as it makes them at its start; coded as the server's are."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        coding, stream = getattr(sys, name), None
        with contextlib.suppress(OSError):  # where it is closed it is None
            below: Any = open(number, "wb" if number else "rb", 0 if unbuffered and number else -1, closefd=False)  # noqa: SIM115 - for as long as we run
            lines = name == "stderr" or below.isatty()
            stream = io.TextIOWrapper(
                below, coding.encoding, coding.errors, line_buffering=lines, write_through=unbuffered and number > 0
            )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def ended(what: str, rest: list[str]) -> int:
    """The exit status of what is run as ``__main__``.

    Of what Python does behind it, all but the taking to pieces of whatever is loaded: that takes a second.
    """
    main = sys.modules["__main__"] = ModuleType("__main__")
    status: object = None
    interrupted = False
    try:
        if what == "-m":
            sys.argv = [what, *rest[1:]]
            if not hasattr(sys.modules.get(rest[0]), "__path__"):
                sys.modules.pop(rest[0], None)  # which is not yet loaded where it is run
            runpy._run_module_as_main(rest[0])  # type: ignore[attr-defined]  # as Python itself does
        elif what == "-c":
            sys.argv = [what, *rest[1:]]
            exec(compile(rest[0], "<string>", "exec"), vars(main))  # noqa: S102 - what we are here for
        else:
            sys.argv = [what, *rest]
            main.__file__ = str(Path(what).absolute())
            exec(compile(Path(what).read_bytes(), what, "exec"), vars(main))  # noqa: S102 - the same
    except SystemExit as end:
        status = end.code
        if not isinstance(status, int | None):
            sys.stderr.write(f"{status}\n")
            status = 1
    except BaseException as error:  # noqa: BLE001 - Python tells of each
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
        interrupted = isinstance(error, KeyboardInterrupt)
    atexit._run_exitfuncs()
    try:
        for stream in (s for s in (sys.stderr, sys.stdout) if s is not None and not s.closed):  # as Python does
            stream.flush()
    except OSError:
        return 120
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    return int(status or 0)  # type: ignore[call-overload]  # an int or None


def main(address: str, program: str) -> NoReturn:
    """Serve at that address; what copies start are copies, too: by that program."""
    own = [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    paths = sys.path[1 + len(own) :]
    sys.executable = program
    load()
    become(serve(address), paths)


if __name__ == "__main__":
    main(*sys.argv[1:])
