package boards

import (
	"errors"
	"fmt"
	"strings"
)

// List returns the boards of the file, in its order, and then those of the texts, see ParseFlag. The file
// may be empty, for none. A name or an address twice is an error, and all that is wrong with the texts is
// reported at once.
func List(file string, texts []string) ([]Board, error) {
	var list []Board
	if file != "" {
		var err error
		if list, err = Load(file); err != nil {
			return nil, err
		}
	}
	if total := len(list) + len(texts); total > MaxBoards {
		return nil, fmt.Errorf("%d boards are named; name at most %d", total, MaxBoards)
	}
	names, addresses := map[string]bool{}, map[string]string{} // the name of the board at an address
	for _, b := range list {
		names[b.Name], addresses[b.Address] = true, b.Name
	}
	var problems []error
	for _, text := range texts {
		b, err := ParseFlag(text)
		if err == nil && names[b.Name] {
			err = fmt.Errorf("the board %s is named twice; keep one", b.Name)
		} else if other, ok := addresses[b.Address]; err == nil && ok {
			err = fmt.Errorf("the address %s of the board %s is that of %s as well; keep one of the two", b.Address, b.Name, other)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		names[b.Name], addresses[b.Address] = true, b.Name
		list = append(list, b)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return list, nil
}

// ParseFlag reads a board from the command line: NAME=HOST or NAME=HOST:PORT, or NAME for the host of that
// name. A port that is not given is DefaultPort.
func ParseFlag(text string) (Board, error) {
	name, address, given := strings.Cut(text, "=")
	fields := []string{name}
	if given {
		fields = append(fields, address)
	}
	b, err := parse(fields)
	if err != nil && !given && strings.Contains(name, ":") {
		return Board{}, fmt.Errorf("%w; name the board as well, as in NAME=%s", err, name)
	}
	return b, err
}
