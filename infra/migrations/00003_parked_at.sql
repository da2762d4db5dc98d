-- +goose Up

-- How long a stream has been stuck is asked for by everybody who watches.
CREATE INDEX parked_at ON millrace.parked (function, parked_at);
