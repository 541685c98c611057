"""The plugin as a process: handshake, batches, health, and its end."""

import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc

from stepagent_validator import validator_pb2 as pb
from stepagent_validator.plugin import COOKIE

HERE = pathlib.Path(__file__).parent
SERVICE = "/stepagent.validator.v1.ValidatorService/"

SLOW = """
import sys, time
sys.path.insert(0, sys.argv[1])
print("said before")
from stepagent_validator import *

class Slow:
    def validate(self, session, step):
        print("step", step.id)
        if step.id == 99:
            time.sleep(3600)
        if step.id == 50:
            raise RuntimeError("a defect")
        return passed(bytes([step.id]))

serve(Plugin("slow", "1", [
    Kind("slow", "1", "", lambda settings: Slow()),
    Kind("bad", "1", "", lambda settings: None)]))
"""


class TestProcess(unittest.TestCase):
    def start(self, **environ):
        """Start a plugin and return it with its first line."""
        env = {COOKIE[0]: COOKIE[1], "PLUGIN_PROTOCOL_VERSIONS": "1,2",
               "PLUGIN_UNIX_SOCKET_DIR": self.dir, "PATH": os.defpath}
        env.update(environ)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SLOW, str(HERE.parent)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
            text=True)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.stderr.close)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="py")
        self.addCleanup(folder.cleanup)
        self.dir = folder.name

    def connect(self):
        said = self.process.stdout.readline()
        self.assertEqual(said, "said before\n")  # an author's mistake
        line = self.process.stdout.readline().split("|")
        self.assertEqual(line[:3] + line[4:], ["1", "1", "unix", "grpc\n"])
        self.assertEqual(os.path.dirname(line[3]), self.dir)
        channel = grpc.insecure_channel(f"unix:{line[3]}")
        self.addCleanup(channel.close)
        return channel

    def configure(self, channel, *kinds):
        return channel.unary_unary(
            SERVICE + "Configure",
            pb.ConfigureRequest.SerializeToString,
            pb.ConfigureResponse.FromString)(pb.ConfigureRequest(instances=[
                pb.Instance(name=k, validator=k) for k in kinds]))

    def test_life(self):
        self.start()
        channel = self.connect()
        health = channel.unary_unary("/grpc.health.v1.Health/Check")
        self.assertEqual(health(b"\x0a\x06plugin"), b"\x08\x01")
        got = self.configure(channel, "bad", "none")
        self.assertIn("which has no validate",
                      got.results[0].problems[0].problem)
        self.assertEqual(got.results[1].problems[0].problem,
                         "plugin slow has no validator 'none'")
        got = self.configure(channel, "slow", "slow")
        self.assertFalse(got.results[0].problems)

        judge = channel.stream_stream(
            SERVICE + "Judge", pb.JudgeRequest.SerializeToString,
            pb.JudgeResponse.FromString)
        more = threading.Event()

        def requests():
            yield pb.JudgeRequest(calls=[
                pb.StepCall(call=n, step=pb.Step(id=n), states=[b"", b"s"])
                for n in (99, 1, 2, 50)])
            more.wait(30)
            yield pb.JudgeRequest(calls=[
                pb.StepCall(call=3, step=pb.Step(id=3))])
            threading.Event().wait(30)

        answers = {}
        for response in judge(requests()):
            for a in response.answers:
                answers[a.call] = a.verdicts
            if len(answers) == 3:
                more.set()
            if len(answers) == 4:
                break
        # The one that hangs has not delayed the others.
        self.assertEqual(sorted(answers), [1, 2, 3, 50])
        self.assertEqual([v.state for v in answers[2]], [b"\2", b"\2"])
        self.assertEqual(answers[50][0].error,
                         "panic: RuntimeError: a defect")

        began = time.monotonic()
        channel.unary_unary("/plugin.GRPCController/Shutdown")(b"")
        self.assertEqual(self.process.wait(10), 0)
        self.assertLess(time.monotonic() - began, 5)
        # What is printed goes to stderr, a traceback with it.
        said = self.process.stderr.read()
        self.assertIn("step 1\n", said)
        self.assertIn("RuntimeError: a defect\n", said)
        self.assertEqual(self.process.stdout.read(), "")

    def test_signals_are_the_agents(self):
        self.start()
        channel = self.connect()
        self.process.terminate()
        self.process.send_signal(2)
        got = self.configure(channel, "slow")
        self.assertFalse(got.results[0].problems)

    def refused(self, **environ):
        self.start(**environ)
        self.assertEqual(self.process.wait(30), 1)
        return self.process.stderr.read()

    def test_by_hand(self):
        self.assertIn("stepagent validators check",
                      self.refused(STEPAGENT_PLUGIN=""))

    def test_other_version(self):
        self.assertIn("this plugin speaks 1",
                      self.refused(PLUGIN_PROTOCOL_VERSIONS="2,3"))

    def test_no_folder(self):
        self.assertIn("PLUGIN_UNIX_SOCKET_DIR is no folder: ''",
                      self.refused(PLUGIN_UNIX_SOCKET_DIR=""))


if __name__ == "__main__":
    unittest.main()
