package stream

import "testing"

// However much comes in messages, nothing waits; of what does not, so much is let through at once.
func TestMeter(t *testing.T) {
	const message = 1000
	m := newMeter()
	for range 4 * bareBurst / message {
		if wait := m.read(message + messageFrames); wait > 0 {
			t.Fatalf("a message waits for %v", wait)
		}
		m.message(message)
	}
	select {
	case <-m.flooded:
		t.Fatal("messages are taken for a flood")
	default:
	}
	for range 2 * bareBurst / message {
		m.read(message)
	}
	select {
	case <-m.flooded:
	default:
		t.Error("a flood is not found")
	}
}
