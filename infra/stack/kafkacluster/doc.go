// Package kafkacluster runs a real Apache Kafka on 127.0.0.1: three brokers,
// each its own controller too (KRaft), as processes with small heaps. Tests
// kill, pause and restart them; kfake, on which `millrace up` stands, neither
// replicates nor elects, and proves nothing about that.
//
// The brokers are Java programs. [Find] has Maven fetch their jars once, as
// pom.xml names them, into the user's cache; it says what is missing where that
// cannot be done.
//
// A crash of this process ends the brokers with it (Linux). What a broker has on
// its disk survives its own kill; as Kafka by default, it does not wait for the
// disk, and trusts in the other replicas.
package kafkacluster
