#!/usr/bin/env python3
"""test_examples_answers.py - the HTTP clients of examples/ react rightly to every kind of answer.

A stand-in for assentd answers from a script, so that rare answers come when they are wanted; they are answers that
docs/openapi.json describes, which is checked. Real daemons: test_examples.sh, which has the C client too.
"""
import concurrent.futures
import http.server
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

from openapi import Document

SOURCE = os.environ["ASSENT_SOURCE_DIR"]
CLIENTS = {
    "python": [sys.executable, f"{SOURCE}/examples/python/checkout.py"],
    "node": ["node", f"{SOURCE}/examples/node/checkout.mjs"],
    "shell": [f"{SOURCE}/examples/shell/checkout.sh"],
}
ID = "0" * 32 + "-1-" + "0" * 16 + "-1"
PROBLEM = "application/problem+json"
PAID, NOT_KNOWN, NOT_AVAILABLE = "paid, 87.50 left", "not known yet: ask again with the same key", "not available, nothing was done"


# ---- Answers ----

def committed(**members):
    results = [{"command": "UPDATE 1", "rows_affected": 1, "rows": [["87.50"]],
                "columns": [{"name": "balance", "type": "numeric", "oid": 1700}]},
               {"command": "INSERT 0 1", "rows_affected": 1, "columns": [], "rows": []}]
    body = {"id": ID, "state": "committed", "completed": True, **members,
            "branches": [{"participant": "order", "results": results[1:]}, {"participant": "payment", "results": results}]}
    return 200, {"Content-Type": "application/json"}, body


def problem(status, slug, retryable, detail="because", retry_after=None, **members):
    headers = {"Content-Type": PROBLEM, **({"Retry-After": retry_after} if retry_after else {})}
    return status, headers, {"type": f"urn:assent:problem:{slug}", "title": "Title", "status": status, "detail": detail,
                             "retryable": retryable, **members}


def aborted(status, slug, retryable, **members):
    return problem(status, slug, retryable, id=ID, state="aborted", reason=slug, **members)


def found(*states):
    """What GET ?key= finds."""
    return 200, {"Content-Type": "application/json"}, {"next": None, "transactions": [
        {"id": ID, "state": state, "completed": False, "in_doubt": False, "branches": []} for state in states]}


UNKNOWN = problem(504, "outcome_unknown", True, state="unknown")
PROXY = 502, {"Content-Type": "text/html"}, "<html>Bad Gateway</html>"
RESET, SILENT = "reset", "silent"
REFUSED = []  # nobody listens


class Case:
    """What is answered to each POST (the last one for ever) and GET; what the client must say, how it ends, after how many POSTs."""

    def __init__(self, posts, code, words, count, asked=None, deadline=30, least_s=0.0):
        self.posts, self.code, self.words, self.count = posts, code, words, count
        self.asked, self.deadline, self.least_s = asked, deadline, least_s


ANY = None
CASES = {
    "committed": Case([committed()], 0, PAID, 1),
    "committed, not completed": Case([committed(completed=False, pending=["order", "payment"])], 0,
                                     PAID + " (still being finished at order, payment)", 1),
    "heuristic": Case([committed(state="heuristic", completed=False, pending=[])], 2,
                      f"done by hand in part, an operator must look at {ID}", 1),
    "not enough money": Case([aborted(409, "row_count", False, participant="payment")], 1, "declined: not enough money", 1),
    "another row count": Case([aborted(409, "row_count", False, participant="order")], 1, "declined: because", 1),
    "constraint": Case([aborted(409, "constraint", False, participant="order")], 1, "declined: because", 1),
    "serialization, then committed": Case([aborted(409, "serialization", True), committed()], 0, PAID, 2),
    "malformed": Case([problem(400, "malformed", False)], 64, "refused: because", 1),
    "policy": Case([aborted(403, "rejected_by_policy", False)], 64, "refused: because", 1),
    "too large": Case([problem(413, "body_too_large", False)], 64, "refused: because", 1),
    "key conflict": Case([problem(422, "key_conflict", False)], 64, "refused: because", 1),
    "overload, then committed": Case([problem(429, "overload", True, retry_after="1"), committed()], 0, PAID, 2, least_s=1.0),
    "participant down, then committed": Case([problem(503, "participant_unavailable", True, retry_after="1"), committed()],
                                             0, PAID, 2, least_s=1.0),
    "participant down for longer": Case([problem(503, "participant_unavailable", True, retry_after="60")], 69,
                                        NOT_AVAILABLE, 1),
    "deadline, then committed": Case([aborted(504, "timeout", True), committed()], 0, PAID, 2),
    "unknown, and its key tells": Case([UNKNOWN], 0, "paid, as its key tells", 1, asked=found("committing")),
    "unknown, its key tells nothing, then committed": Case([UNKNOWN, committed()], 0, PAID, 2, asked=found("preparing")),
    "unknown for ever": Case([UNKNOWN], 2, NOT_KNOWN, ANY, asked=found(), deadline=1),
    "failed inside, then committed": Case([problem(500, "internal", True, state="unknown"), committed()], 0, PAID, 2,
                                          asked=found()),
    "a proxy's page, then committed": Case([PROXY, committed()], 0, PAID, 2),
    "reset, then committed": Case([RESET, committed()], 0, PAID, 2),
    "reset for ever, and its key tells": Case([RESET], 0, "paid, as its key tells", ANY, asked=found("committed"), deadline=1),
    "reset, then not available": Case([RESET, problem(503, "shutdown", True, retry_after="60")], 2, NOT_KNOWN, 2,
                                      asked=found("aborted")),
    "no answer": Case([SILENT], 2, NOT_KNOWN, ANY, asked=found(), deadline=1),
    "nobody listens": Case(REFUSED, 69, NOT_AVAILABLE, 0, deadline=1),
}


