package main

import (
	"testing"

	"github.com/spf13/cobra"
)

// The defaults that are shown are those of the flags, and each setting is one of a command's.
func TestSettingsAreFlags(t *testing.T) {
	commands := []*cobra.Command{newRun(nil, nil), newLoad(nil, nil), newReport()}
	for _, key := range settingKeys() {
		found := false
		for _, cmd := range commands {
			flag := cmd.Flags().Lookup(flagOf(key.Name))
			if flag == nil {
				continue
			}
			found = true
			if flag.DefValue != key.Default && key.Name != "data" { // load has one, run has none
				t.Errorf("%s of %s is %q by default, and is said to be %q", key.Name, cmd.Name(), flag.DefValue, key.Default)
			}
		}
		if !found {
			t.Errorf("no command has a flag for %s", key.Name)
		}
		if key.Default != "" && key.Check(key.Default) != nil {
			t.Errorf("the default of %s is wrong", key.Name)
		}
	}
}
