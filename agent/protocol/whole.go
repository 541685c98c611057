package protocol

// DecodeWhole decodes bytes that are one request and nothing else but white space around it,
// of at most maxBytes bytes without that; 0 or less means DefaultMaxMessageBytes. False says that
// they are something else, which may be the beginning of a request or several: then a Reader has
// to tell. Nothing in the result is part of b.
func DecodeWhole(b []byte, maxBytes int) (Request, bool) {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxMessageBytes
	}
	message := trim(b)
	if len(message) > maxBytes {
		return Request{}, false
	}
	req, err := DecodeRequest(message) // which takes a whole object only, and so just what a Reader cuts
	return req, err == nil
}

// trim returns b without the white space around it.
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}
