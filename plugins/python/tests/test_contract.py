"""The contract, the settings and what becomes of a validator's answer."""

import unittest

from stepagent_validator import (
    BadData, Fault, FaultKind, Reason, Session, SettingErrors, Settings,
    Step, Undecided, Verdict, failed, passed,
)
from stepagent_validator import validator_pb2 as pb
from stepagent_validator.convert import MAX_ERROR_BYTES, answer, call_parts


class Does:
    """A validator that is one function."""

    def __init__(self, what):
        self.what = what

    def validate(self, session, step):
        return self.what()


def judged(what):
    """Return the message that goes to the agent."""
    return answer("test", Does(what), Session("s", 0, 10), Step(1))


def raises(error):
    def what():
        raise error
    return what


class TestStep(unittest.TestCase):
    def test_fields(self):
        self.assertEqual(Step(1).fields(), {})
        self.assertEqual(Step(1, data=b'{"a":1}').fields(), {"a": 1})
        for bad in (b"{", b"[]", b"null", b"\xff", b'{"a":NaN}', b"{}{}",
                    b'{"a":[' * 3000, b'{"a":' + b"9" * 5000 + b"}"):
            with self.assertRaises(BadData):
                Step(1, data=bad).fields()

    def test_call_parts(self):
        call = pb.StepCall()
        call.session.id, call.session.position = "s", 3
        call.session.steps = 10
        call.step.id, call.step.at_ns = -7, 1_500_000_000
        session, step = call_parts(call, b"x")
        self.assertEqual(session, Session("s", 3, 10, b"x"))
        self.assertEqual(step, Step(-7, None, None, 1.5, None, b""))
        call.step.timeout_ns, call.step.interval_ns = 0, 250_000_000
        call.step.gap_ns, call.step.data = -5, b"{}"
        _, step = call_parts(call, b"")
        self.assertEqual(step, Step(-7, 0.0, 0.25, 1.5, 0.0, b"{}"))


class TestAnswer(unittest.TestCase):
    def test_verdicts(self):
        got = judged(lambda: passed(b"s"))
        self.assertEqual((got.outcome, got.state), (pb.OUTCOME_PASS, b"s"))
        got = judged(lambda: failed(Reason.OUT_OF_ORDER, "why", b"t"))
        self.assertEqual(got.outcome, pb.OUTCOME_FAIL)
        self.assertEqual(got.reason, "out_of_order")
        self.assertEqual((got.detail, got.state), ("why", b"t"))
        fault = Fault(FaultKind.LATE, delay=0.25)
        got = judged(lambda: passed(fault=fault))
        self.assertEqual(got.fault.kind, pb.FAULT_KIND_LATE)
        self.assertEqual(got.fault.delay_ns, 250_000_000)

    def test_reasons_are_those_of_the_contract(self):
        text = pb.DESCRIPTOR.message_types_by_name["Verdict"]
        self.assertIn("reason", text.fields_by_name)
        self.assertEqual([r.value for r in Reason],
                         ["out_of_order", "timeout_too_short",
                          "interval_not_kept", "rule_broken"])
        names = pb.FaultKind.keys()[1:]
        self.assertEqual([f"FAULT_KIND_{k.name}" for k in FaultKind], names)

    def test_malformed(self):
        for verdict, why in (
                (None, "want a Verdict"),
                (Verdict(None, "but"), "detail: only a fail has one"),
                (Verdict("busy", "x"), "reason: 'busy' is no Reason"),
                (failed(Reason.RULE_BROKEN, "ä" * 257), "detail: 514 bytes"),
                (failed(Reason.RULE_BROKEN, "\ud800"), "detail: no valid"),
                (failed(Reason.RULE_BROKEN, 5), "detail: want a str"),
                (passed(bytes(4097)), "state: 4097 bytes"),
                (passed("text"), "state: want bytes")):
            got = judged(lambda: verdict)
            self.assertEqual(got.outcome, pb.OUTCOME_UNSPECIFIED)
            self.assertTrue(
                got.error.startswith(f"malformed verdict: {why}"), got.error)

    def test_undecided_and_defects(self):
        self.assertEqual(judged(raises(Undecided("no idea"))).error,
                         "no idea")
        self.assertEqual(judged(raises(Undecided())).error,
                         "undecided, with no reason given")
        with self.assertLogs_to_stderr():
            got = judged(raises(KeyError("torque")))
        self.assertEqual(got.error, "panic: KeyError: 'torque'")
        got = judged(raises(Undecided("ä\udcff" * 999)))
        self.assertLessEqual(len(got.error.encode()), MAX_ERROR_BYTES)
        got = judged(raises(BadData("the data is no JSON object")))
        self.assertEqual(got.reason, "rule_broken")

    def assertLogs_to_stderr(self):
        import contextlib
        import io
        return contextlib.redirect_stderr(io.StringIO())

    def test_expects(self):
        class Expecting(Does):
            def expects(self, session):
                return session.position + 1 if session.state else None

        validator = Expecting(lambda: passed(b"x"))
        got = answer("test", validator, Session("s", 4, 10), Step(1))
        self.assertEqual(got.expects, 6)
        validator = Expecting(passed)
        got = answer("test", validator, Session("s", 4, 10), Step(1))
        self.assertFalse(got.HasField("expects"))


