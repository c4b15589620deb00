// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/window"
)

// maxObject is what etcd takes in one request by default.
const maxObject = 3 << 19

// schema is an OpenAPI schema, as far as it limits values.
type schema struct {
	Type          string            `json:"type"`
	Properties    map[string]schema `json:"properties"`
	Additional    *schema           `json:"additionalProperties"`
	Items         *schema           `json:"items"`
	Required      []string          `json:"required"`
	Enum          []any             `json:"enum"`
	Pattern       string            `json:"pattern"`
	MaxLength     *int              `json:"maxLength"`
	MinLength     *int              `json:"minLength"`
	MaxItems      *int              `json:"maxItems"`
	MinItems      *int              `json:"minItems"`
	MaxProperties *int              `json:"maxProperties"`
	Minimum       *float64          `json:"minimum"`
	Maximum       *float64          `json:"maximum"`
	ListType      string            `json:"x-kubernetes-list-type"`
	ListMapKeys   []string          `json:"x-kubernetes-list-map-keys"`
}

// notificationSchema is that of the CRD which the API server has.
func notificationSchema(tb testing.TB) schema {
	tb.Helper()
	data, err := os.ReadFile("../../config/crd/bases/tocsin.dev_notifications.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(data, &crd); err != nil {
		tb.Fatal(err)
	}
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
}

// refuse says what the schema refuses in a value.
func (s schema) refuse(path string, value any) []string {
	var wrong []string
	complain := func(is bool, format string, args ...any) {
		if is {
			wrong = append(wrong, path+": "+fmt.Sprintf(format, args...))
		}
	}
	complain(s.Enum != nil && !slices.Contains(s.Enum, value), "%v is none of %v", value, s.Enum)
	switch v := value.(type) {
	case string:
		n := utf8.RuneCountInString(v)
		complain(s.Type != "string", "is a string, not %s", s.Type)
		complain(outside(n, s.MinLength, s.MaxLength), "%d characters", n)
		complain(s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v), "%q does not match %s", v, s.Pattern)
	case float64:
		complain(s.Type != "integer", "is a number, not %s", s.Type)
		complain(outside(v, s.Minimum, s.Maximum), "is %v", v)
	case bool:
		complain(s.Type != "boolean", "is a boolean, not %s", s.Type)
	case []any:
		wrong = append(wrong, s.refuseList(path, v)...)
	case map[string]any:
		wrong = append(wrong, s.refuseObject(path, v)...)
	default:
		complain(true, "is a %T", value)
	}
	return wrong
}

func outside[T int | float64](n T, least, most *T) bool {
	return least != nil && n < *least || most != nil && n > *most
}

func (s schema) refuseList(path string, list []any) []string {
	var wrong []string
	if s.Items == nil || outside(len(list), s.MinItems, s.MaxItems) {
		return []string{fmt.Sprintf("%s: %d items", path, len(list))}
	}
	var keys []string
	for i, item := range list {
		wrong = append(wrong, s.Items.refuse(fmt.Sprintf("%s[%d]", path, i), item)...)
		key := fmt.Sprint(item)
		if s.ListType == "map" {
			key = fmt.Sprint(item.(map[string]any)[s.ListMapKeys[0]])
		}
		if s.ListType != "atomic" && slices.Contains(keys, key) {
			wrong = append(wrong, fmt.Sprintf("%s[%d]: a duplicate", path, i))
		}
		keys = append(keys, key)
	}
	return wrong
}

func (s schema) refuseObject(path string, object map[string]any) []string {
	var wrong []string
	for _, name := range s.Required {
		if _, ok := object[name]; !ok {
			wrong = append(wrong, path+"."+name+": is required")
		}
	}
	if outside(len(object), nil, s.MaxProperties) {
		wrong = append(wrong, fmt.Sprintf("%s: %d properties", path, len(object)))
	}
	for name, value := range object {
		property, ok := s.Properties[name]
		switch {
		case ok:
			wrong = append(wrong, property.refuse(path+"."+name, value)...)
		case s.Additional != nil:
			wrong = append(wrong, s.Additional.refuse(path+"."+name, value)...)
		default:
			wrong = append(wrong, path+"."+name+": is unknown and would be dropped")
		}
	}
	return wrong
}

func asJSON(tb testing.TB, value any) (size int, decoded any) {
	tb.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(data, &decoded); err != nil {
		tb.Fatal(err)
	}
	return len(data), decoded
}

