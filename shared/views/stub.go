package views

func compareHash(pipe pipe, key string, part []entry) func() ([]Difference, error)    { return nil }
func compareMembers(pipe pipe, key string, part []entry) func() ([]Difference, error) { return nil }
func compareRecent(pipe pipe, key string, part []entry) func() ([]Difference, error)  { return nil }
