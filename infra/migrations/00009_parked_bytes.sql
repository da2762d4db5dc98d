-- +goose Up

-- A drain reads parked events up to a size, which it has to know beforehand.
ALTER TABLE millrace.parked ADD COLUMN bytes int NULL;

COMMENT ON COLUMN millrace.parked.bytes IS 'Size of the event as it came, in JSON; null where an older revision parked it.';
