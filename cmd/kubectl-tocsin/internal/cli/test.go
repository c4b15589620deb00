// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// lookAgain is how often a test is looked at while it is under way.
const lookAgain = 250 * time.Millisecond

type testVerb struct {
	output
	timeout time.Duration
}

func testCommand(a *App) *cobra.Command {
	v := &testVerb{}
	c := &cobra.Command{
		Use:   "test CHANNEL",
		Short: "Send a test through a channel and show what became of it",
		Long: "Send a test through a channel, wait, and show what became of it. The test stays in the log. " +
			"Exit code 0: delivered; 2: not delivered, or not to all; 3: no result in time, it goes on; 1: anything else.",
		Args:              arguments(cobra.ExactArgs(1)),
		ValidArgsFunction: a.named(&v1alpha1.NotificationChannelList{}).first,
		RunE:              func(c *cobra.Command, args []string) error { return v.run(c, a, args[0]) },
	}
	v.addFlags(a, c)
	c.Flags().DurationVar(&v.timeout, "timeout", time.Minute, "How long to wait for the result")
	return c
}

func (v *testVerb) run(c *cobra.Command, a *App, channel string) error {
	ctx := c.Context()
	if err := v.check(); err != nil {
		return err
	}
	cluster, err := a.Connect()
	if err != nil {
		return err
	}
	namespace, _, err := a.Namespace()
	if err != nil {
		return err
	}
	// A test of a channel that does not exist would wait for it.
	if err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: channel}, &v1alpha1.NotificationChannel{}); err != nil {
		return err
	}
	n := &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "test-"},
		Spec: v1alpha1.NotificationSpec{
			Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: channel},
		},
	}
	if err := cluster.Create(ctx, n); err != nil {
		return err
	}
	a.note("notification.tocsin.dev/%s created", n.Name)
	ended, err := v.await(ctx, a, cluster, n)
	if err != nil {
		return err
	}
	if v.table() {
		err = tell(a, n)
	} else {
		err = v.one(a, n.DeepCopy())
	}
	if err != nil {
		return err
	}
	return v.result(n, ended)
}

// result is the exit code.
func (v *testVerb) result(n *v1alpha1.Notification, ended bool) error {
	switch {
	case !ended:
		return &resultError{exitNoResult, fmt.Sprintf("the test has not ended within %s; it goes on: "+
			"kubectl tocsin show %s", v.timeout, n.Name)}
	case logfilter.State(n) == v1alpha1.ReasonDelivered:
		return nil
	default:
		return &resultError{exitNotDelivered, fmt.Sprintf("the test was not delivered: %s",
			status.Message(n.Status.Conditions, v1alpha1.SucceededCondition))}
	}
}

// await looks at the test until it has ended or the time is over, and says what has changed meanwhile.
func (v *testVerb) await(ctx context.Context, a *App, c client.Client, n *v1alpha1.Notification) (ended bool, err error) {
	deadline, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	told, began := "", a.Now()
	for {
		err := c.Get(deadline, client.ObjectKeyFromObject(n), n)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case deadline.Err() != nil:
			return false, nil
		case err != nil:
			return false, err
		}
		progress := screen.Line(string(logfilter.State(n)) +
			around(": ", status.Message(n.Status.Conditions, v1alpha1.SucceededCondition), ""))
		if progress != told {
			told = progress
			a.note("%s %s", fmt.Sprintf("%5.1fs", a.Now().Sub(began).Seconds()), progress)
		}
		if final(n) {
			return true, nil
		}
		select {
		case <-deadline.Done():
		case <-time.After(lookAgain):
		}
	}
}

// final says whether Succeeded is True or False for good.
func final(n *v1alpha1.Notification) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == v1alpha1.SucceededCondition {
			return c.Status != metav1.ConditionUnknown
		}
	}
	return false
}
