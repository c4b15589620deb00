// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// reporter creates events, over a connection of its own.
type reporter struct {
	client *http.Client
	url    string
}

func (c *cluster) newReporter() (*reporter, error) {
	config := rest.AnonymousClientConfig(c.config)
	config.BearerToken = c.reporter
	config.Dial = (&net.Dialer{}).DialContext // else all would share one connection
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	url := fmt.Sprintf("%s/apis/%s/namespaces/%s/securityevents", c.config.Host, v1alpha1.GroupVersion, namespace)
	return &reporter{httpClient, url}, nil
}

// report creates an event.
func (r *reporter) report(ctx context.Context, event *v1alpha1.SecurityEvent) error {
	body, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return fmt.Errorf("creating an event: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("creating an event: %s: %s", response.Status, answer)
	}
	return err
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
			r.client.CloseIdleConnections()
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
