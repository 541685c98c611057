package main

// A relation is a table of the database in a drawing: its name, a note, and its columns with their
// meanings.
type relation struct {
	x, y, width int
	name, note  string
	columns     [][2]string
}

// relationHeight is the height of a relation with n columns.
func relationHeight(n int) int { return 58 + n*lineHeight }

func (c *canvas) relation(r relation) {
	height := relationHeight(len(r.columns))
	c.printf(`<rect class="box" x="%d" y="%d" width="%d" height="%d" rx="7"/>`, r.x, r.y, r.width, height)
	c.text("title", "start", r.x+12, r.y+22, r.name)
	c.text("line", "start", r.x+12, r.y+39, r.note)
	c.printf(`<path class="rule" d="M%d %dh%d"/>`, r.x, r.y+47, r.width)
	for i, column := range r.columns {
		y := r.y + 64 + i*lineHeight
		c.text("column", "start", r.x+12, y, column[0])
		c.text("line", "end", r.x+r.width-12, y, column[1])
	}
}

// schema shows the tables of the database and which rows belong together.
func schema() []byte {
	c := newCanvas("The tables of the database of stepctl", 1080, 830)
	c.relation(relation{20, 20, 300, "procedures", "a version is never changed", [][2]string{
		{"name, version", "key"}, {"sha256", "of content"}, {"content", "the step file"}, {"steps", "their number"}, {"imported", "time"},
	}})
	c.relation(relation{20, 250, 300, "queue", "what a worker is to perform", [][2]string{
		{"id", "key"}, {"procedure, version", "version null: newest"}, {"board, labels, priority", ""}, {"due, every, times", "when and how often"},
		{"performed, attempt, run", "so far"}, {"state, problem", ""}, {"worker, lease, leased_until", "who has it"}, {"added", "time"},
	}})
	c.relation(relation{20, 488, 300, "baselines", "named sets of runs", [][2]string{
		{"procedure, name, run", "key"}, {"made", "time"},
	}})
	c.relation(relation{420, 20, 300, "runs", "one run or load test", [][2]string{
		{"id", "key"}, {"kind", "run or load"}, {"procedure, version", ""}, {"procedure_sha256", "of the step file"}, {"board, address, session", ""},
		{"client, agent, host", "versions, machine"}, {"started, seen", "times"}, {"state", "running, ended,"}, {"", "interrupted"}, {"cause, verdict", ""},
		{"duration", "seconds"}, {"steps, passed, failed,", ""}, {"undecided", "numbers of steps"}, {"result", "of a load test"},
		{"record_sha256", "once in the table"}, {"entry, attempt, worker", "of the queue"},
	}})
	c.relation(relation{800, 20, 260, "events", "the record, byte for byte", [][2]string{
		{"run, first", "key"}, {"lines", "JSON lines"},
	}})
	c.relation(relation{800, 190, 260, "steps", "derived from events", [][2]string{
		{"run, idx", "key"}, {"step_id", ""}, {"timeout, interval", "declared, seconds"}, {"outcome, reason", ""},
		{"sent_at, took, kept", "seconds"},
	}})
	c.relation(relation{800, 420, 260, "labels", "free words about a run", [][2]string{
		{"run, key", "key"}, {"value", ""},
	}})
	c.relation(relation{420, 630, 300, "agent_events", "what agents have judged", [][2]string{
		{"board, at, digest", "key"}, {"line", "of the agent's record"}, {"fleet, message", "where it came from"}, {"kind, session,", ""},
		{"session_id, identity", "derived from the line"}, {"client, step_id,", ""}, {"position, reason, ...", ""},
	}})
	c.relation(relation{20, 630, 300, "agent_messages", "messages of NATS", [][2]string{
		{"id", "key"}, {"fleet, board, kind", ""}, {"sequence, published", "in the stream"}, {"events, sha256", "of the message"}, {"collected", "time"},
	}})
	c.relation(relation{800, 630, 260, "agent_rejects", "messages put aside", [][2]string{
		{"digest", "key"}, {"id, subject, body", "of the message"}, {"sequence, published", "in the stream"}, {"problem", "why"}, {"collected", "time"},
	}})
	c.arrow(418, 690, 322, 690)
	c.text("line", "middle", 370, 682, "came in")
	c.arrow(418, 92, 322, 92)
	c.text("line", "middle", 370, 84, "a version of")
	c.arrow(320, 380, 418, 300)
	c.text("line", "middle", 375, 390, "performs")
	c.arrow(150, 250, 150, 165)
	c.text("line", "start", 160, 214, "names")
	c.arrow(320, 534, 570, 534, 570, 352)
	c.text("line", "middle", 440, 526, "are sets of")
	c.arrow(798, 70, 722, 70)
	c.arrow(798, 250, 722, 250)
	c.arrow(798, 470, 760, 470, 760, 300, 722, 300)
	c.text("line", "middle", 760, 62, "of")
	c.text("line", "middle", 760, 242, "of")
	c.text("line", "middle", 742, 292, "of")
	return c.finish()
}
