"""The example, and the template."""

import json
import unittest

import template
import torque
from stepagent_validator import (
    Input, Reason, Session, SettingErrors, Step, Undecided,
)


def walk(validator, *torques):
    """Send torques one after another and return the details."""
    session, details = Session("s", 0, 10), []
    for value in torques:
        data = json.dumps({"torque": value}).encode()
        got = validator.validate(session, Step(session.position + 1,
                                               data=data))
        got.check()
        details.append(got.detail)
        session = session._replace(position=session.position + 1,
                                   state=got.state)
    return details


class TestTorque(unittest.TestCase):
    def setUp(self):
        self.torque = torque.make({"newton_metres": 12, "tolerance": 1,
                                   "spread": 1.5})

    def test_within(self):
        self.assertEqual(walk(self.torque, 11, 12.5, 12), ["", "", ""])

    def test_beyond(self):
        got = walk(self.torque, 12, 10.9, 12)
        self.assertEqual(got[:2], [
            "", "torque 10.9 Nm is not within 1 Nm of 12 Nm"])

    def test_spread(self):
        self.assertEqual(walk(self.torque, 11, 12.6)[1],
                         "the torques of this session go from 11 to 12.6 Nm, "
                         "more than 1.5 Nm apart")

    def test_no_measurement(self):
        for data in (b"", b"{}", b'{"torque":null}', b'{"torque":"12"}',
                     b'{"torque":true}', b'{"torque":1e999}',
                     b'{"torque":1' + b"0" * 400 + b"}"):
            got = self.torque.validate(Session("s", 0, 10),
                                       Step(1, data=data))
            self.assertEqual(got.reason, Reason.RULE_BROKEN, data)

    def test_foreign_state(self):
        for state in (b"\x01", b"\x02" + bytes(16), bytes(18)):
            with self.assertRaises(Undecided):
                self.torque.validate(Session("s", 1, 10, state), Step(1))

    def test_reads(self):
        self.assertEqual(list(self.torque.reads()), [Input.DATA])

    def test_settings(self):
        with self.assertRaises(SettingErrors):
            torque.make({})
        with self.assertRaises(SettingErrors):
            torque.make({"newton_metres": 12, "spraed": 1})


class TestTemplate(unittest.TestCase):
    def test_template(self):
        mine = template.make({"limit": 3})
        self.assertEqual(list(mine.reads()), [Input.STEP_ID])
        session = Session("s", 0, 10)
        self.assertIsNone(mine.validate(session, Step(3)).reason)
        self.assertEqual(mine.validate(session, Step(4)).detail,
                         "step 4 is above 3")


if __name__ == "__main__":
    unittest.main()
