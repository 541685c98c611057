// Package junit writes the report of a run as JUnit XML, for CI servers.
//
// There is no standard. The output conforms to two widespread schemas: that of the Jenkins xUnit
// plugin and the stricter one known as Windy Road's, see testdata/junit.xsd.
package junit

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A suite is a run. The order of the fields is that of the schema.
type suite struct {
	ID         int        `xml:"id,attr"`
	Name       string     `xml:"name,attr"`
	Package    string     `xml:"package,attr"`
	Tests      int        `xml:"tests,attr"`
	Failures   int        `xml:"failures,attr"`
	Errors     int        `xml:"errors,attr"`
	Time       string     `xml:"time,attr"`
	Timestamp  string     `xml:"timestamp,attr"`
	Hostname   string     `xml:"hostname,attr"`
	Properties []property `xml:"properties>property"`
	Cases      []testCase `xml:"testcase"`
	Out        string     `xml:"system-out"`
	Err        string     `xml:"system-err"`
}

type property struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

// A testCase is one expected step.
type testCase struct {
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Time    string   `xml:"time,attr"`
	Failure *problem `xml:"failure"`
	Error   *problem `xml:"error"`
}

// A problem says why a step did not pass. Jenkins shows the message, and GitLab the text, or the attributes
// in the notation of Ruby if there is none.
type problem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func newProblem(why, kind string) *problem { return &problem{Message: why, Type: kind, Text: why} }

// Write writes the run as one JUnit document: a suite with a test case for each expected step. A
// step that the agent refused is a failure, with the reason as its type. Any other step that did not
// pass was not judged and is an error: timeout, lost connection, failure of the agent, not run. If no
// step has a failure or an error and yet there is no verdict, as when the record has no end, a further
// case "end" has an error. So no server counts an unfinished run as a pass.
func Write(w io.Writer, run record.Run) error {
	s := newSuite(run)
	s.addCases(run, classOf(run.Start.Procedure.Name))
	return encode(w, func(yield func(suite) bool) { yield(s) })
}

// encode writes a document of the suites, one after the other.
func encode(w io.Writer, all iter.Seq[suite]) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	root := xml.StartElement{Name: xml.Name{Local: "testsuites"}}
	if err := enc.EncodeToken(root); err != nil {
		return err
	}
	for s := range all {
		if err := enc.EncodeElement(s, xml.StartElement{Name: xml.Name{Local: "testsuite"}}); err != nil {
			return err
		}
	}
	if err := errors.Join(enc.EncodeToken(root.End()), enc.Flush()); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// newSuite returns the suite of a run, still without cases.
func newSuite(run record.Run) suite {
	return suite{
		Name: logging.Clean(run.Start.Procedure.Name), Package: "stepctl",
		Time: phrase.Seconds(run.Duration), Timestamp: run.Start.Time.UTC().Format("2006-01-02T15:04:05"),
		Hostname:   cmp.Or(strings.TrimSpace(logging.Clean(run.Start.Host)), "localhost"), // required
		Properties: properties(run),
		Out:        report.Sentence(run) + "\n", Err: extras(run),
	}
}

// addCases adds the cases of a run, which have a class.
func (s *suite) addCases(run record.Run, class string) {
	for _, step := range run.Steps {
		c := testCase{Name: fmt.Sprintf("%d. step %d", step.Index, step.StepID), Class: class, Time: phrase.Seconds(step.Took)}
		why := cmp.Or(report.Detail(step), report.Word(step.Outcome))
		p := newProblem(why, cmp.Or(logging.Clean(string(step.Reason)), step.Outcome.String()))
		switch {
		case step.Outcome == record.Passed:
		case step.Outcome == record.Failed && !step.Reason.AgentsOwn():
			c.Failure = p
		default:
			c.Error = p
		}
		s.add(c)
	}
	if run.Verdict == record.Undecided && s.Failures+s.Errors == 0 {
		s.add(testCase{Name: "end", Class: class, Time: phrase.Seconds(0), Error: newProblem(report.Sentence(run), run.Verdict.String())})
	}
}

// add adds and counts a case.
func (s *suite) add(c testCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Error != nil {
		s.Errors++
	}
}

func properties(run record.Run) []property {
	start := run.Start
	cause := string(run.Cause)
	if run.Cut() {
		cause = "the record has no end"
	}
	all := []property{
		{"client", "stepctl " + start.Client}, {"agent", cmp.Or(strings.Join(run.Agents, ", "), "not known")}, {"address", start.Address}, {"session", start.Session},
		{"procedure", start.Procedure.Name}, {"procedure.sha256", start.Procedure.SHA256},
		{"started", start.Time.Format(time.RFC3339Nano)}, {"cause", cause}, {"verdict", run.Verdict.String()},
		{"record.format", strconv.Itoa(start.Format)},
	}
	if secured := report.Security(run); len(secured) > 0 {
		all = append(all, property{"tls", strings.Join(secured, ", then ")})
	}
	if run.Reconnects > 0 || run.Away > 0 {
		all = append(all, property{"reconnects", strconv.Itoa(run.Reconnects)}, property{"away", phrase.Seconds(run.Away)})
	}
	if len(start.Addresses) > 0 {
		all = append(all, property{"addresses", strings.Join(start.Addresses, ", ")})
	}
	if moved := report.Moved(run); moved != "" {
		all = append(all, property{"moved", moved})
	}
	for i := range all {
		all[i].Value = logging.Clean(all[i].Value)
	}
	return all
}

// extras has one line for each step that was tried again and each stray.
func extras(run record.Run) string {
	var b strings.Builder
	for _, step := range run.Steps {
		if retried := report.Retried(step); retried != "" {
			fmt.Fprintf(&b, "step %d: %s\n", step.StepID, retried)
		}
	}
	for _, stray := range run.Strays {
		b.WriteString(report.Line(stray, record.StepResult{}) + "\n")
	}
	if run.Dropped > 0 {
		fmt.Fprintf(&b, "strays that were counted and not kept: %d\n", run.Dropped)
	}
	return b.String()
}

// classOf returns the class of the cases of a procedure, in packages that begin with stepctl.
func classOf(procedure string, packages ...string) string {
	base := strings.TrimSuffix(filepath.Base(procedure), filepath.Ext(procedure))
	class := "stepctl"
	for _, part := range append(packages, base) {
		class += "." + strings.ReplaceAll(logging.Clean(part), ".", "_") // CI servers separate packages by points
	}
	return class
}
