// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// defaultChunk is how many objects a page holds, as kubectl has it.
const defaultChunk = 500

// query is what to ask the API server for.
type query struct {
	namespace string
	selectors logfilter.Selectors
	chunk     int64
}

func (q query) options() *client.ListOptions {
	return &client.ListOptions{
		Namespace: q.namespace, FieldSelector: q.selectors.Fields, LabelSelector: q.selectors.Labels, Limit: max(q.chunk, 0),
	}
}

// each visits all objects, a page at a time, and returns the resourceVersion that a watch goes on from. What a page holds
// is not kept. When reading takes so long that the server has forgotten what it began with, it goes on with what there is.
func each[T any, P interface {
	*T
	client.Object
}](ctx context.Context, c client.Reader, list client.ObjectList, q query, visit func(P) error) (string, error) {
	options, began := q.options(), ""
	for {
		page := list.DeepCopyObject().(client.ObjectList)
		err := c.List(ctx, page, options)
		if token := goOn(err); token != "" && options.Continue != token {
			options.Continue = token
			continue
		}
		if err != nil {
			return "", err
		}
		if began == "" {
			began = page.GetResourceVersion()
		}
		err = meta.EachListItem(page, func(o runtime.Object) error { return visit(o.(P)) })
		if options.Continue = page.GetContinue(); err != nil || options.Continue == "" {
			return began, err
		}
	}
}

// goOn is the token with which the server lets a reader go on whose own was too old.
func goOn(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsResourceExpired(err) || !errors.As(err, &status) {
		return ""
	}
	return status.Status().ListMeta.Continue
}

// all collects what each visits.
func all[T any, P interface {
	*T
	client.Object
}](ctx context.Context, c client.Reader, list client.ObjectList, q query) ([]T, error) {
	var items []T
	_, err := each(ctx, c, list, q, func(o P) error {
		items = append(items, *o)
		return nil
	})
	return items, err
}
