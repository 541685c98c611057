package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError is the error for flags that cannot be read. A name after one hyphen is a mistake for one after two.
func flagError(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		rest, _, _ := strings.Cut(unknown.GetSpecifiedShortnames(), "=")
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			// Of -host, pflag has taken the h for --help.
			if len(rest) > 1 && (flag.Name == rest || flag.Name[1:] == rest) {
				err = fmt.Errorf("%w; did you mean --%s?", unknown, flag.Name)
			}
		})
	}
	return Usage(err)
}
