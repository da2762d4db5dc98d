package gateway

import (
	"net/http"
	"sync"
	"time"
)

// visit is a request that was let in, with the room that it holds.
type visit struct {
	w   http.ResponseWriter
	r   *http.Request
	who grants

	began time.Time

	mu      sync.Mutex
	holders int
	room    []func()
}

func newVisit(w http.ResponseWriter, r *http.Request, who grants) *visit {
	return &visit{w: w, r: r, who: who, began: time.Now(), holders: 1}
}

// give hands over what is to be called when the last holder leaves.
func (v *visit) give(release func()) { v.room = append(v.room, release) }

// stay makes one more holder.
func (v *visit) stay() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.holders++
}

func (v *visit) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.holders--; v.holders > 0 {
		return
	}
	for _, release := range v.room {
		release()
	}
}
