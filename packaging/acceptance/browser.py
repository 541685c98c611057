"""A Chromium that tests control, with nothing but the standard library."""

import base64
import itertools
import json
import os
import subprocess
import sys
import time


def fail(message):
    program = os.path.basename(sys.argv[0]).removesuffix(".py")
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(1)


def check(holds, message):
    if not holds:
        fail(message)


class Browser:
    """A Chromium controlled over two pipes (--remote-debugging-pipe)."""

    def __init__(self, program):
        commands, self.commands = os.pipe()
        self.answers, answers = os.pipe()

        def place_descriptors():  # Chromium reads descriptor 3 and writes 4
            high = [os.dup(commands), os.dup(answers)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--disable-extensions", "--disable-background-networking", "--remote-debugging-pipe"],
            preexec_fn=place_descriptors, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self.reader = os.fdopen(self.answers, "rb")
        self.numbers = itertools.count(1)
        self.events = []
        self.session = self.screen = self.tab = None

    def receive(self):
        text = bytearray()
        while (c := self.reader.read(1)) != b"\0":
            if not c:
                fail("the browser ended")
            text += c
            rest = self.reader.peek()
            end = rest.find(b"\0")
            text += self.reader.read(end if end >= 0 else len(rest))
        return json.loads(text)

    def call(self, method, **params):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        text = json.dumps(message).encode() + b"\0"
        while text:
            text = text[os.write(self.commands, text):]
        while True:
            answer = self.receive()
            if answer.get("id") == number:
                if "error" in answer:
                    fail(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self.receive())

    def evaluate(self, script, **params):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, **params)
        if "exceptionDetails" in result:
            fail(result["exceptionDetails"])
        return result["result"].get("value")

    def until(self, script, seconds=10.0):
        """Waits until the script is true."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({script})"):
            check(time.monotonic() < deadline, f"not so after {seconds} s: {script}\n{self.evaluate('document.body?.innerText ?? String()')[:3000]}")
            time.sleep(0.05)

    def open(self, url, before=""):
        """Opens a page in a new tab and closes the last one; the script before runs ahead of the page's own."""
        self.session, last = None, self.tab
        target = self.tab = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        if last:
            self.call("Target.closeTarget", targetId=last)
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(domain + ".enable")
        if self.screen:
            self.view(*self.screen)
        if before:
            self.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        self.events = []
        self.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired")

    def trust_all(self):
        """Accepts every certificate from now on, in all tabs."""
        self.session, tab = None, self.session
        self.call("Security.setIgnoreCertificateErrors", ignore=True)
        self.session = tab

    def view(self, width, height, colours, phone=False):
        """Sets the size of the screen in CSS pixels, and the colours that the reader prefers, for this tab and the next."""
        self.screen = width, height, colours, phone
        if not self.session:
            return
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def picture(self, path, **params):
        data = self.call("Page.captureScreenshot", **params)["data"]
        path.write_bytes(base64.b64decode(data))

    def key(self, name):
        """Presses a key, such as Tab or ArrowDown."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowUp": 38, "ArrowDown": 40, "PageDown": 34}
        extra = {"text": "\r"} if name == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=codes[name], **extra)

    def close(self):
        self.session = None
        self.call("Browser.close")
        self.process.wait(timeout=20)
