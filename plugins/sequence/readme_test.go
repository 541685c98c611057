package sequence_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
)

func TestReadmeConfigs(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	if len(blocks) < 2 {
		t.Fatalf("got %d configs, want a synopsis and an example", len(blocks))
	}
	for _, block := range blocks {
		var config struct {
			Validators []struct {
				Name     string
				Settings map[string]any
			}
		}
		if err := toml.Unmarshal([]byte(block[1]), &config); err != nil {
			t.Fatal(err)
		}
		if len(config.Validators) != 1 || config.Validators[0].Name != sequence.Name {
			t.Fatalf("want one validator %s in\n%s", sequence.Name, block[1])
		}
		settings, err := json.Marshal(config.Validators[0].Settings)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sequence.New(settings); err != nil {
			t.Errorf("%s\n%v", block[1], err)
		}
	}
}

// TestReadmeTable sends what the README's table sends and compares what it says.
func TestReadmeTable(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile(`(?m)^\| ([\d ]+) \| ([\dx ]+) \| ([\dx ]+) \| ([\dx ]+) \|$`).FindAllStringSubmatch(readme(t), -1)
	if len(rows) != 4 {
		t.Fatalf("got %d rows, want 4", len(rows))
	}
	for _, row := range rows {
		for i, mode := range modes {
			c := client{Validator: newSequence(t, settings(1, 10, mode)), session: validator.Session{Steps: 10}}
			var got []string
			for _, field := range strings.Fields(row[1]) {
				id, err := strconv.ParseInt(field, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				if c.send(t, id).Outcome != validator.Pass {
					field = "x"
				}
				got = append(got, field)
			}
			if got := strings.Join(got, " "); got != row[2+i] {
				t.Errorf("%s, %s: got %s, the README says %s", row[1], mode, got, row[2+i])
			}
		}
	}
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
