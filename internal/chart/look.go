package chart

import "image/color"

// look is what tells a line from the others: on a terminal its mark, in an SVG its color and its dashes, each by
// itself enough.
type look struct {
	mark   string
	color  color.RGBA
	dashes []float64 // drawn, left out, drawn, …; none: drawn all along
}

// looks are those of the first line, the second and so on. The colors are after Okabe and Ito's palette, made for eyes
// that see some colors as one ("Color Universal Design", 2008); those too light on white are darker here, or left out.
var looks = []look{
	{"*", color.RGBA{0x00, 0x72, 0xB2, 0xFF}, nil},                         // blue
	{"o", color.RGBA{0xD5, 0x5E, 0x00, 0xFF}, []float64{8, 4}},             // vermilion
	{"+", color.RGBA{0x00, 0x85, 0x60, 0xFF}, []float64{2, 3}},             // bluish green, a shade darker
	{"x", color.RGBA{0xB0, 0x50, 0x88, 0xFF}, []float64{10, 3, 2, 3}},      // reddish purple, a shade darker
	{"#", color.RGBA{0x00, 0x00, 0x00, 0xFF}, []float64{5, 2}},             // black
	{".", color.RGBA{0x70, 0x70, 0x70, 0xFF}, []float64{2, 2, 2, 2, 8, 2}}, // grey
}
