// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
)

// addressRange is set aside for tests of networks (RFC 2544), so it is in use nowhere. Each node has 256 of its
// addresses:
//
//	.0/26    services; the first, .1, is that of the API server, and the node's own
//	.126     this machine
//	.128/25  pods
const (
	addressRange = "198.18.0.0/15"
	networks     = 256
)

// Network is the node's network: a cable between the node and this machine, and a bridge in the node that the pods
// are at. Nothing else can be reached from there.
type Network struct {
	number    int
	Namespace string // a path
}

// Address is the node's, and the API server's: the one service that needs no proxy, as it is where its address says.
func (n Network) Address() string { return n.address(1) }

// Services is the range of the services' addresses. The first is Address.
func (n Network) Services() string { return n.address(0) + "/26" }

func (n Network) host() string         { return n.address(126) }
func (n Network) pods() string         { return n.address(128) + "/25" }
func (n Network) link() string         { return "tocsin" + strconv.Itoa(n.number) }
func (n Network) address(i int) string { return fmt.Sprintf("198.18.%d.%d", n.number, i) }

// connect lays the cable to the network namespace of a process. The kernel takes the cable away with the namespace.
func connect(pid int) (Network, error) {
	for i := range networks {
		n := Network{number: i, Namespace: fmt.Sprintf("/proc/%d/ns/net", pid)}
		taken, err := n.taken()
		if err != nil {
			return Network{}, err
		}
		if taken {
			continue
		}
		err = run("ip", "link", "add", n.link(), "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(pid))
		if err != nil && strings.Contains(err.Error(), "File exists") {
			continue
		}
		if err != nil {
			return Network{}, err
		}
		return n, n.configure()
	}
	return Network{}, fmt.Errorf("all networks in %s are taken", addressRange)
}

func (n Network) configure() error {
	inside := []string{"--net=" + n.Namespace, "ip"}
	for _, args := range [][]string{
		{"nsenter", "link", "set", "lo", "up"},
		{"nsenter", "addr", "add", n.Address() + "/25", "dev", "eth0"},
		{"nsenter", "link", "set", "eth0", "up"},
		{"ip", "addr", "add", n.host() + "/25", "dev", n.link()},
		{"ip", "link", "set", n.link(), "up"},
		{"ip", "route", "add", n.pods(), "via", n.Address(), "dev", n.link()},
	} {
		command, args := args[0], args[1:]
		if command == "nsenter" {
			args = append(inside[:len(inside):len(inside)], args...)
		}
		if err := run(command, args...); err != nil {
			return errors.Join(err, n.disconnect())
		}
	}
	return nil
}

// disconnect takes the cable away at once. The kernel may have done so.
func (n Network) disconnect() error {
	err := run("ip", "link", "delete", n.link())
	if err != nil && strings.Contains(err.Error(), "Cannot find device") {
		return nil
	}
	return err
}

// taken says whether this machine has an address that a node of this number would have.
func (n Network) taken() (bool, error) {
	ours := netip.MustParsePrefix(n.address(0) + "/24")
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false, fmt.Errorf("listing this machine's addresses: %w", err)
	}
	for _, a := range addresses {
		if theirs, err := netip.ParsePrefix(a.String()); err == nil && ours.Overlaps(theirs) {
			return true, nil
		}
	}
	return false, nil
}

func run(command string, args ...string) error {
	out, err := exec.Command(command, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", command, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
