-- +goose Up

-- What operators did. Each row is written by the transaction that does it.
CREATE TABLE millrace.operations (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    done_at       timestamptz NOT NULL DEFAULT now(),
    who           text        NOT NULL CHECK (who <> ''),
    what          text        NOT NULL CHECK (what IN ('redrive', 'drop', 'skip', 'adopt')),
    why           text        NOT NULL CHECK (why <> '' OR what = 'redrive'),
    function      text        NOT NULL,
    tenant_id     text        NOT NULL,
    subject       text        NOT NULL,
    source        text        NOT NULL,
    dead_letter   uuid        NULL,
    event_id      text        NULL,
    from_sequence bigint      NULL CHECK (from_sequence > 0),
    to_sequence   bigint      NULL CHECK (to_sequence >= from_sequence),
    CONSTRAINT operations_of_one_kind CHECK (
        CASE WHEN what IN ('redrive', 'drop') THEN dead_letter IS NOT NULL AND event_id IS NOT NULL AND to_sequence IS NULL
             ELSE dead_letter IS NULL AND to_sequence IS NOT NULL END)
);

COMMENT ON TABLE millrace.operations IS 'What operators did to dead letters and streams, and why.';
COMMENT ON COLUMN millrace.operations.dead_letter IS 'The one that was redriven or dropped.';
COMMENT ON COLUMN millrace.operations.from_sequence IS 'The first sequence of the stream that was skipped; to_sequence is the last.';

CREATE INDEX operations_dead_letter ON millrace.operations (dead_letter) WHERE dead_letter IS NOT NULL;
CREATE INDEX operations_stream ON millrace.operations (tenant_id, function, subject, source);

-- A dead letter is redriving from the operator's word until the function has
-- decided its event, or could not again.
ALTER TABLE millrace.dead_letters DROP CONSTRAINT dead_letters_state_check;
ALTER TABLE millrace.dead_letters ADD CONSTRAINT dead_letters_state_check
    CHECK (state IN ('open', 'redriving', 'redriven', 'dropped'));

COMMENT ON COLUMN millrace.dead_letters.id IS 'Follows from function, event and first reason: a redelivery makes no second row.';

-- Lists are read page by page, in this order.
CREATE INDEX dead_letters_created_at ON millrace.dead_letters (created_at, id);
