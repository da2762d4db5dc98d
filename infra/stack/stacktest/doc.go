// Package stacktest gives each test a PostgreSQL database, a Redis and a Kafka
// of its own, so that tests run in parallel and never clean up after another.
//
//	func TestMain(m *testing.M) { stacktest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		databaseURL := stacktest.Postgres(t) // migrated, empty
//		redisURL := stacktest.Redis(t)       // empty
//		brokers := stacktest.Kafka(t)        // all topics, no records
//	}
//
// One PostgreSQL server a test process is started when the first test asks for
// a database, and stopped by [Main]; databases are clones of a migrated
// template. The data directory with the template is made once for each state of
// the migrations, kept in the user's cache, and copied. It does not wait for the disk: what a test proves about crashes of
// Millrace's own processes holds, about power cuts it proves nothing. With
// MILLRACE_TEST_DATABASE_URL set, databases are made on that server instead;
// MILLRACE_POSTGRES=embedded, or a folder of programs, chooses what is started.
//
// A test process that crashes leaves no server running (on Linux; elsewhere
// its server has to be stopped by hand) and a folder in the temporary
// directory that the next test process removes.
package stacktest
