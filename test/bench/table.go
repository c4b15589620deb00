// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// width of a paragraph's lines.
const width = 125

// table is what was measured, as Markdown that is also read with ease where it stands.
type table struct {
	title string
	// about says what was done, in a paragraph.
	about string
	head  []string
	rows  [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t table) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "### %s\n\n%s\n\n", t.title, wrap(t.about))
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	rule := make([]string, len(t.head))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width)
	}
	for _, row := range append([][]string{t.head, rule}, t.rows...) {
		s.WriteString("|")
		for i, cell := range row {
			s.WriteString(" " + cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + " |")
		}
		s.WriteString("\n")
	}
	return s.String()
}

// wrap breaks a paragraph into lines.
func wrap(paragraph string) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(paragraph) {
		if line != "" && utf8.RuneCountInString(line+" "+word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return strings.Join(append(lines, line), "\n")
}

// sample is one quantity, measured several times.
type sample []float64

// quantile is the least value that the given share of the sample does not exceed.
func (s sample) quantile(share float64) float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)]
}

func (s sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// text writes the median, and in brackets the least and the most.
func (s sample) text(write func(float64) string) string {
	least, most := slices.Min(s), slices.Max(s)
	if write(least) == write(most) {
		return write(least)
	}
	return fmt.Sprintf("%s (%s to %s)", write(s.median()), write(least), write(most))
}

// whole writes a number with a comma at each thousand.
func whole(x float64) string {
	digits := strconv.FormatFloat(x, 'f', 0, 64)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

func twoDigits(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) }

// milliseconds writes seconds.
func milliseconds(x float64) string {
	if math.Abs(x) < 0.01 {
		return strconv.FormatFloat(1000*x, 'f', 1, 64) + " ms"
	}
	return whole(1000*x) + " ms"
}

func seconds(x float64) string { return twoDigits(x) + " s" }

func mebibytes(x float64) string { return whole(x/(1<<20)) + " MiB" }

func kibibytes(x float64) string { return whole(x/(1<<10)) + " KiB" }
