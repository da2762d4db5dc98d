// Package traffic makes the events of a contact centre and a trading desk, of
// many tenants: agents sign in, conversations are queued, assigned and closed,
// messages are sent, edited and redacted, trades executed, amended and
// cancelled. Who names something names what was there before.
//
// It is pure: the same [Settings] give the same records, byte for byte, on any
// machine and at any time. No clock is read; when it begins is a setting. Each
// seed has entities and ids of its own, so that the traffic of two seeds never
// meets, and that of one seed, sent twice, is all duplicates.
//
// What a producer and the way to Kafka do wrong is laid over it, in the shares
// that the settings name: duplicates, events that come out of order or late or
// never, and poison. [Generator.Expected] says what has to come of it.
//
// Memory is bounded by tenants x entities, however long it goes on.
package traffic
