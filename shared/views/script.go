package views

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts by their SHA-1; nothing is secured by it.
	_ "embed"
	"encoding/hex"
)

var (
	//go:embed claim.lua
	claimLua string
	//go:embed tail.lua
	tailLua string
)

// script is a Lua script and the name by which EVALSHA calls it.
type script struct {
	source string
	sha    string
}

// newScript makes a script of a kind's write function.
func newScript(write string) *script { return rawScript(claimLua + write + tailLua) }

func rawScript(source string) *script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // see the import
	return &script{source: source, sha: hex.EncodeToString(sum[:])}
}
