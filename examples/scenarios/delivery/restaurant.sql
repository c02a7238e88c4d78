-- The restaurants' service. The menu is theirs; the order service has a copy.
CREATE TABLE restaurants (
    id integer PRIMARY KEY,
    is_open boolean NOT NULL);

CREATE TABLE menu (
    item integer PRIMARY KEY,
    restaurant integer NOT NULL REFERENCES restaurants,
    price numeric NOT NULL,
    version bigint NOT NULL DEFAULT 0);

-- What the kitchen has approved.
CREATE TABLE tickets (
    order_id text PRIMARY KEY,
    restaurant integer NOT NULL REFERENCES restaurants);

CREATE TABLE ticket_lines (
    order_id text NOT NULL,
    item integer NOT NULL,
    price numeric NOT NULL,
    PRIMARY KEY (order_id, item));
