//go:build !unix

package load

// dialProblem says why there is no connection.
func dialProblem(err error) string { return err.Error() }
