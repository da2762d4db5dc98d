-- +goose Up

-- A tenant's undecided dead letters are counted against its limit with every
-- batch that makes one. Refused ones are not limited: the audit log keeps the
-- same events.
CREATE INDEX dead_letters_undecided ON millrace.dead_letters (tenant_id) WHERE state = 'open' AND kind = 'undecided';
