// SPDX-License-Identifier: Apache-2.0

// Package execjob makes the Job that takes a notification through a channel of type Exec, and reads what a Job and its pods
// tell. It is pure: it changes nothing but what it returns, and time comes in as a parameter.
package execjob

import (
	"errors"
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/json"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

const (
	// maxContainers keeps the Job within what etcd stores (1.5 MB): each container carries all variables.
	maxContainers = 10
	// maxAnnotations is how many bytes of annotations a template may have. A pod may have 256 KiB, of which the notification
	// takes maxFile; admission and network plugins write some of their own.
	maxAnnotations = 64 << 10
	// maxGracePeriod is how many seconds a program may have to end once it is told to.
	maxGracePeriod = 300
	// reserved is how names begin that are Tocsin's.
	reserved = v1alpha1.Group + "/"
)

// Template reads the pod template of a channel, and refuses what no Job can be made of. What else may be wrong with it the
// API server says when the Job is made. Errors name the field within the template, in back-quotes.
func Template(exec *v1alpha1.ExecChannel) (*corev1.PodTemplateSpec, error) {
	template := &corev1.PodTemplateSpec{}
	strict, err := json.UnmarshalStrict(exec.Template.Raw, template)
	if err = errors.Join(append(strict, err)...); err != nil {
		return nil, fmt.Errorf("is no pod template: %s", strings.ReplaceAll(err.Error(), "\n", ", "))
	}
	for _, check := range []func(*corev1.PodTemplateSpec) error{
		hasContainers, runsOnce, endsSoon, leavesNames, leavesMount,
	} {
		if err := check(template); err != nil {
			return nil, err
		}
	}
	return template, nil
}

func hasContainers(t *corev1.PodTemplateSpec) error {
	switch n := len(t.Spec.Containers) + len(t.Spec.InitContainers); {
	case len(t.Spec.Containers) == 0:
		return errors.New("`spec.containers` is empty; it needs one container, with the image and the command of the program")
	case n > maxContainers:
		return fmt.Errorf("`spec.containers` and `spec.initContainers` hold %d; there may be %d in all", n, maxContainers)
	}
	return nil
}

func runsOnce(t *corev1.PodTemplateSpec) error {
	switch t.Spec.RestartPolicy {
	case "", corev1.RestartPolicyNever:
		return nil
	}
	return fmt.Errorf("`spec.restartPolicy` is %s; it must be Never, or be left out: `exec.retries` says how often a program that "+
		"failed runs again", t.Spec.RestartPolicy)
}

func endsSoon(t *corev1.PodTemplateSpec) error {
	if g := t.Spec.TerminationGracePeriodSeconds; g != nil && *g > maxGracePeriod {
		return fmt.Errorf("`spec.terminationGracePeriodSeconds` is %d; it may be %d at most, as the delivery waits for the end", *g,
			maxGracePeriod)
	}
	return nil
}

func leavesNames(t *corev1.PodTemplateSpec) error {
	size := 0
	for field, names := range map[string]map[string]string{
		"metadata.annotations": t.Annotations, "metadata.labels": t.Labels,
	} {
		for name, value := range names {
			if strings.HasPrefix(name, reserved) {
				return fmt.Errorf("`%s` holds %q; what begins with %s is Tocsin's own", field, name, reserved)
			}
			if field == "metadata.annotations" {
				size += len(name) + len(value)
			}
		}
	}
	if size > maxAnnotations {
		return fmt.Errorf("`metadata.annotations` holds %d bytes; there may be %d", size, maxAnnotations)
	}
	return nil
}

// leavesMount refuses a template that takes the place of the notification's file.
func leavesMount(t *corev1.PodTemplateSpec) error {
	for i, v := range t.Spec.Volumes {
		if v.Name == volumeName {
			return fmt.Errorf("`spec.volumes[%d].name` is %s, which is Tocsin's own", i, v.Name)
		}
	}
	for _, c := range containers(&t.Spec) {
		for _, m := range c.VolumeMounts {
			at := path.Clean("/" + m.MountPath)
			if at == MountPath || strings.HasPrefix(at, MountPath+"/") {
				return fmt.Errorf("container %q mounts a volume at %s; %s is where Tocsin puts the notification", c.Name, m.MountPath,
					MountPath)
			}
		}
	}
	return nil
}

// containers are all of a pod, those that run first included.
func containers(pod *corev1.PodSpec) []*corev1.Container {
	var all []*corev1.Container
	for i := range pod.InitContainers {
		all = append(all, &pod.InitContainers[i])
	}
	for i := range pod.Containers {
		all = append(all, &pod.Containers[i])
	}
	return all
}
