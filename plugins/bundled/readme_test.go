package bundled_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"github.com/stepagent/stepagent/plugins/bundled"
	"github.com/stepagent/stepagent/plugins/sdk"
)

// TestReadmeConfigs makes each validator from the configs that its README shows.
func TestReadmeConfigs(t *testing.T) {
	t.Parallel()
	validators := bundled.Plugin("").Validators
	if len(validators) == 0 {
		t.Fatal("no validators")
	}
	for _, v := range validators {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			readme, err := os.ReadFile(filepath.Join("..", strings.ReplaceAll(v.Name, "_", ""), "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllSubmatch(readme, -1)
			if len(blocks) < 2 {
				t.Fatalf("got %d configs, want a synopsis and an example", len(blocks))
			}
			for _, block := range blocks {
				makeFrom(t, v, block[1])
			}
		})
	}
}

// makeFrom makes a validator from a config with this one validator.
func makeFrom(t *testing.T, v sdk.Validator, text []byte) {
	t.Helper()
	var config struct {
		Validators []struct {
			Name     string
			Settings map[string]any
		}
	}
	if err := toml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	if len(config.Validators) != 1 || config.Validators[0].Name != v.Name {
		t.Fatalf("want one validator %s in\n%s", v.Name, text)
	}
	settings, err := json.Marshal(config.Validators[0].Settings)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.New(settings); err != nil {
		t.Errorf("%s\n%v", text, err)
	}
}
