// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// census counts the events of each computer, in lower case, in each namespace.
type census map[string]map[string]int

// add counts an event in, with 1, or out, with -1.
func (c census) add(event *v1alpha1.SecurityEvent, n int) {
	if event.Spec.Computer == nil || event.Spec.Computer.Name == "" {
		return
	}
	computer, namespace := strings.ToLower(event.Spec.Computer.Name), event.Namespace
	if c[namespace] == nil {
		c[namespace] = map[string]int{}
	}
	if c[namespace][computer] += n; c[namespace][computer] == 0 {
		delete(c[namespace], computer)
	}
	if len(c[namespace]) == 0 {
		delete(c, namespace)
	}
}

// count is the number of different computers in some namespaces.
func (c census) count(namespaces []string) int {
	if len(namespaces) == 1 {
		return len(c[namespaces[0]])
	}
	all := map[string]struct{}{}
	for _, namespace := range namespaces {
		for computer := range c[namespace] {
			all[computer] = struct{}{}
		}
	}
	return len(all)
}
