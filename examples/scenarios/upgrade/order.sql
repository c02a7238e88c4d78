-- The order service. The cart is not unique here: nothing but Assent keeps a cart from being ordered twice.
-- Orders that were left in the queue write down how many of those they found: that is their place. NULL for the others.
CREATE TABLE orders (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cart text NOT NULL,
    customer text NOT NULL,
    amount numeric NOT NULL,
    place bigint);

-- What shoppers do without the payment service.
CREATE TABLE wishes (
    cart text NOT NULL);

-- The outside reader's notes: the answer to each first press, and what each shopper knew in the end.
CREATE TABLE answers (
    cart text PRIMARY KEY,
    queued boolean NOT NULL, -- sent with respond-async
    moment text NOT NULL,
    status integer NOT NULL,
    reason text NOT NULL,
    may_retry boolean NOT NULL,
    took_us bigint NOT NULL);
CREATE TABLE told (
    cart text PRIMARY KEY,
    status integer NOT NULL,
    state text NOT NULL, -- "left": went away after a 503, and has not come back
    accepted_as text,    -- the id of an accepted request
    sent_us bigint NOT NULL,
    accepted_us bigint NOT NULL); -- when it was known to be accepted
