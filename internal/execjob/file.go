// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
)

const (
	// maxFile is how long the notification's JSON may be; it is an annotation of the pod, which may have 256 KiB of them.
	maxFile = 128 << 10
	// maxText is how long a text may be, in bytes, once the whole is too long.
	maxText = 4 << 10
)

// notificationFile is what a program finds in FileName: the Notification, as kubectl shows it, without its status.
type notificationFile struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        fileMetadata              `json:"metadata"`
	Spec            v1alpha1.NotificationSpec `json:"spec"`
	// Truncated says that something was left out, as the whole would have been too long.
	Truncated bool `json:"truncated,omitempty"`
}

type fileMetadata struct {
	Name              string      `json:"name"`
	Namespace         string      `json:"namespace"`
	UID               types.UID   `json:"uid"`
	CreationTimestamp metav1.Time `json:"creationTimestamp"`
}

// file is the JSON of a notification. What is too long loses what matters least first.
func file(n *v1alpha1.Notification, channel string) (string, error) {
	f := notificationFile{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Notification"},
		Metadata: fileMetadata{Name: n.Name, Namespace: n.Namespace, UID: n.UID, CreationTimestamp: n.CreationTimestamp},
		Spec:     *n.Spec.DeepCopy(),
	}
	for _, cut := range []func(*v1alpha1.NotificationSpec){
		func(*v1alpha1.NotificationSpec) {},
		func(spec *v1alpha1.NotificationSpec) { dropOthers(spec, channel) },
		dropAttributes, shortenDescription, shortenTexts, dropEvent, dropLists,
	} {
		cut(&f.Spec)
		content, err := json.Marshal(f)
		if err != nil {
			return "", fmt.Errorf("writing the notification's file: %w", err)
		}
		if len(content) <= maxFile {
			return string(content), nil
		}
		f.Truncated = true
	}
	return "", fmt.Errorf("the notification does not fit into %d bytes of %s", maxFile, FileName)
}

// dropOthers leaves nothing of the messages through other channels but the channels' names.
func dropOthers(spec *v1alpha1.NotificationSpec, channel string) {
	for i, d := range spec.Deliveries {
		if d.Channel != channel {
			spec.Deliveries[i] = v1alpha1.Delivery{Channel: d.Channel}
		}
	}
}

func dropAttributes(spec *v1alpha1.NotificationSpec) {
	if e := event(spec); e != nil {
		e.Attributes = nil
	}
}

func shortenDescription(spec *v1alpha1.NotificationSpec) {
	if e := event(spec); e != nil {
		e.Description = status.Truncate(e.Description, maxText)
	}
}

func shortenTexts(spec *v1alpha1.NotificationSpec) {
	for i := range spec.Deliveries {
		spec.Deliveries[i].Message = status.Truncate(spec.Deliveries[i].Message, maxText)
	}
}

func dropEvent(spec *v1alpha1.NotificationSpec) {
	if spec.Trigger != nil {
		spec.Trigger.Event = nil
	}
}

func dropLists(spec *v1alpha1.NotificationSpec) {
	spec.Deliveries = nil
	if spec.Trigger != nil {
		spec.Trigger.ComputerNames, spec.Trigger.Risks = nil, nil
	}
	if spec.Digest != nil {
		spec.Digest.Conditions = nil
	}
}

func event(spec *v1alpha1.NotificationSpec) *v1alpha1.EventSnapshot {
	if spec.Trigger == nil {
		return nil
	}
	return spec.Trigger.Event
}
