package stepfile

import (
	"fmt"
	"strings"

	"github.com/stepagent/stepagent/testdata"
)

// BuiltinNames returns the names of the procedures that Builtin knows.
func BuiltinNames() []string { return []string{"success", "failure", "timeout"} }

// Builtin returns a procedure that comes with the program, so that it runs from any
// directory. The error for an unknown name lists the names.
func Builtin(name string) (Procedure, error) {
	files := map[string][]byte{
		"success": testdata.Success, "failure": testdata.Failure, "timeout": testdata.Timeout,
	}
	data, ok := files[name]
	if !ok {
		return Procedure{}, fmt.Errorf("no built-in procedure is named %q; choose one of %s",
			name, strings.Join(BuiltinNames(), ", "))
	}
	procedure, findings := Parse(name, data)
	return procedure, AsError(name, findings)
}
