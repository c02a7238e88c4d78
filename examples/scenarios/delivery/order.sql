-- The order service, with a copy of all menus to read from.
CREATE TABLE menu (
    item integer PRIMARY KEY,
    restaurant integer NOT NULL,
    price numeric NOT NULL,
    version bigint NOT NULL DEFAULT 0);

CREATE TABLE orders (
    id text PRIMARY KEY,
    customer text NOT NULL,
    restaurant integer NOT NULL,
    amount numeric NOT NULL);

CREATE TABLE order_lines (
    order_id text NOT NULL,
    item integer NOT NULL,
    price numeric NOT NULL,
    PRIMARY KEY (order_id, item));

-- The outside reader's notes: what customers were told, and what was seen of the two menus.
CREATE TABLE told (
    order_id text PRIMARY KEY,
    restaurant integer NOT NULL,
    outcome text NOT NULL,
    took_us bigint NOT NULL,
    looked_again bigint NOT NULL);
CREATE TABLE lunch (
    took_us bigint NOT NULL,
    looks bigint NOT NULL,
    looks_different bigint NOT NULL,
    longest_us bigint NOT NULL);
