#!/usr/bin/env python3
"""Makes histories of assent-fault check out of histories of Elle's.

    convert.py [--checker PROGRAM] [--most BYTES] FILE.edn... >histories.jsonl

Reads what verdicts.clj prints: one map a line, with the history and Elle's verdict. With --checker each
history is judged too; the answer is its "expect", and on standard error is told where it differs from
Elle's. Histories longer than --most are judged and not printed. README.md says how verdicts are compared.
"""

import argparse
import json
import re
import subprocess
import sys

TOKEN = re.compile(
    r"""(?: [\s,] | ;[^\n]* )*
        (?: (?P<open> \#\{ | [\[({] ) | (?P<close> [\])}] ) | (?P<text> "(?:[^"\\]|\\.)*" )
          | (?P<tag> \#[\w.\-/]+ ) | (?P<atom> [^\s,;\[\](){}"]+ ) )""",
    re.X,
)
WORDS = {"nil": None, "true": True, "false": False}
CLOSING = {"[": "]", "(": ")", "{": "}", "#{": "}"}

# What assent-fault check calls the anomalies that Elle finds; None: it does not name them.
NAMES = {
    "G0": "G0",
    "G1a": "G1a",
    "G1b": "G1b",
    "G1c": "G1c",
    "G-single": "G-single",
    "G-single-item": "G-single",
    "G-nonadjacent": "G2",
    "G-nonadjacent-item": "G2",
    "G2": "G2",
    "G2-item": "G2",
    "internal": "internal",
    "future-read": "internal",
    "incompatible-order": "incompatible-order",
    "cyclic-versions": "incompatible-order",
    "duplicate-elements": "duplicate-element",
    "dirty-update": "G1a",
    "lost-update": "lost-update",
    "empty-transaction-graph": None,
    "cycle-search-timeout": None,
}


def atom(text):
    if text in WORDS:
        return WORDS[text]
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    return text[1:] if text.startswith(":") else text


def edn(text):
    """All values in a text. Sets and lists become lists, keywords strings."""
    stack, place = [("", [])], 0
    text = text.rstrip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if not match:
            if re.fullmatch(r"(?:\s|;[^\n]*)*", text[place:]):
                break
            raise ValueError(f"not EDN at {text[place:place + 40]!r}")
        place = match.end()
        if match["open"]:
            stack.append((match["open"], []))
        elif match["close"]:
            kind, items = stack.pop()
            if CLOSING.get(kind) != match["close"]:
                raise ValueError(f"unexpected {match['close']}")
            value = dict(zip(map(key, items[::2]), items[1::2])) if kind == "{" else items
            stack[-1][1].append(value)
        elif match["text"]:
            stack[-1][1].append(json.loads(match["text"].replace("\n", " ")))
        elif match["atom"]:
            stack[-1][1].append(atom(match["atom"]))
    if len(stack) != 1:
        raise ValueError("the text ends in the middle of a value")
    return stack[0][1]


def key(value):
    return json.dumps(value) if isinstance(value, (list, dict)) else value


