#!/usr/bin/env python3
"""Checks reports in a real browser.

    pages.py CHROMIUM FOLDER PAGE.html=SUMMARY.json...

Each page is opened from its file: in light and dark, in the widths of a desktop and of a phone, and
in print. FOLDER gets the screenshots and PDFs. The numbers in the page must equal those of the
summary, which stepctl report --json wrote. The first check that fails ends the program with 1.
"""

import base64
import json
import pathlib
import re
import sys
import time
import urllib.parse

from browser import Browser, check

# A view is a width and a height in CSS pixels, the colours, and whether it is a phone.
VIEWS = {
    "light": (1280, 900, "light", False),
    "dark": (1280, 900, "dark", False),
    "phone-light": (360, 740, "light", True),
    "phone-dark": (360, 740, "dark", True),
    "tablet": (820, 1100, "light", True),
}
CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3, for text that is not large
TALLEST = 6000  # screenshot, in pixels
MOST_ROWS = 1000  # of steps in a page; a longer procedure is shown in ranges
LARGEST = 2 << 20  # of a page, in bytes
SLOWEST = 10.0  # until a page is loaded, in seconds; a browser on an idle machine needs 0.2

NUMBERS = """Array.from(document.querySelectorAll('tr[data-outcome]'), row => ({
  index: Number(row.id.slice(1)), outcome: row.dataset.outcome,
  values: Array.from(row.querySelectorAll('data'), d => Number(d.value)),
  texts: Array.from(row.querySelectorAll('td'), d => d.textContent.trim()),
}))"""

RANGES = """Array.from(document.querySelectorAll('.ranges tbody tr'), row => ({
  first: Number(row.cells[0].textContent.match(/\\d+/g)[0]), last: Number(row.cells[0].textContent.match(/\\d+/g)[1]),
  passed: Number(row.cells[1].textContent), values: Array.from(row.querySelectorAll('data'), d => Number(d.value)),
}))"""

BOARDS = """Array.from(document.querySelectorAll('tr[data-result]'), row => ({
  result: row.dataset.result, values: Array.from(row.querySelectorAll('data'), d => Number(d.value)),
  name: row.querySelector('th bdi').textContent, strip: row.querySelector('.strip svg')?.getBoundingClientRect().width,
  links: Array.from(row.querySelectorAll('a'), a => a.getAttribute('href')),
}))"""

# Visible texts whose contrast with their background is too low.
CONTRASTS = """(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const part = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !e.checkVisibility() || e.closest('svg')) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < %g) poor.push(ratio.toFixed(2) + ' ' + texts.currentNode.data.trim().slice(0, 40));
  }
  return poor;
})()""" % CONTRAST

# Elements that overflow the page on either side.
WIDE = """(() => {
  const wide = document.documentElement.clientWidth;
  const out = Array.from(document.querySelectorAll('body *')).filter(e => {
    const r = e.getBoundingClientRect();
    return r.width > 0 && (r.right > wide + 1 || r.left < -1) && !e.closest('thead, svg, .skip');
  });
  return {scroll: document.documentElement.scrollWidth, wide, out: out.slice(0, 5).map(e => e.outerHTML.slice(0, 120))};
})()"""

# The label before each cell of a card, and the heads of the columns.
LABELS = """(() => {
  const heads = Array.from(document.querySelectorAll('.steps thead')[0].querySelectorAll('th'), h => h.textContent);
  const cells = document.querySelector('.steps tbody tr').children;
  return [0, 1, 4, 5, 6].map(i => [heads[i], getComputedStyle(cells[i], '::before').content]);
})()"""

# Structure for screen readers and Braille displays.
STRUCTURE = """({
  lang: document.documentElement.lang, title: document.title,
  headings: Array.from(document.querySelectorAll('h1,h2,h3'), h => Number(h.tagName[1])),
  unnamed: Array.from(document.querySelectorAll('svg[role=img]')).filter(s => !s.querySelector('title')?.textContent.trim()).length,
  bare: Array.from(document.querySelectorAll('svg')).filter(s => !s.hasAttribute('role') && s.getAttribute('aria-hidden') !== 'true').length,
  loose: Array.from(document.querySelectorAll('th')).filter(h => !h.scope).length,
  captions: Array.from(document.querySelectorAll('table')).filter(t => !t.caption).length,
  ids: (ids => ids.length - new Set(ids).size)(Array.from(document.querySelectorAll('[id]'), e => e.id)),
  broken: Array.from(document.querySelectorAll('a[href^="#"]')).filter(a => !document.getElementById(a.hash.slice(1))).length,
  sentence: document.querySelector('h1').textContent, verdict: document.getElementById('verdict').dataset.verdict,
  duration: Number(document.getElementById('duration').value),
})"""


def numbers(browser, page, summary):
    rows = browser.evaluate(NUMBERS)
    steps = summary["steps"]
    if len(steps) > MOST_ROWS:  # those that did not pass, and all of them in ranges
        ranges(browser, page, steps)
        steps = [s for s in steps if s["outcome"] != "passed"][:MOST_ROWS]
    check(len(rows) == len(steps), f"{page}: {len(rows)} rows for {len(steps)} steps")
    for row, step in zip(rows, steps):
        want = [step["step_id"]] + [step[k] for k in ("response", "timeout", "interval", "kept") if k in step]
        check(row["index"] == step["index"] and row["outcome"] == step["outcome"] and row["values"] == want,
              f"{page}: row {row}, want {step}")
        shown = row["texts"][3]
        if "response" in step:  # the visible text is the machine-readable value, rounded
            seconds = step["response"]
            want = f"{seconds * 1000:.2f}" if seconds < 0.009995 else f"{seconds * 1000:.1f}" if seconds < 0.99995 else f"{seconds:.3f}"
            close = abs(float(re.match(r"[\d.]+", shown)[0]) - float(want)) <= 0.1
            check(close, f"{page}: step {step['index']} shows {shown}, want {want}")
        else:
            check(shown == "–", f"{page}: step {step['index']} has no reply and shows {shown}")


