-- The order service. The cart is not unique here: nothing but Assent keeps a cart from being ordered twice.
CREATE TABLE orders (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cart text NOT NULL,
    customer text NOT NULL,
    amount numeric NOT NULL);

-- What shoppers do without the payment service.
CREATE TABLE wishes (
    cart text NOT NULL);

-- The outside reader's notes: the answer to each first press, and the last one for each cart.
CREATE TABLE answers (
    cart text PRIMARY KEY,
    moment text NOT NULL,
    status integer NOT NULL,
    reason text NOT NULL,
    may_retry boolean NOT NULL,
    took_us bigint NOT NULL);
CREATE TABLE told (
    cart text PRIMARY KEY,
    status integer NOT NULL,
    state text NOT NULL);
