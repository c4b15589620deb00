// SPDX-License-Identifier: Apache-2.0

package screen_test

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

func TestWhatIsNoTerminalGetsNoColoursAndLinesAsLongAsTheyAre(t *testing.T) {
	t.Parallel()
	if s := screen.New(&bytes.Buffer{}, os.Getenv); s.Colour || s.Width != 0 {
		t.Errorf("got %+v", s)
	}
	if s := (&screen.Screen{}); s.Paint(screen.Bad, "x") != "x" {
		t.Error("painted")
	}
}

func TestATableLinesUpWhateverItHolds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	table := screen.NewTable(&screen.Screen{Writer: &out}, "NAME", "WHAT")
	if err := table.Write(
		[]screen.Cell{screen.Text("日本"), screen.Text("wide")},
		[]screen.Cell{screen.Text("e\u0301"), screen.Text("")},
		[]screen.Cell{screen.Text("a\nb\x1b"), screen.Text("hostile")},
	); err != nil {
		t.Fatal(err)
	}
	if err := table.Write([]screen.Cell{screen.Text("later"), screen.Text("no header")}); err != nil {
		t.Fatal(err)
	}
	want := "NAME   WHAT\n日本   wide\ne\u0301      <none>\na b\uFFFD   hostile\nlater   no header\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestProseIsCutToTheTerminalAndNothingElse(t *testing.T) {
	t.Parallel()
	for prose, want := range map[bool]string{true: "NAME   MESSAGE\nmail   a text that…\n", false: "NAME   MESSAGE\nmail   a text that is too long\n"} {
		var out bytes.Buffer
		table := screen.NewTable(&screen.Screen{Writer: &out, Width: 19}, "NAME", "MESSAGE")
		table.Prose = prose
		if err := table.Write([]screen.Cell{screen.Text("mail"), screen.Text("a text that is too long")}); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("prose: %t, got\n%s", prose, out.String())
		}
	}
}

func TestItemsAreWrappedAndNeverCut(t *testing.T) {
	t.Parallel()
	items := []string{"a", "日本", "longer than a line", "b\nc", "d"}
	for columns, want := range map[int][]string{
		8:  {"a, 日本,", "longer than a line,", "b c, d"},
		7:  {"a,", "日本,", "longer than a line,", "b c, d"},
		0:  {"a,", "日本,", "longer than a line,", "b c,", "d"},
		99: {"a, 日本, longer than a line, b c, d"},
	} {
		if got := screen.Wrap(items, columns); !slices.Equal(got, want) {
			t.Errorf("%d columns: %q", columns, got)
		}
	}
}

func TestBlocksAreMarkedLineByLine(t *testing.T) {
	t.Parallel()
	if got, want := screen.Block("a\r\n\nState: fine\x1b[2J", "| "), "| a\n|\n| State: fine\uFFFD[2J\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatDeceives(t *testing.T) {
	t.Parallel()
	for _, r := range "\x00\x07\x1b\r\x7f\u0085\u009b\u200b\u202e\u2028\u2066\ufeff\U000e0041" {
		if !screen.Deceives(r) {
			t.Errorf("%U passes", r)
		}
	}
	for _, r := range "aß日\n\t \u0301é🔥\ufe0f\uFFFD" {
		if screen.Deceives(r) {
			t.Errorf("%U does not pass", r)
		}
	}
}
