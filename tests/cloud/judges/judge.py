"""MSAL for Python and the Microsoft Graph SDK against the stand-in. Usage: judge.py CLOUD_JSON"""

import asyncio
import json
import ssl
import sys
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import jwt
import msal
import requests
from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator, BaseBearerTokenAuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.groups.delta.delta_request_builder import DeltaRequestBuilder as GroupsDelta
from msgraph.generated.groups.groups_request_builder import GroupsRequestBuilder
from msgraph.generated.groups.item.transitive_members.graph_user.graph_user_request_builder import GraphUserRequestBuilder
from msgraph.generated.users.delta.delta_request_builder import DeltaRequestBuilder as UsersDelta
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph_core import GraphClientFactory
from msgraph.graph_request_adapter import options
from msgraph_core.tasks.page_iterator import PageIterator

from pages import walk

cloud = json.load(open(sys.argv[1]))
ca = cloud["authority"]
tenant = cloud["tenants"][0]["id"]
people = {account["role"]: account for account in cloud["accounts"]}
admin = people["Global Administrator, direct"]
sync, setup = cloud["applications"]["sync"], cloud["applications"]["setup"]
REDIRECT = "http://localhost:5555/callback"
GRAPH = [cloud["scopes"]["graph"]]
session = requests.Session()
session.verify = ca


def done(text):
    print(f"ok   {text}", flush=True)


def client(application, credential):
    return msal.ConfidentialClientApplication(
        application["client_id"],
        authority=f"{cloud['base']}/{tenant}",
        client_credential=credential,
        instance_discovery=False,
        verify=ca,
    )


def before_consent():
    refused = client(sync, sync["secret"]).acquire_token_for_client(GRAPH)
    assert 700016 in refused["error_codes"], refused
    done("msal: no token before consent (AADSTS700016)")


def admin_consent():
    query = urlencode({"client_id": sync["client_id"], "scope": GRAPH[0], "redirect_uri": REDIRECT, "state": "s"})
    url = f"{cloud['base']}/organizations/v2.0/adminconsent?{query}"
    back = parse_qs(urlsplit(walk(session, url, admin["login"], admin["password"])).query)
    assert back["admin_consent"] == ["True"] and back["tenant"] == [tenant] and back["state"] == ["s"], back
    done("pages: the administrator consents for the organisation")


def application_tokens():
    token = client(sync, sync["secret"]).acquire_token_for_client(GRAPH)
    assert "access_token" in token, token
    done("msal: client credentials with a secret")
    key, certificate = open(sync["key"]).read(), open(sync["certificate"]).read()
    der = requests.utils.to_native_string(certificate)
    newer = {"private_key": key, "public_certificate": der}
    assert "access_token" in (found := client(sync, newer).acquire_token_for_client(GRAPH)), found
    done("msal: client credentials with a certificate assertion (thumbprint of the certificate, SHA-256)")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    print_ = x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA1()).hex()
    older = {"private_key": key, "thumbprint": print_}
    assert "access_token" in (found := client(sync, older).acquire_token_for_client(GRAPH)), found
    done("msal: client credentials with a certificate assertion (x5t, SHA-1)")
    wrong = client(sync, "wrong").acquire_token_for_client(GRAPH)
    assert wrong["error"] == "invalid_client", wrong
    done("msal: a wrong secret is refused")
    return token["access_token"]


def person():
    application = client(setup, setup["secret"])
    scopes = ["https://graph.microsoft.com/Domain.ReadWrite.All", "https://graph.microsoft.com/RoleManagement.Read.Directory",
              "https://graph.microsoft.com/User.Read"]
    flow = application.initiate_auth_code_flow(scopes, redirect_uri=REDIRECT, prompt="select_account")
    back = dict(parse_qsl(urlsplit(walk(session, flow["auth_uri"], admin["login"], admin["password"])).query))
    result = application.acquire_token_by_auth_code_flow(flow, back)
    assert result.get("id_token_claims", {}).get("preferred_username") == admin["login"], result
    done("msal: authorization code with PKCE, nonce and state")
    metadata = session.get(f"{cloud['base']}/{tenant}/v2.0/.well-known/openid-configuration").json()
    keys = jwt.PyJWKSet.from_dict(session.get(metadata["jwks_uri"]).json())
    kid = jwt.get_unverified_header(result["id_token"])["kid"]
    claims = jwt.decode(result["id_token"], keys[kid].key, ["RS256"], audience=setup["client_id"], issuer=metadata["issuer"])
    assert claims["tid"] == tenant
    done("pyjwt: the identity token is signed with a published key, issuer and audience are right")
    again = application.acquire_token_silent(scopes, application.get_accounts()[0], force_refresh=True)
    assert again and "access_token" in again, again
    done("msal: refresh token")
    ordinary = people["no administrator"]
    flow = application.initiate_auth_code_flow(["https://graph.microsoft.com/User.Read"], redirect_uri=REDIRECT, prompt="login")
    fresh = requests.Session()
    fresh.verify = ca
    location = walk(fresh, flow["auth_uri"], ordinary["login"], ordinary["password"], "cancel")
    back = dict(parse_qsl(urlsplit(location).query))
    refused = application.acquire_token_by_auth_code_flow(flow, back)
    assert refused["error"] == "access_denied", refused
    done("msal: a declined consent comes back as access_denied")
    return result["access_token"]


class Token(AccessTokenProvider):
    def __init__(self, token):
        self.token = token

    async def get_authorization_token(self, uri, additional_authentication_context={}):
        return self.token

    def get_allowed_hosts_validator(self):
        return AllowedHostsValidator([])


