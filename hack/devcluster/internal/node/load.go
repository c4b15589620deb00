// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Load imports an archive of images into the node whose first process is given.
func Load(ctx context.Context, pid int, archive string) error {
	// The node's socket is in a directory that is mounted only there.
	return importImages(ctx, fmt.Sprintf("/proc/%d/root%s", pid, containerdSocket), archive)
}

func importImages(ctx context.Context, socket, archive string) error {
	cmd := exec.CommandContext(ctx, "ctr", "--address", socket, "--namespace", "k8s.io", // kubelet's
		"images", "import", "--snapshotter", "native", archive)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("importing %s: %w: %s", archive, err, strings.TrimSpace(string(out)))
	}
	return nil
}
