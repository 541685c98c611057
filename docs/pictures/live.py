#!/usr/bin/env python3
"""live.py BIN: makes the pictures of the live page: an agent judges real procedures for a minute and a half."""

import pathlib
import random
import shutil
import sys
import tempfile
import time

folder = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(folder.parent.parent / "packaging" / "acceptance"))
sys.dont_write_bytecode = True

from browser import Browser  # noqa: E402
from live import RUNNING, Agent, row  # noqa: E402

BENCHES = 14  # that perform a procedure each, again and again
SECONDS = 90


def main():
    benches = random.Random(3)
    with tempfile.TemporaryDirectory() as work:
        agent = Agent(sys.argv[1], work)
        browser = Browser(shutil.which("chromium"))
        browser.view(1280, 960, "light")
        browser.open(agent.url + "?language=en")
        browser.until(RUNNING)
        clients, began = {}, time.monotonic()
        while time.monotonic() - began < SECONDS:
            for n in range(1, BENCHES + 1):
                if n not in clients or clients[n].poll() is not None:
                    procedure = "failure" if benches.random() < 0.15 else "success"
                    clients[n] = agent.client("run", "--data", procedure, "--session", f"bench-{n}")
                    time.sleep(0.4)
            time.sleep(0.1)
        browser.picture(folder / "live.png")
        browser.evaluate("document.getElementById('language').click()")
        time.sleep(0.5)
        browser.picture(folder / "live.ko.png")
        browser.evaluate("document.getElementById('language').click()")
        failed = agent.client("run", "--data", "failure", "--session", "line-4 end-of-line test")
        browser.until(row("line-4 end-of-line test") + "?.querySelector('.of').textContent.startsWith('10/10')", 20)
        failed.wait()
        browser.view(760, 900, "dark")
        browser.evaluate(row("line-4 end-of-line test") + ".click()")
        time.sleep(0.5)
        browser.picture(folder / "live-session.png")
        for client in clients.values():
            client.kill()
        browser.close()
        agent.stop()


main()
