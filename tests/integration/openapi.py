"""openapi.py - what tests need of an OpenAPI 3.1 document: is it one, and does an answer agree with it?

Debian has no validator for OpenAPI 3.1. Its schemas are JSON Schema, which python3-jsonschema knows; the rest is small
enough to be written down here (ESSENTIALS), strictly: what the specification allows and this project's document does not
use is refused too, until somebody needs it. Answers are judged strictly as well: a member, a header or a status
that the document does not name is an error, although JSON Schema would let it pass.
"""
import copy
import json
import re

from jsonschema import Draft202012Validator, FormatChecker, SchemaError

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# Headers with a meaning of Assent's own; others (Date, Content-Length) belong to HTTP.
HEADERS = ("Assent-Transaction", "Idempotent-Replayed", "Retry-After", "Allow", "Location", "Preference-Applied")
PROBLEM = "#/components/schemas/Problem"

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time")
def is_time(value):
    return not isinstance(value, str) or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value) is not None


# ---- Is it OpenAPI 3.1? ----

TEXT = {"type": "string", "minLength": 1}


def of_object(required, /, **members):
    return {"type": "object", "required": required.split(), "additionalProperties": False, "properties": members}


def or_reference(schema):
    reference = of_object("$ref", **{"$ref": {"type": "string", "pattern": "^#/components/"}})
    return {"if": {"required": ["$ref"]}, "then": reference, "else": schema}


def map_of(schema, names="."):
    return {"type": "object", "additionalProperties": False, "patternProperties": {names: schema}}


SCHEMA = {"type": ["object", "boolean"]}  # its own check: check_schemas
MEDIA = map_of(of_object("schema", schema=SCHEMA, example={}), r"^[a-z]+/[a-z+.-]+$")
HEADER = or_reference(of_object("schema", description=TEXT, schema=SCHEMA))
RESPONSE = or_reference(of_object("description", description=TEXT, headers=map_of(HEADER), content=MEDIA))
PARAMETER = or_reference({
    **of_object("name in schema", name=TEXT, description=TEXT, required={"type": "boolean"}, schema=SCHEMA, example={},
                **{"in": {"enum": ["query", "header", "path", "cookie"]}}),
    "if": {"properties": {"in": {"const": "path"}}},
    "then": {"required": ["required"], "properties": {"required": {"const": True}}}})
PARAMETERS = {"type": "array", "items": PARAMETER}
OPERATION = of_object(
    "operationId summary responses", operationId={"type": "string", "pattern": "^[a-z][A-Za-z]*$"}, summary=TEXT,
    description=TEXT, tags={"type": "array", "items": TEXT, "minItems": 1}, parameters=PARAMETERS,
    requestBody=of_object("content", description=TEXT, required={"type": "boolean"}, content=MEDIA),
    responses={**map_of(RESPONSE, r"^([1-5][0-9]{2}|[1-5]XX|default)$"), "minProperties": 1})
ESSENTIALS = of_object(
    "openapi info paths", openapi={"type": "string", "pattern": r"^3\.1\.\d+$"},
    info=of_object("title version", title=TEXT, version=TEXT, summary=TEXT, description=TEXT,
                   license=of_object("name", name=TEXT, identifier=TEXT)),
    servers={"type": "array", "items": of_object("url", url=TEXT, description=TEXT)},
    tags={"type": "array", "items": of_object("name", name=TEXT, description=TEXT)},
    paths=map_of(of_object("", parameters=PARAMETERS, **{method: OPERATION for method in METHODS}), "^/"),
    components=of_object("", schemas=map_of(SCHEMA), responses=map_of(RESPONSE), parameters=map_of(PARAMETER)))

# Keywords that the document uses; a misspelt one would silently check nothing.
KEYWORDS = set("$ref type enum const properties required additionalProperties items minItems maxItems minLength maxLength"
               " minimum maximum maxProperties pattern format oneOf default description examples".split())


