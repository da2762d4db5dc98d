-- +goose Up

-- A redrive that was cut off between its two steps is looked for by everybody who
-- watches.
CREATE INDEX dead_letters_redriving ON millrace.dead_letters (function) WHERE state = 'redriving';
