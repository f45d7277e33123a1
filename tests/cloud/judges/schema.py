"""Validates the answers of a crawl with the API description that was made from Microsoft's CSDL.
Usage: schema.py CLOUD_JSON TOKENS_JSON GRAPH_OPENAPI_JSON"""

import collections
import json
import sys

import requests
from jsonschema import Draft202012Validator, FormatChecker

cloud, tokens, openapi = (json.load(open(path)) for path in sys.argv[1:4])
session = requests.Session()
session.verify = cloud["authority"]
ROLE = "62e90394-69f5-4237-9190-012177145e10"
checked, wrong = collections.Counter(), []


def send(method, template, query="", token="application", body=None, status=200, **keys):
    """Sends a request, compares the status and validates the answer; follows next links. Gives the last body."""
    path = template
    for key, value in keys.items():
        path = path.replace("{%s}" % key, value)
    url, answer = f"{cloud['graph']}{path}{query}", None
    for _ in range(40):
        headers = {"Authorization": f"Bearer {tokens[token]}", "ConsistencyLevel": "eventual"}
        answer = session.request(method, url, headers=headers, json=body)
        if answer.status_code != status:
            wrong.append(f"{method} {url}: status {answer.status_code} in place of {status}: {answer.text[:200]}")
        validate(method, template, answer, url)
        if not answer.headers.get("content-type", "").startswith("application/json") or "@odata.nextLink" not in answer.json():
            break
        url = answer.json()["@odata.nextLink"]
    return answer.json() if answer.headers.get("content-type", "").startswith("application/json") else None


def validate(method, template, answer, url):
    responses = openapi["paths"][template][method.lower()]["responses"]
    status = str(answer.status_code)
    where = f"{method} {template} {status}"
    described = responses.get(status)
    if described and "$ref" in described:
        described = openapi["components"]["responses"][described["$ref"].split("/")[-1]]
    checked[where] += 1
    if described is None:
        # The description names no 400; its body is the same as that of the other errors.
        schema = {"$ref": "#/components/schemas/ODataError"}
    elif "content" not in described:
        return
    else:
        kind = answer.headers["content-type"].split(";")[0]
        if kind not in described["content"]:
            wrong.append(f"{where}: content type {kind}")
            return
        schema = described["content"][kind]["schema"]
        if kind != "application/json":
            return
    validator = Draft202012Validator({**schema, "components": openapi["components"]}, format_checker=FormatChecker())
    for error in validator.iter_errors(answer.json()):
        wrong.append(f"{where} {url}: {list(error.absolute_path)}: {error.message[:200]}")


def names(component):
    return openapi["components"]["parameters"][component]["schema"]["items"]["anyOf"][0]["enum"]


hanna = "hanna.lindqvist@northwind.example"
everything = ",".join(names("select.userList"))
users = send("GET", "/users", f"?$top=999&$select={everything}")["value"]
send("GET", "/users", "?$top=100&$count=true")
send("GET", "/users", "?$expand=manager($select=id,displayName)&$top=999")
send("GET", "/users", "?$search=\"displayName:ha\"")
send("GET", "/users", "?$select=colour", status=400)
send("GET", "/users/$count")
send("GET", "/users/delta")
send("GET", "/users/delta", "?$select=" + ",".join(names("select.userDelta")))
send("GET", "/users/{userId}", userId=hanna)
send("GET", "/users/{userId}", "?$select=" + ",".join(names("select.user")), userId=hanna)
send("GET", "/users/{userId}", userId="nobody@northwind.example", status=404)
send("GET", "/users/{userId}/manager", userId=hanna)
send("GET", "/users/{userId}/photo", userId=hanna)
send("GET", "/users/{userId}/photo", userId="tom.okafor@northwind.example", status=404)
send("GET", "/users/{userId}/photo/$value", userId=hanna)
send("GET", "/users/{userId}/photos", userId=hanna)
send("GET", "/users/{userId}/photos/{photoSize}", userId=hanna, photoSize="48x48")
send("GET", "/users/{userId}/photos/{photoSize}/$value", userId=hanna, photoSize="48x48")
me = send("GET", "/me", token="person")
send("GET", "/users/{userId}/memberOf", token="person", userId=me["id"])
send("GET", "/users/{userId}/memberOf", token="person", userId=hanna, status=403)
send("GET", "/users/{userId}/transitiveMemberOf", userId=hanna)
send("GET", "/users/{userId}/transitiveMemberOf/microsoft.graph.group", "?$count=true", userId=hanna)
groups = send("GET", "/groups", "?$top=999&$select=" + ",".join(names("select.groupList")))["value"]
send("GET", "/groups")
send("GET", "/groups/$count")
send("GET", "/groups/delta")
send("GET", "/groups/delta", "?$select=displayName,mail,members")
for group in groups[:12]:
    send("GET", "/groups/{groupId}", groupId=group["id"])
    send("GET", "/groups/{groupId}/members", "?$top=5", groupId=group["id"])
    send("GET", "/groups/{groupId}/members/$count", groupId=group["id"])
    send("GET", "/groups/{groupId}/transitiveMembers", groupId=group["id"])
    send("GET", "/groups/{groupId}/transitiveMembers/microsoft.graph.user", "?$count=true", groupId=group["id"])
