// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/controlplane"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

// Supervised is a control plane that a supervisor keeps for us.
type Supervised struct {
	dir     string
	cmd     *exec.Cmd
	log     string
	orders  io.WriteCloser
	encoder *json.Encoder
	failed  chan error
}

// Start starts a supervisor and returns when its control plane is ready. When it returns an error, nothing runs.
func Start(ctx context.Context, order Order) (*Supervised, error) {
	s, reports, err := launch(order)
	if err != nil {
		return nil, err
	}
	ready := make(chan error, 1)
	go s.listen(reports, ready)
	if err := s.encoder.Encode(order); err != nil {
		return nil, errors.Join(fmt.Errorf("instructing the supervisor: %w", err), s.Close())
	}
	select {
	case err := <-ready:
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	case <-ctx.Done():
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		return nil, errors.Join(ctx.Err(), s.Close())
	}
}

// Failed tells that the control plane has ended by itself, and why.
func (s *Supervised) Failed() <-chan error {
	return s.failed
}

// EndGroupWithUs has the supervisor end a process group, too, should this process die.
func (s *Supervised) EndGroupWithUs(group int) error {
	if err := s.encoder.Encode(afterthought{Group: group}); err != nil {
		return fmt.Errorf("instructing the supervisor: %w", err)
	}
	return nil
}

// Close ends the control plane, unless it is detached and ready, and waits until nothing is left of it.
func (s *Supervised) Close() error {
	_ = s.orders.Close()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("the supervisor ended: %w", errors.Join(err, controlplane.Clear(s.dir)))
	}
	return nil
}

// Release leaves a detached control plane alone.
func (s *Supervised) Release() {
	_ = s.orders.Close()
	_ = s.cmd.Process.Release()
}

func launch(order Order) (*Supervised, io.ReadCloser, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("finding this program: %w", err)
	}
	if err := controlplane.Prepare(order.Dir); err != nil {
		return nil, nil, err
	}
	log := filepath.Join(order.Dir, controlplane.Logs, "supervisor.log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the supervisor's log: %w", err)
	}
	defer out.Close()
	reports, theirEnd, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to the supervisor: %w", err)
	}
	defer theirEnd.Close()

	cmd := exec.Command(self, Command)
	cmd.Dir = order.Dir
	cmd.Stderr = out
	cmd.ExtraFiles = []*os.File{theirEnd}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // the terminal's signals are not for it
	orders, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to the supervisor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting the supervisor: %w", err)
	}
	return &Supervised{
		dir: order.Dir, cmd: cmd, log: log,
		orders: orders, encoder: json.NewEncoder(orders), failed: make(chan error, 1),
	}, reports, nil
}

// listen passes on the first report, which says whether the control plane is ready, and the second, if there is one.
func (s *Supervised) listen(reports io.ReadCloser, ready chan<- error) {
	defer reports.Close()
	decoder := json.NewDecoder(reports)
	for _, to := range []chan<- error{ready, s.failed} {
		var r report
		switch err := decoder.Decode(&r); {
		case err != nil:
			to <- fmt.Errorf("the supervisor is gone; the end of its log:\n%s", process.Tail(s.log))
		case r.Failure != "":
			to <- errors.New(r.Failure)
		default:
			to <- nil
		}
	}
}
