// SPDX-License-Identifier: Apache-2.0

// Package prometheus_test holds the dashboard and the alerts to the metrics that there are, and the monitor to the Service.
// That Prometheus understands the queries, and that the alerts fire when they should, is tested in hack/prometheus.
package prometheus_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	_ "github.com/tocsin-dev/tocsin/controllers" // registers its metrics
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

const (
	dashboardFile = "dashboard.json"
	rulesFile     = "rules.yaml"
	operations    = "../../docs/operations.md"
)

var (
	named = regexp.MustCompile(`\btocsin_[a-z_]+\b`)
	// described is how a metric's description tells its name and that it is Tocsin's.
	described = regexp.MustCompile(`fqName: "(tocsin_[a-z_]+)"`)
)

// registered are the metrics that a manager has.
func registered(t *testing.T) map[string]bool {
	t.Helper()
	registry, ok := metrics.Registry.(prometheus.Collector)
	if !ok {
		t.Fatalf("the registry is a %T and cannot tell what is registered", metrics.Registry)
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		registry.Describe(descriptions)
	}()
	names := map[string]bool{}
	for d := range descriptions {
		if match := described.FindStringSubmatch(d.String()); match != nil {
			names[match[1]] = true
		}
	}
	if len(names) == 0 {
		t.Fatal("no metrics are registered")
	}
	return names
}

// mentioned are the metrics that a text names; a histogram's series go by its name.
func mentioned(text string, known map[string]bool) map[string]bool {
	names := map[string]bool{}
	for _, name := range named.FindAllString(text, -1) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if histogram, ok := strings.CutSuffix(name, suffix); ok && known[histogram] {
				name = histogram
			}
		}
		names[name] = true
	}
	return names
}

func TestMetricsThatAreNamedExist(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	known := registered(t)
	for _, file := range append(pages, dashboardFile, rulesFile) {
		for name := range mentioned(read(t, file), known) {
			if !known[name] {
				t.Errorf("%s names %s, which no manager has", file, name)
			}
		}
	}
}

func TestEachMetricIsShownAndExplained(t *testing.T) {
	t.Parallel()
	known := registered(t)
	for _, file := range []string{dashboardFile, operations} {
		names := mentioned(read(t, file), known)
		for _, name := range slices.Sorted(maps.Keys(known)) {
			if !names[name] {
				t.Errorf("%s does not name %s", file, name)
			}
		}
	}
}

// panel is what matters here of a panel of a dashboard.
type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		RefID string `json:"refId"`
		Expr  string `json:"expr"`
	} `json:"targets"`
	// Panels are those of a row that is collapsed.
	Panels []panel `json:"panels"`
}

const gridWidth = 24

func TestDashboard(t *testing.T) {
	t.Parallel()
	var dashboard struct {
		Title, UID string
		Panels     []panel
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.Title == "" || dashboard.UID == "" || len(dashboard.Panels) == 0 {
		t.Fatal("it has no title, no uid or no panels")
	}
	ids, places := map[int]string{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if other, taken := ids[p.ID]; taken || p.ID == 0 {
			t.Errorf("%q has the id %d, as %q has", p.Title, p.ID, other)
		}
		ids[p.ID] = p.Title
		for _, fault := range faults(p) {
			t.Errorf("%q: %s", p.Title, fault)
		}
		g := p.GridPos
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, taken := places[[2]int{x, y}]; taken {
					t.Fatalf("%q lies over %q at %d, %d", p.Title, other, x, y)
				}
				places[[2]int{x, y}] = p.Title
			}
		}
	}
}

func faults(p panel) (found []string) {
	if g := p.GridPos; g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > gridWidth {
		found = append(found, fmt.Sprintf("it does not lie on the grid: %+v", g))
	}
	if p.Title == "" || p.Type != "row" && p.Description == "" {
		found = append(found, "it has no title or no description")
	}
	if len(p.Panels) > 0 {
		found = append(found, "it is collapsed and hides panels from these tests")
	}
	if (len(p.Targets) == 0) != (p.Type == "row") {
		found = append(found, fmt.Sprintf("it is a %s with %d queries", p.Type, len(p.Targets)))
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if target.Expr == "" || target.RefID == "" || refs[target.RefID] {
			found = append(found, fmt.Sprintf("query %q is empty, or its refId is used twice", target.RefID))
		}
		refs[target.RefID] = true
	}
	return found
}

// manifest is an object of a kind that this module has no types for.
type manifest[S any] struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              S `json:"spec"`
}

type monitor struct {
	Selector  metav1.LabelSelector `json:"selector"`
	Endpoints []struct {
		Port     string `json:"port"`
		Path     string `json:"path"`
		Interval string `json:"interval"`
	} `json:"endpoints"`
}