class History:
    """One history while its lines are made."""

    def __init__(self, case):
        self.case = case
        self.objects = {}  # keys to (database, name)
        self.values = {}  # values that are no integers to integers
        self.ranks = {}  # (key, value) to the place of its writer in a given order
        self.operations = []
        self.register = any(
            f == "w" or (f == "r" and isinstance(v, int))
            for op in case["history"]
            for f, k, v in map(micro, op["value"])
        )

    def place(self, k):
        if k not in self.objects:
            database = "ab"[len(self.objects) % 2]
            self.objects[k] = (database, k if isinstance(k, str) else f"k{k}")
        return self.objects[k]

    def value(self, v):
        if isinstance(v, int):
            return v
        return self.values.setdefault(key(v), 1000000 + len(self.values))

    def micro(self, f, k, v, answered):
        database, name = self.place(key(k))
        made = {"f": f, "db": database, "k": name}
        if f != "r":
            made["v"] = self.value(v)
        elif answered and isinstance(v, list):
            made["v"] = [self.value(element) for element in v]
        elif answered:
            made["v"] = None if v is None else self.value(v)
        if (key(k), v if not isinstance(v, list) else None) in self.ranks and answered:
            made["n"] = self.ranks[(key(k), v)]
        return made

    def add(self, number, t_inv, t_ret, result, value):
        self.operations.append(
            {
                "type": "op",
                "i": number,
                "client": f"p{number}",
                "workload": "W2",
                "t_inv": t_inv,
                "t_ret": t_ret,
                "result": result,
                "ops": [self.micro(*micro(m), result == "ok") for m in value],
            }
        )

    def read(self):
        """Times are the places in the history."""
        for op in self.case["history"]:
            for f, k, v in map(micro, op["value"]):
                if op.get("rank") is not None and f == "w":
                    self.ranks[(key(k), v)] = op["rank"]
        sent = {}
        for t, op in enumerate(self.case["history"]):
            if op["type"] == "invoke":
                sent[op["process"]] = (t, op["value"])
                continue
            t_inv, _ = sent.pop(op["process"])
            if op["type"] == "info":
                self.add(op["process"], t_inv, None, "unknown", op["value"])
            else:
                self.add(op["process"], t_inv, t, op["type"], op["value"])
        for process, (t_inv, value) in sent.items():
            self.add(process, t_inv, None, "unknown", value)
        self.operations.sort(key=lambda op: op["t_inv"])

    def beginning(self):
        """Registers of which transactions read one value that nobody wrote had it from the beginning. (Elle
        asks for no writer.)"""
        written, found = set(), {}
        for op in self.operations:
            for m in op["ops"]:
                if m["f"] == "w":
                    written.add((m["db"], m["k"], m["v"]))
        for op in self.operations:
            for m in op["ops"]:
                v = m.get("v")
                if m["f"] == "r" and isinstance(v, int) and (m["db"], m["k"], v) not in written:
                    found.setdefault((m["db"], m["k"]), set()).add(v)
        for database in "ab":
            registers = {
                name: [values.pop()]
                for (db, name), values in found.items()
                if db == database and len(values) == 1
            }
            if registers:
                yield {
                    "type": "dump",
                    "t": 0,
                    "at": "begin",
                    "db": database,
                    "registers": registers,
                }

    def lines(self):
        self.read()
        refused = self.case.get("refused")
        meta = {
            "type": "meta",
            "version": 1,
            "seed": self.case.get("number", 0),
            "started": "2026-11-27T20:00:00Z",
            "workloads": ["W2"],
            "databases": ["a", "b"],
            "source": self.case["source"],
            "elle": [*self.case["elle"], *([refused.splitlines()[0][:60]] if refused else [])],
        }
        made = [meta, *self.beginning(), *self.operations]
        last = {"type": "end", "t": len(self.case["history"]), "lines": len(made), "reason": "complete"}
        return [*made, last]


def micro(m):
    f, k, v = [*m, None][:3]
    return f, k, v


def text_of(lines):
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def judge(program, lines):
    run = subprocess.run(
        [program, "--json", "-"], input=text_of(lines), capture_output=True, text=True, check=False
    )
    if run.returncode > 1:
        return ["refused"]
    return sorted(
        name for check in json.loads(run.stdout)["checks"] for name in check["counts"]
    )


def translated(case):
    """Elle's verdict in the words of assent-fault check."""
    names = set()
    if "duplicate-appends" in case.get("refused", ""):
        return ["refused"]
    if "No transaction wrote" in case.get("refused", ""):
        names.add("phantom")
    for anomaly in case["elle"]:
        base, _, variant = re.fullmatch(r"(.*?)(-(process|realtime))?", anomaly).groups()
        name = NAMES.get(base, "cycle" if "cycle-exists" in base else "?" + base)
        if name:
            names.add(name + "-realtime" if variant else name)
    return sorted(names)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checker")
    parser.add_argument("--most", type=int, default=1 << 40)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    for path in arguments.files:
        with open(path, encoding="utf-8") as file:
            for case in edn(file.read()):
                if "mix of integer types" in case.get("refused", ""):
                    continue  # a test of Java's types
                lines = History(case).lines()
                if arguments.checker:
                    lines[0]["expect"] = judge(arguments.checker, lines)
                    same = lines[0]["expect"] == translated(case)
                    told = {True: "agree ", False: "differ"}[same]
                    print(
                        f"{told} {case['source']}\n    elle {' '.join(lines[0]['elle'])}"
                        f"\n    ours {' '.join(lines[0]['expect'])}",
                        file=sys.stderr,
                    )
                text = text_of(lines)
                if len(text) <= arguments.most:
                    sys.stdout.write(text)


if __name__ == "__main__":
    main()
