// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of every kind.
const Group = "tocsin.dev"

var (
	// GroupVersion identifies this version of the API.
	GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

	// SchemeGroupVersion is GroupVersion, by the name that generated code expects.
	SchemeGroupVersion = GroupVersion

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers the kinds with a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&SecurityEvent{}, &SecurityEventList{},
		&NotificationCondition{}, &NotificationConditionList{},
		&NotificationChannel{}, &NotificationChannelList{},
		&Notification{}, &NotificationList{},
		&NotificationFilter{}, &NotificationFilterList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
