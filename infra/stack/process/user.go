package process

import (
	"errors"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// User is somebody other than root to run a child as.
type User struct {
	Name     string
	UID, GID uint32
}

// Unprivileged returns whom to run a child as that refuses root, as
// PostgreSQL does: the user postgres if there is one, else nobody. It is nil
// when this process is not root: children then run as it does.
func Unprivileged() (*User, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nil is the documented answer: run as the parent does
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u := lookup(name); u != nil {
			return u, nil
		}
	}
	return nil, errors.New("started as root, and there is neither a user postgres nor nobody to run PostgreSQL as: add one, or start as another user")
}

func lookup(name string) *User {
	found, err := user.Lookup(name)
	if err != nil {
		return nil
	}
	uid, err1 := strconv.ParseUint(found.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(found.Gid, 10, 32)
	if err1 != nil || err2 != nil || uid == 0 {
		return nil
	}
	return &User{Name: name, UID: uint32(uid), GID: uint32(gid)}
}

func (u *User) credential() *syscall.Credential {
	return &syscall.Credential{Uid: u.UID, Gid: u.GID, NoSetGroups: false}
}

// Own gives a path to the user; nil leaves it as it is.
func (u *User) Own(path string) error {
	if u == nil {
		return nil
	}
	return os.Chown(path, int(u.UID), int(u.GID))
}