type rules struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			For         string            `json:"for,omitempty"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

func TestEachAlertSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	page := read(t, operations)
	seen := map[string]bool{}
	for _, group := range objects[manifest[rules]](t, []string{read(t, rulesFile)}, "PrometheusRule")[0].Spec.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" || seen[rule.Alert] {
				t.Errorf("an alert of group %s has no name, or that of another: %q", group.Name, rule.Alert)
			}
			seen[rule.Alert] = true
			if severity := rule.Labels["severity"]; severity != "warning" && severity != "critical" {
				t.Errorf("%s: severity is %q", rule.Alert, severity)
			}
			for _, text := range []string{"summary", "description"} {
				if rule.Annotations[text] == "" {
					t.Errorf("%s has no %s", rule.Alert, text)
				}
			}
			const book = "https://github.com/tocsin-dev/tocsin/blob/main/docs/operations.md#"
			if got, want := rule.Annotations["runbook_url"], book+strings.ToLower(rule.Alert); got != want {
				t.Errorf("%s: runbook_url is %q, want %q", rule.Alert, got, want)
			}
			if heading := "\n#### " + rule.Alert + "\n"; !strings.Contains(page, heading) {
				t.Errorf("%s has no heading %q", operations, heading)
			}
		}
	}
	if len(seen) == 0 {
		t.Error("there are no alerts")
	}
}

func TestTheMonitorFindsTheService(t *testing.T) {
	t.Parallel()
	monitors := objects[manifest[monitor]](t, build(t, "prometheus"), "ServiceMonitor")
	if len(monitors) != 1 || len(monitors[0].Spec.Endpoints) != 1 {
		t.Fatalf("there are not one monitor and one endpoint: %+v", monitors)
	}
	found := monitors[0]
	selector, err := metav1.LabelSelectorAsSelector(&found.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, service := range objects[corev1.Service](t, build(t, "default"), "Service") {
		if service.Namespace != found.Namespace || !selector.Matches(labels.Set(service.Labels)) {
			continue
		}
		names = append(names, service.Name)
		if port := found.Spec.Endpoints[0].Port; !slices.ContainsFunc(service.Spec.Ports,
			func(p corev1.ServicePort) bool { return p.Name == port }) {
			t.Errorf("the Service has no port %q", port)
		}
	}
	if !slices.Equal(names, []string{"tocsin-metrics"}) {
		t.Errorf("it finds the Services %v, want tocsin-metrics alone", names)
	}
}

func TestGrafanaFindsTheDashboard(t *testing.T) {
	t.Parallel()
	found := objects[corev1.ConfigMap](t, build(t, "prometheus"), "ConfigMap")
	if len(found) != 1 || found[0].Name != "tocsin-dashboard" || found[0].Labels["grafana_dashboard"] != "1" {
		t.Fatalf("there is not one ConfigMap tocsin-dashboard that Grafana looks for: %+v", found)
	}
	if found[0].Data["tocsin.json"] != read(t, dashboardFile) {
		t.Errorf("it does not hold %s", dashboardFile)
	}
}

func TestTheAlertsAreBuiltAsTheyAre(t *testing.T) {
	t.Parallel()
	source := objects[manifest[rules]](t, []string{read(t, rulesFile)}, "PrometheusRule")
	built := objects[manifest[rules]](t, build(t, "prometheus"), "PrometheusRule")
	if len(source) != 1 || len(built) != 1 || built[0].Name != "tocsin-alerts" || built[0].Namespace != "tocsin-system" {
		t.Fatalf("there is not one PrometheusRule tocsin-alerts in tocsin-system: %+v", built)
	}
	if !reflect.DeepEqual(built[0].Spec, source[0].Spec) {
		t.Errorf("the alerts are\n%+v\nwant\n%+v", built[0].Spec, source[0].Spec)
	}
}

// build is what `kubectl apply -k` would apply of a folder of config/.
func build(t *testing.T, folder string) []string {
	t.Helper()
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: it is the directory that holds kubectl; `make test` sets it")
	}
	out, err := exec.Command(filepath.Join(assets, "kubectl"), "kustomize", filepath.Join("..", folder)).Output()
	if err != nil {
		t.Fatalf("building config/%s: %v", folder, err)
	}
	return cluster.Manifests(string(out))
}

// objects reads the documents of a kind; all that they say must have its place in the type.
func objects[T any](t *testing.T, documents []string, kind string) []T {
	t.Helper()
	var found []T
	for _, document := range documents {
		var head metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatal(err)
		}
		if head.Kind != kind {
			continue
		}
		var object T
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		found = append(found, object)
	}
	if len(found) == 0 {
		t.Fatalf("there is no %s", kind)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
