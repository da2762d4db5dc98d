// Package maintenance keeps the tables in order that grow: months are made
// ahead, rows that came before their month was made are moved into it, old
// months are detached or dropped, and identities are forgotten after the
// horizon of deduplication.
//
// All of it may run at any time, twice, by several at once, beside functions at
// work. Each step is a transaction that is small or only changes the catalogue,
// and that gives way: it waits for a lock for a moment, and tries again. Whoever
// is killed leaves what the next run goes on with.
//
// # How the default partition is emptied
//
// PostgreSQL makes no partition for a month of which the default one has rows,
// and a row that were taken out of it would be missing, to a function and to the
// uniqueness of keys, until the partition is there. So none is taken out:
//
//  1. [keeper.prepare] makes a second tree of partitions beside the table, with
//     all the months that the default partition has rows of and a new default
//     one; and a trigger that repeats every change of the old default partition
//     there.
//  2. [keeper.copyAll] copies the rows, a few pages a transaction. Those that are
//     there already, by the trigger or by a copy that was killed, stay.
//  3. [keeper.awaitSnapshots] waits for the transactions that would not see them.
//  4. [keeper.swap] takes the partitions of the second tree into the table in the
//     place of the old default one, which it drops: no row moves.
//
// Until 4 is committed the functions read and write the old default partition
// alone. Killed before, the next run finds the second tree and copies again, or
// begins anew if the table was changed meanwhile.
package maintenance
