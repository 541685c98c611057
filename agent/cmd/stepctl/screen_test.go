package main

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// controlSequence matches a control sequence of ECMA-48 at the beginning of a text.
var controlSequence = regexp.MustCompile(`^\x1b\[([?0-9;]*)([A-Za-z])`)

// screen returns what a terminal without a last row or column shows after the text was written to it. It
// interprets line feeds, carriage returns, CUU, ED and EL, and ignores other control sequences.
func screen(text string) string {
	rows, row, column := [][]rune{nil}, 0, 0
	toEnd := func() { rows[row] = rows[row][:min(column, len(rows[row]))] }
	for text != "" {
		if found := controlSequence.FindStringSubmatch(text); found != nil {
			text = text[len(found[0]):]
			switch found[2] {
			case "A":
				up, _ := strconv.Atoi(found[1])
				row = max(row-up, 0)
			case "J":
				rows = rows[:row+1]
				toEnd()
			case "K":
				toEnd()
			}
			continue
		}
		c, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		switch c {
		case '\r':
			column = 0
		case '\n':
			column = 0
			if row++; row == len(rows) {
				rows = append(rows, nil)
			}
		default:
			for len(rows[row]) <= column {
				rows[row] = append(rows[row], ' ')
			}
			rows[row][column] = c
			column++
		}
	}
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = string(r)
	}
	return strings.Join(lines, "\n")
}