send("GET", "/groups/{groupId}", groupId="00000000-0000-4000-8000-000000000000", status=404)
send("GET", "/organization")
send("GET", "/organization/{organizationId}", organizationId=cloud["tenants"][0]["id"])
send("GET", "/domains", status=403)
for domain in send("GET", "/domains", token="person")["value"]:
    send("GET", "/domains/{domainId}", token="person", domainId=domain["id"])
    send("GET", "/domains/{domainId}/verificationDnsRecords", token="person", domainId=domain["id"])
    send("GET", "/domains/{domainId}/serviceConfigurationRecords", token="person", domainId=domain["id"])
send("POST", "/domains", token="person", body={"id": "crawl.signet.example"}, status=201)
send("POST", "/domains/{domainId}/verify", token="person", domainId="crawl.signet.example")
send("DELETE", "/domains/{domainId}", token="person", status=204, domainId="crawl.signet.example")
keyed = "/directoryRoles(roleTemplateId='{roleTemplateId}')"
for suffix in ("", "/members", "/members/microsoft.graph.user"):
    send("GET", keyed + suffix, token="person", roleTemplateId=ROLE)
for role in send("GET", "/directoryRoles", token="person")["value"]:
    for suffix in ("", "/members", "/members/microsoft.graph.user"):
        send("GET", "/directoryRoles/{directoryRoleId}" + suffix, token="person", directoryRoleId=role["id"])
for kind in ("roleAssignments", "roleAssignmentScheduleInstances"):
    rows = send("GET", f"/roleManagement/directory/{kind}", token="person")["value"]
    send("GET", "/roleManagement/directory/%s/{objectId}" % kind, token="person", objectId=rows[0]["id"])
send("GET", "/roleManagement/directory/roleAssignmentScheduleInstances/filterByCurrentUser(on='principal')", token="person")
send("POST", "/$batch", body={"requests": [{"id": str(n), "method": "GET", "url": url} for n, url in
                                           enumerate(["/users?$top=2", "/groups?$top=2", f"/users/{hanna}/photo/$value", "/users/nobody@x.example"])]})
for fault, status in (("429", 429), ("503", 503), ("gone", 410)):
    session.post(f"{cloud['control']}/faults", json={"path": "/v1.0/users/delta", "fault": fault}).raise_for_status()
    send("GET", "/users/delta", status=status)

# The check must be able to fail.
sound, wrong = wrong, []
session.post(f"{cloud['control']}/faults", json={"path": "/v1.0/users", "fault": "wrong-types"}).raise_for_status()
send("GET", "/users", "?$select=id,displayName,businessPhones")
wrong = sound if wrong else sound + ["answers of wrong types were not noticed"]

for line in wrong[:40]:
    print(f"WRONG {line}")
print(f"{'ok  ' if not wrong else 'BAD '} jsonschema: {sum(checked.values())} answers of {len(checked)} kinds, {len(wrong)} wrong; "
      f"{len({where.split(' ')[1] for where in checked})} of {len(openapi['paths'])} described paths")
sys.exit(bool(wrong))
