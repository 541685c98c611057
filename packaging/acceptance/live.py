#!/usr/bin/env python3
"""Checks the live page of an agent in a real browser.

    live.py CHROMIUM BIN PAGE AXE WORK PICTURES

BIN holds the programs, PAGE the files of the page, and AXE is axe.min.js. A real agent runs real procedures and
is killed and started again; what a real agent cannot be made to show comes from fakeagent.py. PICTURES gets the
screenshots. The first check that fails ends the program with 1.
"""

import contextlib
import json
import os
import pathlib
import re
import select
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time

from browser import Browser, check, fail
from fakeagent import TOKEN, FakeAgent

# A screen is a width and a height in CSS pixels. The first is a phone, the last hangs on a wall.
SCREENS = [(320, 640), (360, 740), (1280, 800), (3840, 2160)]
HOSTILE = {  # a name, and how the page shows it
    "<img src=x onerror=document.title='hacked'>": None,
    "<script>document.title='hacked'</script>": None,
    "\u202egnp.exe\u202c": "\\u202egnp.exe\\u202c",
    "null\0byte\x1b[31m\x7f": "null\\x00byte\\x1b[31m\\x7f",
    "line\nbreak\ttab": "line\\nbreak\\ttab",
    "../../etc/passwd?a=b#c%00&amp;": None,
    "משה 𝒳 e\u0301 🚀🏳️‍🌈": "משה 𝒳 e\u0301 🚀🏳️\\u200d🌈",
    "{{constructor.constructor('alert(1)')()}}": None,
    "constructor": None,
    "__proto__": None,
    "x" * 4096: None,
}
# The share of a processor that the page may need for ten thousand sessions while they are scrolled. The time of a
# frame depends on what else the machine does; it is printed.
BUSY = 0.8
ELEMENTS = 2500  # in the page, however many sessions there are

OBSERVE = """
  window.shifts = []; window.tasks = [];
  new PerformanceObserver(list => shifts.push(...list.getEntries().filter(e => !e.hadRecentInput).map(e =>
    ({value: e.value, at: e.sources.map(s => s.node?.parentElement?.outerHTML.slice(0, 200) + s.node?.nodeName)}))))
    .observe({type: 'layout-shift', buffered: true});
  new PerformanceObserver(list => tasks.push(...list.getEntries().map(e => e.duration))).observe({type: 'longtask', buffered: true});
"""
FRAMES = """new Promise(done => {
  const list = document.getElementById('list'), times = [];
  const frame = now => {
    times.push(now);
    list.scrollTop += 137;
    if (now - times[0] < 4000) requestAnimationFrame(frame);
    else done(times.slice(1).map((t, i) => t - times[i]).sort((a, b) => a - b));
  };
  requestAnimationFrame(frame);
})"""
RUNNING = "document.getElementById('state').dataset.state === 'running'"


def state(name):
    return f"document.getElementById('state').dataset.state === {name!r}"


def text(element):
    return f"document.getElementById({element!r}).textContent"


def number(element):
    return f"Number({text(element)}.replaceAll(',', ''))"


