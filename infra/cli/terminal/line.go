package terminal

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText bounds what [Line] shows, in characters.
const MaxText = 200

// Line makes what others wrote fit for a place in a line: without control
// characters, which could move the cursor or break the line, and not too long.
func Line(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return ' '
	}, text)
	if utf8.RuneCountInString(text) <= MaxText {
		return text
	}
	return string([]rune(text)[:MaxText-3]) + "..."
}
