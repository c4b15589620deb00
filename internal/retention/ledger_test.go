// SPDX-License-Identifier: Apache-2.0

package retention_test

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/internal/retention"
)

func item(uid string, k retention.Key, place uint64) retention.Item {
	return retention.Item{Key: k, UID: types.UID(uid), Name: uid, Place: place, Created: ago(100 - int(place)), Bytes: 10}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	a, b := key("a", info), key("b", critical)
	for name, tc := range map[string]struct {
		put    []retention.Item
		remove []types.UID
		oldest map[retention.Key]string
		groups []retention.Group
	}{
		"nothing": {oldest: map[retention.Key]string{a: ""}},
		"keys are apart": {
			put:    []retention.Item{item("x", a, 1), item("y", b, 2), item("z", a, 3)},
			oldest: map[retention.Key]string{a: "x", b: "y"},
			groups: []retention.Group{group(a, 2, 99), group(b, 1, 98)},
		},
		"the oldest is the one that was created first, whenever it is put": {
			put:    []retention.Item{item("y", a, 20), item("z", a, 30), item("x", a, 10)},
			oldest: map[retention.Key]string{a: "x"}, groups: []retention.Group{group(a, 3, 90)},
		},
		"of those with the same place the one that was put first": {
			put:    []retention.Item{item("x", a, 10), item("y", a, 10)},
			oldest: map[retention.Key]string{a: "x"}, groups: []retention.Group{group(a, 2, 90)},
		},
		"when the oldest is gone, the next one is": {
			put:    []retention.Item{item("x", a, 1), item("y", a, 2), item("z", a, 3)},
			remove: []types.UID{"x"},
			oldest: map[retention.Key]string{a: "y"}, groups: []retention.Group{group(a, 2, 98)},
		},
		"one from the middle": {
			put:    []retention.Item{item("x", a, 1), item("y", a, 2), item("z", a, 3)},
			remove: []types.UID{"y", "x"},
			oldest: map[retention.Key]string{a: "z"}, groups: []retention.Group{group(a, 1, 97)},
		},
		"the last of a key takes it along": {
			put:    []retention.Item{item("x", a, 1), item("y", b, 2)},
			remove: []types.UID{"x", "unheard"},
			oldest: map[retention.Key]string{a: "", b: "y"}, groups: []retention.Group{group(b, 1, 98)},
		},
		"what is put twice counts once": {
			put:    []retention.Item{item("x", a, 1), item("x", a, 1)},
			oldest: map[retention.Key]string{a: "x"}, groups: []retention.Group{group(a, 1, 99)},
		},
		"what is finished moves, to its place": {
			put: []retention.Item{
				item("x", unfinished("a", info), 1), item("y", a, 2), item("x", a, 1),
			},
			oldest: map[retention.Key]string{a: "x", unfinished("a", info): ""}, groups: []retention.Group{group(a, 2, 99)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := retention.NewLedger()
			for _, i := range tc.put {
				l.Put(i)
			}
			for _, uid := range tc.remove {
				l.Remove(uid)
			}
			for k, want := range tc.oldest {
				if i, found := l.Oldest(k); i.Name != want || found != (want != "") {
					t.Errorf("the oldest of %v is %q, %t, want %q", k, i.Name, found, want)
				}
			}
			groups := l.Groups()
			slices.SortFunc(groups, func(a, b retention.Group) int { return cmp.Compare(a.Namespace, b.Namespace) })
			if diff := gocmp.Diff(tc.groups, groups, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("groups differ (-want +got):\n%s", diff)
			}
			var number int
			for _, g := range tc.groups {
				number += g.Number
			}
			if n, bytes := l.Total(); n != number || bytes != int64(10*number) {
				t.Errorf("the total is %d of %d bytes, want %d of 10 bytes each", n, bytes, number)
			}
		})
	}
}
