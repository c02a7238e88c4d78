#!/usr/bin/env python3
"""checkout.py - an order and its payment, in two databases, once or not at all.

    checkout.py ORDER CUSTOMER AMOUNT

Prints one line and exits with 0 paid, 1 declined, 2 not known, 64 the request is wrong, 69 not available.
ASSENT_API is the coordinator (http://127.0.0.1:7400), ASSENT_DEADLINE for how many seconds to try (30).
"""
import http.client
import itertools
import json
import os
import random
import sys
import time
from decimal import Decimal
from urllib.parse import quote, urlsplit

API = urlsplit(os.environ.get("ASSENT_API", "http://127.0.0.1:7400"))
DEADLINE_S = float(os.environ.get("ASSENT_DEADLINE", "30"))
TIMEOUT_MS = 5000  # for the decision; finishing the branches may take as long again
ATTEMPT_S = 2 * TIMEOUT_MS / 1000 + 4  # how long an answer is waited for
ATTEMPT_MIN_S = 1.0  # less would tell nothing about a busy machine
PAUSE_MIN_S, PAUSE_MAX_S = 0.1, 2.0

PAID, DECLINED, UNKNOWN, WRONG, UNAVAILABLE = 0, 1, 2, 64, 69


class NotSent(Exception):
    """Nothing was sent, so nothing can have happened."""


class Lost(Exception):
    """The request has left, or may have, and what became of it is not known."""


def call(method, path, wait_s, headers=None, body=None):
    """One request; returns status, headers and the JSON object. Decimal keeps all digits of numbers."""
    connection = http.client.HTTPConnection(API.hostname, API.port, timeout=max(wait_s, ATTEMPT_MIN_S))
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        text = response.read()
    except ConnectionRefusedError as error:
        raise NotSent(f"nobody listens at {API.netloc}") from error
    except (OSError, http.client.HTTPException) as error:
        raise Lost(f"no answer: {error!r}") from error
    finally:
        connection.close()
    if response.headers.get_content_type() not in ("application/json", "application/problem+json"):
        raise Lost(f"status {response.status}, but not from Assent")  # a proxy's page proves nothing
    return response.status, response.headers, json.loads(text, parse_float=Decimal)


def transaction(order, customer, amount):
    """The amount stays text: most writers of JSON turn the number 12.50 into 12.5."""
    return json.dumps({"timeout_ms": TIMEOUT_MS, "branches": [
        {"participant": "order", "statements": [
            {"sql": "INSERT INTO orders (id, customer, amount) VALUES ($1, $2, $3)",
             "params": [order, customer, amount]}]},
        {"participant": "payment", "statements": [
            {"sql": "UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2"
                    " RETURNING balance",
             "params": [customer, amount], "expect_rows": 1},
            {"sql": "INSERT INTO payments (id, account, amount) VALUES ($1, $2, $3)",
             "params": [order, customer, amount]}]}]})


def judge(status, answer):
    """What an answer means, as exit code and words; None: send the same request again."""
    if answer.get("state") == "heuristic":
        return UNKNOWN, f"done by hand in part, an operator must look at {answer['id']}"
    if status == 200:
        balance = Decimal(answer["branches"][1]["results"][0]["rows"][0][0])
        words = f"paid, {balance} left"
        if not answer["completed"]:  # decided for good; Assent finishes it as soon as it can
            words += f" (still being finished at {', '.join(answer['pending'])})"
        return PAID, words
    if answer["retryable"]:  # 409 serialization ..., 429, 503, 504, 500
        return None
    if status == 409 and answer["reason"] == "row_count" and answer["participant"] == "payment":
        return DECLINED, "declined: not enough money"
    if status == 409:
        return DECLINED, f"declined: {answer['detail']}"
    return WRONG, f"refused: {answer['detail']}"  # 400, 403, 422 ...: a mistake of this program


def ask(key):
    """Has anything committed under this key? None if nothing tells so."""
    try:
        path = "/v1/transactions?limit=1&key=" + quote(key, safe="")
        status, _, answer = call("GET", path, ATTEMPT_MIN_S)
    except (NotSent, Lost):
        return None
    if status == 200 and answer["transactions"]:
        if answer["transactions"][0]["state"] in ("committing", "committed"):
            return PAID, "paid, as its key tells"
    return None


def checkout(order, customer, amount):
    """Sends the same request with the same key until it has a final answer or the time is up."""
    key = f"checkout-{order}"
    headers = {"Content-Type": "application/json", "Idempotency-Key": f'"{key}"'}
    body = transaction(order, customer, amount)
    end = time.monotonic() + DEADLINE_S
    may_have_happened = False
    for attempt in itertools.count():
        pause_s = random.uniform(0, min(PAUSE_MAX_S, PAUSE_MIN_S * 2**attempt))
        try:
            wait_s = min(ATTEMPT_S, end - time.monotonic())
            status, received, answer = call("POST", "/v1/transactions", wait_s, headers, body)
            verdict = judge(status, answer)
            if answer.get("state") == "unknown":
                may_have_happened = True
                verdict = ask(key)
            pause_s += int(received.get("Retry-After", "0"))
            why = answer.get("detail")
        except NotSent as error:
            verdict, why = None, error
        except Lost as error:
            verdict, why = None, error
            may_have_happened = True
        if verdict:
            return verdict
        if time.monotonic() + pause_s >= end:
            break
        print(f"again in {pause_s:.2f} s: {why}", file=sys.stderr)
        time.sleep(pause_s)
    if may_have_happened:
        return ask(key) or (UNKNOWN, "not known yet: ask again with the same key")
    return UNAVAILABLE, "not available, nothing was done"


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        sys.exit(WRONG)
    code, message = checkout(*sys.argv[1:])
    print(f"order {sys.argv[1]}: {message}")
    sys.exit(code)
