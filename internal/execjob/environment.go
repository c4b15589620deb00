// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/tocsin-dev/tocsin/internal/placeholder"
	"github.com/tocsin-dev/tocsin/internal/status"
)

const (
	// maxVariable is how long one value may be, in bytes; execve takes 128 KiB a string.
	maxVariable = 32 << 10
	// maxEnvironment is how long all values may be together; all of them stand in each container of the Job.
	maxEnvironment = 48 << 10
)

// environment are the values of the placeholders, as variables of the same names, and where the file is.
func environment(values placeholder.Values) []corev1.EnvVar {
	variables := []corev1.EnvVar{{Name: FileVariable, Value: MountPath + "/" + FileName}}
	left := maxEnvironment
	for _, p := range placeholder.All() {
		value := status.Truncate(strings.ReplaceAll(values[p.Name], "\x00", ""), min(maxVariable, left))
		left -= len(value)
		variables = append(variables, corev1.EnvVar{Name: string(p.Name), Value: literal(value)})
	}
	return variables
}

// literal keeps Kubernetes from putting other variables in the place of what looks like $(NAME). All dollars are doubled:
// doubling those before a parenthesis alone would turn $$(NAME) into one that is expanded.
func literal(value string) string { return strings.ReplaceAll(value, "$", "$$") }

// merge puts the notification's variables before the template's, which may refer to them. A name that the template sets
// itself stays the template's: an event must not change what its author has fixed.
func merge(variables, own []corev1.EnvVar) []corev1.EnvVar {
	merged := slices.DeleteFunc(slices.Clone(variables), func(v corev1.EnvVar) bool {
		return slices.ContainsFunc(own, func(o corev1.EnvVar) bool { return o.Name == v.Name })
	})
	return append(merged, own...)
}
