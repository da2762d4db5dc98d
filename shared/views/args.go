package views

// args is what a script reads in ARGV. It holds pointers to what was appended, which
// go-redis follows: a string or number in an interface would be an allocation each,
// and they are most of what Apply does on this side.
type args struct {
	list  []any
	texts []string
}

func newArgs(capacity int) args {
	return args{list: make([]any, 0, capacity), texts: make([]string, 0, capacity)}
}

func (a *args) text(text string) {
	// Should texts ever grow, what was pointed to before stays as it was.
	a.texts = append(a.texts, text)
	a.list = append(a.list, &a.texts[len(a.texts)-1])
}

// number appends a number that stays where it is until the command is sent.
func (a *args) number(number *int64) { a.list = append(a.list, number) }

func (a *args) small(number int) { a.list = append(a.list, number) }

func (a *args) flag(flag bool) {
	number := 0
	if flag {
		number = 1
	}
	a.small(number)
}

func (a *args) score(score float64) { a.list = append(a.list, score) }
