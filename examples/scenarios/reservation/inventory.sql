-- The inventory service. No CHECK (stock >= 0) here: what keeps the stock from being oversold is what the scenario shows.
CREATE TABLE products (
    id text PRIMARY KEY,
    stock bigint NOT NULL,
    version bigint NOT NULL DEFAULT 0);

CREATE TABLE reservations (
    order_id text PRIMARY KEY,
    product text NOT NULL REFERENCES products);

-- The outside reader's notes: the stock that the walker saw.
CREATE TABLE walk (
    step integer PRIMARY KEY,
    before_it text NOT NULL,
    stock bigint NOT NULL);
