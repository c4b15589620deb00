// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// lines are the network connections to a server, so that they can be cut when it does not answer.
type lines struct {
	mu   sync.Mutex
	open map[*line]struct{}
	// ended is that there is to be none any more.
	ended bool
}

// line is one that is listed while it is open.
type line struct {
	net.Conn

	lines *lines
}

// Close closes it, and takes it off the list.
func (l *line) Close() error {
	l.lines.mu.Lock()
	delete(l.lines.open, l)
	l.lines.mu.Unlock()
	return l.Conn.Close()
}

// dialer lists what is dialled.
func (l *lines) dialer(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.ended {
			_ = conn.Close()
			return nil, errClosed
		}
		listed := &line{conn, l}
		l.open[listed] = struct{}{}
		return listed, nil
	}
}

// cut closes all, and those that are dialled from now on.
func (l *lines) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for line := range l.open {
		_ = line.Conn.Close()
	}
	clear(l.open)
}
