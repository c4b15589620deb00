// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// whereToLook is a list of commands to try while everything goes on running.
func (d *demo) whereToLook() string {
	var text strings.Builder
	add := func(what string, lines ...string) {
		fmt.Fprintf(&text, "\n# %s\n%s\n", what, strings.Join(lines, "\n"))
	}
	path := ""
	if program, err := exec.LookPath("kubectl"); err == nil {
		path = " PATH=" + filepath.Dir(program) + ":$PATH"
	}
	add("The cluster.", "export KUBECONFIG="+os.Getenv("KUBECONFIG")+path)
	add("Conditions with their dampers, channels, and the log.",
		"kubectl get -n security ntfcond,ntfchan,ntf -o wide",
		"kubectl get -n security ntfcond outbreak -o yaml",
		"kubectl describe -n security ntf -l tocsin.dev/condition=outbreak")
	add("The inbox: a list, and the latest mail.",
		"curl -s "+d.mailbox.url+"/api/v1/messages",
		"curl -s "+d.mailbox.url+"/view/latest.txt")
	add("The firewall of another computer: one more mail.",
		"sed 's/ws-0042/ws-0043/; s/name: blocked/name: more-blocked/' "+storyDir+"/06-blocked-traffic.yaml | kubectl apply -f -")
	add("Take notice of what is in the log.",
		`kubectl patch -n security ntf try-soc-mail --type merge -p '{"spec":{"acknowledgement":{"comment":"Seen."}}}'`)
	add("How it does.",
		"tail -f "+d.managerLog(),
		fmt.Sprintf("curl -s http://127.0.0.1:%d/metrics | grep ^tocsin_", d.metricsPort))
	return text.String()
}
