#!/usr/bin/env python3
"""Checks the page of stepctl web in a real browser.

    web.py CHROMIUM BIN AXE WORK PICTURES

BIN holds the programs, and AXE is axe.min.js. Real runs against a real agent, by hand and by a worker, fill a
database; what no run can be made to store is inserted by SQL. PICTURES gets the screenshots. The first check that
fails ends the program with 1.
"""

import http.client
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.parse

from browser import Browser, check, fail
from live import HOSTILE, OBSERVE, SCREENS, Agent, accessible, quiet, steady

# How much time of a processor the server may take for a page of a database with a million step results, in seconds.
# It is twice what is wanted of a quiet machine: other programs take the processor's caches. The time until the
# answer depends on what else the machine does; it is printed.
LIMIT = 0.4
ASKED = 5  # times
RUNS, STEPS = 100_000, 10

QUICK = [{"step_id": n, "timeout": 5} for n in range(1, 11)]
SLOW = [{"step_id": n, "timeout": 5, "interval": 0.4} for n in range(1, 11)]
WRONG = QUICK[:4] + [{"step_id": 99, "timeout": 5}] + QUICK[5:]


class Page:
    """A stepctl web with a database, on a port that stays over restarts."""

    def __init__(self, programs, database):
        self.program, self.database = programs / "stepctl", database
        self.port = 0
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program, "web", "--db", self.database, "--listen", f"127.0.0.1:{self.port}"],
                                        stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        check(self.url.startswith("http://127.0.0.1:"), f"the page is at {self.url!r}")
        self.port = urllib.parse.urlsplit(self.url).port

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(timeout=20)

    def busy(self):
        """Returns the seconds of processor time that the server has used."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, path, method="GET", **headers):
        """Returns status, header and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