def quiet(browser, page, but=""):
    """Nothing went wrong in the page, and it asked for its own files only."""
    for event in browser.events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            asked = params["request"]["url"]
            check(asked.startswith((page, "data:")), f"{page} asks for {asked}")
        check(method not in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening"), f"{page}: {params}")
        if method == "Log.entryAdded":
            check(but and but in params["entry"]["text"], f"{page}: {params}")
    browser.events = []


def steady(browser, what):
    shifts = browser.evaluate("shifts")
    check(not shifts, f"{what}: the layout shifts: {shifts[:5]}")


def accessible(browser, axe, what):
    """The rules of axe find nothing. It runs in a world of its own, which the page's policy does not reach."""
    tree = browser.call("Page.getFrameTree")["frameTree"]["frame"]["id"]
    world = browser.call("Page.createIsolatedWorld", frameId=tree, worldName="axe")["executionContextId"]
    browser.evaluate(axe, contextId=world)
    result = browser.evaluate("""axe.run(document, {resultTypes: ['violations']}).then(r => ({rules: r.passes.length,
      violations: r.violations.map(v => [v.impact, v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary)])}))""",
                              contextId=world)
    check(not result["violations"], f"{what}: " + json.dumps(result["violations"], indent=1)[:4000])
    check(result["rules"] > 20, f"{what}: only {result['rules']} rules were applied")


def look(browser, fake, axe, pictures):
    """Screens of all sizes, in both colours and languages: each size with each colour and with each language, and each
    colour with each language."""
    for i, (width, height) in enumerate(SCREENS):
        for scheme, language in zip(("light", "dark"), ("en", "ko") if i % 2 else ("ko", "en")):
            name = f"live-{width}-{scheme}-{language}"
            browser.view(width, height, scheme, width < 500)
            browser.open(f"{fake.url}?language={language}", OBSERVE)
            browser.until(RUNNING)
            browser.until("document.querySelectorAll('#rows > *').length > 5")
            time.sleep(2.5)
            steady(browser, name)
            wide = browser.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
            check(wide[0] <= wide[1], f"{name} is {wide[0]} wide")
            check(browser.evaluate("document.documentElement.lang") == language, f"{name}: language")
            browser.picture(pictures / f"{name}.png")
            accessible(browser, axe, name)
            browser.evaluate("document.querySelector('#rows > *').click()")
            browser.until("document.getElementById('detail').open")
            browser.picture(pictures / f"{name}-session.png")
            accessible(browser, axe, name + "-session")
            quiet(browser, fake.url)
    print(f"{len(SCREENS) * 2} screens: no layout shift, and nothing for axe to report")


def hostile(browser, page, pictures):
    fake = FakeAgent(page, len(HOSTILE), names=list(HOSTILE), details=list(HOSTILE))
    fake.frozen = True
    browser.view(1280, 1000, "light")
    browser.open(fake.url + "?language=en")
    browser.until("document.querySelectorAll('#rows > *').length >= %d" % min(len(HOSTILE), 9))
    want = {shown or name for name, shown in HOSTILE.items()}
    found = browser.evaluate("Array.from(document.querySelectorAll('#rows .name'), e => e.textContent)")
    check(set(found) == want, f"names are shown as {set(found) - want}, want {want - set(found)}")
    for name, shown in HOSTILE.items():
        browser.evaluate(f"Array.from(document.querySelectorAll('#rows .name')).find(e => e.textContent === {json.dumps(shown or name)}).click()")
        browser.until("document.getElementById('detail').open")
        check(browser.evaluate(text("detail-name")) == (shown or name), f"{name!r} in the dialog")
        check(browser.evaluate("document.getElementById('detail').scrollWidth <= document.getElementById('detail').clientWidth"), f"{name[:40]!r} is wide")
        browser.evaluate("document.getElementById('detail').close()")
    details = set(browser.evaluate("Array.from(document.querySelectorAll('#failures .said'), e => e.textContent)"))
    check(details and details <= want, f"details {details - want}")
    check(browser.evaluate("document.images.length + document.scripts.length") == 1, "a name became an element")
    check(browser.evaluate("document.title") == "stepagent, live", "a name ran as a script")
    check(browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), "a name widens the page")
    browser.picture(pictures / "live-hostile.png")
    quiet(browser, fake.url)
    print(f"{len(HOSTILE)} hostile names and details: shown as text")


