// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/node"
)

// openNode makes the node's network, which the API server is to be on, if there is to be a node.
func (c *ControlPlane) openNode() error {
	if c.programs.Kubelet == "" {
		return nil
	}
	var err error
	if c.state.Cgroups, err = node.Cgroups(); err != nil {
		return err
	}
	if err := c.state.write(c.dir); err != nil {
		return err
	}
	if c.node, err = node.Open(c.dir, c.state.Cgroups); err != nil {
		return err
	}
	c.at = onNode(c.node.Network)
	return c.keep(node.Name, c.node.ID, c.node.Child)
}

// startNode starts what pods need, if there is a node.
func (c *ControlPlane) startNode() error {
	if c.node == nil {
		return nil
	}
	if err := c.launch("kube-scheduler", c.programs.Scheduler, schedulerArgs()); err != nil {
		return err
	}
	// It is to end first, while the API server is there to answer kubelet.
	c.children = append(c.children[1:], c.children[0])
	return c.node.Start(c.programs.Kubelet)
}

// awaitNode returns when pods can run on the node, if there is one, or with the first failure.
func (c *ControlPlane) awaitNode(ctx context.Context, probe *prober) error {
	if c.node == nil {
		return nil
	}
	return probe.until(ctx, c.failed, "the node", func() error {
		answer, err := probe.get(ctx, "/api/v1/nodes/"+node.Name)
		if err != nil {
			return err
		}
		return nodeReady(answer)
	})
}

func nodeReady(answer []byte) error {
	var n struct {
		Spec   struct{ Taints []struct{ Key string } }
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := json.Unmarshal(answer, &n); err != nil {
		return fmt.Errorf("reading the node's state: %w", err)
	}
	for _, condition := range n.Status.Conditions {
		switch {
		case condition.Type != "Ready":
		case condition.Status != "True":
			return errors.New(condition.Message)
		case len(n.Spec.Taints) > 0: // taken away soon after
			return fmt.Errorf("it has the taint %s", n.Spec.Taints[0].Key)
		default:
			return nil
		}
	}
	return errors.New("it has not said that it is ready")
}
