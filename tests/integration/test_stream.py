#!/usr/bin/env python3
"""test_stream.py - waiting for outcomes and the stream of changes, on a real system: with curl, over reconnects and restarts, with clients
that do not read, two hundred at once, and `assent watch`."""
import contextlib
import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time

from demo_lib import BIN, DEADLINE_S, JSON, has_ended, running_demo, wait_until

CURL = ["curl", "-sN", "--max-time", str(DEADLINE_S)]


class Api:
    def __init__(self, port):
        self.port = port

    def call(self, method, target, body=None):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)) as connection:
            connection.request(method, target, None if body is None else json.dumps(body), JSON if body is not None else {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def submit(self, *statements, **members):
        branches = [{"participant": name, "statements": [{"sql": sql}]} for name, sql in statements]
        return self.call("POST", "/v1/transactions", {"branches": branches, **members})[1]["id"]

    def commit(self):
        return self.submit(("order", "SELECT 1"), ("payment", "SELECT 2"))

    def abort(self):
        return self.submit(("order", "SELECT 1"), ("payment", "SELECT 1/0"))

    def hand_over(self, queue_name, *statements):
        branches = [{"participant": name, "statements": [{"sql": sql}]} for name, sql in statements]
        headers = {**JSON, "Prefer": "respond-async"}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)) as connection:
            connection.request("POST", "/v1/transactions", json.dumps({"branches": branches, "queue": queue_name}), headers)
            response = connection.getresponse()
            body = json.loads(response.read())
            assert response.status == 202, body
            return body["id"]

    def get(self, id_, query=""):
        return self.call("GET", f"/v1/transactions/{id_}{query}")

    def open(self):
        id_ = self.call("POST", "/v1/transactions/open", {})[1]["id"]
        self.call("POST", f"/v1/transactions/{id_}/statements", {"participant": "order", "sql": "SELECT 1"})
        return id_


class Curl:
    """A client as a user has one: curl -N, line by line."""

    def __init__(self, port, query="", last=None):
        headers = [] if last is None else ["-H", f"Last-Event-ID: {last}"]
        self.process = subprocess.Popen([*CURL, *headers, f"http://127.0.0.1:{port}/v1/stream{query}"],
                                        stdout=subprocess.PIPE, text=True)
        self.last = last
        self.first = self.block()
        assert self.first.keys() >= {"retry", "id"}

    def block(self):
        """Up to the next empty line; {} at the end."""
        fields = {}
        for line in self.process.stdout:
            if line == "\n":
                break
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value
        self.last = fields.get("id", self.last)
        return fields

    def event(self):
        fields, self.first = self.first, {}
        while "event" not in fields:
            fields = self.block()
            assert fields, "the stream ended"
        return fields["event"], json.loads(fields["data"])

    def until(self, id_, kind):
        """The kinds of events of this transaction up to that one, and its data."""
        kinds = []
        while not kinds or kinds[-1] != kind:
            found, data = self.event()
            if data.get("id") == id_:
                kinds.append(found)
        return kinds, data

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def check_events(api, demo):
    """A commit and an abort, as the documentation shows them."""
    curl = Curl(api.port)
    id_ = api.commit()
    kinds, data = curl.until(id_, "committed")
    assert kinds == ["preparing", "committing", "committed"], kinds
    assert data == api.get(id_)[1], data
    id_ = api.abort()
    kinds, data = curl.until(id_, "aborted")
    assert kinds == ["preparing", "aborting", "aborted"] and data["reason"] == "statement_failed", (kinds, data)
    curl.close()


def check_resume(api, demo):
    """What happened while nobody was connected comes later, once, in order."""
    curl = Curl(api.port)
    seen = api.commit()
    curl.until(seen, "committed")
    last = curl.last
    curl.close()
    missed = [api.commit() for _ in range(5)]
    curl = Curl(api.port, "?state=committed&participant=order", last)
    found = [curl.event()[1]["id"] for _ in missed]
    assert found == missed, (found, missed)
    curl.close()


