"""What stands for an interpreter: asks the server for a copy of itself, and ends as the copy ends.

It takes twenty milliseconds, and so loads next to nothing. Where the server has ended it is a fresh process that does
what was asked for; where the server ends later, the exit status is LOST, which no command of ours has.
"""

import _socket
import marshal
import os
import signal
import sys
from collections.abc import Mapping
from typing import NoReturn

LOST = 125

LOADING = ("OMP_", "OPENBLAS_", "MKL_", "KMP_", "GOTO", "ATEN_", "TORCH_", "PYTORCH_", "NPY_", "MPL", "LD_", "PYTHON")
LATER = ("PYTHONPATH", "TORCH_MIRROR_", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")
"""Variables that are read while something loads, and those of them that a copy looks at anew or that change nothing.

scikit-learn sets the last two where it is imported, which a test before may have done.
"""


def run(python: str, address: str, started_with: Mapping[str, str], arguments: list[str]) -> NoReturn:
    """Run Python with these arguments: by the server at that address, or else by a fresh process."""
    unbuffered = arguments[:1] == ["-u"]
    if not is_for_a_copy(arguments[unbuffered:], started_with):
        os.execv(python, [python, *arguments])  # noqa: S606 - which is what a shell does
    handed_on = open_files()
    server = _socket.socket(_socket.AF_UNIX)
    try:
        server.connect(address)
    except OSError:
        os.execv(python, [python, *arguments])  # noqa: S606 - the same
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    folder = os.getcwd()  # noqa: PTH109 - pathlib takes time to load
    asked = (arguments[unbuffered:], folder, dict(os.environ), unbuffered, ignored, handed_on)
    request = marshal.dumps(asked)
    numbers = b"".join(number.to_bytes(4, sys.byteorder) for number in handed_on)
    try:
        server.sendmsg([len(request).to_bytes(8)], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)])
        server.sendall(request)
    except OSError:
        os._exit(LOST)
    for number in handed_on:
        os.close(number)  # whoever waits for its end waits for that of the copy
    copy = int.from_bytes(answer(server))
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: os.kill(copy, number))
    status = int.from_bytes(answer(server), signed=True)  # as waitstatus_to_exitcode has it: less than 0 for a signal
    if status >= 0:
        os._exit(status)
    if status != -signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
    raise AssertionError


def answer(server: _socket.socket) -> bytes:
    """The next eight bytes."""
    try:
        told = server.recv(8)
    except OSError:
        told = b""
    if not told:
        os._exit(LOST)
    return told


def is_for_a_copy(arguments: list[str], started_with: Mapping[str, str]) -> bool:
    """Whether a copy of the server would do the same as a fresh process."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-m", "-c"}):
        return False
    return loading(os.environ) == loading(started_with)


def open_files() -> list[int]:
    """The numbers of what is open: the standard streams, as a rule, and what else this process was given."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - as above
        try:
            os.fstat(int(name))
        except OSError:  # that of this list
            continue
        found.append(int(name))
    return sorted(found)


def loading(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of the variables that are read while something loads."""
    return {k: v for k, v in variables.items() if k.startswith(LOADING) and not k.startswith(LATER)}
