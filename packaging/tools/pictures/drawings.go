package main

// architecture shows the parts that a step passes on its way, and the files beside them.
func architecture() []byte {
	c := newCanvas("A step on its way from stepctl to a validator", 1080, 590)
	c.panel(20, 20, 220, 550, "test host", "")
	c.box("file", 40, 62, 180, 34, "step file (JSON)")
	c.arrow(130, 96, 130, 118)
	c.box("box", 40, 120, 180, 66, "stepctl run", "the client: sends the", "steps one by one")
	for i, file := range []string{"record (JSON lines)", "report (HTML)", "packet capture"} {
		y := 222 + i*52
		c.arrow(28, 153, 28, y+18, 38, y+18)
		c.box("file", 40, y, 180, 36, file)
	}
	c.printf(`<polyline class="arrow" style="marker-end:none" points="40 153 28 153"/>`)
	c.arrow(130, 362, 130, 400)
	c.box("box", 40, 402, 180, 82, "stepctl verify", "judges each step again", "from the packets; checks", "the record against them")

	c.panel(370, 20, 690, 550, "board", "")
	c.panel(392, 54, 326, 400, "agent (stepagent serve)", "serves many clients at once")
	c.arrow(220, 138, 408, 138)
	c.text("line", "middle", 305, 130, "request: one step")
	c.arrow(410, 168, 222, 168)
	c.text("line", "middle", 305, 185, "reply: pass or fail")
	c.text("title", "middle", 305, 157, "TCP, JSON")
	for i, part := range [][]string{
		{"server", "reads each request, sends each reply;", "limits connections and message sizes"},
		{"session", "finds the run that the step belongs to;", "keeps its position and its state"},
		{"judge", "asks every validator in the config;", "a step passes if all of them pass it"},
		{"verdict cache", "answers from memory if the same", "input was judged before"},
	} {
		y := 120 + i*84
		if i == 0 {
			y = 118
		}
		c.box("box", 410, y, 290, 66, part...)
		if i > 0 {
			c.arrow(520, y-18, 520, y-2)
			c.arrow(590, y, 590, y-16)
		}
	}
	c.text("line", "end", 512, 196, "step")
	c.text("line", "start", 598, 196, "verdict")

	c.panel(838, 182, 206, 110, "plugin process", "")
	c.box("box", 852, 216, 178, 62, "your own validator", "Go or Python")
	c.panel(838, 344, 206, 110, "plugin process", "")
	c.box("box", 852, 378, 178, 62, "bundled validators", "sequence, min_timeout")
	c.arrow(700, 405, 780, 405, 780, 247, 850, 247)
	c.arrow(780, 405, 850, 405)
	c.text("title", "middle", 778, 426, "gRPC")
	c.text("line", "middle", 778, 444, "if not in the", "cache")
	c.text("line", "start", 838, 480, "the agent replaces a process", "that crashes or hangs")

	c.box("file", 392, 500, 100, 50, "config", "TOML, YAML")
	c.arrow(442, 500, 442, 456)
	c.box("file", 505, 500, 100, 50, "log", "journal")
	c.arrow(555, 454, 555, 498)
	c.box("file", 618, 500, 100, 50, "record", "JSON lines")
	c.arrow(668, 454, 668, 498)
	return c.finish()
}

// session shows the states of a session and what moves it from one to the next.
func session() []byte {
	c := newCanvas("The life of a session", 1080, 470)
	c.box("panel", 20, 100, 140, 66, "no session")
	c.box("box", 400, 90, 230, 86, "open", "judges one step at a time;", "knows its position")
	c.box("box", 860, 90, 200, 86, "completed", "every position is judged;", "the next step begins anew")
	c.box("box", 400, 330, 230, 86, "disconnected", "its connection has closed;", "it waits for its client")
	c.box("box", 860, 330, 200, 86, "incomplete", "ended early; the log", "gives the cause")

	c.arrow(160, 133, 398, 133)
	c.text("line", "middle", 280, 122, "the first step is judged")
	c.text("line", "middle", 280, 152, "(an undecided step", "begins no session)")
	c.arrow(450, 90, 450, 56, 580, 56, 580, 88)
	c.text("line", "middle", 515, 28, "a step passes or fails: the position goes up by one")
	c.text("line", "middle", 515, 46, "a step is undecided: nothing changes, the client may send it again")
	c.arrow(630, 133, 858, 133)
	c.text("line", "middle", 745, 104, "the last position is", "judged; the reply")
	c.text("line", "middle", 745, 152, `has "end": true`)
	c.arrow(460, 176, 460, 328)
	c.text("line", "end", 450, 250, "the connection closes")
	c.arrow(560, 330, 560, 178)
	c.text("line", "start", 572, 288, "the client returns: the same session", "name, or the step that is expected")
	c.arrow(630, 373, 858, 373)
	c.text("line", "middle", 745, 362, "session.resume_window")
	c.text("line", "middle", 745, 392, "(1 min) is over *")
	c.arrow(610, 176, 610, 215, 960, 215, 960, 328)
	c.text("line", "start", 650, 236, "no step for session.idle_timeout (5 min) *,", "or the agent stops")
	c.text("line", "start", 20, 448, "* counted from the end of the interval that the client declared for its next step")
	return c.finish()
}
