package function

import (
	"fmt"
	"unicode/utf8"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/money"
)

// The checks of this file are for Validate methods. Each returns what is wrong
// with one member of a payload; cmp.Or takes the first.

// CheckText checks a text that must be there. Its limit counts characters, as
// that of JSON Schema does.
func CheckText(member, text string, limit int) error {
	if text == "" {
		return fmt.Errorf("%s is missing", member)
	}
	return CheckOptionalText(member, text, limit)
}

// CheckOptionalText checks a text that may be empty. It refuses the control
// characters that event attributes may not have, NUL among them.
func CheckOptionalText(member, text string, limit int) error {
	if n := utf8.RuneCountInString(text); n > limit {
		return fmt.Errorf("%s has %d characters, %d are allowed", member, n, limit)
	}
	for _, c := range text {
		if c < 0x20 || c == 0x7f {
			return fmt.Errorf("%s holds the control character %#02x", member, c)
		}
	}
	return nil
}

// CheckReference checks the id of an earlier event.
func CheckReference(member, id string) error { return CheckText(member, id, event.MaxID) }

// CheckPositive checks a decimal that must be there and over 0.
func CheckPositive(member string, d money.Decimal) error {
	if d.Sign() <= 0 {
		return fmt.Errorf("%s is missing or not over 0", member)
	}
	return nil
}

// CheckGiven checks a decimal that must be there. It is a pointer since 0 is a
// value like any other.
func CheckGiven(member string, d *money.Decimal) error {
	if d == nil {
		return fmt.Errorf("%s is missing", member)
	}
	return nil
}
