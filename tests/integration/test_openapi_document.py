#!/usr/bin/env python3
"""test_openapi_document.py - docs/openapi.json is valid OpenAPI 3.1, and the check of that can fail."""
import copy
import json
import os
import sys

from openapi import Document

FILE = os.path.join(os.environ["ASSENT_SOURCE_DIR"], "docs", "openapi.json")


def no_duplicates(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"twice in one object: {names}"
    return dict(pairs)


def submit(content):
    return content["paths"]["/v1/transactions"]["post"]


# Each makes one mistake.
MISTAKES = {
    "another version of OpenAPI": lambda d: d.update(openapi="2.0"),
    "no title": lambda d: d["info"].pop("title"),
    "an unknown member": lambda d: submit(d).update(sumary="Run"),
    "a path without a slash": lambda d: d["paths"].update(v1=d["paths"].pop("/livez")),
    "a misspelt method": lambda d: d["paths"]["/livez"].update(gets=d["paths"]["/livez"].pop("get")),
    "no answers": lambda d: submit(d).update(responses={}),
    "a status that is none": lambda d: submit(d)["responses"].update({"20": submit(d)["responses"]["200"]}),
    "an answer without a description": lambda d: submit(d)["responses"]["200"].pop("description"),
    "a header without a schema": lambda d: submit(d)["responses"]["200"]["headers"]["Assent-Transaction"].pop("schema"),
    "content without a schema": lambda d: submit(d)["requestBody"]["content"]["application/json"].pop("schema"),
    "a reference into the void": lambda d: submit(d)["responses"].update({"400": {"$ref": "#/components/responses/Bad"}}),
    "a component that nobody uses": lambda d: d["components"]["schemas"].update(Unused={"type": "string"}),
    "a path parameter that is not described": lambda d: d["paths"]["/v1/transactions/{id}"].pop("parameters"),
    "a path parameter that is optional": lambda d: d["components"]["parameters"]["Id"].update(required=False),
    "a parameter at no place": lambda d: d["components"]["parameters"]["Id"].update({"in": "body"}),
    "one operationId twice": lambda d: submit(d).update(operationId="listTransactions"),
    "a tag that is not declared": lambda d: submit(d).update(tags=["shop"]),
    "a schema of no type": lambda d: d["components"]["schemas"]["State"].update(type="text"),
    "a misspelt keyword": lambda d: d["components"]["schemas"]["State"].update(enums=[]),
    "a pattern that is none": lambda d: d["components"]["schemas"]["TransactionId"].update(pattern="("),
    "a required member that is not described": lambda d: d["components"]["schemas"]["Problem"]["required"].append("titel"),
    "an error that is no problem document": lambda d: d["components"]["responses"]["BadRequest"]["content"].update(
        {"text/html": {"schema": {"type": "string"}}}),
    "an example that is not what it is an example of": lambda d: submit(d)["responses"]["200"]["content"][
        "application/json"]["example"].update(state="done"),
    "an example of a schema that does not match it": lambda d: d["components"]["schemas"]["TransactionId"].update(
        examples=["1"]),
}


def main():
    with open(FILE, encoding="utf-8") as file:
        content = json.load(file, object_pairs_hook=no_duplicates)
    complaints = Document(content).check()
    for what, mistake in MISTAKES.items():
        wrong = copy.deepcopy(content)
        mistake(wrong)
        if not Document(wrong).check():
            complaints.append(f"nobody notices {what}")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    if complaints:
        sys.exit(1)
    print(f"docs/openapi.json is valid OpenAPI {content['openapi']}; {len(MISTAKES)} mistakes were noticed")


if __name__ == "__main__":
    main()
