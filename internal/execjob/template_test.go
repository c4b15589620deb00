// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"fmt"
	"strings"
	"testing"
)

func TestTemplatesThatAreRefused(t *testing.T) {
	t.Parallel()
	const container = `{"name":"a","image":"b"}`
	for name, tc := range map[string]struct{ template, want string }{
		"nothing":                 {``, "is no pod template"},
		"no object":               {`[]`, "is no pod template"},
		"empty":                   {`{}`, "`spec.containers` is empty; it needs one container"},
		"a typing error":          {`{"spec":{"containers":[` + container + `],"serviceAcountName":"x"}}`, `unknown field "spec.serviceAcountName"`},
		"two typing errors":       {`{"spec":{"containers":[{"nam":"a"}],"serviceAcountName":"x"}}`, `"spec.containers[0].nam", unknown field "spec.serv`},
		"another case":            {`{"spec":{"Containers":[` + container + `]}}`, `unknown field "spec.Containers"`},
		"a field twice":           {`{"spec":{"hostname":"a","hostname":"b","containers":[` + container + `]}}`, `duplicate field "spec.hostname"`},
		"a number for a text":     {`{"spec":{"containers":[{"name":1}]}}`, "is no pod template"},
		"always":                  {`{"spec":{"restartPolicy":"Always","containers":[` + container + `]}}`, "`spec.restartPolicy` is Always; it must be Never"},
		"on failure":              {`{"spec":{"restartPolicy":"OnFailure","containers":[` + container + `]}}`, "`exec.retries`"},
		"a slow end":              {`{"spec":{"terminationGracePeriodSeconds":301,"containers":[` + container + `]}}`, "`spec.terminationGracePeriodSeconds` is 301; it may be 300"},
		"a label of Tocsin":       {`{"metadata":{"labels":{"tocsin.dev/x":""}},"spec":{"containers":[` + container + `]}}`, "`metadata.labels` holds"},
		"an annotation of Tocsin": {`{"metadata":{"annotations":{"tocsin.dev/x":""}},"spec":{"containers":[` + container + `]}}`, "`metadata.annotations`"},
		"the volume of Tocsin":    {`{"spec":{"volumes":[{"name":"tocsin-notification"}],"containers":[` + container + `]}}`, "`spec.volumes[0].name`"},
		"the folder of Tocsin": {
			`{"spec":{"containers":[{"name":"a","image":"b","volumeMounts":[{"name":"v","mountPath":"/x/../tocsin/"}]}]}}`,
			`container "a" mounts a volume at /x/../tocsin/`,
		},
		"a folder in it": {
			`{"spec":{"initContainers":[{"name":"i","volumeMounts":[{"name":"v","mountPath":"/tocsin/notification.json"}]}],"containers":[` +
				container + `]}}`, `container "i" mounts`,
		},
		"eleven containers": {`{"spec":{"containers":[` + strings.Repeat(container+",", 10) + container + `]}}`, "hold 11; there may be 10"},
		"long annotations": {
			fmt.Sprintf(`{"metadata":{"annotations":{"a":%q}},"spec":{"containers":[%s]}}`, strings.Repeat("x", maxAnnotations), container),
			"there may be 65536",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Template(channelWith(tc.template).Spec.Exec)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestWhatAnAdministratorAllows(t *testing.T) {
	t.Parallel()
	list := func(text string) Patterns {
		var p Patterns
		if err := p.Set(text); err != nil {
			t.Fatal(err)
		}
		return p
	}
	const template = `{"spec":{
		"initContainers":[{"name":"i","image":"registry.example.com/soc/init@sha256:00"}],
		"containers":[{"name":"a","image":"registry.example.com/soc/script:1"}],
		"volumes":[{"name":"rules","image":{"reference":"registry.example.com/soc/rules:7"}}]}}`
	for name, tc := range map[string]struct {
		allowed Allowed
		want    string
	}{
		"anything":                   {Allowed{}, ""},
		"a star":                     {Allowed{Namespaces: list("*"), Images: list("*")}, ""},
		"all of these":               {Allowed{Namespaces: list("other, security"), Images: list("registry.example.com/soc/*")}, ""},
		"stars within":               {Allowed{Images: list("*/soc/*")}, ""},
		"no namespace":               {Allowed{Namespaces: list("")}, "--exec-namespaces allows: none"},
		"another namespace":          {Allowed{Namespaces: list("sec,curity,security-*")}, "namespace security; the manager's --exec-namespaces allows: sec,curity,security-*"},
		"not the container's":        {Allowed{Images: list("*/init*,*/rules:*")}, `"registry.example.com/soc/script:1" may not be used`},
		"not the init container's":   {Allowed{Images: list("*/script:*,*/rules:*")}, `"registry.example.com/soc/init@sha256:00" may not`},
		"not the volume's":           {Allowed{Images: list("*/script:*,*/init*")}, `"registry.example.com/soc/rules:7" may not`},
		"a pattern is a whole name":  {Allowed{Images: list("registry.example.com/soc")}, "--exec-images allows: registry.example.com/soc"},
		"a star in front of nothing": {Allowed{Images: list("registry.example.com/soc/*x*")}, "may not be used"},
		"names have one case":        {Allowed{Images: list("Registry.example.com/*")}, "may not be used"},
		"parts may not overlap":      {Allowed{Namespaces: list("securi*rity")}, "programs may not run"},
		"the order of parts counts":  {Allowed{Namespaces: list("*ri*cu*")}, "programs may not run"},
		"no image":                   {Allowed{Images: list(" , ")}, "--exec-images allows: none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tc.allowed.Check(channelWith(template))
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
	if err := (Allowed{}).Check(channelWith(`{}`)); err == nil || !strings.Contains(err.Error(), "`spec.exec.template`: ") {
		t.Errorf("a template that cannot be used: %v", err)
	}
}