class TestSettings(unittest.TestCase):
    def wrong(self, settings, read):
        s = Settings(settings)
        read(s)
        with self.assertRaises(SettingErrors) as caught:
            s.finish()
        return [str(error) for error in caught.exception.errors]

    def test_values(self):
        s = Settings({"limit": 7, "name": "a", "none": None, "ids": [3]})
        self.assertEqual(s.number("limit"), 7.0)
        self.assertEqual(s.number("other", default=1.5), 1.5)
        self.assertEqual(s.number("none", default=2), 2.0)
        self.assertEqual(s.whole("limit", minimum=7, maximum=7), 7)
        self.assertEqual(s.whole("most", default=3), 3)
        self.assertEqual(s.value("ids"), [3])
        self.assertEqual(s.value("more", default=[]), [])
        self.assertEqual(s.text("name"), "a")
        self.assertEqual(s.text("word", default="b"), "b")
        s.finish()

    def test_everything_wrong_at_once(self):
        got = self.wrong(
            {"limit": "x", "flag": True, "high": 11, "name": 5, "typo": 1},
            lambda s: (s.number("limit"), s.number("flag"),
                       s.number("high", minimum=0, maximum=10),
                       s.text("name"), s.number("volt", unit="volts"),
                       s.text("word")))
        self.assertEqual(got, [
            "limit: want a number, got a string",
            "flag: want a number, got true or false",
            "high: want 0 to 10, got 11",
            "name: want a string, got a number",
            "volt: required: a number of volts",
            "word: required: a string",
            "typo: unknown key; the keys here are limit, flag, high, name, "
            "volt, word"])

    def test_wrong_whole_numbers(self):
        got = self.wrong(
            {"half": 1.5, "flag": True, "low": 0, "typo": 1},
            lambda s: (s.whole("half"), s.whole("flag"),
                       s.whole("low", minimum=1), s.whole("none")))
        self.assertEqual(got, [
            "half: want a whole number, got 1.5",
            "flag: want a whole number, got true or false",
            "low: want at least 1, got 0",
            "none: required: a whole number",
            "typo: unknown key; the keys here are half, flag, low, none"])

    def test_unit_stands_whole(self):
        got = self.wrong({}, lambda s: s.number("tempo", unit="mo of tempo"))
        self.assertEqual(got, ["tempo: required: a number of mo of tempo"])

    def test_no_settings_are_known(self):
        got = self.wrong({"typo": 1}, lambda s: None)
        self.assertEqual(got, [
            "typo: unknown key; there are no settings"])


if __name__ == "__main__":
    unittest.main()
