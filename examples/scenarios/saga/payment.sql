-- The payment service.
CREATE TABLE cards (
    id text PRIMARY KEY,
    valid_until date NOT NULL,
    credit numeric NOT NULL);

CREATE TABLE payments (
    cart text PRIMARY KEY,
    round text NOT NULL,
    card text NOT NULL REFERENCES cards,
    amount numeric NOT NULL CHECK (amount > 0));
CREATE INDEX ON payments (round);

-- Only the saga needs these two.
CREATE TABLE outbox (
    id bigserial PRIMARY KEY,
    recipient text NOT NULL,
    kind text NOT NULL,
    body jsonb NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due timestamptz NOT NULL DEFAULT now());
CREATE TABLE inbox (message text PRIMARY KEY);
