-- The inventory service. No CHECK (stock >= 0) here: neither design may need it.
CREATE TABLE products (
    id text PRIMARY KEY,
    round text NOT NULL,
    stock bigint NOT NULL,
    delivered bigint NOT NULL);

CREATE TABLE reservations (
    cart text PRIMARY KEY,
    round text NOT NULL,
    product text NOT NULL REFERENCES products);
CREATE INDEX ON reservations (round);

-- Only the saga needs these two.
CREATE TABLE outbox (
    id bigserial PRIMARY KEY,
    recipient text NOT NULL,
    kind text NOT NULL,
    body jsonb NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due timestamptz NOT NULL DEFAULT now());
CREATE TABLE inbox (message text PRIMARY KEY);
