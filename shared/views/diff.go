package views

// Difference is where Redis does not show what it should.
type Difference struct {
	Key    string
	Member string // empty if it is of the whole key
	Want   string
	Got    string
}
