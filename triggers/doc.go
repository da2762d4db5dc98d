// Package triggers holds all that moves events: http, the way in for who does
// not speak Kafka; kafka, the batch trigger, which brings them from Kafka to the
// functions; deadletter, the records of both for what they cannot hand on; and
// relay, the sweeper, which tells Redis and Kafka what functions
// committed and could not tell themselves.
//
// # The way of one event
//
//	producer --1--> Kafka --2--> triggers/kafka --3--> function --4--> PostgreSQL
//	                  ^              |    ^                |                |
//	                  +----- 6 ------+    +------ 5 -------+           outbox row
//	                                                                        |
//	             Redis views, emitted events, dead letters <----- 7 --------+
//	                             the outbox row is deleted <----- 8 --------+
//
// PostgreSQL's commit, 4, is the only commit point: all before it may happen
// again, and all after it is repaired from what it wrote. What happens at each
// arrow, what a crash there means, and the tests that make it happen, before the
// step has effect and after it, when nobody has heard of it:
//
//	1  A record is written, acks=all. For who comes by HTTP, triggers/http does
//	   so, and answers then.
//	   Crash: the producer has no answer and sends again. The function knows
//	   an event by its source and id.
//	   infra/faults/kafka TestArrow1ProducerHearsNothing, TestArrow1GatewayKilled
//	2  The trigger takes the record into its window.
//	   Crash: its offset is not marked. The partition's next owner reads it.
//	   infra/faults/kafka TestArrow2And3KilledBeforeTheFunctionHasIt
//	3  A batch is posted, one request at a time for each key.
//	   Crash: the function has it or not. It is posted again; what was decided
//	   is known, the rest is decided.
//	   infra/faults/kafka TestArrow2And3KilledBeforeTheFunctionHasIt,
//	   TestArrow3And5KilledBeforeTheAnswer
//	4  One transaction decides the batch: effects, audit, parked events, dead
//	   letters, and the outbox row that says what is to be told.
//	   Crash: rolled back, or committed whole. The trigger posts again, as at 3.
//	   infra/faults TestKilledBetweenSteps, TestCommitReplyLost
//	5  The function answers 202.
//	   Crash: the trigger posts again, as at 3.
//	   infra/faults/kafka TestArrow3And5KilledBeforeTheAnswer
//	6  The offset is marked, once all before it in its partition are done, and
//	   committed within COMMIT_INTERVAL.
//	   Crash: what was done since the last commit of offsets is read again, as
//	   at 2, and changes nothing.
//	   infra/faults/kafka TestArrow5And6KilledBeforeTheCommitOfOffsets,
//	   TestArrow6KilledAfterTheCommitOfOffsets, TestArrow6KilledAfterADeadLetter
//	7  The function's process relays its own outbox row, right after the commit:
//	   it shows views in Redis, puts emitted events and dead letters into Kafka,
//	   and drains parked events that are ready and were too many for the
//	   transaction, in transactions like that of 4.
//	   Crash: Redis and Kafka have heard nothing of it, or a part; nothing is
//	   drained, or a part. The sweeper takes rows older than some seconds; if it
//	   crashes after it leased them, whether they are told or not, the next sweep
//	   does, once their lease is over.
//	   infra/faults TestKilledBetweenSteps, TestRelayKilledBetweenSteps;
//	   infra/faults/kafka TestArrow7KilledWhileKafkaIsTold; shared/outbox
//	   TestFailureMatrix; triggers/relay TestSweepDrains
//	8  The row is deleted, once all it says is told.
//	   Crash: the sweeper tells it again, which changes nothing: views are
//	   versioned, emitted events have deterministic ids, and of a stream that is
//	   drained nothing is ready.
//	   infra/faults TestKilledBetweenSteps, TestRelayKilledBetweenSteps
//
// A process that only stands still does as much harm as one that crashed. Its
// partitions move after KAFKA_SESSION_TIMEOUT; when it goes on, its requests are
// answered as repeats, and what it marks is not committed, since its generation of
// the group is over (infra/faults/kafka TestPausedTriggerGoesOn).
//
// A Redis that lost its data, or shows what PostgreSQL lost in a failover, is
// rebuilt by the sweeper from PostgreSQL, while all this goes on. After a crash the
// next sweep goes on where it was, and a flush in the middle begins it again
// (shared/outbox TestRebuildGoesOn, TestRebuildIsDoneAgain,
// TestRebuildFlushedAgain).
//
// A synchronous call by HTTP begins at 3, with one event, and hears at 5 what
// was decided; who gets no answer calls again, and hears it then (triggers/http
// TestCallTimesOut; infra/e2e TestHTTPCalls).
//
// An emitted event begins again at 2. What the trigger itself cannot deliver, as
// it is no CloudEvent or the function refuses it as such, it puts into the
// topic's dead-letter topic before 6; a crash between the two puts it there
// twice (infra/faults/kafka TestArrow6KilledAfterADeadLetter). What triggers/http
// cannot take of what a Knative Broker brings, it puts there too, before it answers
// at 1; a crash between the two does the same (triggers/http
// TestDeadLetterTopicAway, TestBrokerThatHearsNothing).
package triggers
