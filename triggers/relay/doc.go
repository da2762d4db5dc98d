// Package relay is the process that sweeps the outbox: it publishes what the
// functions' own relays left behind because their process crashed, was scaled
// down, or could not reach Redis or Kafka; and it rebuilds a Redis that lost
// its views.
//
// It sweeps when it is asked to, by POST /sweep or by a CloudEvent of any kind
// (a PingSource sends one), and, with RELAY_INTERVAL set, by itself. Any number
// of these processes may run: rows are taken by lease.
//
//	a crash before a row is published   its lease ends, and the next sweep takes it
//	after that, before it is deleted    the same; publishing again changes nothing
//	in a rebuild of Redis               the next sweep goes on with it
//
// infra/faults TestRelayKilledBetweenSteps makes the first two happen.
package relay
