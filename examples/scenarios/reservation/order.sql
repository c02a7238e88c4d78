-- The order service.
CREATE TABLE orders (
    id text PRIMARY KEY,
    product text NOT NULL,
    customer text NOT NULL,
    state text NOT NULL DEFAULT 'placed' CHECK (state IN ('placed', 'cancelled')));
