package testvectors

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/stepagent/stepagent/agent/protocol"
)

// Load reads every *.txt file in dir, in the order of their names. An unknown header is an error,
// which names file and line.
func Load(dir string) ([]Vector, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no vector files in %s", dir)
	}
	var all []Vector
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		vectors, err := Parse(filepath.Base(path), file)
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
		all = append(all, vectors...)
	}
	names := make(map[string]Vector)
	for _, v := range all {
		if other, ok := names[v.Name]; ok {
			return nil, fmt.Errorf("%s: the name is taken by %s:%d", v, other.File, other.Line)
		}
		names[v.Name] = v
	}
	return all, nil
}

// Parse reads the vectors of one file; name is the file's, for errors.
func Parse(name string, r io.Reader) ([]Vector, error) {
	var p parser
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		if err := p.line(name, number, lines.Text()); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	return p.vectors, errors.Join(lines.Err(), p.finish())
}

type parser struct {
	vectors []Vector
	request string // without a reply so far
}

func (p *parser) line(file string, number int, line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	header, value, ok := strings.Cut(line, ": ")
	if !ok {
		return fmt.Errorf("want \"header: value\", got %q", line)
	}
	if header == "vector" {
		if err := p.finish(); err != nil {
			return err
		}
		p.vectors = append(p.vectors, Vector{Name: value, File: file, Line: number})
		return nil
	}
	if len(p.vectors) == 0 {
		return errors.New("a vector must begin with the header vector")
	}
	v := &p.vectors[len(p.vectors)-1]
	var err error
	switch header {
	case "send":
		v.Bytes, err = appendUnescaped(v.Bytes, value)
	case "repeat":
		v.Bytes, err = appendRepeated(v.Bytes, value)
	case "request":
		if p.request != "" {
			return errors.New("the request before this one has no reply")
		}
		p.request = value
	case "reply":
		err = checkWanted([]byte(value))
		v.Exchanges = append(v.Exchanges, Exchange{Line: number, Request: p.request, Reply: []byte(value)})
		p.request = ""
	case "connection":
		if v.Connection != "" {
			return errors.New("connection appears twice")
		}
		v.Connection = Connection(value)
		if !slices.Contains([]Connection{Open, Closed, Cut}, v.Connection) {
			err = fmt.Errorf("connection must be open, closed or cut, got %q", value)
		}
	default:
		err = fmt.Errorf("unknown header %q", header)
	}
	return err
}

// finish checks that the last vector is complete.
func (p *parser) finish() error {
	if len(p.vectors) == 0 {
		return nil
	}
	v := p.vectors[len(p.vectors)-1]
	switch {
	case v.Connection == "":
		return fmt.Errorf("%s: the header connection is missing", v)
	case p.request != "":
		return fmt.Errorf("%s: the last request has no reply", v)
	}
	return nil
}

// checkWanted checks that an agent can send the reply.
func checkWanted(reply []byte) error {
	decoded, err := protocol.DecodeReply(reply)
	if err != nil {
		return err
	}
	if decoded.Reason != "" && !slices.Contains(protocol.Sent(), decoded.Reason) {
		return fmt.Errorf("no agent sends the reason %q", decoded.Reason)
	}
	return nil
}

func appendRepeated(dst []byte, value string) ([]byte, error) {
	count, text, ok := strings.Cut(value, " ")
	n, err := strconv.Atoi(count)
	if !ok || err != nil || n < 1 {
		return nil, fmt.Errorf("want \"repeat: COUNT TEXT\", got %q", value)
	}
	once, err := appendUnescaped(nil, text)
	return append(dst, bytes.Repeat(once, n)...), err
}

// appendUnescaped appends text, in which \n, \r, \t, \\ and \xHH are one byte each.
func appendUnescaped(dst []byte, text string) ([]byte, error) {
	simple := map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '\\': '\\'}
	for text != "" {
		before, after, escape := strings.Cut(text, `\`)
		dst = append(dst, before...)
		if !escape {
			break
		}
		if after == "" {
			return nil, errors.New(`a single \ at the end`)
		}
		if c, ok := simple[after[0]]; ok {
			dst, text = append(dst, c), after[1:]
			continue
		}
		if after[0] != 'x' || len(after) < 3 {
			return nil, fmt.Errorf(`unknown escape \%c`, after[0])
		}
		n, err := strconv.ParseUint(after[1:3], 16, 8)
		if err != nil {
			return nil, fmt.Errorf(`unknown escape \%s`, after[:3])
		}
		dst, text = append(dst, byte(n)), after[3:]
	}
	return dst, nil
}
