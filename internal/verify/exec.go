// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/execjob"
)

// exec checks the template of a channel that runs a program. What it may ask of the cluster is Pod Security's matter.
func exec(e *v1alpha1.ExecChannel) finding {
	if e == nil {
		return finding{}
	}
	_, err := execjob.Template(e)
	return invalid("spec.exec.template", err)
}
