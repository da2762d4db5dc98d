package runtime

import "sync"

// made remembers entities that are in the table, so that a transaction only
// makes those that may not be. It keeps between madeLimit and twice as many.
type made struct {
	mu         sync.Mutex
	young, old map[entityKey]struct{}
}

const madeLimit = 20_000

// unknown returns those of the keys that may have to be made.
func (m *made) unknown(keys []entityKey) []entityKey {
	m.mu.Lock()
	defer m.mu.Unlock()
	var unknown []entityKey
	for _, key := range keys {
		if _, ok := m.young[key]; ok {
			continue
		}
		if _, ok := m.old[key]; !ok {
			unknown = append(unknown, key)
			continue
		}
		m.keep(key)
	}
	return unknown
}

// add remembers entities whose transaction was committed.
func (m *made) add(keys []entityKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		m.keep(key)
	}
}

func (m *made) keep(key entityKey) {
	if m.young == nil || len(m.young) >= madeLimit {
		m.young, m.old = map[entityKey]struct{}{}, m.young
	}
	m.young[key] = struct{}{}
}

// forget is for when some of them turn out not to be there, as after a restore.
func (m *made) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.young, m.old = nil, nil
}
