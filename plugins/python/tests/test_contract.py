"""The contract, the settings and what becomes of a validator's answer."""

import unittest

from stepagent_validator import (
    BadData, Fault, FaultKind, Input, Kind, Plugin, Reason, Session,
    SettingErrors, Settings, Step, Undecided, Verdict, failed, passed,
)
from stepagent_validator import validator_pb2 as pb
from stepagent_validator.convert import MAX_ERROR_BYTES, answer, call_parts
from stepagent_validator.service import Service


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
        self.assertEqual(session, Session("", 3, 10, b"x"))
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


class Declares:
    """A validator that notes what it is given."""

    def __init__(self, reads):
        self.declared = reads
        self.given = []

    def reads(self):
        return self.declared() if callable(self.declared) else self.declared

    def validate(self, session, step):
        self.given.append((session, step))
        return passed(b"new")

    def expects(self, session):
        self.given.append(session)
        return session.position


class TestReads(unittest.TestCase):
    SESSION = Session("", 4, 10, b"old")
    STEP = Step(7, 5.0, 0.5, 1.5, 0.25, b'{"a":1}')
    ABSENT = (Session("", 0, 0, b"old"), Step(0))

    def configured(self, *validators):
        """Return a service with the validators, and what it said."""
        left = list(validators)
        kind = Kind("mine", "1", "", lambda settings: left.pop(0))
        service = Service(Plugin("p", "1", [kind]), lambda: None)
        self.addCleanup(service._pool.shutdown)
        response = service.configure(pb.ConfigureRequest(instances=[
            pb.Instance(name=str(n), validator="mine")
            for n in range(len(validators))]), None)
        return service, response.results

    def test_numbers_are_those_of_the_contract(self):
        self.assertEqual(
            [(f"INPUT_{i.name}", i.value) for i in Input],
            [(name, n) for name, n in pb.Input.items() if n > 0])

    def test_declaration(self):
        reads = [Input.DATA, Input.STEP_ID, Input.DATA]
        _, results = self.configured(
            Declares(reads), Declares([]), Declares(lambda: iter(reads)),
            Declares(set(Input)), Does(passed))
        self.assertFalse(any(r.problems for r in results))
        self.assertEqual(
            [list(r.reads.inputs) for r in results],
            [[3, 8], [], [3, 8], [1, 2, 3, 4, 5, 6, 7, 8], []])
        self.assertEqual([r.HasField("reads") for r in results],
                         [True, True, True, True, False])

    def test_mistakes_are_problems(self):
        def fails():
            raise KeyError("limit")

        def later():
            yield Input.DATA
            raise ValueError("no idea")

        no_method = Does(passed)
        no_method.reads = [Input.DATA]
        for validator, want in (
                (Declares(None), "want an iterable of Input, got None"),
                (Declares(5), "want an iterable of Input, got 5"),
                (Declares(Input.DATA), "want an iterable of Input, got <Inp"),
                (Declares([8]), "want an iterable of Input, got 8 in it"),
                (Declares("data"), "want an iterable of Input, got 'd' in"),
                (Declares([Input.DATA, None]), "got None in it"),
                (Declares(fails), "'limit'"),
                (Declares(later), "no idea"),
                (no_method, "want a method, got [<Input.DATA")):
            service, results = self.configured(validator)
            said = [p.problem for p in results[0].problems]
            self.assertEqual(len(said), 1, want)
            self.assertTrue(said[0].startswith("reads: "), said)
            self.assertIn(want, said[0])
            self.assertFalse(results[0].HasField("reads"))
            self.assertIsNone(service._instances)

    def test_only_what_is_declared_is_given(self):
        session, step = self.SESSION, self.STEP
        for one in Input:
            validator = Declares([one])
            answer("test", validator, session, step, frozenset([one]))
            name = one.name.lower()
            want = {
                Input.POSITION: (self.ABSENT[0]._replace(position=4),
                                 self.ABSENT[1]),
                Input.STEPS: (self.ABSENT[0]._replace(steps=10),
                              self.ABSENT[1]),
                Input.STEP_ID: (self.ABSENT[0], Step(7)),
            }.get(one) or (
                self.ABSENT[0],
                self.ABSENT[1]._replace(**{name: getattr(step, name)}))
            self.assertEqual(validator.given[0], want)

    def test_expects_is_given_no_more(self):
        for reads, first, then in (
                ([], Session("", 0, 0), Session("", 0, 0, b"new")),
                ([Input.POSITION], Session("", 0, 0),
                 Session("", 5, 0, b"new")),
                ([Input.STEPS], Session("", 0, 1),
                 Session("", 0, 10, b"new"))):
            validator = Declares(reads)
            service, _ = self.configured(validator)
            self.assertEqual(validator.given, [first])
            got = service._instances[0].judge(self.SESSION, self.STEP)
            self.assertEqual(validator.given[2], then)
            self.assertEqual(got.expects, then.position)

    def test_neighbours_have_their_own(self):
        narrow, wide = Declares([Input.STEP_ID]), Does(passed)
        wide.validate = lambda session, step: passed(step.data)
        service, _ = self.configured(narrow, wide)
        out = []
        call = pb.StepCall(call=1, states=[b"old", b""])
        call.session.id, call.step.id, call.step.data = "secret", 7, b"{}"
        service._answer(call, type("Out", (), {"put": out.append}))
        self.assertEqual(narrow.given[1],
                         (Session("", 0, 0, b"old"), Step(7)))
        self.assertEqual(out[0].verdicts[1].state, b"{}")

    def test_nothing_declared_is_everything(self):
        given = []
        validator = Does(passed)
        validator.validate = lambda *parts: given.append(parts) or passed()
        service, _ = self.configured(validator)
        service._instances[0].judge(self.SESSION, self.STEP)
        self.assertEqual(given, [(self.SESSION, self.STEP)])


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
