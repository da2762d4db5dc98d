package stack

// Reporter is told what a person who waits should know.
type Reporter interface {
	// Begin says that something starts that may take a while. The
	// returned function is called once, when it is over.
	Begin(what string) (done func())
	// Note is one line of news.
	Note(line string)
}

// Silent is the Reporter of tests.
type Silent struct{}

// Begin implements [Reporter].
func (Silent) Begin(string) func() { return func() {} }

// Note implements [Reporter].
func (Silent) Note(string) {}

func reporter(r Reporter) Reporter {
	if r == nil {
		return Silent{}
	}
	return r
}
