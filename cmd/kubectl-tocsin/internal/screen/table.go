// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"strings"
)

// Cell is one value of a table. Its text may be anything: a table cleans it.
type Cell struct {
	Text string
	Tone Tone
}

// Text is a cell without a colour.
func Text(text string) Cell { return Cell{Text: text} }

const (
	gap = 3
	// none is what kubectl shows for a value that is not there.
	none = "<none>"
	// leastLast is how narrow a last column of prose may get before it is left to wrap.
	leastLast = 10
)

// Table writes rows under a header. Rows that follow later keep the widths of the first ones where they fit.
type Table struct {
	screen *Screen
	header []string
	widths []int
	// Headless leaves out the header.
	Headless bool
	// Prose says that the last column is a text to read, which is cut to the terminal. All else is shown whole, so that it
	// can be used.
	Prose bool
}

// NewTable makes a table with these columns.
func NewTable(screen *Screen, header ...string) *Table {
	t := &Table{screen: screen, header: header, widths: make([]int, len(header))}
	for i, name := range header {
		t.widths[i] = Columns(name)
	}
	return t
}

// Write writes rows; the first time with the header.
func (t *Table) Write(rows ...[]Cell) error {
	for _, row := range rows {
		for i := range row {
			row[i].Text = Line(row[i].Text)
			if row[i].Text == "" {
				row[i] = Cell{none, Faint}
			}
			t.widths[i] = max(t.widths[i], Columns(row[i].Text))
		}
	}
	var out strings.Builder
	if !t.Headless {
		t.Headless = true
		cells := make([]Cell, len(t.header))
		for i, name := range t.header {
			cells[i] = Cell{name, Bold}
		}
		t.line(&out, cells)
	}
	for _, row := range rows {
		t.line(&out, row)
	}
	_, err := t.screen.Write([]byte(out.String()))
	return err
}

func (t *Table) line(out *strings.Builder, row []Cell) {
	used := 0
	for i, cell := range row {
		last := i == len(row)-1
		text := cell.Text
		if last && t.Prose && t.screen.Width-used >= leastLast {
			text = cut(text, t.screen.Width-used)
		}
		out.WriteString(t.screen.Paint(cell.Tone, text))
		if !last {
			out.WriteString(strings.Repeat(" ", t.widths[i]-Columns(text)+gap))
		}
		used += t.widths[i] + gap
	}
	out.WriteByte('\n')
}
