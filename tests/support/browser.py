"""A headless Chromium for local files, controlled by the DevTools protocol."""

import base64
import itertools
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from websockets.sync.client import ClientConnection, connect

from indexer.polling import until

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0
"""Seconds."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def executable() -> str | None:
    """The path of Chromium, if it is installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """A tab. Console messages, errors and blocked requests are in `said`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.said: list[str] = []
        self.requested: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._loaded = False
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")

    def open(self, file: Path, *, width: int = 1280, dark: bool = False, phone: bool = False) -> None:
        """Open a file at a width in CSS pixels, and wait until it is loaded."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": phone}
        self._send("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded = False
        self._send("Page.navigate", url=file.resolve().as_uri())
        while not self._loaded:
            self._hear()

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self._send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def pdf(self) -> bytes:
        """The page printed on A4, as PDF."""
        size = {"paperWidth": 8.27, "paperHeight": 11.69}
        return base64.b64decode(self._send("Page.printToPDF", printBackground=True, **size)["data"])

    def _send(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(orjson.dumps({"id": number, "method": method, "params": parameters}).decode())
        while (heard := self._hear()).get("id") != number:
            pass
        assert "error" not in heard, heard["error"]
        return heard["result"]

    def _hear(self) -> Any:
        heard = orjson.loads(self._socket.recv(timeout=PATIENCE))
        told = heard.get("params", {})
        match heard.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                self.said.append(told["exceptionDetails"]["text"])
            case "Runtime.consoleAPICalled":
                self.said.append(str(told["args"]))
            case "Log.entryAdded":
                self.said.append(told["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requested.append(told["request"]["url"])
        return heard


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A browser with an empty profile, and one tab."""
    program = executable()
    assert program is not None
    profile.mkdir()
    command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with (profile / "log").open("wb") as log:
        browser = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield from _tab(profile)
    finally:
        browser.terminate()
        browser.wait(PATIENCE)


def _tab(profile: Path) -> Iterator[Page]:
    port_file = profile / "DevToolsActivePort"  # written once it listens
    assert until(lambda: port_file.exists() and port_file.read_text().count("\n") > 0, PATIENCE)
    port, path = port_file.read_text().split()
    whole = f"ws://127.0.0.1:{port}"
    with connect(whole + path, max_size=None, proxy=None) as socket:
        socket.send(b'{"id":1,"method":"Target.getTargets"}'.decode())
        while "targetInfos" not in (found := orjson.loads(socket.recv(timeout=PATIENCE)).get("result", {})):
            pass
        tab = next(it["targetId"] for it in found["targetInfos"] if it["type"] == "page")
        with connect(f"{whole}/devtools/page/{tab}", max_size=None, proxy=None) as of_tab:
            yield Page(of_tab)