def busy(browser):
    """Returns the seconds of processor time that the page's thread has used."""
    return next(m["value"] for m in browser.call("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration")


def crowd(browser, page, pictures):
    fake = FakeAgent(page, 10_000)
    browser.view(1280, 1000, "dark")
    browser.open(fake.url + "?language=en", OBSERVE)
    browser.until(f"{number('tile-open')} > 8000", 20)
    browser.until("document.querySelectorAll('#rows > *').length > 5")
    browser.evaluate("tasks.length = 0")
    browser.call("Performance.enable", timeDomain="threadTicks")
    before = busy(browser)
    frames = browser.evaluate(FRAMES)
    share = (busy(browser) - before) / sum(frames) * 1000
    middle, slow = frames[len(frames) // 2], frames[len(frames) * 95 // 100]
    longest = browser.evaluate("Math.max(0, ...tasks)")
    elements = browser.evaluate("document.querySelectorAll('*').length")
    check(share <= BUSY, f"the page needs {share:.0%} of a processor")
    check(elements <= ELEMENTS, f"{elements} elements")
    browser.evaluate("document.getElementById('text').value = 'bench-77'; document.getElementById('text').dispatchEvent(new Event('input', {bubbles: true}))")
    browser.until("Array.from(document.querySelectorAll('#rows .name')).every(e => e.textContent.startsWith('bench-77'))")
    check(re.match(r"1[01]\d of ", browser.evaluate(text("count"))), "the filter shows " + browser.evaluate(text("count")))
    steady(browser, "10,000 sessions")
    browser.picture(pictures / "live-crowd.png")
    quiet(browser, fake.url)
    print(f"10,000 sessions: a frame takes {middle:.0f} ms, 95 of 100 at most {slow:.0f} ms, the longest task {longest:.0f} ms; "
          f"{share:.0%} of a processor, {elements} elements")


def keyboard(browser, fake):
    browser.view(1280, 800, "light")
    browser.open(fake.url + "?language=en")
    browser.until("document.querySelectorAll('#rows > *').length > 5")
    reached = []
    for _ in range(12):
        browser.key("Tab")
        reached.append(browser.evaluate("document.activeElement.id || document.activeElement.className"))
        if reached[-1] == "list":
            break
    check(reached[0] == "skip" and reached[-1] == "list", f"Tab reaches {reached}")
    at = "document.getElementById(document.getElementById('list').getAttribute('aria-activedescendant'))"
    browser.until(at)
    for key, row in (("ArrowDown", 3), ("ArrowDown", 4), ("ArrowUp", 3), ("End", None), ("Home", 2)):
        browser.key(key)
        count = browser.evaluate("Number(document.getElementById('list').getAttribute('aria-rowcount'))")
        got = browser.evaluate(f"Number({at}.getAttribute('aria-rowindex'))")
        check(abs(got - (row or count)) <= 1, f"{key} goes to row {got} of {count}")
    name = browser.evaluate(f"{at}.querySelector('.name').textContent")
    browser.key("Enter")
    browser.until("document.getElementById('detail').open")
    check(browser.evaluate(text("detail-name")) == name, "Enter opens another session")
    browser.key("Escape")
    browser.until("!document.getElementById('detail').open")
    check(browser.evaluate("document.activeElement.id") == "list", "Escape does not lead back to the list")
    quiet(browser, fake.url)
    print("keyboard: all of it")


def typed(browser, value):
    browser.evaluate(f"document.querySelector('#ask input').value = {value!r}; document.querySelector('#ask form').requestSubmit()")


def states(browser, fake):
    """What the page says of a link that is silent, refused, too slow, and read-only; and the token."""
    browser.view(1280, 800, "light")
    browser.open(fake.url + "?language=en", OBSERVE)
    browser.until(RUNNING)
    fake.trouble = ["validators: steps wait for the next process: the last one: exited"]
    browser.until(state("degraded"))
    check(fake.trouble[0] in browser.evaluate(text("problems")), "the problem is not shown")
    fake.trouble = []
    fake.lost = 12
    browser.until(f"{text('notices')}.includes('12 events')")
    check("12 events" in browser.evaluate(text("left-out")), "lost events are not counted")
    fake.read_only = True
    browser.until("document.getElementById('reload').disabled")
    fake.read_only = False
    browser.until("!document.getElementById('reload').disabled")

    browser.evaluate("document.getElementById('reload').click()")
    browser.until("document.getElementById('ask')")
    check("cat /var/lib/stepagent/http-token" in browser.evaluate(text("ask")), "the file of the token is not named")
    typed(browser, "wrong")
    browser.until(f"document.getElementById('ask') && document.getElementById('ask').textContent.includes('did not accept')")
    typed(browser, TOKEN)
    browser.until(f"{text('notices')}.includes('in force')")
    check(fake.posts == ["/api/v1/reload"] * 3, f"the page posts {fake.posts}")
    browser.evaluate("document.querySelector('#rows > .open').click()")
    browser.until("document.getElementById('detail').open")
    browser.evaluate("document.getElementById('detail-end').click()")
    browser.until("document.getElementById('ask')")
    browser.evaluate("document.querySelector('#ask form').requestSubmit()")
    browser.until(f"{text('notices')}.includes('no session of that name')")
    check(fake.posts[-1].endswith("/end"), f"the page posts {fake.posts}")
    browser.evaluate("document.getElementById('detail').close()")

    steady(browser, "states")
    quiet(browser, fake.url, "status of 40")
    fake.silent = True
    browser.until(state("lost"), 15)
    fake.refusal = "the agent has as many viewers as http.viewers allows"
    browser.until(f"{text('remedy')}.includes('as many viewers')")
    fake.silent, fake.refusal, fake.half = False, "", True
    browser.until(RUNNING)
    browser.until("document.querySelectorAll('#rows > *').length > 5")
    check(fake.seen[-2:] == ["p-2", None], f"the page continues after {fake.seen[-2:]}; it had half of the state")
    steady(browser, "states")
    quiet(browser, fake.url, "status of 503")
    print("states: problem, lost events, read-only, token, silent link, refused viewer")


class Agent:
    """A real agent, with the page on a port that stays over restarts."""

    def __init__(self, programs, work, certificate=None):
        """With a certificate and its key other machines may open the page, over TLS and with the token."""
        self.programs, self.work = pathlib.Path(programs), pathlib.Path(work)
        self.environment = dict(os.environ, RUNTIME_DIRECTORY=str(work), HOME=str(work))
        with socket.socket() as s, socket.socket() as h:
            s.bind(("127.0.0.1", 0))
            h.bind(("127.0.0.1", 0))
            self.port, http = s.getsockname()[1], h.getsockname()[1]
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{http}/"
        self.token = self.work / "token"
        self.config = self.work / "stepagent.toml"
        self.config.write_text(f'[http]\nlisten = "{"0.0.0.0" if certificate else "127.0.0.1"}:{http}"\ntoken_file = "{self.token}"\n')
        if certificate:
            with self.config.open("a") as config:
                config.write('tls = true\n[tls]\nmode = "off"\ncertificate = "%s"\nkey = "%s"\n' % certificate)
        self.start()

    def start(self):
        with open(self.work / "log", "w") as log:
            self.process = subprocess.Popen(
                [self.programs / "stepagent", "serve", "--host", "127.0.0.1", "--port", str(self.port), "--config", self.config, "--log-format", "text"],
                env=self.environment, stderr=log)
        deadline = time.monotonic() + 30
        while "agent started" not in (self.work / "log").read_text():
            check(self.process.poll() is None and time.monotonic() < deadline, (self.work / "log").read_text())
            time.sleep(0.05)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(timeout=30)

    def status(self):
        found = subprocess.run([self.programs / "stepagent", "status", "--json", "--config", self.config], env=self.environment,
                               stdout=subprocess.PIPE, check=False)
        return json.loads(found.stdout)

    def client(self, *arguments):
        return subprocess.Popen([self.programs / "stepctl", *arguments, "--host", "127.0.0.1", "--port", str(self.port)],
                                env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def agrees(browser, agent):
    """The numbers in the page are those of stepagent status."""
    sessions, connections = agent.status()["sessions"], agent.status()["connections"]
    want = [sessions["open"], connections["open"], sessions["steps_passed"], sessions["steps_failed"], sessions["steps_undecided"]]
    names = ("open", "connections", "passed", "failed", "undecided")
    browser.until(f"JSON.stringify([{', '.join(number('tile-' + n) for n in names)}]) === {json.dumps(json.dumps(want, separators=(',', ':')))}")
    for names, total in (("bad_message bad_request busy internal", connections["messages_refused"]),
                         ("out_of_order timeout_too_short interval_not_kept rule_broken", sessions["steps_failed"])):
        counts = browser.evaluate(f"{json.dumps(names.split())}.map(name => Number(Array.from(document.querySelectorAll('#refused-lines tr'))"
                                  ".find(e => e.querySelector('code')?.textContent === name).querySelector('td').textContent.replaceAll(',', '')))")
        check(sum(counts) == total, f"refused by reason: {names}: {counts}, want {total} in all")
    return want


def row(name):
    return f"Array.from(document.querySelectorAll('#rows > *')).find(e => e.querySelector('.name').textContent === {name!r})"


def procedure(browser, agent, pictures):
    """A real procedure: its strip fills in, and its failed steps are in words."""
    name = "<img src=x onerror=alert(1)>"
    run = agent.client("run", "--data", "failure", "--session", name)
    browser.until(f"{row(name)}?.querySelectorAll('.cell.p').length > 1")
    first = browser.evaluate(f"{row(name)}.querySelectorAll('.cell.p').length")
    browser.until(f"{row(name)}.querySelectorAll('.cell.p').length > {first}")
    browser.picture(pictures / "live-real.png")
    browser.until(f"{row(name)}.querySelectorAll('.cell.f').length > 0")
    browser.until(f"{row(name)}.querySelector('.wait').textContent === 'FAIL'")
    check(run.wait(timeout=20) == 1, "the procedure does not fail")
    reasons = browser.evaluate("Array.from(document.querySelectorAll('#failures code'), e => e.textContent)")
    check(reasons == ["timeout_too_short", "timeout_too_short", "out_of_order"], f"failed steps: {reasons}")
    check(agrees(browser, agent)[2:4] == [7, 3], "7 steps pass and 3 do not")
    browser.evaluate(f"{row(name)}.click()")
    browser.until("document.getElementById('detail').open")
    check(browser.evaluate(text("detail-name")) == name, "the name in the dialog")
    check(browser.evaluate("document.querySelectorAll('#detail-steps li').length") == 10, "the steps in the dialog")
    check(browser.evaluate("document.querySelectorAll('#detail-timeline rect').length") == 10, "the timeline in the dialog")
    browser.picture(pictures / "live-real-session.png")
    browser.evaluate("document.getElementById('detail').close()")


def load(browser, agent, pictures):
    """Under load the rate is that of the agent's counters."""
    before, began = agent.status(), time.monotonic()
    client = agent.client("load", "--clients", "64", "--duration", "6s")
    browser.until(f"{number('tile-rate')} > 1000")
    time.sleep(2)
    browser.picture(pictures / "live-load.png")
    shown = browser.evaluate(number("tile-rate"))
    check(client.wait(timeout=60) == 0, "the load fails")
    passed = agent.status()["sessions"]["steps_passed"] - before["sessions"]["steps_passed"]
    mean = passed / 6
    check(mean / 4 < shown < mean * 4, f"the page shows {shown} steps per second, the mean is {mean:.0f}")
    counts = agrees(browser, agent)
    print(f"load: {shown:.0f} steps per second shown, {mean:.0f} in the mean; counters as in stepagent status: {counts}; {time.monotonic() - began:.0f} s")


def restart(browser, agent, pictures):
    """The page notices that the agent is killed, and shows the new one."""
    agent.stop(signal.SIGKILL)
    browser.until(state("lost"))
    browser.picture(pictures / "live-lost.png")
    time.sleep(3)
    agent.start()
    browser.until(RUNNING)
    browser.until(f"{text('notices')}.includes('restarted')")
    check(agrees(browser, agent)[2] == 0, "the page shows the counters of the old process")
    quiet(browser, agent.url, "ERR_")


class Link(socketserver.ThreadingTCPServer):
    """A link to a port of this machine, which the test can break."""
    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), None)
        self.port, self.up, self.open = port, True, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address):
        if not self.up:
            return
        with socket.create_connection(("127.0.0.1", self.port)) as far:
            ends = {request: far, far: request}
            self.open += ends
            while all(self.copy(end, ends[end]) for end in select.select(list(ends), [], [])[0]):
                pass

    def copy(self, source, to):
        try:
            part = source.recv(1 << 16)
            to.sendall(part)
            return part
        except OSError:
            return b""

    def cut(self):
        self.up = False
        for end in self.open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def broken_link(browser, agent):
    """After a link that broke while the agent went on, the page continues: it is told what it missed, and forgets nothing."""
    link = Link(int(agent.url.split(":")[2].strip("/")))
    browser.open(link.url + "?language=en", OBSERVE)
    browser.until(RUNNING)
    check(agent.client("run", "--data", "success", "--session", "before").wait(timeout=20) == 0, "the procedure fails")
    browser.until(f"{row('before')}?.querySelector('.wait').textContent === 'PASS'")
    run = agent.client("run", "--data", "success", "--session", "across")
    browser.until(row("across"))
    link.cut()
    browser.until(state("lost"))
    time.sleep(2)
    link.up = True
    browser.until(RUNNING)
    check(run.wait(timeout=20) == 0, "the procedure fails")
    browser.until(f"{row('across')}.querySelector('.wait').textContent === 'PASS'")
    check(browser.evaluate(f"Boolean({row('before')})"), "the page has forgotten a session that had ended")
    check(browser.evaluate(text("notices")) == "", "the page reports a restart that was none")
    agrees(browser, agent)
    quiet(browser, link.url, "ERR_")
    print("a broken link: nothing is lost")


