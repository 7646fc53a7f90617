"""A headless Chromium that a test asks questions: the DevTools protocol over a pipe, which needs no further library.

Each message is JSON with a null character behind it; the browser reads from descriptor 3 and writes to 4
(``--remote-debugging-pipe``). Source: the Chrome DevTools Protocol, domains Page, Runtime, Network, Input, Emulation.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
WIRED = """
import os, sys
read, write = (os.dup(int(n)) for n in sys.argv[1:3])
os.dup2(read, 3), os.dup2(write, 4), os.set_inheritable(3, True), os.set_inheritable(4, True)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The process puts the pipes where the browser looks for them, and becomes it."""

PATIENCE = 60
"""Seconds without a word from the browser, on a machine that is busy."""

LOUD = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")


def found() -> str | None:
    """Where a Chromium is installed; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One tab, and what it said. Raises AssertionError where the browser ends, or keeps silent for PATIENCE."""

    def __init__(self, path: str) -> None:
        self._room = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        ours, theirs = os.pipe(), os.pipe()
        arguments = [path, *FLAGS, f"--user-data-dir={self._room.name}", "about:blank"]
        command = [sys.executable, "-S", "-c", WIRED, str(ours[0]), str(theirs[1]), *arguments]
        self._process = subprocess.Popen(
            command, pass_fds=(ours[0], theirs[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        os.close(ours[0])
        os.close(theirs[1])
        self._to, self._from = os.fdopen(ours[1], "wb", 0), os.fdopen(theirs[0], "rb", 0)
        self._rest, self._number, self._session = b"", 0, ""
        self.said: list[dict[str, Any]] = []       # errors, warnings and whatever else the console shows
        self.requests: list[str] = []
        self._loaded = False

    def __enter__(self) -> Self:
        try:
            tab = self.ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.ask("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        self.end()

    def end(self) -> None:
        """End the browser and all that it started, which are a group of their own."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._to.close()
        self._from.close()
        self._room.cleanup()

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers; events that come before are noted. Raises AssertionError for an error."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a file, to its end; what an earlier one said is forgotten."""
        self.said, self.requests, self._loaded = [], [], False
        self.ask("Page.navigate", url=f"{path.as_uri()}{fragment}")
        while not self._loaded:
            self._next()

    def run(self, script: str) -> Any:
        """The value of an expression."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str, text: str = "") -> None:
        """Press a key and let it go, as a person does."""
        code = {"Tab": 9, "Enter": 13, " ": 32}[key]
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **more)

    def prefer(self, scheme: str) -> None:
        """Prefer a colour scheme, as a system does."""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def be_wide(self, width: int) -> None:
        """Be as wide as a device of so many pixels."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], PATIENCE)
            more = os.read(self._from.fileno(), 1 << 16) if ready else b""
            assert more, "the browser has ended, or says nothing"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        event: dict[str, Any] = json.loads(message)
        method = event.get("method", "")
        if method in LOUD:
            self.said.append(event)
        if method == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])
        self._loaded = self._loaded or method == "Page.loadEventFired"
        return event
