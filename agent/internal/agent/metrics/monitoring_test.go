package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

const monitoring = "../../../../packaging/monitoring/"

var metricName = regexp.MustCompile(`\b(?:stepagent|go|process)_[a-z_]+\b`)

// known returns every name by which Prometheus has a metric of the agent.
func known(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	_, body := scrape(t, handler(busy), "")
	for line := range strings.Lines(body) {
		if fields := strings.Fields(line); fields[0] == "#" {
			names[fields[2]] = true // a histogram's too, by which it is native
		} else {
			name, _, _ := strings.Cut(fields[0], "{")
			names[name] = true
		}
	}
	return names
}

// TestAlerts: the rules name metrics that exist.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile(monitoring + "stepagent-alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names, found := known(t), 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") || strings.Contains(line, "description:") {
			continue
		}
		for _, name := range metricName.FindAllString(line, -1) {
			found++
			if !names[name] {
				t.Errorf("there is no metric %s: %s", name, line)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d metrics are named", found)
	}
}

// TestDashboard: its queries name metrics that exist, every metric of the agent among them, and each
// panel says what it shows and in which unit.
func TestDashboard(t *testing.T) {
	type panel struct {
		ID          int    `json:"id"`
		Type, Title string `json:",omitempty"`
		FieldConfig struct {
			Defaults struct{ Unit string }
		}
		Targets []struct{ Expr string }
	}
	var dashboard struct {
		UID        string
		Panels     []panel
		Templating struct{ List []struct{ Name string } }
	}
	text, err := os.ReadFile(monitoring + "stepagent-dashboard.json")
	if err == nil {
		err = json.Unmarshal(text, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	if l := dashboard.Templating.List; dashboard.UID != "stepagent" || len(l) != 2 || l[0].Name != "datasource" || l[1].Name != "instance" {
		t.Errorf("uid %q, variables %v", dashboard.UID, dashboard.Templating.List)
	}
	names, shown, ids := known(t), map[string]bool{}, map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d, %q: no number of its own, or no title", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.FieldConfig.Defaults.Unit == "" && p.Type != "table" {
			t.Errorf("panel %q: no query or no unit", p.Title)
		}
		for _, target := range p.Targets {
			if !strings.Contains(target.Expr, `instance=~"$instance"`) {
				t.Errorf("panel %q does not heed the choice of agents: %s", p.Title, target.Expr)
			}
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				if !names[name] {
					t.Errorf("panel %q: there is no metric %s", p.Title, name)
				}
				shown[name] = true
			}
		}
	}
	for _, m := range metrics {
		if !shown[namespace+"_"+m.name] {
			t.Errorf("no panel shows %s", m.name)
		}
	}
}
