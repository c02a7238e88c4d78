-- The payment service. A payment is never deleted here: if one is not there in the end, it never was.
CREATE TABLE accounts (
    id text PRIMARY KEY,
    balance numeric NOT NULL);

CREATE TABLE payments (
    order_id text PRIMARY KEY,
    account text NOT NULL REFERENCES accounts,
    amount numeric NOT NULL CHECK (amount > 0));
