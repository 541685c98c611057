package judge

// Bytes returns the size of the states.
func (m Memory) Bytes() int {
	n := 0
	for _, r := range m {
		n += len(r.state)
	}
	return n
}
