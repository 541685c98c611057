package sequence_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/plugins/validator"
)

// TestReadmeTable sends the steps of the table in the README and compares the verdicts.
func TestReadmeTable(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| ([\d ]+) \| ([\dx ]+) \| ([\dx ]+) \| ([\dx ]+) \|$`).FindAllStringSubmatch(string(readme), -1)
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
