#!/usr/bin/env python3
"""web.py BIN: makes the pictures of the page of a database: a fortnight of nights, then a worker at work."""

import datetime
import json
import pathlib
import random
import shutil
import sqlite3
import sys
import tempfile
import time

folder = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(folder.parent.parent / "packaging" / "acceptance"))
sys.dont_write_bytecode = True

from browser import Browser  # noqa: E402
from web import Lab, Page  # noqa: E402

NIGHTS = 14
PROCEDURES = ["door", "gate", "lift", "pump", "valve-timing"]
BOARDS = ["bench-3", "bench-7"]


def nights(database):
    """Inserts runs of each night. The lift gets 6 % slower in the middle, and one of its steps is flaky."""
    chance = random.Random(5)
    with sqlite3.connect(database) as connection:
        baseline = []
        for night in range(NIGHTS):
            day = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=NIGHTS - night)
            for position, procedure in enumerate(PROCEDURES):
                for turn in range(4):
                    at = day.replace(hour=1) + datetime.timedelta(minutes=7 * position + turn)
                    run = at.strftime("%Y%m%dT%H%M%S-") + f"{chance.randrange(1 << 24):06x}"
                    failed = procedure == "lift" and chance.random() < 0.12 or chance.random() < 0.02
                    slow = 1.06 if procedure == "lift" and night >= 8 else 1.0
                    stored = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
                    connection.execute("INSERT INTO runs (id, procedure, version, procedure_sha256, board, started, seen, state, cause, verdict, steps, passed, failed, duration) "
                                       "VALUES (?, ?, 1, 'aa', ?, ?, ?, 'ended', 'finished', ?, 6, ?, ?, ?)",
                                       (run, procedure, BOARDS[turn % 2], stored, stored, "fail" if failed else "pass", 6 - failed, failed, 6.1 * slow))
                    connection.execute("INSERT INTO labels VALUES (?, 'firmware', ?)", (run, "2.1" if night < 8 else "2.2"))
                    for step in range(1, 7):
                        lost = failed and step == 4
                        connection.execute("INSERT INTO steps (run, idx, step_id, timeout, interval, outcome, took) VALUES (?, ?, ?, 0.5, 0.2, ?, ?)",
                                           (run, step, step, "timed_out" if lost else "passed",
                                            None if lost else slow * 0.03 * step * (1 + 0.05 * chance.random())))
                    if procedure == "lift" and night < 4:
                        baseline.append((run, stored))
        connection.executemany("INSERT INTO baselines VALUES ('lift', 'firmware-2.1', ?, ?)", baseline)
    connection.close()


def draw(page, browser):
    browser.view(1280, 960, "light")
    for name, path in (("web", "?lang=en"), ("web.ko", "?lang=ko")):
        browser.open(page.url + path)
        browser.until("document.querySelectorAll('.card .cell.p').length > 2", 30)
        browser.picture(folder / f"{name}.png")
    browser.view(1280, 960, "dark")
    browser.open(page.url + "trend?procedure=lift&lang=en")
    time.sleep(0.5)
    browser.picture(folder / "web-trend.png")
    browser.view(760, 900, "light")
    browser.open(page.url + "compare?procedure=lift&run=firmware%3D2.2&with=firmware-2.1&lang=en")
    time.sleep(0.5)
    browser.picture(folder / "web-compare.png")


def main():
    with tempfile.TemporaryDirectory() as parent:
        work = pathlib.Path(parent) / "lab"
        work.mkdir()
        lab = Lab(sys.argv[1], work)
        steps = json.dumps({"test_services": [{"step_id": n, "timeout": 5, "interval": 1} for n in range(1, 11)]})
        for name in PROCEDURES:
            (work / f"{name}.json").write_text(steps)
        lab.stepctl("db", "import", *(work / f"{name}.json" for name in PROCEDURES))
        nights(lab.database)
        (work / "boards").write_text("".join(f"{board} {host}:{lab.agent.port}\n" for board, host in zip(BOARDS, ("127.0.0.1", "localhost"))))
        worker = lab.begin("worker", "--boards", work / "boards", "--jobs", "2")
        for name in PROCEDURES:
            lab.sql("INSERT INTO queue (procedure, board, labels) VALUES (?, ?, 'firmware=2.2')", name, BOARDS[len(name) % 2])
        page, browser = Page(lab.agent.programs, lab.database), Browser(shutil.which("chromium"))
        try:
            draw(page, browser)
        finally:
            browser.close()
            for process in (worker, page.process, lab.agent.process):
                process.kill()


main()