def changes(browser, agent):
    """An operator reloads and ends a session; without the token neither is done."""
    browser.open(agent.url + "?language=en", OBSERVE)
    run = agent.client("run", "--data", "success", "--session", "to end")
    browser.until(row("to end"))
    browser.evaluate(f"{row('to end')}.click(); document.getElementById('detail-end').click()")
    browser.until("document.getElementById('ask')")
    browser.evaluate("document.querySelector('#ask form').requestSubmit()")
    browser.until("document.querySelector('#ask input')")
    check(str(agent.token) in browser.evaluate(text("ask")), "the file of the token is not named")
    typed(browser, agent.token.read_text().strip())
    browser.until(f"{text('notices')}.includes('was ended')")
    browser.until(f"{text('detail-mark')} === 'INCOMPLETE'")
    browser.evaluate("document.getElementById('detail').close()")
    run.wait(timeout=30)
    generation = agent.status()["generation"]
    browser.evaluate("document.getElementById('reload').click()")
    browser.until(f"{text('notices')}.includes('generation {generation + 1}')", 30)
    agent.config.write_text(agent.config.read_text() + "[wrong]\nkey = 1\n")
    browser.evaluate("document.getElementById('reload').click()")
    browser.until(f"{text('notices')}.includes('wrong')", 30)
    quiet(browser, agent.url, "status of 4")
    print("changes: a session ended, a reload, a refused reload")