# ---- The stand-in ----

class StandIn(http.server.ThreadingHTTPServer):
    allow_reuse_address = False

    def __init__(self, case):
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.case = case
        self.requests = []  # (key, body) of each POST
        self.over = threading.Event()
        self.server_bind()
        if case.posts is not REFUSED:  # a port that is taken and not listened at refuses, and nobody else gets it
            self.server_activate()
            threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def end(self):
        self.over.set()
        if self.case.posts is not REFUSED:
            self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.requests.append((self.headers["Idempotency-Key"], body))
        self.answer(server.case.posts[min(len(server.requests), len(server.case.posts)) - 1])

    def do_GET(self):
        self.answer(self.server.case.asked)

    def answer(self, answer):
        if answer == SILENT:
            self.server.over.wait(60)
        if answer in (RESET, SILENT):  # SO_LINGER of 0 makes close() a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        status, headers, body = answer
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def finish(self):
        try:
            super().finish()
        except OSError:  # reset by ourselves
            pass

    def log_message(self, *_):
        pass


# ---- The tests ----

def judge_case(language, name, case):
    """Runs one client against one case; complaints."""
    stand_in = StandIn(case)
    began = time.monotonic()
    result = subprocess.run(
        [*CLIENTS[language], "o-1", "c-1", "12.50"], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "ASSENT_API": f"http://127.0.0.1:{stand_in.server_port}", "ASSENT_DEADLINE": str(case.deadline)})
    took_s = time.monotonic() - began
    stand_in.end()
    wanted = f"order o-1: {case.words}\n"
    complaints = []
    if (result.returncode, result.stdout) != (case.code, wanted):
        complaints.append(f"{result.returncode} {result.stdout!r} instead of {case.code} {wanted!r}: {result.stderr}")
    if case.count not in (ANY, len(stand_in.requests)):
        complaints.append(f"{len(stand_in.requests)} requests instead of {case.count}")
    if len(set(stand_in.requests)) > 1 or any(key != '"checkout-o-1"' for key, _ in stand_in.requests):
        complaints.append(f"not always the same request: {stand_in.requests}")
    if took_s < case.least_s:
        complaints.append(f"did not wait as long as it was told: {took_s:.2f} s")
    return [f"{language}, {name}: {complaint}" for complaint in complaints]


def judge_script():
    """What the stand-in says is what assentd may say."""
    with open(f"{SOURCE}/docs/openapi.json", encoding="utf-8") as file:
        document = Document(json.load(file))
    complaints = []
    for case in CASES.values():
        answers = [("post", "/v1/transactions", answer) for answer in case.posts]
        answers += [("get", "/v1/transactions", case.asked)] if case.asked else []
        for method, path, answer in answers:
            if answer not in (RESET, SILENT, PROXY):
                status, headers, body = answer
                complaints += document.judge_answer(method, path, status, headers, json.dumps(body).encode())
    return complaints


def main():
    complaints = judge_script()
    with concurrent.futures.ThreadPoolExecutor(max_workers=6) as pool:
        runs = [pool.submit(judge_case, language, name, case) for name, case in CASES.items() for language in CLIENTS]
        for one in runs:
            complaints += one.result()
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print(f"{len(CASES)} cases, {len(runs)} runs, {len(complaints)} complaints")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
