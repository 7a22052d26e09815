"""A real browser for tests: Debian's Chromium, driven by its ChromeDriver over HTTP (the W3C WebDriver protocol)."""

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
MISSING = "" if CHROMIUM and DRIVER else "needs Chromium: apt-get install chromium chromium-driver"


class Browser:
    """One session."""

    def __init__(self, address):
        self._address = address
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={self._profile}"]}
        logs = {"browser": "ALL", "performance": "ALL"}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs}
        made = self._post("/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    def _post(self, path, body, method="POST"):
        data = None if method == "DELETE" else json.dumps(body).encode()
        asked = urllib.request.Request(self._address + path, data=data, method=method)
        asked.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(asked, timeout=120) as answer:
            return json.load(answer)["value"]

    def look(self, width, height, scheme):
        """Be a screen of this size in pixels that prefers "light" or "dark"."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._command("Emulation.setDeviceMetricsOverride", metrics)
        preference = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._command("Emulation.setEmulatedMedia", preference)

    def _command(self, name, parameters):
        return self._post(f"{self._session}/goog/cdp/execute", {"cmd": name, "params": parameters})

    def open(self, path):
        """Load a file, and return the messages of the console and the addresses that were asked for."""
        self._log("browser"), self._log("performance")
        self._post(f"{self._session}/url", {"url": path.as_uri()})
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [entry["message"] for entry in self._log("browser")], asked

    def _log(self, kind):
        return self._post(f"{self._session}/se/log", {"type": kind})

    def run(self, script):
        """Return what a script returns."""
        return self._post(f"{self._session}/execute/sync", {"script": script, "args": []})

    def picture(self):
        """Return a PNG of the whole page."""
        shot = self._command("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True})
        return base64.b64decode(shot["data"])

    def close(self):
        """End the session."""
        with contextlib.suppress(OSError):
            self._post(self._session, None, "DELETE")
        shutil.rmtree(self._profile, ignore_errors=True)


@contextlib.contextmanager
def browser():
    """Give a browser, and end it with its driver."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    driver = subprocess.Popen([DRIVER, f"--port={port}"], env=environment, **quiet)
    opened = None
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        opened = Browser(f"http://127.0.0.1:{port}")
        yield opened
    finally:
        if opened:
            opened.close()
        driver.terminate()
        driver.wait(timeout=30)
