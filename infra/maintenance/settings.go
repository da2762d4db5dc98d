package maintenance

import (
	"errors"
	"fmt"

	"github.com/caarlos0/env/v11"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/postgres"
)

// Settings is what a process reads from its environment.
type Settings struct {
	// Required: where the database is: postgres://..., or libpq's words. It takes
	// one connection.
	DatabaseURL string `env:"DATABASE_URL"`
	// Whether the database is brought to the newest schema first. It takes a
	// connection to PostgreSQL itself, not through a pooler.
	Migrate bool `env:"MAINTAIN_MIGRATE" envDefault:"false"`
	Config
}

// FromEnvironment reads the settings. Its error names all that is wrong.
func FromEnvironment() (Settings, error) {
	s, err := env.ParseAs[Settings]()
	if err := errors.Join(err, s.Validate()); err != nil {
		return s, fmt.Errorf("configuration: %s", postgres.Redact(err.Error()))
	}
	return s, nil
}

// Validate names everything that is wrong.
func (s *Settings) Validate() error {
	errs := []error{s.Config.Validate()}
	if s.DatabaseURL == "" {
		errs = append(errs, errors.New("DATABASE_URL is required: postgres://user:password@host:5432/database"))
	} else if _, err := pgx.ParseConfig(s.DatabaseURL); err != nil {
		errs = append(errs, errors.New("DATABASE_URL: "+postgres.Redact(err.Error())))
	}
	return errors.Join(errs...)
}
