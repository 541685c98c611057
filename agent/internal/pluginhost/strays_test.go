package pluginhost

import "testing"

// A process that takes longer to end than its stop waits for it is swept after all, beside the close
// or after it.
func TestSweepBesideTheClose(*testing.T) {
	for range 100 {
		f := newFamily(false)
		closed, swept := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(closed)
			f.close()
		}()
		f.sweep(func() { close(swept) })
		<-swept
		<-closed
	}
}
