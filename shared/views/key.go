package views

import "strings"

const (
	keyPrefix = "millrace:{"
	keySuffix = "}"
	hexDigits = "0123456789ABCDEF"
)

// Key names what a tenant is shown of one kind: millrace:{tenant:kind:id...}.
//
// A reader in any language computes it by percent-encoding each part, all bytes
// except the unreserved ones of RFC 3986 section 2.3 (letters, digits and -._~),
// joining the parts with colons, and putting the result into millrace:{}. So no
// id, whatever it contains (braces, colons, spaces, NUL), is taken for another's
// or changes the hash tag, which is everything between the braces.
func Key(tenant, kind string, id ...string) string {
	n := len(keyPrefix) + len(tenant) + 1 + len(kind) + len(keySuffix)
	for _, part := range id {
		n += 1 + len(part)
	}
	key := make([]byte, 0, n)
	key = append(key, keyPrefix...)
	key = appendEscaped(key, tenant)
	key = append(key, ':')
	key = appendEscaped(key, kind)
	for _, part := range id {
		key = append(key, ':')
		key = appendEscaped(key, part)
	}
	key = append(key, keySuffix...)
	return string(key)
}

func appendEscaped(dst []byte, part string) []byte {
	for i := range len(part) {
		if c := part[i]; unreserved(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// wellFormed says whether key was built by Key: only then do the key and its
// companions share one hash tag.
func wellFormed(key string) bool {
	tag, ok := strings.CutPrefix(key, keyPrefix)
	if !ok {
		return false
	}
	tag, ok = strings.CutSuffix(tag, keySuffix)
	return ok && !strings.ContainsAny(tag, "{}")
}
