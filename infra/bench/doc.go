// Command bench measures the whole way of trades, as the platform runs it on
// one machine: Kafka to trade, and on to position and ledger, all committed in
// PostgreSQL (which waits for its disk) and shown in Redis.
//
//	go tool task bench -- -trades 100000 -runs 3
//
// It fills the topic of trades, then starts the triggers, and measures from the
// first decision until nothing is on its way any more. What it prints is the
// median run: events a second, and the CPU time of each process, in all and for
// each trade. Kafka is kfake, within this very process, as is the measuring.
package main
