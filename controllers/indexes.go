// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/outbox"
)

const (
	// indexByCondition finds Notifications by the UID of their condition.
	indexByCondition = "condition"
	// indexByPendingChannel finds Notifications by the channels they still have to go through.
	indexByPendingChannel = "pendingChannel"
	// indexByAction finds conditions by the channels that their actions name; those without actions have the empty name.
	indexByAction = "action"
)

func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []struct {
		object client.Object
		name   string
		values client.IndexerFunc
	}{
		{&v1alpha1.Notification{}, indexByCondition, conditionOf},
		{&v1alpha1.Notification{}, indexByPendingChannel, pendingChannels},
		{&v1alpha1.NotificationCondition{}, indexByAction, actionChannels},
	} {
		if err := indexer.IndexField(ctx, index.object, index.name, index.values); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", index.object, index.name, err)
		}
	}
	return nil
}

func conditionOf(o client.Object) []string {
	n, ok := o.(*v1alpha1.Notification)
	if !ok || n.Spec.Condition == nil {
		return nil
	}
	return []string{string(n.Spec.Condition.UID)}
}

func pendingChannels(o client.Object) []string {
	n, ok := o.(*v1alpha1.Notification)
	if !ok {
		return nil
	}
	var pending []string
	for _, channel := range outbox.Channels(&n.Spec) {
		if !outbox.Final(outbox.Find(n.Status.Deliveries, channel).State) {
			pending = append(pending, channel)
		}
	}
	return pending
}

func actionChannels(o client.Object) []string {
	condition, ok := o.(*v1alpha1.NotificationCondition)
	if !ok {
		return nil
	}
	channels := make([]string, 0, len(condition.Spec.Actions))
	for _, action := range condition.Spec.Actions {
		channels = append(channels, action.ChannelRef.Name)
	}
	return channels
}
