// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// pluginDirs are where distributions put the CNI plugins: Debian's, and the usual one.
var pluginDirs = []string{"/usr/lib/cni", "/opt/cni/bin"}

// withC is how a program was built that needs the libraries of C: it could not run as PauseCommand.
var withC = debug.BuildSetting{Key: "CGO_ENABLED", Value: "1"}

// Check finds fault with a machine that cannot run a node.
func Check() error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return errors.New("a node needs Linux, and root; elsewhere use a cluster such as kind's")
	}
	if linked, ok := debug.ReadBuildInfo(); ok && slices.Contains(linked.Settings, withC) {
		return errors.New("a node needs a devcluster that runs without libraries: build it with CGO_ENABLED=0")
	}
	var missing []string
	for _, program := range []string{"containerd", "ctr", "runc", "ip", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if pluginDir() == "" {
		missing = append(missing, "CNI plugins in "+strings.Join(pluginDirs, " or "))
	}
	if len(missing) > 0 {
		return fmt.Errorf("a node needs %s; on Debian: "+
			"apt-get install containerd runc containernetworking-plugins iproute2 util-linux", strings.Join(missing, ", "))
	}
	return nil
}

// pluginDir is where the CNI plugins are, or "".
func pluginDir() string {
	for _, dir := range pluginDirs {
		if _, err := os.Stat(filepath.Join(dir, "bridge")); err == nil {
			return dir
		}
	}
	return ""
}
