package postgres

import (
	"errors"
	"regexp"

	"github.com/jackc/pgx/v5/pgconn"
)

// UniqueViolation is the SQLSTATE of a second row with one key.
const UniqueViolation = "23505"

// Code returns the SQLSTATE in err's chain, or "" when the error is not from
// the server: a lost connection, a deadline.
func Code(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}

// Refused reports whether the database refused the data of a transaction, so
// that without the event that brought it the transaction would pass: classes
// 22 (data exception), 23 (integrity constraint), 54 (program limit) and what
// our own triggers raise. Everything else (lost connections, conflicts, a full
// disk, a table that a half-done rollout lacks) is no event's fault: the
// transaction is tried again, and fails closed.
func Refused(err error) bool {
	code := Code(err)
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "22", "23", "54":
		return true
	}
	return code == "P0001"
}

var password = regexp.MustCompile(`(://[^:/@\s]*:)[^@/\s]*@`)

// Redact hides the password of every URL in text.
func Redact(text string) string { return password.ReplaceAllString(text, "${1}xxxxx@") }
