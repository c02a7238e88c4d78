-- The payment service.
CREATE TABLE cards (
    id text PRIMARY KEY,
    valid_until date NOT NULL,
    credit numeric NOT NULL CHECK (credit >= 0));

CREATE TABLE payments (
    cart text PRIMARY KEY,
    card text NOT NULL REFERENCES cards,
    amount numeric NOT NULL CHECK (amount > 0));
