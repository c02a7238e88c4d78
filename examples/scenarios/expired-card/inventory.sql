-- The inventory service.
CREATE TABLE products (
    id text PRIMARY KEY,
    stock bigint NOT NULL);

CREATE TABLE reservations (
    cart text PRIMARY KEY,
    product text NOT NULL REFERENCES products,
    quantity bigint NOT NULL);