def check_waits(api, demo):
    """A wait ends with the outcome; one whose client has gone is gone, too."""
    id_ = api.open()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(api.get(id_, "?wait=60"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    with socket.create_connection(("127.0.0.1", api.port)) as gone:
        gone.sendall(f"GET /v1/transactions/{id_}?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    begin = time.monotonic()
    assert api.get(id_, "?wait=1")[1]["state"] == "active" and time.monotonic() - begin >= 1
    api.call("POST", f"/v1/transactions/{id_}/commit", {})
    for thread in threads:
        thread.join()
    assert {(status, body["state"], body["completed"]) for status, body in answers} == {(200, "committed", True)}, answers


def check_accepted(api, demo):
    """Accepted requests: the stream tells them under one id, from queued on, also to who comes back; a wait ends when they are over."""
    curl = Curl(api.port)
    statements = [("order", "SELECT pg_sleep(0.5)"), ("payment", "SELECT 1")]
    first = api.hand_over("stream", *statements)
    id_ = api.hand_over("stream", *statements)
    kinds, data = curl.until(id_, "queued")
    assert kinds == ["queued"] and data["request"]["queue"] == "stream", (kinds, data)
    last = curl.last
    curl.close()
    begin = time.monotonic()
    for each in (first, id_):
        status, body = api.get(each, "?wait=60")
        assert (status, body["state"], body["completed"]) == (200, "committed", True), body
    run = body["request"]["run"]
    dead = api.hand_over("stream", ("order", "SELECT 1/0"))
    assert api.get(dead, "?wait=60")[1]["state"] == "dead"
    assert time.monotonic() - begin < 30, "told when the time was up"
    curl = Curl(api.port, last=last)
    kinds, data = curl.until(id_, "committed")
    assert kinds == ["preparing", "committing", "committed"] and data["request"]["run"] == run, (kinds, data)
    kinds, data = curl.until(dead, "dead")
    assert data["reason"] == "statement_failed", data
    status, body = api.call("POST", f"/v1/transactions/{dead}/drop", {})
    assert (status, body["state"]) == (200, "aborted"), body
    assert curl.until(dead, "aborted")[0] == ["aborted"]
    curl.close()


def check_many(api, demo):
    """Two hundred clients, and one that never reads: all others get everything, and no transaction waits for it."""
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.create_connection(("127.0.0.1", api.port)))
        deaf.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        streams = []
        for _ in range(200):
            connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=DEADLINE_S)
            stack.callback(connection.close)
            connection.request("GET", "/v1/stream?state=committed")
            streams.append(connection.getresponse())
        ids = [api.submit(("order", "SELECT repeat('x', 100000)")) for _ in range(40)]
        for stream in streams:
            found = []
            while len(found) < len(ids):
                line = stream.readline()
                assert line, "a stream ended"
                if line.startswith(b"data: "):
                    found.append(json.loads(line[6:])["id"])
            assert found == ids


class Watch:
    """`assent watch`, and the lines that it has printed."""

    def __init__(self, api, *arguments):
        self.process = subprocess.Popen([os.path.join(BIN, "assent"), "watch", "--api", f"http://127.0.0.1:{api.port}", *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def await_connected(self, api):
        """Until it tells of a commit."""
        line = ""
        while "committed" not in line:
            api.commit()
            with contextlib.suppress(queue.Empty):
                line = self.lines.get(timeout=0.3)

    def end(self):
        """Its exit code and what it said beside."""
        errors = self.process.stderr.read()
        return self.process.wait(DEADLINE_S), errors


def check_kill(api, demo):
    """After the coordinator was killed no id of its can be gone on from: that is said, by the stream and by `assent watch`."""
    curl = Curl(api.port)
    as_json = Watch(api, "--json", "--state", "committed")
    plain = Watch(api, "--state", "committed")
    counted = Watch(api, "--state", "committed", "--count", "1")
    for watch in (as_json, plain):
        watch.await_connected(api)
    while counted.process.poll() is None:  # it may have connected after the others
        api.commit()
        with contextlib.suppress(subprocess.TimeoutExpired):
            counted.process.wait(0.2)
    assert counted.end() == (0, "")
    curl.until(api.commit(), "committed")
    demo.kill(demo.pid("assentd"))
    assert curl.process.wait(DEADLINE_S) != 0, "curl took a broken stream for a whole one"
    last = curl.last
    curl.close()
    demo.up()
    wait_until("the coordinator is ready", lambda: api.call("GET", "/readyz")[0] == 200)
    curl = Curl(api.port, last=last)
    assert curl.event() == ("reset", {"reason": "unknown_id"})
    for watch in (as_json, plain):
        while not watch.lines.empty():
            watch.lines.get()
    as_json.await_connected(api)
    plain.await_connected(api)
    curl.until(api.commit(), "committed")
    curl.close()
    for watch in (as_json, plain):
        watch.process.terminate()
    assert "changes may be missing" in plain.end()[1]
    as_json.end()


def check_stop(api, demo):
    """A coordinator that stops ends its streams whole, and answers who waits."""
    curl = Curl(api.port)
    id_ = api.open()
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(api.get(id_, "?wait=60")))
    waiter.start()
    api.get(id_, "?wait=1")
    pid = demo.pid("assentd")
    os.kill(pid, signal.SIGTERM)
    kinds, data = curl.until(id_, "aborted")
    assert data["reason"] == "shutdown", data
    while curl.block():
        pass
    assert curl.process.wait(DEADLINE_S) == 0, "the stream was broken off"
    curl.close()
    waiter.join()
    assert answers[0][0] == 200 and answers[0][1]["state"] in ("aborting", "aborted"), answers
    wait_until("the coordinator is gone", lambda: has_ended(pid))
    code, errors = Watch(api).end()
    assert code == 69 and "is assentd running" in errors, errors
    demo.up()


def main():
    with running_demo() as demo:
        api = Api(demo.port)
        for check in (check_events, check_resume, check_waits, check_accepted, check_many, check_kill, check_stop):
            check(api, demo)
            print(check.__name__, file=sys.stderr)


if __name__ == "__main__":
    main()
