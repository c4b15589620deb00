// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/wildcard"
)

// Patterns are names in which a star stands for any characters, or none. nil: any name; an empty list: no name at all. They
// are a flag's value, separated by commas.
type Patterns []string

// String is the list as the flag takes it.
func (p *Patterns) String() string {
	if p == nil || *p == nil {
		return "*"
	}
	return strings.Join(*p, ",")
}

// Set takes the list of a flag.
func (p *Patterns) Set(list string) error {
	*p = Patterns{}
	for pattern := range strings.SplitSeq(list, ",") {
		if pattern = strings.TrimSpace(pattern); pattern != "" {
			*p = append(*p, pattern)
		}
	}
	return nil
}

// match compares as it is written: names of images have no other case.
func (p Patterns) match(name string) bool {
	return p == nil || slices.ContainsFunc(p, func(pattern string) bool { return wildcard.Compile(pattern).Matches(name) })
}

// Allowed is where channels may run programs, and of which images.
type Allowed struct {
	Namespaces, Images Patterns
}

// Check refuses a channel that the administrator does not allow. The error names the field and the manager's flag.
func (a Allowed) Check(channel *v1alpha1.NotificationChannel) error {
	if !a.Namespaces.match(channel.Namespace) {
		return fmt.Errorf("`spec.exec`: programs may not run in namespace %s; the manager's --exec-namespaces allows: %s",
			channel.Namespace, told(a.Namespaces))
	}
	template, err := Template(channel.Spec.Exec)
	if err != nil {
		return fmt.Errorf("`spec.exec.template`: %w", err)
	}
	for _, image := range images(&template.Spec) {
		if !a.Images.match(image) {
			return fmt.Errorf("`spec.exec.template`: the image %q may not be used; the manager's --exec-images allows: %s", image,
				told(a.Images))
		}
	}
	return nil
}

func told(p Patterns) string {
	if len(p) == 0 {
		return "none"
	}
	return p.String()
}

// images are all that a pod uses: of its containers, and those mounted as volumes.
func images(pod *corev1.PodSpec) []string {
	var all []string
	for _, c := range containers(pod) {
		all = append(all, c.Image)
	}
	for _, v := range pod.Volumes {
		if v.Image != nil {
			all = append(all, v.Image.Reference)
		}
	}
	return all
}
