// Package deadletters is what an operator does to dead letters: find them,
// look at one, redrive them, drop them. What is done is entered into
// millrace.operations by the transaction that does it.
//
// A redrive has two steps. The dead letter is set to redriving and the operation
// entered, in one transaction; then its event is put into Kafka, naming the dead
// letter. The function that takes it from there settles the dead letter in the
// transaction that decides the event: see package runtime.
//
// What a crash does:
//
//	before the first step   nothing happened
//	between the two         the dead letter stays redriving; redriving it again
//	                        puts its event into Kafka again
//	after the second        the function decides; a second record changes nothing
package deadletters
