package sessionstore

// NewCodec returns a Codec with the clock of the system.
func NewCodec() (*Codec, error) {
	clock, err := newClock()
	if err != nil {
		return nil, err
	}
	return &Codec{clock: clock}, nil
}
