// SPDX-License-Identifier: Apache-2.0

// Package supervisor keeps a control plane in a process of its own, which outlives whoever asked for it just long
// enough to clean up, or for as long as the control plane is wanted.
//
// The two ends are connected by two pipes: orders go to the supervisor's standard input, reports come from its
// descriptor 3. The end of the orders means that the other side is gone, however it went.
package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/controlplane"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

// Command is the argument that makes this program a supervisor.
const Command = "supervise"

const (
	reportsFD  = 3
	groupGrace = 5 * time.Second
)

// Order is what the supervisor is started for.
type Order struct {
	Dir      string                `json:"dir"`
	Programs controlplane.Programs `json:"programs"`
	Detached bool                  `json:"detached"` // once ready, live on without the one who ordered
}

// afterthought tells, later, which process group is to end with the one who ordered.
type afterthought struct {
	Group int `json:"group"`
}

type report struct {
	Failure string `json:"failure,omitempty"` // ready if empty
}

var errOrphaned = errors.New("the process that wanted the control plane is gone")

type supervisor struct {
	order    Order
	reports  *json.Encoder
	group    atomic.Int64
	released atomic.Bool // the end of the orders means nothing any more
}

// Supervise is the life of a supervisor. It ends early with ctx.
func Supervise(ctx context.Context) error {
	syscall.CloseOnExec(reportsFD)
	orders := json.NewDecoder(os.Stdin)
	s := &supervisor{reports: json.NewEncoder(os.NewFile(reportsFD, "reports"))}
	if err := orders.Decode(&s.order); err != nil {
		return fmt.Errorf("reading the order (%s is for devcluster's own use): %w", Command, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go s.listen(orders, cancel)

	s.run(ctx)
	if s.order.Detached && !orphaned(ctx) {
		return nil // the files are for others to read, and to remove
	}
	return controlplane.Remove(s.order.Dir)
}

// run runs the control plane until it is no longer wanted, or fails.
func (s *supervisor) run(ctx context.Context) {
	c, err := controlplane.Start(ctx, s.order.Dir, s.order.Programs)
	s.released.Store(err == nil && s.order.Detached)
	s.tell(err)
	if err != nil {
		return
	}
	defer c.Stop()
	if failure := c.AwaitFailure(ctx); failure != nil {
		s.tell(failure)
	}
	if group := int(s.group.Load()); orphaned(ctx) && group != 0 {
		process.EndGroup(group, groupGrace)
	}
}

func orphaned(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), errOrphaned)
}

// tell reports; that nobody may be listening any more does not matter.
func (s *supervisor) tell(failure error) {
	var r report
	if failure != nil {
		r.Failure = failure.Error()
	}
	_ = s.reports.Encode(r)
}

func (s *supervisor) listen(orders *json.Decoder, cancel context.CancelCauseFunc) {
	for {
		var a afterthought
		if err := orders.Decode(&a); err != nil {
			if !s.released.Load() {
				cancel(errOrphaned)
			}
			return
		}
		s.group.Store(int64(a.Group))
	}
}
