// Package views puts into Redis what a function shows, so that Redis converges
// on what PostgreSQL says whatever the order in which claims are applied, and
// however often.
//
// # What it promises
//
// A view ([Hash], [Member], [Bit], [Recent]) is plain data: what is to be seen at one
// key, or of one member of it, at one version of its entity. [Apply] sends views
// to Redis. Any number of processes may apply any views in any order, again and
// again; what Redis shows in the end is what the latest version of each says,
// and nothing older is ever put over something newer. Writes are absolute,
// never increments. A claim is a set of views with a deadline; scripts refuse it
// past that deadline.
//
// Versions are ordered by (database epoch, version): a database that failed over
// and reuses version numbers has a greater epoch, so what it says wins over what
// the lost timeline left behind. Both are integers below 2^53, which Lua's
// numbers (IEEE doubles) hold and compare exactly; they are stored as the decimal
// text that was sent and never printed from a number, so no digit is lost.
//
// # What a crash does
//
// Everything of one key (what readers see and its version companion) is written
// by one script, and Redis runs a script whole or not at all, so a crash of the
// client leaves each key either untouched or complete. The caller applies the
// same claim again: what was written is found to be of the same version and left
// alone. The same repairs a lost reply. Within a script the version is written
// last, so a command that fails in the middle is made good by applying again.
//
// A crash of Redis may lose its tail, or everything. [CheckEpoch] finds that, and
// the caller renders every entity once more; see epoch.go. Redis must not evict
// (maxmemory-policy noeviction): an evicted key would be missing until a rebuild.
//
// # What is gone must be rendered as gone
//
// Deletion is a view too: a Hash without fields, a Member or Recent that is not
// Present, a Bit that is not On. It leaves a tombstone, so that an older claim that arrives late does
// not bring back what it deleted. A function's rendering of an entity therefore
// names every key and member that the entity has shown since it was created, the
// deleted ones as deleted; a rebuild renders the same.
//
// A Bit keeps its version for good. Tombstones of hashes and members expire after [TombstoneTTL], which is longer
// than any claim lives ([Lifetime], counted from when its state was read). So
// deadlines must come from [Clock], which tells the servers' time and not this
// machine's.
//
// # How others read
//
// Keys are built by [Key]. What readers see is at the key itself, an ordinary
// Redis value that one ordinary command reads; its companions carry the same hash
// tag and a suffix, so that both lie in one slot of a cluster:
//
//	millrace:{acme:position:acct-1}      HGETALL: the fields of a Hash
//	millrace:{acme:position:acct-1}:v    GET: version@epoch
//	millrace:{acme:exposure}             ZRANGE ... REV WITHSCORES: the Members
//	millrace:{acme:exposure}:v           HGET member: version@epoch
//	millrace:{acme:exposure}:t           when which tombstone expires
//	millrace:{acme:presence}             BITCOUNT: how many Bits are on; GETBIT offset
//	millrace:{acme:presence}:v           HGET member: version@epoch
//	millrace:{acme:presence}:o           HGET member: its offset, the same for good
//	millrace:{acme:trades:acct-1}        LRANGE 0 -1: Recent values, newest first
//	millrace:{acme:trades:acct-1}:v      HGET member: version, + or -, value
//	millrace:{acme:trades:acct-1}:o      the members in their order
//
// Hash and Recent views may be published too, to subscribers of the channel that is
// named as the key, by the script that puts a newer version into place.
//
// # Adding a kind of view
//
// One Go file and one Lua file: a struct with methods ref and measure, a kind that
// names its companions, appends the arguments and compares, a Lua function write that
// is run for each key. claim.lua says what it may use; hash.go with hash.lua is the
// shortest example. The tests go through what oneOfEach in apply_test.go lists.
package views
