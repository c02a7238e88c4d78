-- The payment service.
CREATE TABLE accounts (
    id text PRIMARY KEY,
    balance numeric NOT NULL);

-- The place is that of the order, as this database sees it.
CREATE TABLE payments (
    cart text NOT NULL,
    account text NOT NULL REFERENCES accounts,
    amount numeric NOT NULL,
    place bigint);

-- When the shop was opened: before the upgrade.
CREATE TABLE shop (
    opened timestamptz NOT NULL);