def walk(node, pointer=()):
    """All objects and arrays, with the path to each."""
    yield pointer, node
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, member in members:
        yield from walk(member, (*pointer, name))


def subschemas(schema, pointer):
    """The schema and those within it, but for true and false."""
    if not isinstance(schema, dict):
        return
    yield pointer, schema
    for name, member in schema.get("properties", {}).items():
        yield from subschemas(member, f"{pointer}/properties/{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from subschemas(schema[name], f"{pointer}/{name}")
    for index, member in enumerate(schema.get("oneOf", [])):
        yield from subschemas(member, f"{pointer}/oneOf/{index}")


class Document:
    """check() says whether it is a valid document, which everything else expects."""

    def __init__(self, content):
        self.content = content

    # -- Finding things

    def resolve(self, node):
        """The node, or what its $ref names; KeyError if there is no such thing."""
        while isinstance(node, dict) and "$ref" in node:
            found = self.content
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def closed(self, schema):
        """The schema without references, in which no object may have members that are not described."""
        if not isinstance(schema, dict):
            return schema
        schema = dict(self.resolve(schema))
        if "properties" in schema:
            schema["properties"] = {name: self.closed(member) for name, member in schema["properties"].items()}
            schema.setdefault("additionalProperties", False)
        if "items" in schema:
            schema["items"] = self.closed(schema["items"])
        if "oneOf" in schema:
            schema["oneOf"] = [self.closed(member) for member in schema["oneOf"]]
        return schema

    def operations(self):
        """(method, path), operation"""
        for path, item in self.content["paths"].items():
            for method in METHODS:
                if method in item:
                    yield (method, path), item[method]

    def parameters(self, path, operation):
        item = self.content["paths"][path]
        return [self.resolve(one) for one in item.get("parameters", []) + operation.get("parameters", [])]

    # -- Is it a valid document?

    def check(self):
        """What is wrong, from the outside in: each check stands on those before it."""
        checks = (self.check_form, self.check_references, self.check_schemas, self.check_operations, self.check_examples)
        return next((complaints for complaints in (check() for check in checks) if complaints), [])

    def check_form(self):
        return [f"{error.json_path}: {error.message[:200]}"
                for error in Draft202012Validator(ESSENTIALS).iter_errors(self.content)]

    def check_references(self):
        complaints, used = [], set()
        for pointer, node in walk(self.content):
            if isinstance(node, dict) and isinstance(node.get("$ref"), str):
                used.add(node["$ref"])
                try:
                    self.resolve(node)
                except (KeyError, TypeError):
                    complaints.append(f"{pointer}: nothing is at {node['$ref']}")
        for kind, members in self.content.get("components", {}).items():
            complaints += [f"nobody uses #/components/{kind}/{name}" for name in members
                           if f"#/components/{kind}/{name}" not in used]
        return complaints

    def schemas(self):
        """Every schema of the document with its place."""
        for name, schema in self.content.get("components", {}).get("schemas", {}).items():
            yield from subschemas(schema, f"#/components/schemas/{name}")
        for pointer, node in walk({key: self.content[key] for key in ("paths", "components")}):
            if pointer and pointer[-1] == "schema" and "schemas" not in pointer:
                yield from subschemas(node, "/".join(map(str, pointer)))

    def check_schemas(self):
        complaints = []
        for pointer, schema in self.schemas():
            try:
                Draft202012Validator.check_schema(schema)
                re.compile(schema.get("pattern", ""))
            except (SchemaError, re.error) as error:
                complaints.append(f"{pointer}: {error}")
            complaints += [f"{pointer}: keyword {word} is not known" for word in sorted(set(schema) - KEYWORDS)]
            missing = set(schema.get("required", [])) - set(schema.get("properties", schema.get("required", [])))
            complaints += [f"{pointer}: {name} is required and not described" for name in sorted(missing)]
        return complaints

    def check_operations(self):
        complaints, ids = [], {}
        tags = {tag["name"] for tag in self.content.get("tags", [])}
        for (method, path), operation in self.operations():
            where = f"{method} {path}"
            other = ids.setdefault(operation["operationId"], where)
            if other != where:
                complaints.append(f"{where} and {other} have one operationId")
            complaints += [f"{where}: tag {tag} is not declared" for tag in set(operation.get("tags", [])) - tags]
            named = [one["name"] for one in self.parameters(path, operation) if one["in"] == "path"]
            if sorted(named) != sorted(re.findall(r"{(\w+)}", path)):
                complaints.append(f"{where}: path parameters {named}")
            for status, response in operation["responses"].items():
                content = self.resolve(response).get("content", {})
                if status >= "4" and list(content) != ["application/problem+json"]:
                    complaints.append(f"{where}: {status} is no problem document")
        return complaints

    def check_examples(self):
        """Every example is what its schema describes."""
        complaints = []
        for pointer, node in walk(self.content):
            if isinstance(node, dict) and "schema" in node and "example" in node:
                complaints += self.judge(node["schema"], node["example"], f"{pointer} example")
        for pointer, schema in self.schemas():
            for example in schema.get("examples", []):
                complaints += self.judge(schema, example, f"{pointer} example")
        return complaints

    # -- Does an answer agree with it?

    def judge(self, schema, value, where):
        validator = Draft202012Validator(self.closed(schema), format_checker=FORMATS)
        return [f"{where}: {error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]

    def judge_answer(self, method, path, status, headers, body):
        """Complaints about one answer to method and path (as in the document, with {id})."""
        where = f"{method} {path} {status}"
        operation = self.content["paths"].get(path, {}).get(method)
        if operation is None:
            return [f"{where}: the operation is not described"]
        if str(status) not in operation["responses"]:
            return [f"{where}: the status is not described"]
        response = self.resolve(operation["responses"][str(status)])
        complaints = self.judge_headers(response.get("headers", {}), headers, where)
        kind = headers.get("Content-Type", "").split(";")[0]
        if kind not in response.get("content", {}):
            return complaints + [f"{where}: content type {kind} is not described"]
        text = body.decode("utf-8")
        value = json.loads(text) if kind.endswith("json") else text
        if kind == "application/problem+json" and value.get("status") != status:
            complaints.append(f"{where}: the problem says status {value.get('status')}")
        return complaints + self.judge(response["content"][kind]["schema"], value, where)

    def judge_headers(self, described, headers, where):
        complaints = []
        for name in HEADERS:
            if name not in headers:
                continue
            if name not in described:
                complaints.append(f"{where}: header {name} is not described")
                continue
            schema = self.resolve(described[name])["schema"]
            value = headers[name]
            if self.resolve(schema).get("type") == "integer" and value.isdigit():
                value = int(value)
            complaints += self.judge(schema, value, f"{where}: header {name}")
        return complaints

    def seen(self, schema, value, pointer=""):
        """The described members that the value has, as pointers into the document."""
        if isinstance(schema, dict) and "$ref" in schema:
            pointer, schema = schema["$ref"], self.resolve(schema)
        if isinstance(value, dict):
            for name, member in schema.get("properties", {}).items():
                if name in value:
                    yield f"{pointer}/properties/{name}"
                    yield from self.seen(member, value[name], f"{pointer}/properties/{name}")
        if isinstance(value, list) and "items" in schema:
            for one in value:
                yield from self.seen(schema["items"], one, f"{pointer}/items")
        for index, member in enumerate(schema.get("oneOf", [])):
            if not self.judge(member, value, ""):
                yield from self.seen(member, value, f"{pointer}/oneOf/{index}")

    # -- The same with something changed, to see that somebody notices

    def without(self, pointer):
        """A copy that lacks what is at the pointer."""
        changed = copy.deepcopy(self.content)
        *path, last = [part.replace("~1", "/") for part in pointer.removeprefix("#/").split("/")]
        node = changed
        for part in path:
            node = node[int(part)] if isinstance(node, list) else node[part]
        del node[last]
        return Document(changed)
