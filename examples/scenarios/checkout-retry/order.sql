-- The order service. Nothing here forbids a second order of a cart: were there one, the verdict would see it.
CREATE TABLE orders (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cart text NOT NULL,
    customer text NOT NULL,
    amount numeric NOT NULL CHECK (amount > 0));

-- The outside reader's notes: what each press was answered.
CREATE TABLE answers (
    cart text NOT NULL,
    press integer NOT NULL,
    status integer NOT NULL,
    body text NOT NULL);
