package outbox

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

var errFault = errors.New("injected")

// failure is how a call fails.
type failure int32

const (
	none       failure = iota
	failed             // it did nothing
	tookEffect         // it did all, and its reply was lost
)

func (f failure) String() string { return [...]string{"none", "failed", "took effect"}[f] }

// redisFault breaks pipelines, which is how views are applied.
type redisFault struct{ mode atomic.Int32 }

func (f *redisFault) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (f *redisFault) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (f *redisFault) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		mode := failure(f.mode.Load())
		if mode != failed {
			if err := next(ctx, cmds); err != nil || mode == none {
				return err
			}
		}
		for _, cmd := range cmds {
			cmd.SetErr(errFault)
		}
		return errFault
	}
}

// faultyPool breaks the statement that deletes rows, on the wire.
func (w *world) faultyPool(t *testing.T) (*pgxpool.Pool, *atomic.Int32) {
	t.Helper()
	var mode atomic.Int32
	pool := w.newPool(t, func(cfg *pgxpool.Config) {
		// Each statement is sent as text, and executed in a second message.
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
		dial := cfg.ConnConfig.DialFunc
		cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return &faultyConn{Conn: conn, mode: &mode}, err
		}
	})
	return pool, &mode
}

type faultyConn struct {
	net.Conn
	mode  *atomic.Int32
	phase int // 1: the statement was sent, 2: and executed
}

func (c *faultyConn) Write(b []byte) (int, error) {
	mode := failure(c.mode.Load())
	if mode != none && (c.phase > 0 || bytes.Contains(b, []byte("DELETE FROM millrace.outbox"))) {
		c.phase++
		if mode == failed {
			_ = c.Close()
			return 0, errFault
		}
	}
	return c.Conn.Write(b)
}

func (c *faultyConn) Read(b []byte) (int, error) {
	if c.phase < 2 {
		return c.Conn.Read(b)
	}
	var reply []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(reply, []byte("Z\x00\x00\x00\x05")) { // the server is ready again
		n, err := c.Conn.Read(buf)
		if err != nil {
			return 0, err
		}
		reply = append(reply, buf[:n]...)
	}
	_ = c.Close()
	return 0, errFault
}
