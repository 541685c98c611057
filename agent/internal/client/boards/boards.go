// Package boards reads the names and addresses of the agents that a lab has, from boards files and from
// the command line.
//
// A line has the name of a board and, after spaces, the address of its agent as host or host:port.
// Without an address the name is the host, and without a port it is DefaultPort. Empty lines and
// what follows a # are ignored.
package boards

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

const (
	// DefaultPort is the port of an agent whose address has none.
	DefaultPort = 8080
	// MaxBoards is how many boards a file may have.
	MaxBoards = 4096
	// MaxNameBytes is the length of the longest name, in bytes.
	MaxNameBytes = 64
	// maxFileBytes is the length of the longest file, in bytes.
	maxFileBytes = 1 << 20
	// maxHostBytes is the length of the longest host name, see RFC 1035, section 2.3.4.
	maxHostBytes = 253
)

// A Board is an agent that procedures are performed against.
type Board struct {
	// Name identifies the board in the queue, in reports and in file names.
	Name string
	// Address is the agent's host and port.
	Address string
}

// Load reads a boards file. Errors begin with the file's name and, if they have one, the line.
func Load(path string) ([]Board, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the boards file: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the boards file: %w", err)
	}
	return Parse(path, content)
}

// Parse reads the content of a boards file, whose name is for errors. It returns at least one board,
// in the order of the file. All wrong lines are reported at once.
func Parse(name string, content []byte) ([]Board, error) {
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("%s: a boards file has at most %d bytes, this one has more", name, maxFileBytes)
	}
	var list []Board
	var problems []error
	names, addresses := map[string]int{}, map[string]int{} // the line of each
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(content, []byte("\ufeff"))) {
		number++
		text, _, _ := strings.Cut(string(line), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		board, err := parse(fields)
		if err == nil {
			err = errors.Join(taken(names, "name", board.Name, number), taken(addresses, "address", board.Address, number))
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %w", name, number, err))
		}
		if list = append(list, board); len(list) > MaxBoards {
			return nil, fmt.Errorf("%s:%d: a boards file has at most %d boards", name, number, MaxBoards)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: the file names no board; write a name and an address on each line", name)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return list, nil
}

// parse reads the fields of a line.
func parse(fields []string) (Board, error) {
	board := Board{Name: fields[0]}
	if err := CheckName(board.Name); err != nil {
		return board, err
	}
	if len(fields) > 2 {
		return board, fmt.Errorf("want a name and an address, got %d words", len(fields))
	}
	var err error
	board.Address, err = address(fields[len(fields)-1])
	return board, err
}

// taken takes note of a name or an address, and returns an error if an earlier line has it.
func taken(lines map[string]int, what, value string, line int) error {
	if earlier, ok := lines[value]; ok {
		return fmt.Errorf("the %s %s is that of line %d already", what, value, earlier)
	}
	lines[value] = line
	return nil
}

// CheckName returns why a text cannot be the name of a board. A name is safe as a part of a file's
// name: letters and digits of any script, and - _ . but not at the beginning.
func CheckName(name string) error {
	letter := func(r rune) bool { return unicode.In(r, unicode.L, unicode.M, unicode.Nd) && r != utf8.RuneError }
	allowed := func(r rune) bool { return letter(r) || strings.ContainsRune("-_.", r) }
	first, _ := utf8.DecodeRuneInString(name)
	switch {
	case name == "":
		return errors.New("the name of the board is empty")
	case len(name) > MaxNameBytes:
		return fmt.Errorf("the name %.80q of the board is longer than %d bytes", name, MaxNameBytes)
	case !letter(first) || strings.ContainsFunc(name, func(r rune) bool { return !allowed(r) }):
		return fmt.Errorf("the name %q of the board must have letters, digits, and - _ . after the first of them", name)
	}
	return nil
}

// address completes an address with the default port and brings it into one form, so that two
// spellings of it are found to be the same.
func address(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil { // no port, or an IPv6 address without brackets
		host, port = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), strconv.Itoa(DefaultPort)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || number == 0:
		return "", fmt.Errorf("the port of the address %q must be a number from 1 to 65535", text)
	case host == "" || len(host) > maxHostBytes || strings.ContainsAny(host, "[]/@\"'") || logging.Clean(host) != host:
		return "", fmt.Errorf("the address %.80q must be host or host:port", text)
	case strings.Contains(host, ":") && net.ParseIP(strings.SplitN(host, "%", 2)[0]) == nil:
		return "", fmt.Errorf("the address %q must be host or host:port, with an IPv6 address in brackets", text)
	}
	return net.JoinHostPort(strings.ToLower(host), strconv.FormatUint(number, 10)), nil
}
