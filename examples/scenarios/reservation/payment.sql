-- The payment service.
CREATE TABLE accounts (
    id text PRIMARY KEY,
    balance numeric NOT NULL CHECK (balance >= 0));

CREATE TABLE payments (
    order_id text PRIMARY KEY,
    account text NOT NULL REFERENCES accounts,
    amount numeric NOT NULL CHECK (amount > 0),
    state text NOT NULL DEFAULT 'paid' CHECK (state IN ('paid', 'refunded')));
