// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

const socketTimeout = time.Minute // containerd is there within a second, unless the machine is busy

// To settle, the process must be on its first thread. On any other it would have no network for a moment, in which
// others look for it.
func init() {
	if len(os.Args) > 1 && os.Args[1] == InitCommand {
		runtime.LockOSThread()
	}
}

// Init is the life of a node's first process. It ends when ctx does, or kubelet or containerd, and everything on the
// node with it. First it goes to the given cgroups.
func Init(ctx context.Context, cgroups []string) error {
	if os.Getpid() != 1 {
		return fmt.Errorf("%s is for devcluster's own use", InitCommand)
	}
	if len(cgroups) > 0 {
		return settle(cgroups)
	}
	given := make(chan order)
	go func() {
		var o order
		if err := json.NewDecoder(os.Stdin).Decode(&o); err == nil {
			given <- o
		}
		// Else whoever was to give an order is gone, or about to end us.
	}()
	select {
	case <-ctx.Done():
		return nil
	case o := <-given:
		return o.run(ctx)
	}
}

// settle makes the cgroups the top ones for this process and all on the node: containerd puts pods at the top. The
// kernel does so for one thread alone; so that thread becomes this program anew.
func settle(cgroups []string) error {
	for _, dir := range cgroups {
		if err := join(dir); err != nil {
			return err
		}
	}
	if err := syscall.Unshare(syscall.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("making the node's cgroups its own: %w", err)
	}
	return fmt.Errorf("going on in the node's cgroups: %w",
		syscall.Exec("/proc/self/exe", []string{os.Args[0], InitCommand}, os.Environ()))
}

func (o order) run(ctx context.Context) error {
	if err := o.mount(); err != nil {
		return err
	}
	running := map[int]string{}
	if err := o.start(running, "containerd", "containerd", "--config", o.path(Dir, containerdConfig)); err != nil {
		return err
	}
	if err := awaitSocket(ctx, containerdSocket); err != nil {
		return o.withLog("containerd", err)
	}
	if err := importImages(ctx, containerdSocket, o.path(Dir, pauseArchive)); err != nil {
		return err
	}
	err := o.start(running, "kubelet", o.Kubelet,
		"--config="+o.path(Dir, kubeletConfig), "--kubeconfig="+o.path(Dir, Kubeconfig), "--root-dir="+kubeletRoot,
		"--hostname-override="+Name, "--node-ip="+o.Address)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- o.reap(running) }()
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return err
	}
}

// reap buries the processes that have lost their parents, until one ends that must not.
func (o order) reap(running map[int]string) error {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("waiting for the node's processes: %w", err)
		}
		if name, ours := running[pid]; ours {
			return o.withLog(name, fmt.Errorf("%s ended: %s", name, outcome(status)))
		}
	}
}

func (o order) start(running map[int]string, name, program string, args ...string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	log, err := os.OpenFile(o.log(name), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer log.Close()
	// Not with os/exec: it would wait for its processes, too.
	p, err := os.StartProcess(path, append([]string{path}, args...), &os.ProcAttr{
		Env:   append(os.Environ(), "TMPDIR=/run"), // what is mounted there for a moment goes with the node
		Files: []*os.File{nil, log, log},
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	running[p.Pid] = name
	return nil
}

// withLog puts the error last: of what we write, only the last lines are shown.
func (o order) withLog(name string, err error) error {
	return fmt.Errorf("the end of the log of %s:\n%s\n%w", name, process.Tail(o.log(name)), err)
}

func outcome(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal: " + status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

func (o order) path(elements ...string) string {
	return filepath.Join(append([]string{o.Dir}, elements...)...)
}

func (o order) log(name string) string { return o.path(logsDir, name+".log") }

func awaitSocket(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	for {
		connection, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			return connection.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for containerd: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
