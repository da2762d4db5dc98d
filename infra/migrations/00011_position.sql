-- +goose Up

-- What an account holds of each instrument.
CREATE TABLE millrace.positions (
    tenant_id         text           NOT NULL CHECK (tenant_id <> ''),
    account           text           NOT NULL CHECK (account <> ''),
    instrument        text           NOT NULL CHECK (instrument <> ''),
    currency          text           NOT NULL CHECK (octet_length(currency) = 3),
    former_currencies text[]         NOT NULL,
    quantity          millrace.exact NOT NULL,
    cost              millrace.exact NOT NULL CHECK (quantity <> 0 OR cost = 0),
    realised          millrace.exact NOT NULL,
    booked            bigint         NOT NULL CHECK (booked >= 1),
    live              bigint         NOT NULL CHECK (live BETWEEN 0 AND booked),
    version           bigint         NOT NULL CHECK (version >= 1),
    PRIMARY KEY (tenant_id, account, instrument)
) PARTITION BY HASH (tenant_id);

COMMENT ON COLUMN millrace.positions.former_currencies IS 'Those it had before all its fills were cancelled.';
COMMENT ON COLUMN millrace.positions.quantity IS 'Below 0 if short.';
COMMENT ON COLUMN millrace.positions.cost IS 'What was paid for the quantity; below 0 if it was received. Divided by the quantity it is the average cost.';
COMMENT ON COLUMN millrace.positions.realised IS 'Profit from what was closed. Exactly: cost - realised = sum of signed quantity x price over the live fills.';
COMMENT ON COLUMN millrace.positions.booked IS 'How many fills were booked.';
COMMENT ON COLUMN millrace.positions.live IS 'How many of them are not cancelled.';
COMMENT ON COLUMN millrace.positions.version IS 'Version of the account at the last change.';

SELECT millrace.make_hash_partitions('positions', 4);

-- What made the positions, in the order of booking.
CREATE TABLE millrace.fills (
    month          date           NOT NULL CHECK (date_part('day', month) = 1),
    tenant_id      text           NOT NULL CHECK (tenant_id <> ''),
    account        text           NOT NULL CHECK (account <> ''),
    instrument     text           NOT NULL CHECK (instrument <> ''),
    n              bigint         NOT NULL CHECK (n >= 1),
    source         text           NOT NULL CHECK (source <> ''),
    id             text           NOT NULL CHECK (id <> ''),
    side           text           NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity       millrace.exact NOT NULL CHECK (quantity > 0),
    price          millrace.exact NOT NULL,
    currency       text           NOT NULL CHECK (octet_length(currency) = 3),
    state          text           NOT NULL CHECK (state IN ('booked', 'cancelled')),
    filled_at      timestamptz    NOT NULL CONSTRAINT fills_in_month CHECK (date_trunc('month', filled_at AT TIME ZONE 'UTC') = month),
    quantity_after millrace.exact NOT NULL,
    cost_after     millrace.exact NOT NULL CHECK (quantity_after <> 0 OR cost_after = 0),
    realised_after millrace.exact NOT NULL,
    PRIMARY KEY (tenant_id, account, instrument, n, month)
) PARTITION BY RANGE (month);

COMMENT ON TABLE millrace.fills IS 'What made the positions, in the order of booking. Named by source and id of the event that booked them.';
COMMENT ON COLUMN millrace.fills.month IS 'UTC month of the fill.';
COMMENT ON COLUMN millrace.fills.n IS 'Counts the fills of the account and instrument, from 1.';
COMMENT ON COLUMN millrace.fills.price IS 'May be below 0.';
COMMENT ON COLUMN millrace.fills.quantity_after IS 'The position after this fill, from which an amendment of a later one starts.';

-- For the fill that is to be amended.
CREATE INDEX fills_name ON millrace.fills (tenant_id, account, source, id);

SELECT millrace.add_monthly_table('fills', 4);
