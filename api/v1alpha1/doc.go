// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds Tocsin's API, group tocsin.dev: what reporters say (SecurityEvent), what administrators
// declare (NotificationCondition, NotificationChannel) and what Tocsin decided and delivered (Notification).
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +kubebuilder:ac:output:package=applyconfiguration
// +groupName=tocsin.dev
package v1alpha1
