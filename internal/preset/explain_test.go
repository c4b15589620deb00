// SPDX-License-Identifier: Apache-2.0

package preset_test

import (
	"os"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/internal/preset"
)

// TestExplain: `kubectl explain notificationcondition.spec.type` tells each condition type in the table's words.
func TestExplain(t *testing.T) {
	t.Parallel()
	crd, err := os.ReadFile("../../config/crd/bases/tocsin.dev_notificationconditions.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range preset.All() {
		if want := string(p.Type) + ": " + p.Summary; !strings.Contains(string(crd), want) {
			t.Errorf("the schema does not say %q", want)
		}
	}
}
