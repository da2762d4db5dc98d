-- +goose Up

CREATE DOMAIN millrace.exact AS numeric CHECK (scale(VALUE) IS NOT NULL);

COMMENT ON DOMAIN millrace.exact IS 'A decimal number: neither NaN nor infinite.';

-- The trades of accounts, as they stand after their last amendment.
CREATE TABLE millrace.trades (
    month       date           NOT NULL CHECK (date_part('day', month) = 1),
    tenant_id   text           NOT NULL CHECK (tenant_id <> ''),
    account     text           NOT NULL CHECK (account <> ''),
    source      text           NOT NULL CHECK (source <> ''),
    id          text           NOT NULL CHECK (id <> ''),
    instrument  text           NOT NULL CHECK (instrument <> ''),
    side        text           NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity    millrace.exact NOT NULL CHECK (quantity > 0),
    price       millrace.exact NOT NULL,
    currency    text           NOT NULL CHECK (octet_length(currency) = 3),
    fee         millrace.exact NOT NULL CHECK (fee >= 0),
    state       text           NOT NULL CHECK (state IN ('executed', 'cancelled')),
    executed_at timestamptz    NOT NULL CONSTRAINT trades_in_month CHECK (date_trunc('month', executed_at AT TIME ZONE 'UTC') = month),
    fill        text           NOT NULL CHECK (fill <> ''),
    entry       text           NOT NULL,
    booked      bigint         NOT NULL CHECK (booked >= 1),
    version     bigint         NOT NULL CHECK (version >= booked),
    PRIMARY KEY (tenant_id, account, source, id, month)
) PARTITION BY RANGE (month);

COMMENT ON TABLE millrace.trades IS 'The trades of accounts, as they stand after their last amendment. Named by source and id of the event that executed them.';
COMMENT ON COLUMN millrace.trades.month IS 'UTC month of the execution.';
COMMENT ON COLUMN millrace.trades.price IS 'May be below 0.';
COMMENT ON COLUMN millrace.trades.fill IS 'Id of the event that told the position.';
COMMENT ON COLUMN millrace.trades.entry IS 'Id of the event that told the ledger; empty if there was nothing to book.';
COMMENT ON COLUMN millrace.trades.booked IS 'Version of the account at the execution.';
COMMENT ON COLUMN millrace.trades.version IS 'Version of the account at the last change.';

-- For the last trades of an account.
CREATE INDEX trades_booked ON millrace.trades (tenant_id, account, booked);

SELECT millrace.add_monthly_table('trades', 4);
