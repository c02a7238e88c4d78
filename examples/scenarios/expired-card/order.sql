-- The order service.
CREATE TABLE orders (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cart text NOT NULL,
    customer text NOT NULL,
    amount numeric NOT NULL CHECK (amount > 0));

-- The outside reader's notes: the history of the refused transaction, as GET /v1/transactions/{id}/events told it.
CREATE TABLE history (
    step integer PRIMARY KEY,
    since_start_us bigint NOT NULL,
    kind text NOT NULL,
    participant text);
