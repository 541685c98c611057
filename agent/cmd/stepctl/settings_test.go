package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/internal/client/load"
	"github.com/stepagent/stepagent/agent/internal/client/report/html"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// Each setting is a flag of settings and of another command.
func TestSettingsAreFlags(t *testing.T) {
	commands := []*cobra.Command{newRun(nil, nil), newLoad(nil, nil), newReport(), newCollect(nil)}
	for _, flag := range config.ClientFlags() {
		found := slices.ContainsFunc(commands, func(cmd *cobra.Command) bool { return cmd.Flags().Lookup(flag.Name) != nil })
		if !found || newSettings().Flags().Lookup(flag.Name) == nil {
			t.Errorf("no command has a flag for %s", flag.Key)
		}
	}
}

// The tags of config.Client hold no constants of other packages.
func TestSettingsFollowThePackages(t *testing.T) {
	defaults, err := config.LoadClient(config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(defaults.Settings); got != len(config.ClientFlags()) {
		t.Errorf("%d settings have %d flags", got, len(config.ClientFlags()))
	}
	if defaults.Timeout.Duration() != client.DefaultDialTimeout || defaults.Wait.Duration() != load.DefaultWait ||
		defaults.MaxStrays != runner.DefaultMaxStrays || defaults.Lang != string(html.English) {
		t.Errorf("the defaults are %+v", defaults.Client)
	}
	for key, words := range map[string][]string{"lang": html.Languages(), "data": stepfile.BuiltinNames()} {
		for _, word := range words {
			if _, err := config.LoadClient(config.Sources{Set: map[string]string{key: word}}); err != nil {
				t.Errorf("%s = %s: %v", key, word, err)
			}
		}
		usage := config.ClientFlags()[slices.IndexFunc(config.ClientFlags(), func(f config.Flag) bool { return f.Key == key })].Usage
		if list := words[:len(words)-1]; !strings.Contains(usage, strings.Join(list, ", ")+" or "+words[len(words)-1]) {
			t.Errorf("the usage of --%s does not name %v: %s", key, words, usage)
		}
	}
}
