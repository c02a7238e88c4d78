-- The payment service. Nothing here forbids a second payment of a cart either.
CREATE TABLE accounts (
    id text PRIMARY KEY,
    balance numeric NOT NULL CHECK (balance >= 0));

CREATE TABLE payments (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cart text NOT NULL,
    account text NOT NULL REFERENCES accounts,
    amount numeric NOT NULL CHECK (amount > 0));
