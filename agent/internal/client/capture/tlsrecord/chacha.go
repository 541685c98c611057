package tlsrecord

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"math/bits"
)

// ChaCha20-Poly1305 of RFC 8439, of which the standard library exports nothing. Boards without
// instructions for AES prefer it. It only opens what was recorded, so it need not hide how long it
// takes.

const (
	chachaBlock = 64
	polyBlock   = 16
)

// chaCha20Poly1305 is an opener with a key.
type chaCha20Poly1305 struct{ key [8]uint32 }

func newChaCha20Poly1305(key []byte) *chaCha20Poly1305 {
	c := &chaCha20Poly1305{}
	for i := range c.key {
		c.key[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	return c
}

var errOpen = errors.New("chacha20poly1305: message authentication failed")

// Open is that of cipher.AEAD, RFC 8439 section 2.8. dst may be the front of ciphertext.
func (c *chaCha20Poly1305) Open(dst, nonce, ciphertext, additional []byte) ([]byte, error) {
	if len(ciphertext) < tagBytes {
		return nil, errOpen
	}
	sealed, tag := ciphertext[:len(ciphertext)-tagBytes], ciphertext[len(ciphertext)-tagBytes:]
	first := c.block(0, nonce)
	mac := newPoly1305(first[:])
	mac.write(additional)
	mac.write(sealed)
	lengths := binary.LittleEndian.AppendUint64(nil, uint64(len(additional)))
	mac.write(binary.LittleEndian.AppendUint64(lengths, uint64(len(sealed))))
	if sum := mac.sum(); subtle.ConstantTimeCompare(sum[:], tag) != 1 {
		return nil, errOpen
	}
	before := len(dst)
	dst = append(dst, sealed...)
	text := dst[before:]
	for i := 0; i < len(text); i += chachaBlock {
		stream := c.block(uint32(1+i/chachaBlock), nonce)
		subtle.XORBytes(text[i:], text[i:], stream[:])
	}
	return dst, nil
}

// block returns a block of the key stream, RFC 8439 section 2.3.
func (c *chaCha20Poly1305) block(counter uint32, nonce []byte) (out [chachaBlock]byte) {
	const rounds = 10 // each of columns and diagonals
	state := [16]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}
	copy(state[4:], c.key[:])
	state[12] = counter
	for i := range 3 {
		state[13+i] = binary.LittleEndian.Uint32(nonce[4*i:])
	}
	x := state
	for range rounds {
		for i := range 4 {
			quarter(&x, i, 4+i, 8+i, 12+i)
		}
		for i := range 4 {
			quarter(&x, i, 4+(i+1)%4, 8+(i+2)%4, 12+(i+3)%4)
		}
	}
	for i := range x {
		binary.LittleEndian.PutUint32(out[4*i:], x[i]+state[i])
	}
	return out
}

// quarter is the quarter round, RFC 8439 section 2.1.
func quarter(x *[16]uint32, a, b, c, d int) {
	x[a] += x[b]
	x[d] = bits.RotateLeft32(x[d]^x[a], 16)
	x[c] += x[d]
	x[b] = bits.RotateLeft32(x[b]^x[c], 12)
	x[a] += x[b]
	x[d] = bits.RotateLeft32(x[d]^x[a], 8)
	x[c] += x[d]
	x[b] = bits.RotateLeft32(x[b]^x[c], 7)
}

// poly1305 is the authenticator of RFC 8439 section 2.5 for messages that are padded to whole
// blocks. Its numbers modulo 2^130-5 have five limbs of 26 bits.
type poly1305 struct {
	sumSoFar, r [5]uint64
	s           [2]uint64
}

const limb = 1<<26 - 1

func newPoly1305(key []byte) *poly1305 {
	low, high := binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[8:])
	return &poly1305{
		r: limbs(low&0x0ffffffc0fffffff, high&0x0ffffffc0ffffffc),
		s: [2]uint64{binary.LittleEndian.Uint64(key[16:]), binary.LittleEndian.Uint64(key[24:])},
	}
}

func limbs(low, high uint64) [5]uint64 {
	return [5]uint64{low & limb, low >> 26 & limb, (low>>52 | high<<12) & limb, high >> 14 & limb, high >> 40}
}

// write adds a message and pads it with zeros.
func (p *poly1305) write(message []byte) {
	for len(message) > 0 {
		var block [polyBlock]byte
		message = message[copy(block[:], message):]
		n := limbs(binary.LittleEndian.Uint64(block[:]), binary.LittleEndian.Uint64(block[8:]))
		n[4] |= 1 << 24 // 2^128
		for i := range n {
			n[i] += p.sumSoFar[i]
		}
		p.sumSoFar = times(n, p.r)
	}
}

// times multiplies modulo 2^130-5: what is above 2^130 counts five times below.
func times(a, b [5]uint64) (product [5]uint64) {
	for i := range a {
		for j := range b {
			term := a[i] * b[j]
			if i+j >= len(a) {
				term *= 5
			}
			product[(i+j)%len(a)] += term
		}
	}
	return carry(carry(product))
}

// carry reduces the limbs to 26 bits, but for the first, which may have some more.
func carry(n [5]uint64) [5]uint64 {
	over := uint64(0)
	for i := range n {
		n[i] += over
		over = n[i] >> 26
		n[i] &= limb
	}
	n[0] += 5 * over
	return n
}

// sum returns the tag.
func (p *poly1305) sum() (tag [tagBytes]byte) {
	n := carry(carry(p.sumSoFar))
	over := n // n + 5 - 2^130 is n modulo 2^130-5 where it is not negative
	over[0] += 5
	for i := range 4 {
		over[i+1] += over[i] >> 26
		over[i] &= limb
	}
	if over[4] > limb {
		n = over
		n[4] &= limb
	}
	low, high := n[0]|n[1]<<26|n[2]<<52, n[2]>>12|n[3]<<14|n[4]<<40
	low, up := bits.Add64(low, p.s[0], 0)
	high, _ = bits.Add64(high, p.s[1], up)
	binary.LittleEndian.PutUint64(tag[:], low)
	binary.LittleEndian.PutUint64(tag[8:], high)
	return tag
}
