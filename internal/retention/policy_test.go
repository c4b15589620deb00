// SPDX-License-Identifier: Apache-2.0

package retention_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/retention"
)

const (
	info     = v1alpha1.SeverityInfo
	warning  = v1alpha1.SeverityWarning
	failure  = v1alpha1.SeverityFunctionalFailure
	critical = v1alpha1.SeverityCritical
)

func TestAgesAreReadFromAFlag(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		flags []string
		want  string
		wrong string
	}{
		"the defaults":                   {nil, "Info=24h,Warning=72h,FunctionalFailure=168h,Critical=168h", ""},
		"only what is named is replaced": {[]string{"Warning=90m"}, "Info=24h,Warning=1h30m,FunctionalFailure=168h,Critical=168h", ""},
		"several":                        {[]string{"Critical=2000h, Info=1h"}, "Info=1h,Warning=72h,FunctionalFailure=168h,Critical=2000h", ""},
		"the flag given twice":           {[]string{"Info=1h", "Warning=2h"}, "Info=1h,Warning=2h,FunctionalFailure=168h,Critical=168h", ""},
		"an unknown severity":            {[]string{"Debug=1h"}, "", `"Debug" is not a severity; those are Info, Warning, FunctionalFailure and Critical`},
		"a severity in lower case":       {[]string{"info=1h"}, "", `"info" is not a severity`},
		"no duration":                    {[]string{"Info"}, "", `"Info" is not of the form Info=24h`},
		"nothing":                        {[]string{""}, "", `"" is not of the form`},
		"a trailing comma":               {[]string{"Info=1h,"}, "", `"" is not of the form`},
		"days":                           {[]string{"Info=3d"}, "", `Info: "3d" is not a duration such as 24h or 90m; there is no unit for days`},
		"zero":                           {[]string{"Info=0s"}, "", `Info: "0s" must be above zero`},
		"less than zero":                 {[]string{"Info=-1h"}, "", `must be above zero`},
		"a mistake changes nothing":      {[]string{"Info=1h,Foo=2h"}, "Info=24h,Warning=72h,FunctionalFailure=168h,Critical=168h", `"Foo"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ages := retention.DefaultEvents().Ages
			for _, text := range tc.flags {
				err := ages.Set(text)
				if (err != nil) != (tc.wrong != "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
					t.Fatalf("Set(%q) = %v, want %q", text, err, tc.wrong)
				}
			}
			if tc.want != "" && ages.String() != tc.want {
				t.Errorf("ages are %s, want %s", ages.String(), tc.want)
			}
			var again retention.Ages
			if err := again.Set(ages.String()); err != nil || again != ages {
				t.Errorf("%s is read back as %s, %v", ages.String(), again.String(), err)
			}
		})
	}
}

func TestShortest(t *testing.T) {
	t.Parallel()
	policy := retention.Policy{Ages: retention.Ages{4 * time.Hour, 3 * time.Hour, 9 * time.Hour, 5 * time.Hour}}
	for name, tc := range map[string]struct {
		severities []v1alpha1.Severity
		want       time.Duration
	}{
		"all when none is named":             {nil, 3 * time.Hour},
		"one":                                {[]v1alpha1.Severity{failure}, 9 * time.Hour},
		"the shortest of several":            {[]v1alpha1.Severity{failure, critical}, 5 * time.Hour},
		"in whatever order":                  {[]v1alpha1.Severity{critical, failure}, 5 * time.Hour},
		"an unknown severity counts as Info": {[]v1alpha1.Severity{failure, "Unheard"}, 4 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := policy.Shortest(tc.severities); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestWhatSeverityAnObjectIsKeptAs(t *testing.T) {
	t.Parallel()
	for severity, want := range map[v1alpha1.Severity]v1alpha1.Severity{
		"": info, "Unheard": info, info: info, warning: warning, failure: failure, critical: critical,
	} {
		if got := retention.As(severity); got != want {
			t.Errorf("%q is kept as %s, want %s", severity, got, want)
		}
	}
}
