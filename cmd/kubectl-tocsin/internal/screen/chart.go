// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	chartHeight = 5
	// widest is how many columns a chart has at most: more say nothing that the eye would see.
	widest = 120
	// eighths of a row, from empty to full.
	eighths = " ▁▂▃▄▅▆▇█"
)

// Mark is something that happened, so often, at a time.
type Mark struct {
	At    time.Time
	Count int64
}

// Chart draws how often something happened over time as bars, and under them where something was told. It is as wide as the
// screen; on one that is too narrow for it there is none.
func (s *Screen) Chart(from, to time.Time, happened []Mark, told []time.Time) string {
	top := int64(0)
	columns := s.columns()
	begin, end := stamp(from), stamp(to)
	if columns < len(begin) {
		return ""
	}
	bars, marks := make([]int64, columns), make([]int, columns)
	for _, m := range happened {
		i := bucket(m.At, from, to, columns)
		bars[i] += m.Count
		top = max(top, bars[i])
	}
	for _, at := range told {
		marks[bucket(at, from, to, columns)]++
	}
	label := fmt.Sprintf("%*s ", axis-1, short(top))
	var out strings.Builder
	for row := chartHeight - 1; row >= 0; row-- {
		out.WriteString(s.Paint(Faint, label+"│"))
		label = strings.Repeat(" ", axis)
		line := ""
		for _, n := range bars {
			line += fill(n, top, row)
		}
		out.WriteString(s.Paint(Good, strings.TrimRight(line, " ")) + "\n")
	}
	out.WriteString(s.Paint(Faint, label+"└"+strings.Repeat("─", columns)) + "\n")
	if len(told) > 0 {
		out.WriteString(s.Paint(Faint, fmt.Sprintf("%*s ", axis-1, "told")) + " ")
		out.WriteString(s.Paint(Worst, strings.TrimRight(arrows(marks), " ")) + "\n")
	}
	indent := label + " "
	out.WriteString(indent + begin)
	if room := columns - len(begin) - len(end); room > 0 {
		out.WriteString(strings.Repeat(" ", room) + end + "\n")
	} else {
		out.WriteString("\n" + indent + strings.Repeat(" ", columns-len(end)) + end + "\n")
	}
	return out.String()
}

// axis is how many columns stand left of the bars: a number, and the axis itself.
const axis = 8

func (s *Screen) columns() int {
	of := s.Width
	if of == 0 {
		of = DefaultWidth
	}
	return min(of-axis-2, widest)
}

// short is a number in the room that the axis has.
func short(n int64) string {
	unit := ""
	for _, larger := range []string{"k", "M", "G", "T"} {
		if n < 1_000_000 {
			break
		}
		n, unit = n/1000, larger
	}
	return strconv.FormatInt(n, 10) + unit
}

func bucket(at, from, to time.Time, columns int) int {
	span := to.Sub(from)
	if span <= 0 {
		return 0
	}
	i := int(float64(columns) * float64(at.Sub(from)) / float64(span))
	return min(max(i, 0), columns-1)
}

// fill is what a row shows of a bar. What happened at all is seen.
func fill(n, top int64, row int) string {
	if n == 0 || top == 0 {
		return " "
	}
	height := max(int(8*chartHeight*n/top), 1)
	level := min(max(height-8*row, 0), 8)
	return string([]rune(eighths)[level])
}

func arrows(marks []int) string {
	var out strings.Builder
	for _, n := range marks {
		switch {
		case n == 0:
			out.WriteByte(' ')
		case n == 1:
			out.WriteString("▲")
		case n < 10:
			fmt.Fprint(&out, n)
		default:
			out.WriteString("+")
		}
	}
	return out.String()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }
