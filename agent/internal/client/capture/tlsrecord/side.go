package tlsrecord

// A decryption is that of one side.
type decryption struct {
	*Side
	keys *keys
	// encrypted says that the records are encrypted by the keys: in TLS 1.2 since the
	// ChangeCipherSpec, in TLS 1.3 since one could be decrypted.
	encrypted bool
	// opened says that a record was decrypted.
	opened bool
	// message is the header of a handshake message, as far as it is there, and rest what is still
	// to come of its body.
	message []byte
	rest    int
}

// decrypt decrypts the records of a stream, as far as it has them. It reports whether one could be.
func (s *Side) decrypt(stream []byte, k *keys) bool {
	d := decryption{Side: s, keys: k}
	for at := 0; at < len(stream); {
		_, n, ok := header(stream[at:])
		end := at + headerBytes + n
		switch {
		case !ok && len(stream)-at >= headerBytes:
			s.Problem = ErrNoRecord
		case !ok || end > len(stream):
			s.Problem = ErrCut
		}
		if s.Problem != nil {
			break
		}
		body := at + headerBytes
		content, err := d.record(stream[at:body:body], stream[body:end:end])
		if err != nil {
			s.Problem = err
			break
		}
		s.Records = append(s.Records, Record{Begin: at, End: end, Data: content})
		at = end
	}
	return d.opened
}

// record decrypts the next record and returns its data; none when it carries no data.
//
// The records of a handshake of TLS 1.3 are encrypted by other keys, which are not needed: those
// that the first keys for data do not open are skipped until one is opened.
func (d *decryption) record(header, body []byte) ([]byte, error) {
	kind := header[0]
	isTLS12 := d.keys.isTLS12()
	switch {
	case kind == changeCipherSpec && isTLS12 && d.encrypted:
		return nil, ErrRenegotiated
	case kind == changeCipherSpec:
		d.encrypted = d.encrypted || isTLS12 // in TLS 1.3 it means nothing, RFC 8446 section D.4
		return nil, nil
	case isTLS12 && !d.encrypted, !isTLS12 && kind != applicationData:
		d.plain(kind, body)
		return nil, nil
	}
	kind, content, ok := d.keys.open(header, body)
	switch {
	case ok:
		d.encrypted, d.opened = true, true
		return d.content(kind, content)
	case d.encrypted:
		return nil, ErrForged
	}
	return nil, nil
}

// content handles what a record carries and returns its data.
func (d *decryption) content(kind byte, content []byte) ([]byte, error) {
	switch kind {
	case applicationData:
		return content, nil
	case handshake:
		if !d.keys.isTLS12() && d.updates(content) {
			return nil, d.keys.update()
		}
	default:
		d.plain(kind, content)
	}
	return nil, nil
}

// plain notes an alert.
func (d *decryption) plain(kind byte, content []byte) {
	if kind != alert {
		return
	}
	if name, refuses := readAlert(content); name != "" {
		d.Alert, d.Refused = name, refuses
	}
}

// updates reports whether handshake messages, or parts of them, have a KeyUpdate, which is the last
// message under its keys (RFC 8446 section 5.1).
func (d *decryption) updates(content []byte) bool {
	updates := false
	for len(content) > 0 {
		if d.rest > 0 {
			n := min(d.rest, len(content))
			d.rest, content = d.rest-n, content[n:]
			continue
		}
		d.message, content = append(d.message, content[0]), content[1:]
		if len(d.message) == messageHeader {
			updates = updates || d.message[0] == keyUpdate
			d.rest, d.message = lengthOf(d.message), d.message[:0]
		}
	}
	return updates
}
