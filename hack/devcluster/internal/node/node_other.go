// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package node

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

var errNotHere = errors.New("a node needs Linux")

// Node is a node; there are none on this system.
type Node struct {
	*process.Child
	Network Network
}

// Cgroups fails.
func Cgroups() ([]string, error) { return nil, errNotHere }

// Open fails.
func Open(string, []string) (*Node, error) { return nil, errNotHere }

// Start fails.
func (*Node) Start(string) error { return errNotHere }

// End does nothing.
func (*Node) End(time.Duration) {}

// Init fails.
func Init(context.Context) error { return errNotHere }
