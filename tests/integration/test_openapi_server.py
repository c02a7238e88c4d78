#!/usr/bin/env python3
"""test_openapi_server.py - a running assentd answers as /openapi.json says, and the document promises nothing more.

Real requests, to every operation and for every status that can be brought about quickly; each answer is judged by the
document that the server itself serves. At the end nothing may be described that no answer has shown: a status, a kind of
problem, a member of a body; what cannot be shown here stands in NOT_SHOWN with the reason. That each part
of the document matters is tested by taking it away: then an answer must be found wrong.
"""
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading

from demo_lib import DEADLINE_S, JSON, PSQL, running_demo, wait_until
from openapi import METHODS, PROBLEM, Document

TRANSACTIONS, TRANSACTION = "/v1/transactions", "/v1/transactions/{id}"
EVENTS, RESOLVE = "/v1/transactions/{id}/events", "/v1/transactions/{id}/resolve"
OPEN, STREAM = "/v1/transactions/open", "/v1/stream"
STATEMENTS, BRANCHES, COMMIT, ROLLBACK = (f"/v1/transactions/{{id}}/{word}"
                                          for word in ("statements", "branches", "commit", "rollback"))
BODIES = {STATEMENTS: {"participant": "order", "sql": "SELECT 1"}, BRANCHES: {"participant": "order", "mode": "external"},
          COMMIT: {}, ROLLBACK: {}}
REQUEUE, DROP, QUEUES = "/v1/transactions/{id}/requeue", "/v1/transactions/{id}/drop", "/v1/queues"
SERVICE = ("/v1/participants", "/livez", "/readyz", "/metrics", "/openapi.json")
ASYNC = {"Prefer": "respond-async"}
NO_ID = "0" * 32 + "-1-" + "0" * 16 + "-1"

BROKEN = "nothing that it asks can fail"
STOPPING = "only in the moment in which assentd stops"
WORDS = "only where the outcome needs words: a participant that was released, a database that was restored"
NOT_SHOWN = {
    **{f"{operation} 500": BROKEN for operation in (
        "get /v1/participants", "get /metrics", f"get {QUEUES}", f"post {OPEN}")},
    **{f"{operation} 503": STOPPING for operation in (
        f"get {TRANSACTIONS}", f"get {TRANSACTION}", f"get {EVENTS}", f"post {RESOLVE}", "get /v1/participants",
        "get /metrics", f"get {STREAM}", f"get {QUEUES}", f"post {ROLLBACK}", f"post {REQUEUE}", f"post {DROP}")},
    f"post {ROLLBACK} 504": "only until every participant has reported after a start",
    "#/components/responses/Overload/headers/Assent-Transaction": "no agent of this version votes so",
    "#/components/schemas/Committed/properties/branches/items/properties/detail": WORDS,
    "#/components/schemas/Transaction/properties/branches/items/properties/detail": WORDS,
    "expired": "an hour of running time at least",
}


# ---- Requests ----

def branch(participant, *statements, **members):
    return {"participant": participant, "statements": list(statements), **members}


def sql(text, *params, **members):
    return {"sql": text, "params": list(params), **members}


def order(number):
    return branch("order", sql("INSERT INTO orders (id, customer, amount) VALUES ($1, 'c-1', 1) RETURNING id, amount, NULL",
                               number))


def debit(amount):
    return branch("payment", sql("UPDATE accounts SET balance = balance - $1 WHERE id = 'c-1' AND balance >= $1",
                                 amount, expect_rows=1))


def fail_with(sqlstate):
    return branch("order", sql(f"DO $$ BEGIN RAISE EXCEPTION 'planned' USING ERRCODE = '{sqlstate}'; END $$"))


