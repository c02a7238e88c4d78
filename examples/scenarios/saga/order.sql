-- The order service. With Assent an order is placed when it is there; the saga's is pending first.
CREATE TABLE orders (
    cart text PRIMARY KEY,
    round text NOT NULL,
    product text NOT NULL,
    card text NOT NULL,
    amount numeric NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'placed', 'cancelled')),
    reason text);
CREATE INDEX ON orders (round);

-- Only the saga needs these two, in each database: messages that a local transaction sends when it commits, and the numbers of those
-- that have been handled.
CREATE TABLE outbox (
    id bigserial PRIMARY KEY,
    recipient text NOT NULL,
    kind text NOT NULL,
    body jsonb NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due timestamptz NOT NULL DEFAULT now());
CREATE TABLE inbox (message text PRIMARY KEY);

-- The outside reader's notes: rounds, what the shoppers were told, and which carts were seen half done.
CREATE TABLE rounds (
    round text PRIMARY KEY,
    design text NOT NULL,
    down_ms bigint NOT NULL,
    shoppers bigint NOT NULL,
    took_us bigint NOT NULL,
    looks bigint NOT NULL,
    looks_half_done bigint NOT NULL);
CREATE TABLE told (
    cart text PRIMARY KEY,
    round text NOT NULL,
    product text NOT NULL,
    outcome text NOT NULL,
    began_us bigint NOT NULL,
    took_us bigint NOT NULL);
CREATE INDEX ON told (product);
CREATE TABLE half_done (
    cart text PRIMARY KEY,
    round text NOT NULL,
    paid_not_placed boolean NOT NULL,
    reserved_not_placed boolean NOT NULL,
    placed_not_all boolean NOT NULL,
    longest_us bigint NOT NULL);
