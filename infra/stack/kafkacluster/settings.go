package kafkacluster

// clusterID is any id in the form that Kafka wants.
const clusterID = "bWlsbHJhY2UtbWlsbHJhYw"

// shared are the settings that all brokers have.
var shared = []string{
	"listener.security.protocol.map=BROKER:PLAINTEXT,DOOR:PLAINTEXT,CONTROLLER:PLAINTEXT",
	"inter.broker.listener.name=BROKER",
	"controller.listener.names=CONTROLLER",

	// What docs/guarantees.md asks of a cluster. Topics have these of their own too.
	"default.replication.factor=3",
	"min.insync.replicas=2",
	"unclean.leader.election.enable=false",
	"auto.create.topics.enable=false",
	"offsets.topic.replication.factor=3",
	"transaction.state.log.replication.factor=3",
	"transaction.state.log.min.isr=2",

	// A dead broker is found out in seconds, by default in 9; members of groups
	// may say that they are to be missed sooner than after 6.
	"broker.session.timeout.ms=4000",
	"broker.heartbeat.interval.ms=500",
	"group.min.session.timeout.ms=1000",
	"group.initial.rebalance.delay.ms=0",

	// Small: three of them share a test machine with all else.
	"offsets.topic.num.partitions=3",
	"transaction.state.log.num.partitions=3",
	"log.cleaner.dedupe.buffer.size=2097152",
	"log.index.size.max.bytes=1048576",
	"num.network.threads=2",
	"num.io.threads=4",
}
