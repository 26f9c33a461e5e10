"""The OpenAPI description that cavad serves: valid, complete, and true of
what cavad answers.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import pathlib
import re

import jsonschema
import pytest
import yaml

from cavad_world import EICAR, ROOT, World, wait_for

SCHEMA = "/usr/share/openapi-specification/schemas/v3.0/schema.yaml"


@pytest.fixture(scope="module")
def world():
    world = World(servers="[server av]\nserver_uri = null:\n"
                  "[job docs]\nschedule = every Friday at 22:00\n")
    world.start()
    yield world
    world.close()


@pytest.fixture(scope="module")
def description(world):
    reply = world.call("GET", "/platform/openapi.json")
    assert reply.code == 200
    return reply.json


def rows(name, pattern):
    text = (ROOT / "cavad" / name).read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.findall(pattern, text)


ROUTES = rows("api_route.def", r'ROUTE(?:_\w+)?\((\w+), "([^"]+)",\s+(\w+)')


def test_valid(description):
    """By the schema that the OpenAPI initiative publishes."""
    schema = yaml.safe_load(pathlib.Path(SCHEMA).read_text())
    jsonschema.Draft4Validator(schema).validate(description)


def test_every_route(description):
    """Every row is in it, and nothing else; each has its parameter."""
    assert ROUTES
    there = set()
    for path, item in description["paths"].items():
        for method, operation in item.items():
            names = re.findall(r"{(\w+)}", path)
            assert [p["name"] for p in operation.get("parameters", [])
                    if p["in"] == "path"] == names
            assert operation["summary"]
            there.add((method.upper(), re.sub(r"{\w+}", "{}", path)))
    assert there == {(method, path) for method, path, _ in ROUTES}


def test_routes_are_dispatched(world):
    """What is in the table is no 404 for want of a route."""
    for method, path, _ in ROUTES:
        reply = world.call("PATCH", path.replace("{}", "x"))
        assert reply.code == 405, path


def test_every_reply_has_a_shape():
    """Those aside that answer no JSON."""
    functions = {fn for method, path, fn in ROUTES
                 if method in ("GET", "POST") and path != "/metrics"}
    assert functions == set(rows("api_reply.def", r"REPLY\((\w+),"))


def test_objects(description):
    """A schema a class of object.def, a property a field."""
    text = (ROOT / "cavad" / "object.def").read_text()
    for name in ("settings", "filter", "server", "job", "cee"):
        block = re.search(r"#define %s_FIELDS\(F\) \\\n(.*?)\n\n" %
                          name.upper(), text + "\n\n", re.S).group(1)
        fields = re.findall(r"^F\(\w+, (\w+),", block, re.M)
        schema = description["components"]["schemas"][name]
        assert set(schema["properties"]) == set(fields), name


def nullable(schema):
    """OpenAPI 3.0 has `nullable` where JSON Schema has a type null."""
    if isinstance(schema, list):
        return [nullable(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: nullable(value) for key, value in schema.items()}
    if schema.get("nullable") is True:      # not a property of that name
        del schema["nullable"]
        if "type" in schema:    # else it is anything, null as well
            schema["type"] = [schema["type"], "null"]
    return schema


def check(description, method, path, reply):
    operation = description["paths"][path][method.lower()]
    for code in (str(reply.code), "%dXX" % (reply.code // 100), "default"):
        if code in operation["responses"]:
            break
    content = operation["responses"][code].get("content")
    if content is None:
        assert not reply.body
        return
    schema = nullable(content["application/json"]["schema"])
    resolver = jsonschema.RefResolver("", nullable(description))
    jsonschema.Draft4Validator(schema, resolver=resolver).validate(reply.json)


def test_replies(world, description):
    """What a cavad with something of each kind says is as described."""
    (world.root / "tree").mkdir()
    path = world.file("eicar", EICAR)
    calls = [
        ("POST", "/platform/11/avscan/zones", {"zone_name": "lab"}),
        ("GET", "/platform/11/avscan/zones", None),
        ("POST", "/platform/11/antivirus/scan", {"file": str(path)}),
        ("POST", "/platform/11/avscan/probe", {"server": "av"}),
        ("POST", "/platform/11/avscan/selftest", None),
        ("POST", "/platform/11/avscan/avvendor", {"account": "svc"}),
        ("GET", "/platform/11/avscan/avvendor", None),
        ("GET", "/platform/11/avscan/events", None),
        ("GET", "/platform/11/avscan/history", None),
        ("POST", "/platform/10/job/jobs",
         {"type": "AVScan", "paths": [str(world.root / "tree")]}),
        ("GET", "/platform/10/job/jobs", None),
        ("GET", "/platform/11/avscan/schedules", None),
        ("GET", "/platform/11/avscan/settings", None),
        ("GET", "/platform/11/avscan/cee", None),
        ("GET", "/platform/11/avscan/servers", None),
        ("GET", "/platform/11/avscan/filters", None),
        ("GET", "/platform/11/avscan/jobs", None),
        ("GET", "/platform/11/avscan/schema", None),
        ("GET", "/platform/11/avscan/export", None),
        ("POST", "/platform/11/avscan/schedules", {"schedule": "every day"}),
        ("GET", "/platform/3/antivirus/reports/threats", None),
        ("POST", "/platform/11/avscan/allow",
         {"kind": "threat", "threat": "T", "reason": "r"}),
        ("GET", "/platform/11/avscan/allow", None),
    ]
    for method, path, body in calls:
        reply = world.call(method, path, body)
        assert reply.code in (200, 201), reply.body
        check(description, method, path, reply)
    for name, document in (("export", None), ("schema", None),
                           ("settings", None), ("servers", None),
                           ("filters", None), ("jobs", None)):
        path = "/platform/11/avscan/" + name
        check(description, "GET", path, world.call("GET", path, document))
    path = "/platform/11/avscan/apply"
    reply = world.call("POST", path + "?dry_run=true", {
        "settings": {"sync_wait": 3}})
    assert reply.code == 200 and reply.json["changes"]
    check(description, "POST", path, reply)
    events = wait_for("an event", lambda: world.call(
        "GET", "/platform/11/avscan/events").json["events"])
    for path, name, last in (
            ("/platform/11/avscan/events/{event}", "event",
             events[0]["id"]),
            ("/platform/10/job/jobs/{job}", "job", 1),
            ("/platform/11/avscan/servers/{server}", "server", "av"),
            ("/platform/11/avscan/nodes/{node}/status", "node", 1)):
        reply = world.call("GET", path.replace("{%s}" % name, str(last)))
        assert reply.code == 200
        check(description, "GET", path, reply)
    reply = world.call("DELETE", "/platform/11/avscan/avvendor/svc")
    check(description, "DELETE", "/platform/11/avscan/avvendor/{avvendor}",
          reply)
    reply = world.call("POST", "/platform/11/antivirus/scan", {"file": "x"})
    assert reply.code == 400
    check(description, "POST", "/platform/11/antivirus/scan", reply)


def test_bodies(world, description):
    """A body that the description refuses is refused, field by field."""
    for method, route, _ in ROUTES:
        operation = [item for path, item in description["paths"].items()
                     if re.sub(r"{\w+}", "{}", path) == route][0][
                         method.lower()]
        if "requestBody" not in operation or route.startswith("/session"):
            continue
        one = {"servers": "av", "jobs": "docs"}.get(
            route.split("/")[4] if "/avscan/" in route else "", "1")
        reply = world.call(method, route.replace("{}", one),
                           {"no_such_field": 1})
        assert reply.code == 400, route
        assert "no_such_field" in reply.message


def test_pages(world, description):
    """Lists that can be resumed take what is said that they take."""
    for path, item in description["paths"].items():
        names = [p["name"] for p in item.get("get", {}).get("parameters", [])
                 if p["in"] == "query"]
        if names:
            assert names == ["limit", "resume", "sort", "dir", "offset"]
            reply = world.call("GET", path + "?limit=1&dir=ASC&offset=0")
            assert reply.code == 200, reply.body
            assert world.call("GET", path + "?limit=0").code == 400, path
