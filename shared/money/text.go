package money

import (
	"database/sql/driver"
	"fmt"
)

// AppendText implements encoding.TextAppender. With it, a Decimal is a string
// in JSON: other readers' JSON numbers are doubles.
func (d Decimal) AppendText(dst []byte) ([]byte, error) { return d.append(dst), nil }

// MarshalText implements encoding.TextMarshaler.
func (d Decimal) MarshalText() ([]byte, error) { return d.append(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler: it is Parse.
func (d *Decimal) UnmarshalText(text []byte) (err error) {
	*d, err = Parse(string(text))
	return err
}

// Value implements driver.Valuer with the text of d. Pass many decimals as
// []string from Strings, to `unnest($1::text[])` and a cast.
func (d Decimal) Value() (driver.Value, error) { return d.String(), nil }

// Strings returns the texts of decimals.
func Strings(decimals []Decimal) []string {
	texts := make([]string, len(decimals))
	for i, d := range decimals {
		texts[i] = d.String()
	}
	return texts
}

// Scan implements sql.Scanner. It takes the text of a database's numeric,
// which may be a sum or product and thus larger than Parse takes.
func (d *Decimal) Scan(src any) (err error) {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("reading a decimal from %T: want a text that is not null", src)
	}
	*d, err = parse(text)
	return err
}