class Client:
    """Sends requests and judges the answers; remembers both."""

    def __init__(self, port):
        self.port = port
        self.document = None
        self.exchanges = []  # (method, path, status, headers, body)
        self.slugs = set()
        self.complaints = []
        self.is_broken = False  # somebody has broken something inside Assent: only then may it say so
        self.lock = threading.Lock()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)

    def raw(self, method, target, headers, body, connection=None):
        connection = connection or self.connect()
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        content = response.read()
        if response.status == 500 and not self.is_broken:
            self.complaints.append(f"{method} {target}: 500 and no fault was injected: {content[:300]}")
        return response.status, dict(response.getheaders()), content

    def open_stream(self, query="", **headers):
        """A stream, from which `event` reads, and its connection."""
        connection = self.connect()
        connection.request("GET", STREAM + query, headers=headers)
        response = connection.getresponse()
        self.exchanges.append(("get", STREAM, response.status, dict(response.getheaders()), b""))
        self.complaints += self.document.judge_answer(*self.exchanges[-1])
        return response, connection

    def event(self, stream):
        """The next event: kind, id and data; a transaction is judged by its schema."""
        fields = {}
        while "event" not in fields:
            fields = {}
            while (line := stream.readline().decode().rstrip("\n")) != "":
                name, _, value = line.partition(": ")
                fields[name] = value
        data = json.loads(fields["data"])
        if fields["event"] != "reset":
            self.complaints += self.document.judge({"$ref": "#/components/schemas/Transaction"}, data, f"event {fields['id']}")
            if fields["event"] != data["state"]:
                self.complaints.append(f"event {fields}: another state")
        return fields["event"], fields["id"], data

    def send(self, expected, method, path, slug=None, target=None, query="", headers=None, body=None, connection=None,
             by_schema=None):
        """One request; its answer's JSON. target: the real path, where it is not the document's. slug: the kind of problem.
        by_schema: what the schema must say of the body; None: it follows from the status."""
        text = json.dumps(body) if isinstance(body, dict) else body
        headers = {**(JSON if body is not None else {}), **(headers or {})}
        status, received, content = self.raw(method.upper(), (target or path) + query, headers, text, connection)
        with self.lock:
            self.exchanges.append((method, path, status, received, content))
            self.complaints += self.document.judge_answer(method, path, status, received, content)
            if isinstance(body, dict):
                self.judge_body(method, path, status, body, by_schema)
        value = json.loads(content) if received["Content-Type"].endswith("json") else content.decode()
        found = self.slug(value) if status >= 400 else None
        if status != expected or slug not in (None, found):
            self.complaints.append(f"{method} {path}: {status} {found} instead of {expected} {slug}: {content[:300]}")
        return value

    def slug(self, problem):
        self.slugs.add(problem["type"])
        return problem["type"].removeprefix("urn:assent:problem:")

    def send_undescribed(self, expected, slug, method, target):
        """No operation of the document, but a problem as the document describes it; returns the headers."""
        status, headers, body = self.raw(method, target, JSON, "{}")
        problem = json.loads(body)
        self.complaints += self.document.judge({"$ref": PROBLEM}, problem, f"{method} {target}")
        if (status, self.slug(problem)) != (expected, slug):
            self.complaints.append(f"{method} {target}: {status} {problem}")
        return headers

    def judge_body(self, method, path, status, body, by_schema):
        """What the schema refuses is refused by the server, and what the server takes is described."""
        schema = self.document.content["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
        wrong = self.document.judge(schema, body, "body")
        if by_schema is None:
            by_schema = status not in (400, 422)
        if by_schema and wrong:
            self.complaints.append(f"{method} {path}: answered {status}, but the schema refuses it: {wrong}")
        if by_schema is False and not wrong and status in (400, 422):
            self.complaints.append(f"{method} {path}: answered {status}, but the schema takes it: {body}")

    def submit(self, expected, *branches, slug=None, key=None, by_schema=None, connection=None, headers=None, **members):
        headers = {**(headers or {}), **({"Idempotency-Key": key} if key else {})}
        return self.send(expected, "post", TRANSACTIONS, slug, headers=headers, by_schema=by_schema,
                         connection=connection, body={"branches": list(branches), **members})


# ---- What is asked ----

def ask_service(client, demo):
    for path in SERVICE:
        client.send(200, "get", path)
        client.send(200, "get", path, body="a body that nobody reads")
        client.send(400, "get", path, "malformed", query="?x=1")
        client.send(421, "get", path, "misdirected", headers={"Host": "example.org"})


def ask_commits(client, demo):
    """Everything that a request may hold, and a commit of it."""
    done = client.submit(200, order("o-1"), debit("1.50"), key="key-1", timeout_ms=20000, ack="completed")
    again = client.submit(200, order("o-1"), debit("1.50"), key='"key-1"')
    assert again == done, "not word for word"
    for isolation in ("read committed", "repeatable read", "serializable", None):
        client.submit(200, branch("payment", sql("SELECT $1::int, $2::bool, $3::text", 1, True, None), isolation=isolation,
                                  read_only=True))
    client.submit(200, {"participant": "order", "statements": [{"sql": "SELECT 1", "params": None, "expect_rows": None}],
                        "read_only": None}, key=None, timeout_ms=None, ack=None)
    client.send(200, "post", TRANSACTIONS, body={"key": "key in the body", "branches": [debit(1)]})
    client.submit(200, debit(1), ack="decided")  # answered before anybody has finished
    return done["id"]


def ask_aborts(client, demo):
    client.submit(409, order("o-1"), slug="constraint")
    client.submit(409, branch("order", sql("INSERT INTO orders (id, customer) VALUES ('o', 'c')")), slug="constraint")
    client.submit(409, branch("order", sql("SELECT no_such_function()")), slug="statement_failed")
    client.submit(409, debit("1e9"), slug="row_count")
    client.submit(409, branch("order", sql("CREATE TEMP TABLE t (x int)")), slug="not_preparable")
    client.submit(409, branch("order", sql("SELECT repeat('x', 300000)")), slug="result_too_large")
    client.submit(409, fail_with("40001"), slug="serialization")
    client.submit(409, fail_with("40P01"), slug="deadlock")
    client.submit(409, fail_with("55P03"), slug="lock_timeout")
    client.submit(403, branch("order", sql("COMMIT")), slug="rejected_by_policy")
    client.submit(403, branch("order", {"operation": "debit", "args": {"a": "x", "b": 12.5, "c": True, "d": None}, "expect_rows": 1},
                              {"operation": "debit", "args": None, "expect_rows": None}), slug="rejected_by_policy")
    client.submit(503, fail_with("53000"), slug="capacity")
    client.submit(504, branch("order", sql("SELECT pg_sleep(30)")), slug="timeout", timeout_ms=200)


def ask_bad_requests(client, demo):
    """Refused before anything is done; the schema refuses the bodies as well, where a schema can."""
    for body in ({}, {"branches": None}, {"branches": [{}]}, {"branches": [debit(1)], "colour": "red"},
                 {"branches": [branch("order", {"params": []})]}, {"branches": [branch("order", sql(1))]},
                 {"branches": [branch("order", sql("SELECT $1", [1]))]}, {"branches": [branch("order", sql("SELECT $1", {}))]},
                 {"branches": [branch("order", sql("SELECT 1", expect_rows=-1))]},
                 {"branches": [branch("order", sql("SELECT 1", expect_rows="1"))]},
                 {"branches": [branch("order", sql("SELECT 1"), isolation="chaos")]},
                 {"branches": [branch("order", sql("SELECT 1"), read_only="yes")]},
                 {"branches": [branch("order", {"operation": 1})]}, {"branches": [branch("order", {"operation": "o", "args": []})]},
                 {"branches": [branch("order", {"operation": "o", "args": {"a": {}}})]},
                 {"branches": [debit(1)], "timeout_ms": 0}, {"branches": [debit(1)], "timeout_ms": 1.5},
                 {"branches": [debit(1)], "ack": "never"}, {"branches": [debit(1)], "key": ""},
                 {"branches": [debit(1)], "key": "k" * 256}):
        client.send(400, "post", TRANSACTIONS, "malformed", body=body, by_schema=False)
    for body in ({"branches": []}, {"branches": [branch("order")]}, {"branches": [branch("order", sql(""))]},
                 {"branches": [branch("order", {"operation": ""})]}, {"branches": [branch("order", sql("SELECT 1", operation="o"))]},
                 {"branches": [branch("order", sql("SELECT 1", args={}))]},
                 {"branches": [branch("order", {"operation": "o", "params": []})]}):
        client.send(422, "post", TRANSACTIONS, "invalid", body=body, by_schema=False)
    for body in ({"branches": [branch("order", sql("SELECT 1", seq=1))]}, {"branches": [branch("order", mode="external")]}):
        client.send(422, "post", TRANSACTIONS, "not_supported", body={"branches": [], **body}, by_schema=False)
    client.submit(422, branch("Order!", sql("SELECT 1")), slug="unknown_participant", by_schema=False)
    # What no schema can say.
    client.submit(422, branch("nobody", sql("SELECT 1")), slug="unknown_participant", by_schema=True)
    client.submit(422, debit(1), debit(1), slug="invalid", by_schema=True)
    client.submit(422, debit(1), slug="limit", timeout_ms=10**9, by_schema=True)
    client.submit(422, debit(2), slug="key_conflict", key="key-1", by_schema=True)
    client.submit(422, debit(1), slug="invalid", by_schema=True, queue="q")
    client.submit(400, debit(1), slug="malformed", headers=ASYNC, by_schema=False, queue="a queue")
    client.submit(400, debit(1), slug="malformed", key="two words", by_schema=True)
    client.submit(400, debit(1), slug="malformed", key="other", **{"key-": None}, by_schema=False)
    ask_bad_transport(client, TRANSACTIONS, TRANSACTIONS)
    ask_bad_transport(client, RESOLVE, RESOLVE.replace("{id}", NO_ID))


def ask_bad_transport(client, path, target):
    client.send(400, "post", path, "malformed", target=target, body="{")
    client.send(400, "post", path, "malformed", target=target, query="?x=1", body="{}")
    client.send(413, "post", path, "body_too_large", target=target, body=" " * (1 << 20) + "{}")
    client.send(415, "post", path, "unsupported_media_type", target=target, headers={"Content-Type": "text/plain"}, body="{}")
    client.send(421, "post", path, "misdirected", target=target, headers={"Host": "example.org"}, body="{}")


class Talk:
    """One interactive transaction."""

    def __init__(self, client, **members):
        self.client = client
        self.id = client.send(200, "post", OPEN, body={"timeout_ms": 20000, **members})["id"]

    def tell(self, expected, path, slug=None, body=None, **arguments):
        return self.client.send(expected, "post", path, slug, target=path.replace("{id}", self.id), body=body or {}, **arguments)

    def say(self, expected, participant, text, *params, slug=None, by_schema=None, **members):
        return self.tell(expected, STATEMENTS, slug, {"participant": participant, **sql(text, *params), **members},
                         by_schema=by_schema)


def ask_talks(client, demo):
    """Statement by statement: to a commit, to a rollback, to every way in which one ends."""
    client.send(200, "post", OPEN)  # without a body
    talk = Talk(client)
    first = talk.say(200, "payment", "SELECT balance FROM accounts WHERE id = $1", "c-1", seq=1, isolation="read committed",
                     read_only=False, expect_rows=1)
    again = talk.say(200, "payment", "SELECT balance FROM accounts WHERE id = $1", "c-1", seq=1, expect_rows=1)
    assert first == again, "not word for word"
    talk.say(422, "payment", "SELECT 2", seq=1, slug="key_conflict", by_schema=True)
    talk.say(409, "payment", "SELECT 2", seq=5, slug="conflict")
    talk.say(422, "nobody", "SELECT 1", slug="unknown_participant", by_schema=True)
    talk.say(422, "Order!", "SELECT 1", slug="unknown_participant", by_schema=False)
    for members in ({"seq": 0}, {"seq": "1"}, {"colour": "red"}, {"params": {}}, {"isolation": "chaos"}, {"expect_rows": -1}):
        talk.tell(400, STATEMENTS, "malformed", {"participant": "order", "sql": "SELECT 1", **members}, by_schema=False)
    for members, status, slug in (({"operation": 1}, 400, "malformed"), ({"operation": "o", "args": []}, 400, "malformed"),
                                  ({}, 400, "malformed"), ({"operation": ""}, 422, "invalid"),
                                  ({"operation": "o", "params": []}, 422, "invalid"),
                                  ({"sql": "SELECT 1", "operation": "o"}, 422, "invalid")):
        talk.tell(status, STATEMENTS, slug, {"participant": "order", **members}, by_schema=False)
    talk.say(200, "order", "INSERT INTO orders (id, customer, amount) VALUES ('talk', 'c-1', 1)")
    done = talk.tell(200, COMMIT, body={"ack": "completed"})
    assert done == talk.tell(200, COMMIT)
    talk.tell(409, ROLLBACK, "conflict")
    talk.tell(400, COMMIT, "malformed", {"ack": "never"}, by_schema=False)
    for text, status, slug in (("SELECT no_such_function()", 409, "statement_failed"), ("COMMIT", 403, "rejected_by_policy"),
                               ("SELECT pg_sleep(30)", 504, "timeout")):
        talk = Talk(client, timeout_ms=2000)
        talk.say(status, "order", text, slug=slug)
        talk.tell(status, COMMIT, slug)
        talk.tell(status, BRANCHES, slug, BODIES[BRANCHES])
        talk.tell(200, ROLLBACK)
    talk = Talk(client)
    talk.tell(403, STATEMENTS, "rejected_by_policy",
              {"participant": "order", "operation": "debit", "args": {"a": "x", "b": 12.5, "c": True, "d": None}, "expect_rows": 1,
               "isolation": None, "read_only": None, "seq": 1})
    talk.tell(403, COMMIT, "rejected_by_policy")
    talk = Talk(client)
    talk.tell(409, COMMIT, "conflict")
    talk.tell(200, ROLLBACK)
    talk.tell(409, COMMIT, "rolled_back_by_client")
    talk.tell(400, ROLLBACK, "malformed", {"ack": "decided"}, by_schema=False)
    client.send(400, "post", OPEN, "malformed", body={"timeout_ms": 0}, by_schema=False)
    client.send(422, "post", OPEN, "limit", body={"timeout_ms": 10**9}, by_schema=True)
    for path, body in BODIES.items():
        target = path.replace("{id}", NO_ID)
        client.send(404, "post", path, "unknown_transaction", target=target, body=body)
        client.send(422, "post", path, "not_supported", target=target, body=body, headers={"Idempotency-Key": "k"},
                    by_schema=True)
        ask_bad_transport(client, path, target)
    ask_bad_transport(client, OPEN, OPEN)


def ask_externals(client, demo):
    """Branches that the application prepares; the demo's agents may finish none of them."""
    talk = Talk(client)
    first = talk.tell(200, BRANCHES, body=BODIES[BRANCHES])
    second = talk.tell(200, BRANCHES, body=BODIES[BRANCHES])
    assert first["gid"] != second["gid"], "the same gid twice"
    talk.say(200, "payment", "SELECT 1")
    talk.say(409, "order", "SELECT 1", slug="conflict")
    talk.tell(409, BRANCHES, "conflict", {**BODIES[BRANCHES], "participant": "payment"})
    talk.tell(422, BRANCHES, "unknown_participant", {**BODIES[BRANCHES], "participant": "nobody"}, by_schema=True)
    talk.tell(422, BRANCHES, "unknown_participant", {**BODIES[BRANCHES], "participant": "Order!"}, by_schema=False)
    for body in ({}, {"participant": "order"}, {"mode": "external"}, {"participant": 1, "mode": "external"},
                 {**BODIES[BRANCHES], "mode": "internal"}, {**BODIES[BRANCHES], "colour": "red"}):
        talk.tell(400, BRANCHES, "malformed", body, by_schema=False)
    talk.tell(409, COMMIT, "not_preparable")


def ask_looks(client, demo, known):
    parameters = {one["name"]: one["schema"]
                  for one in client.document.parameters(TRANSACTIONS, client.document.content["paths"][TRANSACTIONS]["get"])}
    for state in parameters["state"]["enum"]:
        client.send(200, "get", TRANSACTIONS, query=f"?state={state}")
    for limit in (parameters["limit"]["minimum"], parameters["limit"]["maximum"]):
        client.send(200, "get", TRANSACTIONS, query=f"?limit={limit}&participant=order")
    for query in ("state=done", "limit=0", "limit=1001", "limit=x", "after=1", "key=", "participant=Order!", "x=1"):
        client.send(400, "get", TRANSACTIONS, "malformed", query="?" + query)
    client.send(421, "get", TRANSACTIONS, "misdirected", headers={"Host": "example.org"})
    page = client.send(200, "get", TRANSACTIONS, query="?limit=1")
    client.send(200, "get", TRANSACTIONS, query=f"?after={page['next']}&limit=1000")
    client.send(200, "get", TRANSACTIONS, query="?key=key-1")
    for path in (TRANSACTION, EVENTS):
        client.send(200, "get", path, target=path.replace("{id}", known))
        client.send(404, "get", path, "unknown_transaction", target=path.replace("{id}", NO_ID))
        client.send(404, "get", path, "unknown_transaction", target=path.replace("{id}", "1"))
        client.send(400, "get", path, "malformed", target=path.replace("{id}", known), query="?x=1")
        client.send(421, "get", path, "misdirected", target=path.replace("{id}", known), headers={"Host": "example.org"})
    aborted = client.submit(409, debit("1e9"))["id"]
    client.send(200, "get", TRANSACTION, target=TRANSACTION.replace("{id}", aborted))
    client.send(200, "get", EVENTS, target=EVENTS.replace("{id}", aborted))


def ask_outcomes(client, demo, known):
    """Waiting for an outcome, and the stream of all."""
    target = TRANSACTION.replace("{id}", known)
    for query in ("wait=0", "wait=60", "wait=60&ack=decided", "ack=completed"):
        client.send(200, "get", TRANSACTION, target=target, query="?" + query)
    for query in ("wait=61", "wait=x", "wait=", "ack=never", "wait=1&wait=1"):
        client.send(400, "get", TRANSACTION, "malformed", target=target, query="?" + query)
    talk = Talk(client)
    talk.say(200, "order", "SELECT 1")
    assert client.send(200, "get", TRANSACTION, target=TRANSACTION.replace("{id}", talk.id), query="?wait=1")["state"] == "active"
    stream, connection = client.open_stream(Accept="text/event-stream")
    talk.tell(200, ROLLBACK)
    kind, last, data = client.event(stream)
    assert (kind, data["id"], data["reason"]) == ("aborting", talk.id, "rolled_back_by_client"), data
    connection.close()
    done = client.submit(200, debit(1))
    stream, connection = client.open_stream("?state=committed&participant=payment", **{"Last-Event-ID": last})
    kind, last, data = client.event(stream)
    assert (kind, data) == ("committed", client.send(200, "get", TRANSACTION, target=TRANSACTION.replace("{id}", done["id"])))
    connection.close()
    stream, connection = client.open_stream(**{"Last-Event-ID": "0123456789abcdef-1"})
    assert client.event(stream)[::2] == ("reset", {"reason": "unknown_id"})
    connection.close()
    for query in ("state=in-doubt", "state=done", "participant=Order!", "key=k"):
        client.send(400, "get", STREAM, "malformed", query="?" + query)
    client.send(406, "get", STREAM, "not_acceptable", headers={"Accept": "application/json"})
    client.send(421, "get", STREAM, "misdirected", headers={"Host": "example.org"})


def ask_heuristic(client, demo):
    """Somebody rolls a branch back by hand; an operator acknowledges it."""
    demo.up("--fault-point", "c.decide.post_sync:kill")
    with contextlib.suppress(OSError, http.client.HTTPException):
        client.raw("POST", TRANSACTIONS, {**JSON, "Idempotency-Key": "by-hand"},
                   json.dumps({"branches": [order("o-2"), debit(1)]}))
        raise AssertionError("the coordinator did not die")
    demo.query("payment", f"ROLLBACK PREPARED '{demo.query('payment', 'SELECT gid FROM pg_prepared_xacts')}'")
    demo.up()
    found = client.submit(200, order("o-2"), debit(1), key="by-hand", timeout_ms=20000)
    assert found["state"] == "heuristic", found
    target = RESOLVE.replace("{id}", found["id"])
    good = {"action": "forget", "participant": "payment", "comment": "refunded"}
    for body in ({}, {**good, "action": "guess"}, {**good, "comment": ""}, {**good, "comment": "x" * 1001},
                 {**good, "colour": "red"}, {**good, "comment": None}):
        client.send(400, "post", RESOLVE, "malformed", target=target, body=body, by_schema=False)
    client.send(422, "post", RESOLVE, "unknown_participant", target=target, body={**good, "participant": "Order!"},
                by_schema=False)
    client.send(422, "post", RESOLVE, "unknown_participant", target=target, body={**good, "participant": "nobody"},
                by_schema=True)
    client.send(404, "post", RESOLVE, "unknown_transaction", target=RESOLVE.replace("{id}", NO_ID), body=good)
    client.send(409, "post", RESOLVE, "conflict", target=target, body={**good, "participant": "order"})
    client.send(200, "post", RESOLVE, target=target, body=good)
    client.send(409, "post", RESOLVE, "conflict", target=target, body=good)
    client.send(200, "get", TRANSACTION, target=TRANSACTION.replace("{id}", found["id"]))
    client.send(200, "get", EVENTS, target=EVENTS.replace("{id}", found["id"]))


def look_at(client, name):
    return client.send(200, "get", TRANSACTION, target=TRANSACTION.replace("{id}", name))


def wait_for(client, name, state):
    def is_there():
        return json.loads(client.raw("GET", TRANSACTION.replace("{id}", name), {}, None)[2])["state"] == state
    wait_until(f"{name} is {state}", is_there)
    return look_at(client, name)


def head_of(client, queue):
    found = json.loads(client.raw("GET", QUEUES, {}, None)[2])["queues"]
    return next((one["head"] or {} for one in found if one["name"] == queue), {})


def ask_queues(client, demo):
    """Requests that are handed over: run, tried again, dead, requeued, dropped."""
    for path in (REQUEUE, DROP):
        client.send(404, "post", path, "unknown_transaction", target=path.replace("{id}", NO_ID), body={})
        ask_bad_transport(client, path, path.replace("{id}", NO_ID))
    client.send(400, "post", DROP, "malformed", target=DROP.replace("{id}", NO_ID), body={"comment": 1}, by_schema=False)
    client.send(400, "post", REQUEUE, "malformed", target=REQUEUE.replace("{id}", NO_ID), body={"comment": "x"}, by_schema=False)
    client.send(400, "get", QUEUES, "malformed", query="?x=1")
    client.send(421, "get", QUEUES, "misdirected", headers={"Host": "example.org"})
    accepted = client.submit(202, order("q-1"), key="q-1", headers=ASYNC, queue="q")
    wait_for(client, accepted["id"], "committed")
    assert client.submit(200, order("q-1"), key="q-1")["id"] == accepted["id"]
    client.send(409, "post", REQUEUE, "conflict", target=REQUEUE.replace("{id}", accepted["id"]))
    dead = client.submit(202, order("q-1"), key="q-2", headers=ASYNC, queue="q")["id"]  # the same row again
    wait_for(client, dead, "dead")
    client.submit(409, order("q-1"), key="q-2", slug="constraint")
    client.send(200, "get", QUEUES)
    client.send(200, "post", REQUEUE, target=REQUEUE.replace("{id}", dead), body={})
    wait_for(client, dead, "dead")
    client.send(200, "post", DROP, target=DROP.replace("{id}", dead), body={"comment": "sold out"})
    client.send(409, "post", DROP, "conflict", target=DROP.replace("{id}", dead), body={"comment": None})
    look_at(client, dead)
    call = branch("order", {"operation": "debit", "args": {"a": "x"}, "expect_rows": 1})
    wait_for(client, client.submit(202, call, headers=ASYNC)["id"], "dead")
    again = client.submit(202, fail_with("40001"), key="q-3", headers=ASYNC, queue="slow")["id"]
    wait_until("it is tried again much later", lambda: head_of(client, "slow").get("next_attempt_ms", 0) > 1000)
    client.send(200, "get", QUEUES)
    client.send(200, "get", TRANSACTION, target=TRANSACTION.replace("{id}", look_at(client, again)["request"]["run"]))
    client.submit(202, fail_with("40001"), key="q-3", headers=ASYNC)
    client.send(200, "post", DROP, target=DROP.replace("{id}", again))


def ask_queues_without_agent(client):
    waits = client.submit(202, order("q-4"), debit(1), headers=ASYNC, queue="waits")["id"]
    client.send(200, "get", QUEUES)
    assert "payment" in look_at(client, waits)["request"]["waiting_for"]


def ask_without_agent(client, demo):
    talk = Talk(client)
    talk.say(200, "payment", "SELECT 1")
    demo.kill(demo.pid("agent", "payment"))
    wait_until("the lost agent is noticed", lambda: client.raw("GET", "/readyz", {}, None)[0] == 503)
    client.send(503, "get", "/readyz", "not_ready")
    client.send(200, "get", "/v1/participants")
    client.submit(503, order("o-3"), debit(1), slug="participant_unavailable")
    ask_queues_without_agent(client)
    talk.tell(503, COMMIT, "participant_unavailable")
    Talk(client).say(503, "payment", "SELECT 1", slug="participant_unavailable")
    Talk(client).tell(503, BRANCHES, "participant_unavailable", {**BODIES[BRANCHES], "participant": "payment"})
    demo.up()


def is_listening(client):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", client.port)) == 0


def is_ready(client):
    return is_listening(client) and client.raw("GET", "/readyz", {}, None)[0] == 200


def count_open(client):
    page = json.loads(client.raw("GET", TRANSACTIONS, {}, None)[2])
    return sum(one["state"] in ("queued", "active", "preparing") for one in page["transactions"])


def hold_account(demo):
    """Locks the row that debit() needs until release()."""
    holder = subprocess.Popen([PSQL, "-wXAtq", "-d", demo.conninfo("payment")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    holder.stdin.write("BEGIN; SELECT 'held' FROM accounts WHERE id = 'c-1' FOR UPDATE;\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "held\n"
    return holder


def submit_behind(client, count):
    """So many debits that wait for the row."""
    waiting = []
    for number in range(1, count + 1):
        waiting.append(threading.Thread(target=client.submit, args=(200, debit(1)), kwargs={"timeout_ms": 60000}))
        waiting[-1].start()
        wait_until("a transaction is under way", lambda wanted=number: count_open(client) == wanted)
    return waiting


def release(holder, waiting):
    holder.communicate()  # the end of its input is the end of its transaction
    for thread in waiting:
        thread.join()


def ask_overload(client, demo):
    """One transaction at work, one waiting, and no room for a third. Then one at work while assentd drains."""
    with demo.assentd("max_active = 1\nmax_queued = 1\ndrain_timeout = 1m\ninteractive_max = 1\nmax_streams = 1\nmax_waits = 1\n"
                      ) as assentd:
        wait_until("assentd is ready", lambda: is_ready(client))
        talk = Talk(client)
        stream, connection = client.open_stream()
        client.send(429, "get", STREAM, "overload")
        connection.close()
        target = TRANSACTION.replace("{id}", talk.id)
        with contextlib.closing(client.connect()) as connection:
            connection.request("GET", target + "?wait=60")
            # Not by a wait of its own, which might come first and take the only place.
            wait_until("somebody waits", lambda: b"\nassent_waits 1\n" in client.raw("GET", "/metrics", {}, None)[2])
            client.send(429, "get", TRANSACTION, "overload", target=target, query="?wait=1")
        client.send(429, "post", OPEN, "overload", body={})
        talk.tell(200, ROLLBACK)
        holder = hold_account(demo)
        waiting = submit_behind(client, 2)
        client.submit(429, debit(1), slug="overload")
        release(holder, waiting)
        holder = hold_account(demo)
        waiting = submit_behind(client, 1)
        with contextlib.closing(client.connect()) as connection, contextlib.closing(client.connect()) as other:
            client.send(200, "get", "/livez", connection=connection)
            client.send(200, "get", "/livez", connection=other)
            assentd.send_signal(signal.SIGTERM)
            wait_until("nobody new is let in", lambda: not is_listening(client))
            client.submit(503, debit(1), slug="shutdown", connection=connection)
            client.send(503, "post", OPEN, "shutdown", body={}, connection=other)
        release(holder, waiting)
        assert assentd.wait(DEADLINE_S) == 0, "assentd did not drain"


def ask_with_memory_full(client, demo):
    """Four requests hold all the memory that there is for bodies, 256 MiB; each lacks its last byte."""
    size = 64 << 20
    target = RESOLVE.replace("{id}", NO_ID)
    body = {"action": "forget", "participant": "payment", "comment": "it was long ago"}
    with demo.assentd("max_body = 64MiB\n"), contextlib.ExitStack() as stack:
        wait_until("assentd is ready", lambda: is_ready(client))
        for _ in range(4):
            hog = stack.enter_context(contextlib.closing(client.connect()))
            hog.putrequest("POST", TRANSACTIONS)
            hog.putheader("Content-Type", "application/json")
            hog.putheader("Content-Length", str(size))
            hog.endheaders(b" " * (size - 1))
        wait_until("the memory for bodies is full",
                   lambda: client.raw("POST", target, JSON, json.dumps(body))[0] == 429)
        client.send(429, "post", RESOLVE, "overload", target=target, body=body)
        for path, body in {**BODIES, REQUEUE: {}, DROP: {}}.items():
            body = body or "{}" + " " * 100
            client.send(429, "post", path, "overload", target=path.replace("{id}", NO_ID), body=body)
        client.submit(429, debit(1), slug="overload")


def ask_stuck(client, demo):
    """The journal's disk hangs while a decision is being written: nobody can say whether it was."""
    with demo.assentd("", "--enable-fault-points", "--fault-point", "c.decide.pre_sync:hang"):
        wait_until("assentd is ready", lambda: is_ready(client))
        client.submit(504, debit(1), slug="outcome_unknown", key="stuck", timeout_ms=500)


def ask_unreadable_journal(client, demo):
    """The journal is overwritten under a coordinator that has only its last transaction in memory."""
    with demo.assentd(""):
        wait_until("assentd is ready", lambda: is_ready(client))
        old = [client.submit(200, debit(1), key=f"old-{number}")["id"] for number in range(3)]
    with demo.assentd("recent_max = 1\n"):
        wait_until("assentd is ready", lambda: is_ready(client))
        with open(os.path.join(demo.folder, "own.conf"), encoding="utf-8") as file:
            path = next(line.split("=")[1].strip() for line in file if line.startswith("journal ="))
        with open(path, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        client.is_broken = True
        client.submit(200, debit(1))  # what was written by another connection makes SQLite forget what it has read
        client.send(500, "get", TRANSACTIONS, "internal")
        for path in (TRANSACTION, EVENTS):
            client.send(500, "get", path, "internal", target=path.replace("{id}", old[0]))
        client.submit(500, debit(1), slug="internal", key="old-1")
        for path, body in (*BODIES.items(), (REQUEUE, {}), (DROP, {}),
                           (RESOLVE, {"action": "forget", "participant": "payment", "comment": "why"})):
            client.send(500, "post", path, "internal", target=path.replace("{id}", old[0]), body=body)


def ask_other_methods(client, demo):
    """405 for whatever is not described, with the methods that are; HEAD wherever there is GET; 404 elsewhere."""
    for path, item in client.document.content["paths"].items():
        target = path.replace("{id}", NO_ID)
        allowed = {method.upper() for method in METHODS if method in item} | ({"HEAD"} if "get" in item else set())
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - allowed:
            headers = client.send_undescribed(405, "method_not_allowed", method, target)
            if set(headers.get("Allow", "").split(", ")) != allowed:
                client.complaints.append(f"{method} {path}: Allow: {headers.get('Allow')}")
        if "HEAD" in allowed:
            status, headers, body = client.raw("HEAD", target, {}, None)
            if body or status != (404 if "{id}" in path else 200) or "Content-Type" not in headers:
                client.complaints.append(f"HEAD {path}: {status}, {len(body)} bytes")
    client.send_undescribed(404, "not_found", "GET", "/v2/transactions")


# ---- The other way round: nothing is described that was not shown ----

def shown(client):
    """Pointers to what each exchange has shown: its status, its headers, the members of its body."""
    for method, path, status, headers, body in client.exchanges:
        name = path.replace("/", "~1")
        pointer = f"#/paths/{name}/{method}/responses/{status}"
        response = client.document.content["paths"][path][method]["responses"].get(str(status))
        yield pointer
        if response is None or not headers["Content-Type"].split(";")[0].endswith("json"):
            continue
        base = response.get("$ref", pointer)
        response = client.document.resolve(response)
        yield from (f"{base}/headers/{header}" for header in response.get("headers", {}) if header in headers)
        kind = next(iter(response["content"]))
        yield from client.document.seen(response["content"][kind]["schema"], json.loads(body),
                                        f"{base}/content/{kind.replace('/', '~1')}/schema")


def described(document):
    """Pointers to all that answers may show."""
    for (method, path), operation in document.operations():
        pointer = f"#/paths/{path.replace('/', '~1')}/{method}/responses"
        for status, response in operation["responses"].items():
            yield f"{pointer}/{status}"
            base = response.get("$ref", f"{pointer}/{status}")
            response = document.resolve(response)
            yield from (f"{base}/headers/{header}" for header in response.get("headers", {}))
            for kind, content in response["content"].items():
                yield from members(document, content["schema"], f"{base}/content/{kind.replace('/', '~1')}/schema")


def members(document, schema, pointer):
    if "$ref" in schema:
        pointer, schema = schema["$ref"], document.resolve(schema)
    for name, member in schema.get("properties", {}).items():
        yield f"{pointer}/properties/{name}"
        yield from members(document, member, f"{pointer}/properties/{name}")
    if "items" in schema:
        yield from members(document, schema["items"], f"{pointer}/items")
    for index, member in enumerate(schema.get("oneOf", [])):
        yield from members(document, member, f"{pointer}/oneOf/{index}")


def judge_coverage(client):
    seen = set(shown(client))
    missing = {pointer for pointer in described(client.document) if pointer not in seen}
    missing |= set(client.document.content["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]) - client.slugs
    excused = set()
    for one in missing:
        name = one.removeprefix("urn:assent:problem:").removeprefix("#/paths/").replace("~1", "/")
        if "/responses/" in name and name.startswith("/"):
            path, _, rest = name.rpartition("/responses/")
            path, _, method = path.rpartition("/")
            name = f"{method} {path} {rest}"
        if name in NOT_SHOWN:
            excused.add(name)
        else:
            client.complaints.append(f"described and never shown: {name}")
    client.complaints += [f"an excuse that is not needed: {name}" for name in set(NOT_SHOWN) - excused]


def judge_teeth(client):
    """Takes away each part of the document that was shown: an answer that showed it must be found wrong."""
    first = {}
    for exchange in client.exchanges:
        one = Client(client.port)
        one.document, one.exchanges = client.document, [exchange]
        for pointer in shown(one):
            first.setdefault(pointer, exchange)
    for pointer, exchange in first.items():
        if not client.document.without(pointer).judge_answer(*exchange):
            client.complaints.append(f"nobody would miss {pointer}")
    return len(first)


def main():
    with running_demo() as demo:
        client = Client(demo.port)
        client.document = Document(json.loads(client.raw("GET", "/openapi.json", {}, None)[2]))
        ask_service(client, demo)
        known = ask_commits(client, demo)
        ask_aborts(client, demo)
        ask_bad_requests(client, demo)
        ask_talks(client, demo)
        ask_externals(client, demo)
        ask_queues(client, demo)
        ask_looks(client, demo, known)
        ask_outcomes(client, demo, known)
        ask_other_methods(client, demo)
        ask_without_agent(client, demo)
        ask_heuristic(client, demo)
        ask_overload(client, demo)
        ask_with_memory_full(client, demo)
        ask_stuck(client, demo)
        ask_unreadable_journal(client, demo)
    judge_coverage(client)
    parts = judge_teeth(client)
    for complaint in client.complaints:
        print(complaint, file=sys.stderr)
    print(f"{len(client.exchanges)} answers judged, {parts} parts of the document shown, {len(client.complaints)} complaints")
    sys.exit(1 if client.complaints else 0)


if __name__ == "__main__":
    main()
