// Package status tells how a platform does: which of its processes are ready,
// how far each function is behind, what waits or failed, and what is stored
// and shown of one entity. It only reads, so a crash leaves nothing behind.
package status
