// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// found is the type of event that conditions on risks look at.
const found v1alpha1.EventType = "RiskDetected"

// finding is an event with what a security product usually says.
func finding(computer string, kind v1alpha1.EventType) *v1alpha1.SecurityEvent {
	return &v1alpha1.SecurityEvent{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "SecurityEvent"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "finding-"},
		Spec: v1alpha1.SecurityEventSpec{
			Type: kind, Severity: v1alpha1.SeverityCritical, Title: "Malicious object detected",
			Description: `Object C:\Users\jdoe\Downloads\invoice.exe detected: Worm.Example.A`,
			Computer: &v1alpha1.Computer{
				Name: computer, IP: "10.0.1.1", Domain: "CORP", Group: "Workstations/Site-0/Floor-3",
			},
			Product: &v1alpha1.Product{Vendor: "Example", Name: "Endpoint Protection", Version: "14.3"},
			User:    `CORP\jdoe`,
			Risk:    &v1alpha1.Risk{Name: "Worm.Example.A", Category: "Worm", Action: "Deleted"},
			Application: &v1alpha1.Application{
				Name: "invoice.exe", Path: `C:\Users\jdoe\Downloads\invoice.exe`,
			},
		},
	}
}

// telling is a condition that tells of each risk that is found.
func telling(name string, damper *v1alpha1.Damper) *v1alpha1.NotificationCondition {
	return &v1alpha1.NotificationCondition{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.NotificationConditionSpec{Type: "SingleRiskEvent", Damper: damper},
	}
}

// reporter creates events, over a connection of its own. As client-go does, it asks again when the API server is busy.
type reporter struct{ client rest.Interface }

func (c *cluster) newReporter() (*reporter, error) {
	config := rest.AnonymousClientConfig(c.config)
	config.BearerToken = c.reporter
	config.Dial = (&net.Dialer{}).DialContext // else all would share one connection
	config.NegotiatedSerializer = clientgoscheme.Codecs.WithoutConversion()
	restClient, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return &reporter{restClient}, nil
}

// report creates an event.
func (r *reporter) report(ctx context.Context, event *v1alpha1.SecurityEvent) error {
	body, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	if _, err := r.client.Post().AbsPath("apis", v1alpha1.Group, v1alpha1.GroupVersion.Version, "namespaces", namespace,
		"securityevents").SetHeader("Content-Type", "application/json").Body(body).DoRaw(ctx); err != nil {
		return fmt.Errorf("creating an event: %w", err)
	}
	return nil
}

// flood has several reporters create events as fast as they can while next says of which computer, and returns how many.
func (c *cluster) flood(ctx context.Context, writers int, next func() (computer string, more bool)) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var created atomic.Int64
	var running sync.WaitGroup
	for range writers {
		r, err := c.newReporter()
		if err != nil {
			return 0, err
		}
		running.Go(func() {
			for computer, more := next(); more && ctx.Err() == nil; computer, more = next() {
				if err := r.report(ctx, finding(computer, found)); err != nil {
					cancel(err)
					return
				}
				created.Add(1)
			}
		})
	}
	running.Wait()
	return int(created.Load()), context.Cause(ctx)
}

// firing is how many of the typical conditions fire when risks are found.
const firing = 2

// typical are the conditions of a small installation. What else is found is then held by their dampers.
func typical() []*v1alpha1.NotificationCondition {
	conditions := []*v1alpha1.NotificationCondition{telling("finding", nil), {
		ObjectMeta: metav1.ObjectMeta{Name: "outbreak"},
		Spec: v1alpha1.NotificationConditionSpec{
			Type: "RiskOutbreak", Threshold: &v1alpha1.Threshold{Count: ptr.To(int32(5)), Window: "1h"},
		},
	}}
	for _, kind := range []v1alpha1.ConditionType{
		"AuthenticationFailure", "ClientListChanged", "ClientSecurityAlert", "NewClientSoftware", "NetworkLoad", "ServerHealth",
		"SystemEvent", "VirusDefinitionsOutOfDate",
	} {
		conditions = append(conditions, &v1alpha1.NotificationCondition{
			ObjectMeta: metav1.ObjectMeta{Name: "other-" + string(rune('a'+len(conditions)))},
			Spec:       v1alpha1.NotificationConditionSpec{Type: kind},
		})
	}
	return conditions
}
