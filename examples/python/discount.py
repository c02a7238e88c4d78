#!/usr/bin/env python3
"""discount.py - what one database says decides what is done in another: a transaction statement by statement.

    discount.py ORDER CUSTOMER AMOUNT

A customer who has ordered before (database "order") pays a tenth less (database "payment"). Prints one line and exits with 0 paid,
1 declined, 2 not known, 64 the request is wrong, 69 not available. ASSENT_API is the coordinator (http://127.0.0.1:7400),
ASSENT_DEADLINE for how many seconds to try (30). Python 3.9 or later, standard library.
"""
import decimal
import http.client
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request

API = os.environ.get("ASSENT_API", "http://127.0.0.1:7400")
DEADLINE_S = float(os.environ.get("ASSENT_DEADLINE", "30"))
TIMEOUT_MS = 5000  # from the opening to the decision: locks are held meanwhile
ANSWER_S = 2 * TIMEOUT_MS / 1000 + 4
PAUSE_MAX_S = 2.0

PAID, DECLINED, UNKNOWN, WRONG, UNAVAILABLE = 0, 1, 2, 64, 69


class Ended(Exception):
    """The transaction, or the attempt to begin one, is over: what Assent said of it. Nothing of it remains."""


class Lost(Exception):
    """No answer, or none of Assent's: what became of the request is not known. But nothing commits by itself."""


class Unknown(Exception):
    """The same of the commit: it may have committed."""


def post(path, body):
    request = urllib.request.Request(API + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        if error.headers.get("Content-Type") != "application/problem+json":
            raise Lost(f"status {error.code}, but not from Assent") from None
        problem = json.load(error)
        if problem.get("state") == "unknown":
            raise Lost(problem["detail"]) from None
        raise Ended(problem) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Lost(f"no answer: {error}") from None


def insist(path, body, end):
    """For requests that may be repeated: a statement with its seq, a commit."""
    while True:
        try:
            return post(path, body)
        except Lost:
            if time.monotonic() >= end:
                raise
            time.sleep(random.uniform(0.05, 0.2))


class Transaction:
    def __init__(self, end):
        self.path = f"/v1/transactions/{post('/v1/transactions/open', {'timeout_ms': TIMEOUT_MS})['id']}"
        self.seq, self.end = 0, end

    def run(self, participant, sql, *params, **members):
        """One statement; its rows."""
        self.seq += 1  # the same number again would give the same answer again, and run nothing twice
        body = {"participant": participant, "sql": sql, "params": params, "seq": self.seq, **members}
        return insist(f"{self.path}/statements", body, self.end)["results"][0]["rows"]

    def commit(self):
        try:
            return insist(f"{self.path}/commit", {}, self.end)
        except Lost as error:
            raise Unknown(str(error)) from None


def order_with_discount(order, customer, amount, end):
    """All of it, or nothing."""
    transaction = Transaction(end)
    earlier = int(transaction.run("order", "SELECT count(*) FROM orders WHERE customer = $1", customer)[0][0])
    price = str((decimal.Decimal(amount) * (90 if earlier > 0 else 100) / 100).quantize(decimal.Decimal("0.01")))
    left = transaction.run("payment", "UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2"
                           " RETURNING balance", customer, price, expect_rows=1)[0][0]
    transaction.run("payment", "INSERT INTO payments (id, account, amount) VALUES ($1, $2, $3)", order, customer, price)
    transaction.run("order", "INSERT INTO orders (id, customer, amount) VALUES ($1, $2, $3)", order, customer, price)
    if transaction.commit()["state"] == "heuristic":
        return UNKNOWN, "done by hand in part, an operator must look at it"
    return PAID, f"{price} paid after {earlier} earlier orders, {left} left"


def judge(problem):
    """What an end means; None: begin anew, also where a restart of Assent has ended it (aborted, for no reason of its own)."""
    if problem["retryable"] or (problem.get("state") == "aborted" and "reason" not in problem):
        return None
    if problem.get("reason") == "row_count":
        return DECLINED, "declined: not enough money"
    return (DECLINED, f"declined: {problem['detail']}") if problem["status"] == 409 else (WRONG, f"refused: {problem['detail']}")


def main():
    if len(sys.argv) != 4:
        print("usage: discount.py ORDER CUSTOMER AMOUNT", file=sys.stderr)
        return WRONG
    end = time.monotonic() + DEADLINE_S
    verdict, pause = None, 0.1
    while verdict is None:
        try:
            verdict = order_with_discount(*sys.argv[1:], end)
        except Unknown as error:
            verdict = UNKNOWN, f"not known: {error}"
        except Lost as error:
            why = str(error)
        except Ended as error:
            verdict, why = judge(error.args[0]), error.args[0]["detail"]
        if verdict is None and time.monotonic() + pause >= end:
            verdict = UNAVAILABLE, "not available, nothing was done"
        if verdict is None:
            print(f"again: {why}", file=sys.stderr)
            time.sleep(random.uniform(0, pause))
            pause = min(2 * pause, PAUSE_MAX_S)
    print(f"order {sys.argv[1]}: {verdict[1]}")
    return verdict[0]


if __name__ == "__main__":
    sys.exit(main())
