// Command bench is a user's own plugin, for the acceptance test of the packages. Its validators need
// the settings of the example drop-ins.
package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/validator"
)

const version = "1.0.0"

func main() {
	sdk.Serve(sdk.Plugin{Name: "bench", Version: version, Validators: []sdk.Validator{
		{Name: "token", Version: version, Summary: "the data have the bench's token", New: newToken},
		{Name: "slow", Version: version, Summary: "each verdict takes three seconds",
			New: func([]byte) (validator.Validator, error) { return slow{}, nil }},
		{Name: "hungry", Version: version, Summary: "step 3 takes a gibibyte of memory",
			New: func([]byte) (validator.Validator, error) { return hungry{}, nil }},
	}})
}

// A token passes steps whose data hold the secret that systemd gives to the service.
type token struct{ secret []byte }

func newToken([]byte) (validator.Validator, error) {
	file := filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), "bench-token")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the bench's token: %w; give it to the service with LoadCredential=bench-token", err)
	}
	return token{[]byte(strings.TrimSpace(string(text)))}, nil
}

// Reads implements validator.Declarer.
func (t token) Reads() validator.Inputs { return validator.InputData }

func (t token) Validate(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	var data struct{ Token string }
	sent := json.Unmarshal(step.Data, &data) == nil
	if !sent || subtle.ConstantTimeCompare([]byte(data.Token), t.secret) == 0 {
		return validator.FailWith(validator.RuleBroken, "the data do not have the bench's token", nil), nil
	}
	return validator.PassWith(nil), nil
}

// A slow validator keeps a step in flight. It declares no inputs, so that no verdict is cached.
type slow struct{}

func (slow) Validate(ctx context.Context, _ validator.Session, _ validator.Step) (validator.Verdict, error) {
	select {
	case <-time.After(3 * time.Second):
		return validator.PassWith(nil), nil
	case <-ctx.Done():
		return validator.Verdict{}, ctx.Err()
	}
}

// A hungry validator uses more memory than the service may.
type hungry struct{}

// Reads implements validator.Declarer.
func (hungry) Reads() validator.Inputs { return validator.InputStepID }

func (hungry) Validate(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	if step.ID == 3 {
		taken := make([]byte, 1<<30)
		for i := 0; i < len(taken); i += 4096 {
			taken[i] = 1 // the kernel allocates memory at the first write
		}
		return validator.FailWith(validator.RuleBroken, fmt.Sprintf("%d bytes were there", len(taken)), nil), nil
	}
	return validator.PassWith(nil), nil
}
