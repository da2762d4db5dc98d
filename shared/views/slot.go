package views

import "strings"

// slots is the number of slots of a Redis cluster.
const slots = 16384

// slotOf is the cluster's slot of a key built by Key or of the same form: CRC-16
// (XMODEM) of what is between the braces.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
func slotOf(key string) int {
	if _, tag, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok = strings.Cut(tag, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}
