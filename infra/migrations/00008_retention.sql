-- +goose Up

-- Where months go that are detached and kept.
CREATE SCHEMA millrace_archive;

COMMENT ON SCHEMA millrace_archive IS 'Months that were detached from the tables of schema millrace, each a table of its own.';

-- Of the tables so far, none: each row is state of an entity, or what that is
-- folded from.
ALTER TABLE millrace.monthly_tables ADD COLUMN detachable boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN millrace.monthly_tables.detachable IS 'Old months may be taken out: no function reads them, and no verification compares them.';
