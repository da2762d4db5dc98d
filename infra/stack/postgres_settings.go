package stack

import "os"

// The role that owns everything on a server started here. The password is no
// secret: the server listens on 127.0.0.1 only, on a developer's machine.
const (
	postgresRole     = "millrace"
	postgresPassword = "millrace"
)

// settings are given on the command line, not in postgresql.conf, so that data
// made by an older Millrace gets those of this one.
func settings(cfg PostgresConfig) []string {
	all := []string{
		"listen_addresses=127.0.0.1",
		// A socket path has a limit of about 100 bytes, which a deep checkout exceeds.
		"unix_socket_directories=",
		// Twelve functions and the relay with pools of 20, and room for people.
		"max_connections=300",
		// A batch locks every partition that it touches, with their indexes.
		"max_locks_per_transaction=256",
		"timezone=UTC",
		"log_timezone=UTC",
		"logging_collector=off",
	}
	if cfg.Volatile {
		all = append(all,
			"fsync=off",
			"full_page_writes=off",
			"wal_level=minimal",
			"max_wal_senders=0",
			"shared_buffers=64MB",
			"checkpoint_timeout=1h",
			"max_wal_size=4GB",
			// Hundreds of short-lived databases would keep it busy.
			"autovacuum_naptime=10min",
		)
	} else {
		all = append(all,
			"fsync=on",
			"synchronous_commit=on",
			"full_page_writes=on",
			"shared_buffers=256MB",
			"max_wal_size=2GB",
		)
	}
	all = append(all, cfg.Settings...)
	args := make([]string, 0, 2*len(all))
	for _, setting := range all {
		args = append(args, "-c", setting)
	}
	return args
}

// postgresEnv is what the programs see: none of the caller's PG* variables,
// which would point them elsewhere, and messages that code can read.
func postgresEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}