class Lab:
    """An agent, and runs against it that are stored in a database."""

    def __init__(self, programs, work):
        self.agent = Agent(programs, work)
        self.work, self.database = work, work / "runs.db"
        for name, steps in (("quick", QUICK), ("slow", SLOW), ("wrong", WRONG)):
            (work / f"{name}.json").write_text(json.dumps({"test_services": steps}))
        self.stepctl("db", "import", *(work / f"{name}.json" for name in ("quick", "slow", "wrong")))

    def command(self, *arguments):
        return [self.agent.programs / "stepctl", *arguments, "--db", self.database]

    def stepctl(self, *arguments, want=0):
        done = subprocess.run(self.command(*arguments), env=self.agent.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        check(done.returncode == want, f"{arguments}: exit code {done.returncode}: {done.stdout}")
        return done.stdout

    def begin(self, *arguments):
        return subprocess.Popen(self.command(*arguments), env=self.agent.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(self, procedure, board, *arguments, want=0):
        self.stepctl("run", "--procedure", procedure, "--host", "127.0.0.1", "--port", str(self.agent.port), "--board", board, *arguments, want=want)

    def sql(self, statement, *values):
        with sqlite3.connect(self.database, timeout=20) as connection:
            rows = connection.execute(statement, values).fetchall()
        connection.close()
        return rows


def count(browser, selector):
    return browser.evaluate(f"document.querySelectorAll({selector!r}).length")


def says(browser, text, seconds=10.0):
    browser.until(f"document.body?.innerText.includes({text!r})", seconds)


def mark(browser):
    """Marks the document, to see that it stays the same one."""
    browser.evaluate("window.marked = true")


def stayed(browser, what):
    check(browser.evaluate("window.marked === true"), f"{what}: the page was loaded again")


def numbers(browser, lab, page):
    """The page has what the database has."""
    browser.view(1280, 1000, "light")
    browser.open(page.url + "?lang=en", OBSERVE)
    for verdict, in lab.sql("SELECT DISTINCT verdict FROM runs"):
        want, = lab.sql("SELECT count(*) FROM runs WHERE verdict = ?", verdict)[0]
        check(count(browser, f".list tr.{verdict}") == want, f"the list has not {want} runs with the verdict {verdict}")
    shown = browser.evaluate("Array.from(document.querySelectorAll('.list tbody tr'), e => e.id.slice(2))")
    check(shown == [run for run, in lab.sql("SELECT id FROM runs ORDER BY id DESC")], f"the list is {shown}")
    marks = browser.evaluate("Array.from(document.querySelectorAll('.grid .marks a'), e => e.pathname).length"
                             " + Array.from(document.querySelectorAll('.grid .many'), e => Number(e.textContent)).reduce((a, b) => a + b, 0)")
    check(marks == len(shown), f"the grid has {marks} of {len(shown)} runs")
    run, took = lab.sql("SELECT run, took FROM steps WHERE idx = 1 AND run IN (SELECT id FROM runs WHERE procedure = 'wrong')")[0]
    browser.open(f"{page.url}run/{run}?lang=en")
    check(count(browser, ".steps tr.p") == 9 and count(browser, ".steps tr.f") == 1, "9 of the steps of wrong pass and 1 does not")
    shown = browser.evaluate("document.querySelector('#s1 [data-l=Response]').textContent")
    check(abs(float(shown.split()[0]) / 1000 - took) < 0.0001, f"step 1 took {took}, shown is {shown}")
    browser.evaluate("document.querySelector('.links a').click()")
    browser.until("document.querySelector('#verdict')")
    check(browser.evaluate("document.querySelector('#verdict').dataset.verdict") == "fail", "the report has another verdict")
    quiet(browser, page.url)
    print("numbers: list, grid, run and report are as in the database")


def live(browser, lab, page, pictures):
    """A run appears by itself, its steps fill in, and it ends."""
    browser.open(page.url + "?lang=en", OBSERVE)
    says(browser, "Nothing is running.")
    rows = count(browser, ".list tbody tr")
    mark(browser)
    browser.evaluate("document.querySelector('[name=board]').value = 'typed'; document.querySelector('[name=board]').focus()")
    run = lab.begin("run", "--procedure", "slow", "--host", "127.0.0.1", "--port", str(lab.agent.port), "--board", "bench-7")
    browser.until("document.querySelectorAll('.card .cell.p').length > 1")
    browser.until("document.querySelector('.list tr.running')")
    first = count(browser, ".card .cell.p")
    browser.until(f"document.querySelectorAll('.card .cell.p').length > {first}")
    browser.picture(pictures / "web-live.png")
    check(run.wait(timeout=30) == 0, "the run fails")
    says(browser, "Nothing is running.")
    check(count(browser, ".list tbody tr") == rows + 1 and count(browser, ".list tbody tr:first-child.pass") == 1, "the run is not in the list")
    check(browser.evaluate("document.activeElement.name + document.activeElement.value") == "boardtyped", "what was typed is lost")
    stayed(browser, "a run")
    quiet(browser, page.url)
    print("live: a run appeared, went on and ended without a reload")


def queue(browser, lab, page, pictures):
    """A worker performs what is queued while the page watches."""
    browser.open(page.url + "queue?lang=en", OBSERVE)
    says(browser, "No entry waits.")
    mark(browser)
    lab.stepctl("queue", "add", "slow", "--board", "bench-8", "--label", "from=queue")
    lab.sql("INSERT INTO queue (procedure, board) VALUES ('quick', 'bench-8')")
    browser.until("document.querySelectorAll('.list tr.waiting').length === 2")
    (lab.work / "boards").write_text(f"bench-8 127.0.0.1:{lab.agent.port}\n")
    worker = lab.begin("worker", "--boards", lab.work / "boards")
    browser.until("document.querySelector('.card .worker')?.textContent")
    browser.until("document.querySelectorAll('.card .cell.p').length > 2", 20)
    browser.picture(pictures / "web-queue.png")
    browser.until("document.querySelectorAll('.list tr.pass').length === 2", 30)
    shown = browser.evaluate("Array.from(document.querySelectorAll('.tiles dd'), e => Number(e.textContent))")
    check(shown == [0, 0, 2, 0, 0], f"running, waiting, done, failed, cancelled: {shown}")
    stayed(browser, "the queue")
    worker.send_signal(signal.SIGTERM)
    check(worker.wait(timeout=30) == 0, "the worker does not end well")
    quiet(browser, page.url)
    print("queue: a worker performed two entries while the page watched")


def away(browser, lab, page):
    """A database that goes away, and a server that is killed: the page says so and comes back."""
    browser.open(page.url + "?lang=en", OBSERVE)
    says(browser, "Procedures by time")
    mark(browser)
    lab.database.rename(lab.work / "elsewhere.db")
    says(browser, "The database cannot be read now.")
    says(browser, "does not exist")
    (lab.work / "elsewhere.db").rename(lab.database)
    says(browser, "Procedures by time")
    page.stop(signal.SIGKILL)
    says(browser, "No answer from stepctl web")
    check(count(browser, ".list tbody tr") > 0, "the page is empty without an answer")
    page.start()
    browser.until("document.getElementById('lost').textContent === ''")
    stayed(browser, "a restart")
    quiet(browser, page.url, "Failed to load resource")
    print("away: the page says so and comes back by itself")


def safety(page):
    """Who may ask, and what is not accepted."""
    for host, want in (("localhost", 200), (f"127.0.0.1:{page.port}", 200), ("evil.example", 421), ("127.0.0.1.evil.example", 421)):
        check(page.ask("/", Host=host)[0] == want, f"host {host}: not {want}")
    check(page.ask("/", "POST")[0] == 403, "a change is not refused")
    check(page.ask("/", **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"})[0] == 403, "a page of another site may read")
    _, header, _ = page.ask("/")
    check("unsafe" not in header["Content-Security-Policy"] and not any(h.lower().startswith("access-control") for h in header), f"header: {header}")
    for path in ("/?page=x", "/?since=never", "/?verdict=maybe", "/?colour=red", "/trend?procedure=quick&baseline=none", "/procedure"):
        status, _, body = page.ask(path)
        check(status == 400 and 'role="alert"' in body, f"{path}: {status}")
    print("safety: host, method, origin, policy, bad parameters")


def hostile(browser, lab, page, pictures):
    """Names that programs may write into the database are shown as text on every page."""
    for n, name in enumerate(HOSTILE):
        run = f"20261130T0000{n:02}-abcdef"
        stored = name.replace("\0", "\x01")
        lab.sql("INSERT INTO runs (id, procedure, procedure_sha256, board, started, seen, state, steps, failed, verdict) VALUES (?, ?, 'aa', ?, '2026-11-30T00:00:00.000000Z', "
                "'2026-11-30T00:00:00.000000Z', 'ended', 1, 1, 'fail')", run, stored, stored)
        lab.sql("INSERT INTO labels VALUES (?, ?, ?)", run, stored, stored)
        lab.sql("INSERT INTO steps (run, idx, step_id, timeout, interval, outcome, reason) VALUES (?, 1, 1, 5, 0, 'failed', ?)", run, stored)
        lab.sql("INSERT INTO queue (procedure, board, labels, problem, every, state) VALUES (?1, ?1, ?1, ?1, ?1, 'failed')", stored)
        for path in (f"run/{run}", "trend?procedure=" + urllib.parse.quote(stored), "procedure?name=" + urllib.parse.quote(stored)):
            browser.open(page.url + path)
            plain(browser, path[:60])
    want = {(shown or name).replace("\\x00", "\\x01") for name, shown in HOSTILE.items()}
    browser.view(1280, 1000, "light")
    for path, selector in (("?rows=1", ".list tbody bdi"), ("queue", ".list tbody bdi"), (f"compare?run={run}&with=last", "dd bdi")):
        browser.open(page.url + path)
        plain(browser, path)
        found = set(browser.evaluate(f"Array.from(document.querySelectorAll({selector!r}), e => e.textContent)"))
        check(not selector.startswith(".list") or want <= found, f"{path} shows {found - want}, want {want - found}")
    browser.picture(pictures / "web-hostile.png")
    quiet(browser, page.url)
    for table in ("labels", "steps"):
        lab.sql(f"DELETE FROM {table} WHERE run LIKE '%-abcdef'")
    lab.sql("DELETE FROM runs WHERE id LIKE '%-abcdef'")
    lab.sql("DELETE FROM queue WHERE problem IS NOT NULL")
    print(f"{len(HOSTILE)} hostile names: shown as text")


def plain(browser, what):
    """No name became an element, ran as a script, or widens the page."""
    check(browser.evaluate("document.images.length") == 0 and count(browser, "script") == 1, f"{what}: a name became an element")
    check("hacked" not in browser.evaluate("document.title.replace(/<.*>/, '')"), f"{what}: a name ran as a script")
    check(browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), f"{what}: a name widens the page")


def addresses(lab):
    failed, = lab.sql("SELECT id FROM runs WHERE procedure = 'wrong'")[0]
    return {"runs": "", "run": f"run/{failed}", "trend": "trend?procedure=quick", "compare": f"compare?run={failed}&with=last", "queue": "queue",
            "procedures": "procedures", "procedure": "procedure?name=quick", "error": "nothing", "none": "?board=none"}


def look(browser, lab, page, axe, pictures):
    """Screens of all sizes, in both colours and languages."""
    screens = 0
    for name, path in addresses(lab).items():
        for i, (width, height) in enumerate(SCREENS if name == "runs" else SCREENS[1:3]):
            looks = (("light", "en"), ("dark", "ko"), ("dark", "en"), ("light", "ko"))
            if name == "runs":
                looks = looks[:2] if i % 2 else looks[2:]
            else:
                looks = looks[:1] if width > 500 else looks[1:2]
            for scheme, language in looks:
                shot = f"web-{name}-{width}-{scheme}-{language}"
                browser.view(width, height, scheme, width < 500)
                browser.open(f"{page.url}{path}{'&' if '?' in path else '?'}lang={language}", OBSERVE)
                time.sleep(1.3 if width == 1280 else 0.2)  # for an answer that changes nothing
                steady(browser, shot)
                wide = browser.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
                check(wide[0] <= wide[1], f"{shot} is {wide[0]} wide")
                check(browser.evaluate("document.documentElement.lang") == language, f"{shot}: language")
                browser.picture(pictures / f"{shot}.png")
                accessible(browser, axe, shot)
                quiet(browser, page.url, "404" if name == "error" else "")
                screens += 1
    print(f"{screens} screens: no layout shift, and nothing for axe to report")


def keyboard(browser, page):
    browser.view(1280, 800, "light")
    browser.open(page.url + "?lang=en")
    reached = []
    for _ in range(40):
        browser.key("Tab")
        reached.append(browser.evaluate("document.activeElement.name || document.activeElement.className || document.activeElement.textContent.trim()"))
        if reached[-1] == "scroll":
            break
    check(reached[0] == "skip" and reached[-1] == "scroll", f"Tab reaches {reached}")
    check({"procedure", "board", "label", "verdict", "since", "until", "cards"} <= set(reached), f"Tab reaches {reached}")
    browser.key("Tab")
    browser.key("Enter")
    browser.until("location.pathname === '/trend'")
    print("keyboard: all of it")


def filtered(browser, lab, page):
    """The form selects, and the address keeps what was selected."""
    browser.open(page.url + "?lang=en")
    browser.evaluate("document.querySelector('[name=procedure]').value = 'quick'; document.querySelector('[name=label]').value = 'build=2';"
                     "document.querySelector('.filter').requestSubmit()")
    browser.until("location.search.includes('build')")
    want, = lab.sql("SELECT count(*) FROM labels WHERE key = 'build' AND value = '2'")[0]
    browser.until(f"document.querySelectorAll('.list tbody tr').length === {want}")
    check(browser.evaluate("document.documentElement.lang") == "en" and "lang=en" in browser.evaluate("location.search"), "the form loses the language")
    quiet(browser, page.url)
    print("form: selects by procedure and label")


def big(programs, work):
    """Every page of a database with a million step results comes in time."""
    database, stepctl = work / "big.db", programs / "stepctl"
    subprocess.run([stepctl, "db", "import", work / "quick.json", "--db", database], check=True, stdout=subprocess.DEVNULL)
    began = time.monotonic()
    with sqlite3.connect(database) as connection:
        runs, labels, steps = [], [], []
        for n in range(RUNS):
            at = time.gmtime(1_764_000_000 + n * 30)
            run = time.strftime("%Y%m%dT%H%M%S", at) + f"-{n % 0x1000000:06x}"
            verdict = "fail" if n % 11 == 0 else "pass"
            started = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", at)
            runs.append((run, f"procedure-{n % 8}", f"bench-{n % 5}", started, started, verdict))
            labels.append((run, "build", str(n // 100)))
            labels.append((run, "night", "yes"))
            steps += ((run, i, i, 5.0, 0.0, "passed", 0.01 * i + 0.00001 * (n * 7919 % 1000)) for i in range(1, STEPS + 1))
        connection.executemany("INSERT INTO runs (id, procedure, procedure_sha256, board, started, seen, state, verdict, steps, passed, duration) "
                               "VALUES (?, ?, 'aa', ?, ?, ?, 'ended', ?, 10, 10, 1)", runs)
        connection.executemany("INSERT INTO labels VALUES (?, ?, ?)", labels)
        connection.executemany("INSERT INTO steps (run, idx, step_id, timeout, interval, outcome, took) VALUES (?, ?, ?, ?, ?, ?, ?)", steps)
        baseline = [run for run, procedure, *_ in runs if procedure == "procedure-3"][:30]
        connection.executemany("INSERT INTO baselines VALUES ('procedure-3', 'release', ?, '2026-01-01T00:00:00.000000Z')", [(r,) for r in baseline])
    connection.close()
    filled = time.monotonic() - began
    page = Page(programs, database)
    slowest = longest = 0.0
    for path in ("/", "/?page=20", "/?procedure=procedure-3", "/?board=bench-2&verdict=fail", "/?label=build%3D500", "/?label=night%3Dyes",
                 "/?since=2025-12-01&until=2025-12-05", f"/run/{runs[-1][0]}", "/trend?procedure=procedure-3", "/trend?procedure=procedure-3&board=bench-3",
                 f"/compare?run={runs[-5][0]}&with=release", "/queue", "/procedures"):
        times, before = [], page.busy()
        for _ in range(ASKED):
            began = time.monotonic()
            status, _, body = page.ask(path)
            times.append(time.monotonic() - began)
            check(status == 200, f"{path}: {status} {body[:1000]}")
        busy = (page.busy() - before) / ASKED
        check(busy < LIMIT, f"{path} takes {busy:.3f} s of a processor at {RUNS * STEPS} step results")
        slowest, longest = max(slowest, busy), max(longest, min(times))
    check(page.stop() == 0, "stepctl web does not end well")
    print(f"{RUNS * STEPS:,} step results, inserted in {filled:.0f} s: "
          f"the slowest page takes {1000 * slowest:.0f} ms of a processor and is answered in {1000 * longest:.0f} ms")


def main():
    if len(sys.argv) != 6:
        fail(__doc__)
    program, programs, axe, work, pictures = sys.argv[1:]
    programs, work, pictures = pathlib.Path(programs), pathlib.Path(work), pathlib.Path(pictures)
    pictures.mkdir(parents=True, exist_ok=True)
    axe = pathlib.Path(axe).read_text()
    os.environ["HOME"] = str(work)
    lab = Lab(programs, work)
    for build in range(4):
        for board in ("bench-1", "bench-2"):
            lab.run("quick", board, "--label", f"build={build}")
    lab.run("wrong", "bench-1", "--label", "night=yes", want=1)
    page = Page(programs, lab.database)
    browser = Browser(program)
    try:
        numbers(browser, lab, page)
        safety(page)
        live(browser, lab, page, pictures)
        queue(browser, lab, page, pictures)
        filtered(browser, lab, page)
        keyboard(browser, page)
        look(browser, lab, page, axe, pictures)
        hostile(browser, lab, page, pictures)
        away(browser, lab, page)
        check(page.stop() == 0, "stepctl web does not end well")
        big(programs, work)
    finally:
        page.process.kill()
        lab.agent.process.kill()
        browser.close()


if __name__ == "__main__":
    main()