def sdk(token):
    web = GraphClientFactory.create_with_default_middleware(options=options, client=httpx.AsyncClient(verify=ssl.create_default_context(cafile=ca), timeout=60))
    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(Token(token)), client=web)
    adapter.base_url = cloud["graph"]
    return GraphServiceClient(request_adapter=adapter)


async def rounds(builder, query, kind):
    """Follows a delta round with the SDK; gives the items and the delta link."""
    items, configuration = [], RequestConfiguration(query_parameters=query)
    page = await builder.get(request_configuration=configuration)
    pages = 1
    while True:
        items += page.value
        if page.odata_delta_link:
            print(f"     {kind}: {len(items)} items on {pages} pages")
            return items, page.odata_delta_link
        page = await builder.with_url(page.odata_next_link).get()
        pages += 1


async def directory(token):
    graph, expected = sdk(token), session.get(f"{cloud['control']}/state").json()
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(select=["id", "displayName", "mail", "proxyAddresses"], top=50)
    first = await graph.users.get(request_configuration=RequestConfiguration(query_parameters=query))
    seen = []
    await PageIterator(first, graph.request_adapter).iterate(lambda user: seen.append(user.id) or True)
    assert len(set(seen)) == len(seen) == expected["users"], (len(seen), expected["users"])
    done(f"msgraph-sdk: {len(seen)} users by PageIterator")

    query = UsersDelta.DeltaRequestBuilderGetQueryParameters(select=["id", "displayName", "mail", "jobTitle"])
    items, link = await rounds(graph.users.delta, query, "users/delta")
    assert len(items) == expected["users"]
    control = f"{cloud['control']}/users"
    session.patch(f"{control}/tom.okafor@northwind.example", json={"jobTitle": "Diver"}).raise_for_status()
    session.delete(f"{control}/sofia.brandt@northwind.example").raise_for_status()
    page = await graph.users.delta.with_url(link).get()
    changed = [(user.job_title, user.additional_data.get("@removed")) for user in page.value]
    assert changed == [("Diver", None), (None, {"reason": "changed"})], changed
    done("msgraph-sdk: users/delta, then a change and a removal")

    query = GroupsDelta.DeltaRequestBuilderGetQueryParameters(select=["id", "displayName", "members"])
    items, link = await rounds(graph.groups.delta, query, "groups/delta")
    assert len({group.id for group in items}) == expected["groups"]
    members = sum(len(group.additional_data.get("members@delta", [])) for group in items)
    done(f"msgraph-sdk: groups/delta with {members} memberships")

    query = GroupsRequestBuilder.GroupsRequestBuilderGetQueryParameters(
        filter="mailEnabled eq true and securityEnabled eq true and startswith(displayName,'Sig')", select=["id", "displayName", "groupTypes"])
    group = (await graph.groups.get(request_configuration=RequestConfiguration(query_parameters=query))).value[0]
    query = GraphUserRequestBuilder.GraphUserRequestBuilderGetQueryParameters(count=True, select=["id", "displayName"])
    configuration = RequestConfiguration(query_parameters=query)
    configuration.headers.add("ConsistencyLevel", "eventual")
    users = await graph.groups.by_group_id(group.id).transitive_members.graph_user.get(request_configuration=configuration)
    assert sorted(user.display_name for user in users.value) == ["Ada King", "Hanna Lindqvist", "Marek Dvořák", "Tom Okafor"], users.value
    done("msgraph-sdk: transitive members of a nested group, by the cast to users")

    organization = (await graph.organization.get()).value[0]
    assert organization.id == tenant and any(domain.is_initial for domain in organization.verified_domains)
    photo = await graph.users.by_user_id("hanna.lindqvist@northwind.example").photo.content.get()
    assert photo[:2] == b"\xff\xd8", photo
    done("msgraph-sdk: organisation and photo")

    session.post(f"{cloud['control']}/faults", json={"path": "/v1.0/users", "fault": "429", "retry_after": 1, "times": 2}).raise_for_status()
    page = await graph.users.get()
    assert page.value
    done("msgraph-sdk: waits for Retry-After and repeats after 429")
    try:
        await graph.users.by_user_id("nobody@northwind.example").get()
        raise AssertionError("nobody was found")
    except Exception as error:
        assert getattr(error, "error", None) and error.error.code == "Request_ResourceNotFound", repr(error)
    done("msgraph-sdk: reads the error body")


async def administrator(token):
    graph = sdk(token)
    me = await graph.me.get()
    assert me.user_principal_name == admin["login"]
    from msgraph.generated.models.domain import Domain

    added = await graph.domains.post(Domain(id="judge.signet.example"))
    records = await graph.domains.by_domain_id(added.id).verification_dns_records.get()
    assert records.value[0].text.startswith("MS=ms"), records
    verified = await graph.domains.by_domain_id(added.id).verify.post()
    assert verified.is_verified
    done("msgraph-sdk: me; a domain added and verified")


def broken(token):
    """What requests makes of broken answers: they are broken on the wire, too."""
    headers = {"Authorization": f"Bearer {token}"}
    for fault, error in (("truncated", requests.exceptions.ChunkedEncodingError), ("dropped", requests.exceptions.ConnectionError)):
        session.post(f"{cloud['control']}/faults", json={"path": "/v1.0/users", "fault": fault}).raise_for_status()
        try:
            session.get(f"{cloud['graph']}/users", headers=headers)
            raise AssertionError(f"{fault}: there was an answer")
        except error:
            pass
    assert session.get(f"{cloud['graph']}/users", headers=headers).ok
    done("requests: truncated bodies and dropped connections are broken, and the next request is not")


before_consent()
admin_consent()
application_token = application_tokens()
person_token = person()
asyncio.run(directory(application_token))
asyncio.run(administrator(person_token))
broken(application_token)
print(json.dumps({"application": application_token, "person": person_token}), file=open(sys.argv[2], "w"))