def ranges(browser, page, steps):
    found = browser.evaluate(RANGES)
    passed = sum(s["outcome"] == "passed" for s in steps)
    check(0 < len(found) <= 100, f"{page}: {len(found)} ranges")
    check(sum(s["passed"] for s in found) == passed, f"{page}: the ranges have not {passed} steps that passed")
    for part in found:
        took = sorted(s["response"] for s in steps[part["first"] - 1:part["last"]] if "response" in s)
        want = [took[len(took) // 2], took[-1]] if took else []
        check(part["values"] == want, f"{page}: range {part}, want {want}")


def boards(browser, page, summary):
    rows = browser.evaluate(BOARDS)
    check(len(rows) == len(summary["boards"]), f"{page}: {len(rows)} rows for {len(summary['boards'])} boards")
    for row, board in zip(rows, summary["boards"]):
        took = sorted(s["response"] for s in board["steps"] if "response" in s)
        want = [board["counts"].get("passed", 0), len(board["steps"])] + ([took[len(took) // 2]] if took else []) + [board["duration"]]
        check(row["name"] == board["board"] and row["result"] == board["result"] and row["values"] == want, f"{page}: row {row}, want {board['board']} {want}")
        check(row.get("strip") or not board["steps"], f"{page}: {board['board']} has no strip")
        for link in row["links"]:
            file, _, step = link.partition("#")
            own = (pathlib.Path(page).parent / urllib.parse.unquote(file)).read_text() if file else ""
            check(not file or not step or f'id="{step}"' in own, f"{page}: the link {link} leads to no step")


def structure(browser, page, summary):
    found = browser.evaluate(STRUCTURE)
    steps = [abs(b - a) for a, b in zip(found["headings"], found["headings"][1:]) if b > a]
    check(found["lang"] in ("en", "ko") and found["title"], f"{page}: language or title")
    check(found["headings"].count(1) == 1 and found["headings"][0] == 1 and max(steps) == 1, f"{page}: headings {found['headings']}")
    for what in ("unnamed", "bare", "loose", "captions", "ids", "broken"):
        check(found[what] == 0, f"{page}: {found[what]} elements: {what}")
    check(found["verdict"] == summary["verdict"] and found["duration"] == summary["duration"], f"{page}: verdict or duration")
    print(f"{page}: {found['sentence']}")


def look(browser, page, summary, folder):
    url = pathlib.Path(page).resolve().as_uri()
    name = pathlib.Path(page).stem
    size = pathlib.Path(page).stat().st_size
    check(size <= LARGEST, f"{page} has {size} bytes")
    began = time.monotonic()
    browser.open(url)
    took = time.monotonic() - began
    check(took <= SLOWEST, f"{page} is loaded after {took:.1f} s")
    (boards if "boards" in summary else numbers)(browser, page, summary)
    structure(browser, page, summary)
    for view, (width, height, colours, phone) in VIEWS.items():
        browser.view(width, height, colours, phone)
        wide = browser.evaluate(WIDE)
        check(wide["scroll"] <= width and not wide["out"], f"{page}, {view}: {wide}")
        poor = browser.evaluate(CONTRASTS)
        check(not poor, f"{page}, {view}: little contrast: {poor}")
        for head, label in browser.evaluate(LABELS) if browser.evaluate(NUMBERS) else []:
            want = f'"{head}: "', f'"{head} "'
            check(label in want if width < 832 else label == "none", f"{page}, {view}: {head} is labelled {label}")
        tall = min(browser.evaluate("document.documentElement.scrollHeight"), TALLEST)
        browser.picture(folder / f"{name}-{view}.png", captureBeyondViewport=True,
                        clip={"x": 0, "y": 0, "width": width, "height": tall, "scale": 1})
    browser.call("Emulation.clearDeviceMetricsOverride")
    paper = base64.b64decode(browser.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])
    (folder / f"{name}.pdf").write_bytes(paper)
    pages = len(re.findall(rb"/Type\s*/Page\b", paper))
    # Steps that are folded on the screen are printed all the same: no page holds sixty rows.
    rows = len(browser.evaluate(NUMBERS))
    check(paper.startswith(b"%PDF") and pages * 60 >= rows, f"{page}: {pages} pages for {rows} rows")
    check(pages <= 4 + len(summary.get("boards") or summary["steps"]), f"{page}: {pages} printed pages")
    for event in browser.events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            asked = params["request"]["url"]
            check(asked == url or asked.startswith("data:"), f"{page} asks for {asked}")
        check(method not in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"), f"{page}: {params}")
        check(method != "Log.entryAdded", f"{page}: {params}")
    of = " ".join(f"{len(summary[k])} {k}" for k in ("boards", "steps") if k in summary)
    print(f"{page}: {of}, {size >> 10} KiB, loaded in {took:.2f} s, {len(VIEWS)} views, {pages} printed pages")


def main():
    program, folder, pages = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    check(pages, "name a page")
    folder.mkdir(parents=True, exist_ok=True)
    browser = Browser(program)
    for pair in pages:
        page, summary = pair.split("=")
        look(browser, page, json.loads(pathlib.Path(summary).read_text()), folder)
    browser.close()


main()
