package rules_test

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"github.com/stepagent/stepagent/plugins/rules"
)

func TestReadmeConfigs(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllSubmatch(readme, -1)
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
		if err := toml.Unmarshal(block[1], &config); err != nil {
			t.Fatal(err)
		}
		if len(config.Validators) != 1 || config.Validators[0].Name != rules.Name {
			t.Fatalf("want one validator %s in\n%s", rules.Name, block[1])
		}
		settings, err := json.Marshal(config.Validators[0].Settings)
		if err != nil {
			t.Fatal(err)
		}
		newRules(t, string(settings))
	}
}
