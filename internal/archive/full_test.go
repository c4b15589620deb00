// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// TestWhatIsRefusedIsNoTrouble of the database's: it takes others.
func TestWhatIsRefusedIsNoTrouble(t *testing.T) {
	t.Parallel()
	d := today(t, filepath.Join(t.TempDir(), "log.db"))
	p, err := d.connected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.writes.ExecContext(t.Context(), `CREATE TRIGGER never BEFORE INSERT ON notification_archive
		WHEN NEW.name = 'poison' BEGIN SELECT RAISE(ABORT, 'never'); END`); err != nil {
		t.Fatal(err)
	}
	err = d.Put(t.Context(), []Entry{{uid: "a", object: "{}"}, {uid: "b", name: "poison", object: "{}"}})
	if err == nil || Unavailable(err) {
		t.Errorf("refused with: %v", err)
	}
	if err := d.Put(t.Context(), []Entry{{uid: "a", object: "{}"}}); err != nil {
		t.Error(err)
	}
}

func TestAFullVolumeLosesNothing(t *testing.T) {
	t.Parallel()
	d := today(t, filepath.Join(t.TempDir(), "log.db"))
	p, err := d.connected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	room := func(pages int) {
		t.Helper()
		if _, err := p.writes.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	var uids []types.UID
	entry := func(number int) []Entry {
		return []Entry{{uid: fmt.Sprint("u", number), text: strings.Repeat("text ", 1000), object: "{}"}}
	}
	put := func(number int) error {
		err := d.Put(t.Context(), entry(number))
		if err == nil {
			uids = append(uids, types.UID(fmt.Sprint("u", number)))
		}
		return err
	}
	room(60)
	number := 0
	for err = nil; err == nil && number < 1000; number++ {
		err = put(number)
	}
	if err == nil || !strings.Contains(err.Error(), "full") || len(uids) == 0 {
		t.Fatalf("after %d entries: %v", len(uids), err)
	}
	if !Unavailable(err) {
		t.Errorf("the volume is full, and it seems to be about the entry: %v", err)
	}
	room(1000)
	for range 3 {
		if err := put(number); err != nil {
			t.Fatal(err)
		}
		number++
	}
	found, err := d.Revisions(t.Context(), uids)
	if err != nil || len(found) != len(uids) {
		t.Errorf("%d of %d entries are there: %v", len(found), len(uids), err)
	}
}
