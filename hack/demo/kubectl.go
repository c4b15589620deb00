// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"
)

// kubectl runs kubectl, the way a reader would.
type kubectl struct {
	screen *screen
	cache  string
}

// show runs kubectl and shows the command and what it says.
func (k kubectl) show(ctx context.Context, args ...string) error {
	k.screen.command(shell(append([]string{"kubectl"}, args...)...))
	out, err := k.run(ctx, "", args...)
	k.screen.quote(out)
	return err
}

// applyWith applies a manifest with one text in it replaced by another.
func (k kubectl) applyWith(ctx context.Context, file, old, replacement string) error {
	manifest, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading a manifest: %w", err)
	}
	if n := strings.Count(string(manifest), old); n != 1 {
		return fmt.Errorf("%s holds %q %d times; it must be once", file, old, n)
	}
	k.screen.command(shell("sed", "s/"+old+"/"+replacement+"/", file) + " | kubectl apply -f -")
	out, err := k.run(ctx, strings.Replace(string(manifest), old, replacement, 1), "apply", "-f", "-")
	k.screen.quote(out)
	return err
}

// get reads objects as JSON without showing them.
func (k kubectl) get(ctx context.Context, into any, args ...string) error {
	out, err := k.run(ctx, "", append([]string{"get", "-o", "json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("reading what kubectl said: %w", err)
	}
	return nil
}

func (k kubectl) run(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Env = append(os.Environ(), "KUBECACHEDIR="+k.cache)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.SysProcAttr = ours()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return stdout.String(), context.Cause(ctx)
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// privateCluster refuses a cluster that may be somebody's: the story is told by a manager of its own, in a namespace of
// its own.
func (k kubectl) privateCluster(ctx context.Context) error {
	const advice = "run `make demo`, which starts one"
	if os.Getenv("KUBECONFIG") == "" {
		return errors.New("KUBECONFIG names no private cluster: " + advice)
	}
	server, err := k.run(ctx, "", "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
	if err != nil {
		return err
	}
	if address, err := url.Parse(server); err != nil || !loopback(address.Hostname()) {
		return fmt.Errorf("the cluster at %s is not on this machine: %s", server, advice)
	}
	found, err := k.run(ctx, "", "get", "namespace", namespace, "--ignore-not-found", "-o", "name")
	if err != nil {
		return err
	}
	if found != "" {
		return fmt.Errorf("the cluster at %s has a namespace %s already: %s", server, namespace, advice)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func timeout(limit time.Duration) string { return "--timeout=" + limit.String() }
