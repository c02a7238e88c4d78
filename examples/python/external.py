#!/usr/bin/env python3
"""external.py - the order by psycopg2 on a connection of our own, its payment by Assent: both or neither.

    external.py ORDER CUSTOMER AMOUNT

Prints one line and exits with 0 done, 1 not done, 2 not known, 64 wrong use, 69 not available.
ASSENT_API is the coordinator (http://127.0.0.1:7400), ORDER_DB the order database as libpq names it.
"""
import http.client
import json
import os
import sys
from urllib.parse import urlsplit

import psycopg2

API = urlsplit(os.environ.get("ASSENT_API", "http://127.0.0.1:7400"))
ORDER_DB = os.environ.get("ORDER_DB", "")
ROLE = os.environ.get("ORDER_ROLE", "shop_app")  # it owns the branch, and is granted to the agent's role
TIMEOUT_MS = 5000
ANSWER_S = 2 * TIMEOUT_MS / 1000 + 4

DONE, NOT_DONE, UNKNOWN, WRONG, UNAVAILABLE = 0, 1, 2, 64, 69


class Refused(Exception):
    """An answer of Assent's that is no success."""

    def __init__(self, answer):
        super().__init__(answer.get("detail") or answer.get("title"))
        self.answer = answer


def tell(path, **body):
    connection = http.client.HTTPConnection(API.hostname, API.port, timeout=ANSWER_S)
    try:
        connection.request("POST", "/v1/transactions/" + path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
    finally:
        connection.close()
    if response.status >= 300:
        raise Refused(answer)
    return answer


def prepare(database, gid, order, customer, amount):
    """Any driver will do that lets us send PREPARE TRANSACTION ourselves. Its reply is waited for."""
    with database.cursor() as cursor:
        cursor.execute(f"SET ROLE {ROLE}")
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO orders (id, customer, amount) VALUES (%s, %s, %s)", (order, customer, amount))
        cursor.execute("PREPARE TRANSACTION %s", (gid,))  # psycopg2 writes it as a literal
        if cursor.statusmessage != "PREPARE TRANSACTION":  # "ROLLBACK" where the block had failed
            raise psycopg2.DatabaseError(f"not prepared: {cursor.statusmessage}")


def commit(transaction):
    """May be asked again as often as need be: the recorded outcome is the answer."""
    for attempt in range(3):
        try:
            return tell(transaction + "/commit")
        except (OSError, http.client.HTTPException, ValueError):
            if attempt == 2:
                raise
        except Refused as refused:
            if attempt == 2 or refused.answer.get("state") != "unknown":
                raise
    return None


def buy(order, customer, amount):
    is_asked = False
    try:
        database = psycopg2.connect(ORDER_DB)
        database.autocommit = True  # BEGIN and PREPARE TRANSACTION are ours
        transaction = tell("open", timeout_ms=TIMEOUT_MS)["id"]
        gid = tell(transaction + "/branches", participant="order", mode="external")["gid"]
        prepare(database, gid, order, customer, amount)
        tell(transaction + "/statements", participant="payment", params=[customer, amount], expect_rows=1,
             sql="UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2")
        tell(transaction + "/statements", participant="payment", params=[order, customer, amount],
             sql="INSERT INTO payments (id, account, amount) VALUES ($1, $2, $3)")
        is_asked = True
        commit(transaction)
        return DONE, "committed"
    except Refused as refused:
        if is_asked and refused.answer.get("state") != "aborted":
            return UNKNOWN, f"not known: {refused}"
        return NOT_DONE, f"nothing was done: {refused}"  # what is prepared will be rolled back, by Assent
    except psycopg2.Error as error:
        return NOT_DONE, f"nothing was done: {str(error).strip()}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return (UNKNOWN if is_asked else UNAVAILABLE), f"no answer: {error!r}"


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        sys.exit(WRONG)
    code, message = buy(*sys.argv[1:])
    print(f"order {sys.argv[1]}: {message}")
    sys.exit(code)
