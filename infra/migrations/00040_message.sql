-- +goose Up

-- The messages of conversations, as they stand after their last edit.
CREATE TABLE millrace.messages (
    month        date        NOT NULL CHECK (date_part('day', month) = 1),
    tenant_id    text        NOT NULL CHECK (tenant_id <> ''),
    conversation text        NOT NULL CHECK (conversation <> ''),
    source       text        NOT NULL CHECK (source <> ''),
    id           text        NOT NULL CHECK (id <> ''),
    author       text        NOT NULL CHECK (author <> ''),
    text         text        NOT NULL,
    attachments  jsonb[]     NOT NULL,
    details      jsonb       NULL CHECK (jsonb_typeof(details) = 'object'),
    state        text        NOT NULL CHECK (state IN ('sent', 'edited', 'redacted')),
    sent_at      timestamptz NOT NULL CONSTRAINT messages_in_month CHECK (date_trunc('month', sent_at AT TIME ZONE 'UTC') = month),
    number       bigint      NOT NULL CHECK (number >= 1),
    version      bigint      NOT NULL CHECK (version >= number),
    search       tsvector    NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', text)) STORED,
    PRIMARY KEY (tenant_id, conversation, source, id, month),
    CONSTRAINT messages_redacted CHECK (state <> 'redacted' OR text = '' AND attachments = '{}' AND details IS NULL)
) PARTITION BY RANGE (month);

COMMENT ON TABLE millrace.messages IS 'The messages of conversations, as they stand after their last edit. Named by source and id of the event that sent them.';
COMMENT ON COLUMN millrace.messages.month IS 'UTC month of the sending.';
COMMENT ON COLUMN millrace.messages.attachments IS 'Files that lie elsewhere: name, url, media_type, bytes.';
COMMENT ON COLUMN millrace.messages.details IS 'What the producer adds. Numbers are doubles.';
COMMENT ON COLUMN millrace.messages.number IS 'Version of the conversation at the sending.';
COMMENT ON COLUMN millrace.messages.version IS 'Version of the conversation at the last change.';
COMMENT ON COLUMN millrace.messages.search IS 'The words of the text, in whatever language, for @@ websearch_to_tsquery(''simple'', ...).';

-- For the last messages of a conversation.
CREATE INDEX messages_number ON millrace.messages (tenant_id, conversation, number);

CREATE INDEX messages_search ON millrace.messages USING gin (search);

SELECT millrace.add_monthly_table('messages', 4);
