// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

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
	fmt.Fprintf(&s, "### %s\n\n%s\n\n", t.title, t.about)
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

// sample is one quantity, measured several times.
type sample []float64

// quantile is the value below which the given share of the sample lies.
func (s sample) quantile(share float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

func (s sample) median() float64 { return s.quantile(0.5) }

// text writes the median, and in brackets the least and the most.
func (s sample) text(write func(float64) string) string {
	if len(s) < 2 {
		return write(s.median())
	}
	return fmt.Sprintf("%s (%s to %s)", write(s.median()), write(slices.Min(s)), write(slices.Max(s)))
}

// whole writes a number with a comma at each thousand.
func whole(x float64) string {
	digits := strconv.FormatFloat(x, 'f', 0, 64)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

func twoDigits(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) }

// milliseconds writes seconds.
func milliseconds(x float64) string { return whole(1000*x) + " ms" }

func seconds(x float64) string { return twoDigits(x) + " s" }

func mebibytes(x float64) string { return whole(x/(1<<20)) + " MiB" }

func kibibytes(x float64) string { return whole(x/(1<<10)) + " KiB" }