// huge is an event in which each field is as long as the API admits, of a character that takes most room.
func huge(character string) *v1alpha1.SecurityEvent {
	long := func(n int) string { return strings.Repeat(character, n) }
	attributes := map[string]v1alpha1.AttributeValue{}
	for i := range 64 {
		attributes[fmt.Sprintf("%s%02d", long(61), i)] = v1alpha1.AttributeValue(long(1024))
	}
	count := int32(1_000_000)
	return &v1alpha1.SecurityEvent{
		ObjectMeta: metav1.ObjectMeta{
			Name: strings.Repeat("e", 253), UID: "0b0f6a52-9d0e-4c1b-8d53-7a9b3b5b1f00",
			CreationTimestamp: metav1.NewTime(t0),
		},
		Spec: v1alpha1.SecurityEventSpec{
			Type: v1alpha1.EventType(strings.Repeat("T", 63)), Severity: v1alpha1.SeverityCritical,
			Title: long(256), Description: long(4096),
			Count: &count, Server: long(253), Task: long(256), User: long(256), Attributes: attributes,
			Computer:    &v1alpha1.Computer{Name: long(253), IP: long(45), ConnectionIP: long(45), Domain: long(253), Group: long(512)},
			Product:     &v1alpha1.Product{Vendor: long(128), Name: long(128), Version: long(64)},
			Risk:        &v1alpha1.Risk{Name: long(256), Category: long(128), Action: long(128)},
			Application: &v1alpha1.Application{Name: long(256), Path: long(1024), SHA256: strings.Repeat("a", 64)},
			Network: &v1alpha1.Network{
				Activity: v1alpha1.ActivityTraffic, Direction: long(32), Protocol: long(32), Action: long(64), Signature: long(256),
				Local:  &v1alpha1.Endpoint{IP: long(45), Host: long(253)},
				Remote: &v1alpha1.Endpoint{IP: long(45), Host: long(253)},
				Rule:   &v1alpha1.FirewallRule{Name: long(256)},
			},
			InvolvedObject: &v1alpha1.InvolvedObject{APIVersion: long(253), Kind: long(63), Namespace: long(63), Name: long(253)},
		},
	}
}

// TestWhatIsComposedIsAdmitted: whatever an event says, and however long, the API server takes the notification of it, here
// through six channels of a hundred recipients each. A refused notification would be lost.
func TestWhatIsComposedIsAdmitted(t *testing.T) {
	t.Parallel()
	admission := notificationSchema(t)
	for name, character := range map[string]string{
		"ASCII": "x", "four bytes each": "\U0001F514", "escaped in JSON": "<", "not printable": "\x01", "percent signs": "%",
		"placeholders": "%DESCR%",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := huge(character)
			if character == "%DESCR%" {
				event = huge("%")
				event.Spec.Description = strings.Repeat("%DESCR%", 585)
			}
			condition := outbreak()
			condition.Name = strings.Repeat("c", 253)
			f := firing(t, condition)
			f.Event, f.Key, f.UpTo, f.Sequence, f.Held = event, event.Spec.Computer.Name+"/"+event.Spec.Risk.Name, 1<<64-1, 1<<62, 1<<62
			f.Window.Occurrences, f.Window.ComputerNames, f.Window.Risks = 1<<62, nil, nil
			for range window.MaxNames {
				f.Window.ComputerNames = append(f.Window.ComputerNames, event.Spec.Computer.Name)
				f.Window.Risks = append(f.Window.Risks, event.Spec.Risk.Name)
			}
			var channels []v1alpha1.NotificationChannel
			for i := range 6 {
				channel := mail(fmt.Sprintf("%0253d", i), true)
				channel.Spec.Email.Subject = v1alpha1.Subject(strings.Repeat("%EVENT%", 36))
				channel.Spec.Email.Message = v1alpha1.Text(strings.Repeat("%DESCR%", 1170))
				for len(channel.Spec.Email.Recipients) < 100 {
					address := fmt.Sprintf("%0308d@example.com", len(channel.Spec.Email.Recipients))
					channel.Spec.Email.Recipients = append(channel.Spec.Email.Recipients, v1alpha1.MailAddress(address))
				}
				channels = append(channels, channel)
			}
			n := journal.Compose(f, channels)
			size, spec := asJSON(t, n.Spec)
			for _, wrong := range admission.refuse("spec", spec) {
				t.Error(wrong)
			}
			if size > maxObject {
				t.Errorf("%d bytes are more than the %d that can be stored", size, maxObject)
			}
			if wrong := validation.IsDNS1123Subdomain(n.Name); len(wrong) > 0 {
				t.Errorf("name %s: %v", n.Name, wrong)
			}
			for key, value := range n.Labels {
				if wrong := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(wrong) > 0 {
					t.Errorf("label %s=%s: %v", key, value, wrong)
				}
			}
		})
	}
}

// TestTheSchemaRefuses what is no notification, else the test above would prove nothing.
func TestTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	admission := notificationSchema(t)
	for name, spoil := range map[string]func(*v1alpha1.NotificationSpec){
		"an unknown severity":    func(s *v1alpha1.NotificationSpec) { s.Severity = "Dreadful" },
		"a key that is too long": func(s *v1alpha1.NotificationSpec) { s.Trigger.Key = strings.Repeat("k", 1025) },
		"sequence number 0":      func(s *v1alpha1.NotificationSpec) { s.Trigger.Sequence = 0 },
		"a channel without name": func(s *v1alpha1.NotificationSpec) { s.Deliveries = []v1alpha1.Delivery{{}} },
		"the same channel twice": func(s *v1alpha1.NotificationSpec) {
			s.Deliveries = []v1alpha1.Delivery{{Channel: "a"}, {Channel: "a"}}
		},
		"twenty-one computers":    func(s *v1alpha1.NotificationSpec) { s.Trigger.ComputerNames = make([]string, 21) },
		"an event without a type": func(s *v1alpha1.NotificationSpec) { s.Trigger.Event.Type = "" },
	} {
		n := journal.Compose(firing(t, outbreak()), nil)
		if _, spec := asJSON(t, n.Spec); len(admission.refuse("spec", spec)) > 0 {
			t.Errorf("%s: refused before: %v", name, admission.refuse("spec", spec))
		}
		spoil(&n.Spec)
		if _, spec := asJSON(t, n.Spec); len(admission.refuse("spec", spec)) == 0 {
			t.Errorf("%s is not refused", name)
		}
	}
}