def real(browser, programs, work, axe, pictures):
    agent = Agent(programs, work)
    try:
        browser.view(1280, 1000, "light")
        browser.open(agent.url + "?language=en", OBSERVE)
        browser.until(RUNNING)
        check("No session yet" in browser.evaluate(text("empty")), "an agent without sessions is not called so")
        procedure(browser, agent, pictures)
        load(browser, agent, pictures)
        accessible(browser, axe, "a real agent")
        steady(browser, "a real agent")
        quiet(browser, agent.url)
        restart(browser, agent, pictures)
        broken_link(browser, agent)
        changes(browser, agent)
        steady(browser, "a real agent")
        check(agent.stop() == 0, "the agent does not end well")
    finally:
        agent.process.kill()
    print("a real agent: a procedure, a load, a kill, a broken link")


def secured(browser, programs, work):
    """The page as other machines open it: over TLS, with the token."""
    work = pathlib.Path(work) / "secured"
    work.mkdir(mode=0o700)
    certificate = work / "board.pem", work / "board.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "9", "-subj", "/CN=board",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate[0], "-keyout", certificate[1]], check=True, stderr=subprocess.DEVNULL)
    agent = Agent(programs, work, certificate)
    try:
        browser.trust_all()  # the certificate is of no known authority
        browser.open(agent.url + "?language=en")
        check(not browser.evaluate("document.getElementById('tile-open')"), "the page is shown without the token")
        browser.open(agent.url.replace("//", f"//viewer:{agent.token.read_text().strip()}@"))  # as if typed into its dialog
        browser.open(agent.url + "?language=en", OBSERVE)
        browser.until(RUNNING)
        run = agent.client("run", "--data", "success", "--session", "over TLS")
        browser.until(row("over TLS"))
        check(run.wait(timeout=60) == 0, "the run fails")
        agrees(browser, agent)
        check(agent.stop() == 0, "the agent does not end well")
    finally:
        agent.process.kill()
    print("a page over TLS: refused without the token, and with it a procedure")


def main():
    if len(sys.argv) != 7:
        fail(__doc__)
    program, programs, page, axe, work, pictures = sys.argv[1:]
    pictures = pathlib.Path(pictures)
    pictures.mkdir(parents=True, exist_ok=True)
    axe = pathlib.Path(axe).read_text()
    browser = Browser(program)
    fake = FakeAgent(page, 40)
    hostile(browser, page, pictures)
    keyboard(browser, fake)
    states(browser, fake)
    crowd(browser, page, pictures)
    look(browser, fake, axe, pictures)
    if programs != "-":
        real(browser, programs, work, axe, pictures)
        secured(browser, programs, work)
    browser.close()


if __name__ == "__main__":
    main()
