// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// quietConflicts turns a conflict, which only says that the cache lags behind, into a repetition instead of an error, and
// ends the matter where the object is gone.
func quietConflicts[request comparable](inner reconcile.TypedReconciler[request]) reconcile.TypedReconciler[request] {
	return reconcile.TypedFunc[request](func(ctx context.Context, r request) (ctrl.Result, error) {
		result, err := inner.Reconcile(ctx, r)
		if apierrors.IsConflict(err) {
			return ctrl.Result{RequeueAfter: conflictRetry}, nil
		}
		return result, client.IgnoreNotFound(err)
	})
}
