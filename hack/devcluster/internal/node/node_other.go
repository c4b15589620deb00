// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package node

import (
	"context"
	"errors"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

var errNotHere = errors.New("a node needs Linux")

// Node is a node; there are none on this system.
type Node struct {
	*process.Child
	Network Network
}

// Open fails.
func Open(string, []string) (*Node, error) { return nil, errNotHere }

// Start fails.
func (*Node) Start(string) error { return errNotHere }

// Close does nothing.
func (*Node) Close() {}

// Init fails.
func Init(context.Context, []string) error { return errNotHere }
