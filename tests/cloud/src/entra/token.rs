//! The token endpoint.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::SHARED;
use super::assertion;
use super::consent::{PROTOCOL, asked, held};
use super::keys::{encoded, sha256};
use crate::call::{Answer, Call, Fields};
use crate::random::Id;
use crate::world::{Access, Refresh, Resource, World, rfc3339};

/// How long an access token lives, in seconds.
const LIFE: i64 = 3599;
/// How long a refresh token lives, in milliseconds.
const REFRESH_LIFE: i64 = 90 * 24 * 3600 * 1000;

/// Why there is no token.
pub(crate) struct Refused {
    status: u16,
    error: &'static str,
    number: u32,
    text: String,
}

fn refused(status: u16, error: &'static str, number: u32, text: impl Into<String>) -> Refused {
    Refused { status, error, number, text: text.into() }
}

/// The body of a refusal.
pub(crate) fn refuse(world: &World, status: u16, error: &str, number: u32, text: &str) -> Answer {
    let time = rfc3339(world.now());
    let trace = format!("{:032x}", world.received.len() + 1);
    let guid = format!("{}-{}-{}-{}-{}", &trace[..8], &trace[8..12], &trace[12..16], &trace[16..20], &trace[20..]);
    let stamp = time.replace('T', " ");
    Answer::json(
        status,
        &json!({
            "error": error,
            "error_description": format!("AADSTS{number}: {text} Trace ID: {guid} Correlation ID: {guid} Timestamp: {stamp}"),
            "error_codes": [number],
            "timestamp": stamp,
            "trace_id": guid,
            "correlation_id": guid,
            "error_uri": format!("{}/error?code={number}", world.base),
        }),
    )
    .header("cache-control", "no-store, no-cache")
}

/// Answers `POST /{tenant}/oauth2/v2.0/token`.
pub(crate) fn answer(world: &mut World, call: &Call, tenant: &str) -> Answer {
    let form = call.form_fields();
    let outcome = match form.text("grant_type") {
        "client_credentials" => client_credentials(world, call, &form, tenant),
        "authorization_code" => authorization_code(world, call, &form, tenant),
        "refresh_token" => refresh_token(world, call, &form, tenant),
        "" => Err(refused(400, "invalid_request", 900_144, "The request body must contain the following parameter: 'grant_type'.")),
        other => Err(refused(400, "unsupported_grant_type", 70_003, format!("The app requested an unsupported grant type '{other}'."))),
    };
    match outcome {
        Ok(body) => Answer::json(200, &body).header("cache-control", "no-store, no-cache"),
        Err(why) => refuse(world, why.status, why.error, why.number, &why.text),
    }
}

fn known_tenant(world: &World, name: &str) -> Result<String, Refused> {
    let text =
        format!("Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.");
    world.tenant(name).map(|tenant| tenant.id.clone()).ok_or_else(|| refused(400, "invalid_request", 90_002, text))
}

fn client_credentials(world: &mut World, call: &Call, form: &Fields, tenant: &str) -> Result<Value, Refused> {
    if SHARED.contains(&tenant) {
        let text = "The endpoint only accepts a tenant identifier for the client credentials grant, not a shared name.";
        return Err(refused(400, "invalid_request", 50_194, text));
    }
    let tenant = known_tenant(world, tenant)?;
    let client_id = authenticate(world, call, form, &tenant)?;
    let scopes: Vec<&str> = form.text("scope").split_whitespace().collect();
    let [scope] = scopes[..] else {
        let text = "Provided value for the input parameter scope is not valid because it contains more than one resource.";
        return Err(refused(400, "invalid_request", if scopes.is_empty() { 900_144 } else { 28_000 }, text));
    };
    if !scope.ends_with("/.default") {
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed."
        );
        return Err(refused(400, "invalid_scope", 1_002_012, text));
    }
    let Some((resource, ".default")) = Resource::of_scope(scope) else {
        return Err(refused(
            400,
            "invalid_resource",
            500_011,
            format!("The resource principal named {scope} was not found in the tenant."),
        ));
    };
    let now = world.now();
    let grant = world.tenant(&tenant).and_then(|tenant| tenant.grants.get(&client_id));
    let effective = grant.filter(|grant| grant.effective <= now);
    if effective.is_none() && !(grant.is_some() && world.knobs.token_without_roles) {
        let text = format!("Application with identifier '{client_id}' was not found in the directory '{tenant}'.");
        return Err(refused(400, "unauthorized_client", 700_016, text));
    }
    let prefix = format!("{}/", resource.uri());
    let roles =
        effective.into_iter().flat_map(|grant| &grant.roles).filter_map(|role| role.strip_prefix(&prefix)).map(str::to_owned).collect();
    let token = issue(world, resource, &tenant, &client_id, None, roles);
    Ok(json!({"token_type": "Bearer", "expires_in": LIFE, "ext_expires_in": LIFE, "access_token": token}))
}

/// The application that the request proves to be.
fn authenticate(world: &mut World, call: &Call, form: &Fields, tenant: &str) -> Result<String, Refused> {
    let basic = call.field("authorization").and_then(basic_credentials);
    let client_id = form.value("client_id").map(str::to_owned).or_else(|| basic.as_ref().map(|(id, _)| id.clone())).unwrap_or_default();
    let Some(application) = world.application(&client_id).cloned() else {
        let text = format!("Application with identifier '{client_id}' was not found in the directory '{tenant}'.");
        return Err(refused(400, "unauthorized_client", 700_016, text));
    };
    if let Some(assertion) = form.value("client_assertion") {
        if form.text("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
            return Err(refused(401, "invalid_client", 50_027, "The client_assertion_type is not supported."));
        }
        let endpoint = format!("{}{}", world.base, call.path());
        let audiences = [format!("{}/{tenant}/oauth2/v2.0/token", world.base), endpoint, format!("{}/{tenant}/v2.0", world.base)];
        let now = world.now();
        let jti = assertion::verify(&application, assertion, &audiences, now)
            .map_err(|(number, text)| refused(401, "invalid_client", number, text))?;
        if jti.is_empty() || !world.assertions.insert(jti.clone()) {
            return Err(refused(
                401,
                "invalid_client",
                50_013,
                format!("Assertion failed: its jti '{jti}' is missing or was used before."),
            ));
        }
        return Ok(application.client_id);
    }
    let secret = form.value("client_secret").map(str::to_owned).or_else(|| basic.map(|(_, secret)| secret));
    match secret {
        Some(secret) if secret == application.secret && !secret.is_empty() => Ok(application.client_id),
        Some(_) => {
            let text =
                format!("Invalid client secret provided. Ensure the secret being sent is the value, not the ID, for app '{client_id}'.");
            Err(refused(401, "invalid_client", 7_000_215, text))
        }
        None => {
            let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
            Err(refused(401, "invalid_client", 7_000_218, text))
        }
    }
}

fn basic_credentials(value: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(value.strip_prefix("Basic ")?).ok()?).ok()?;
    let decode = |part: &str| Fields::parse(format!("v={part}").as_bytes()).text("v").to_owned();
    text.split_once(':').map(|(id, secret)| (decode(id), decode(secret)))
}

fn authorization_code(world: &mut World, call: &Call, form: &Fields, tenant: &str) -> Result<Value, Refused> {
    let name = form.text("code").to_owned();
    let Some(code) = world.codes.get(&name).cloned() else {
        return Err(refused(400, "invalid_grant", 9_002_313, "Invalid request. The authorization code is malformed or unknown."));
    };
    if !SHARED.contains(&tenant) && known_tenant(world, tenant)? != code.tenant {
        return Err(refused(400, "invalid_grant", 700_005, "Provided Authorization Code is intended to use against other tenant."));
    }
    let client_id = authenticate(world, call, form, &code.tenant)?;
    if client_id != code.client_id {
        return Err(refused(400, "invalid_grant", 700_003, "The authorization code was issued to another application."));
    }
    if code.used {
        return Err(refused(
            400,
            "invalid_grant",
            54_005,
            "OAuth2 Authorization code was already redeemed, please retry with a new valid code.",
        ));
    }
    if code.expires <= world.now() {
        return Err(refused(400, "invalid_grant", 70_008, "The provided authorization code has expired."));
    }
    if form.text("redirect_uri") != code.redirect {
        let text = "The reply address does not match the reply address provided when requesting Authorization code.";
        return Err(refused(400, "invalid_client", 500_112, text));
    }
    if let Some(challenge) = &code.challenge {
        let verifier = form.text("code_verifier");
        if verifier.is_empty() {
            return Err(refused(400, "invalid_grant", 50_148, "The code_verifier is missing."));
        }
        let unreserved = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) || sha256(verifier.as_bytes()) != *challenge {
            let text = "The Code_Verifier does not match the code_challenge supplied in the authorization request.";
            return Err(refused(400, "invalid_grant", 501_481, text));
        }
    }
    if let Some(code) = world.codes.get_mut(&name) {
        code.used = true;
    }
    let scope = form.value("scope").filter(|scope| !scope.is_empty()).unwrap_or(&code.scope).to_owned();
    // What the sign-in asked for of OpenID Connect holds, whether or not it is said again.
    let rest = code.scope.split_whitespace().filter(|word| !asks_for_api(&scope) || PROTOCOL.contains(word));
    let scope = rest.fold(scope.clone(), |scope, word| format!("{scope} {word}"));
    delegated(world, form, &code.tenant, &client_id, code.user, &scope, code.nonce.as_deref())
}

fn asks_for_api(scope: &str) -> bool {
    scope.split_whitespace().any(|word| !PROTOCOL.contains(&word))
}

fn refresh_token(world: &mut World, call: &Call, form: &Fields, tenant: &str) -> Result<Value, Refused> {
    let Some(refresh) = world.refreshes.get(form.text("refresh_token")).cloned() else {
        return Err(refused(400, "invalid_grant", 9_002_313, "The provided refresh token is malformed or unknown."));
    };
    if !SHARED.contains(&tenant) && known_tenant(world, tenant)? != refresh.tenant {
        return Err(refused(400, "invalid_grant", 50_020, "The refresh token is not of this tenant."));
    }
    let client_id = authenticate(world, call, form, &refresh.tenant)?;
    if client_id != refresh.client_id {
        return Err(refused(400, "invalid_grant", 700_003, "The refresh token was issued to another application."));
    }
    if refresh.expires <= world.now() {
        return Err(refused(400, "invalid_grant", 700_082, "The refresh token has expired due to inactivity."));
    }
    let scope = form.value("scope").filter(|scope| asks_for_api(scope)).unwrap_or(&refresh.scope).to_owned();
    delegated(world, form, &refresh.tenant, &client_id, refresh.user, &scope, None)
}

/// Access, identity and refresh token for a person.
fn delegated(
    world: &mut World,
    form: &Fields,
    tenant: &str,
    client_id: &str,
    user: Id,
    scope: &str,
    nonce: Option<&str>,
) -> Result<Value, Refused> {
    let Some(application) = world.application(client_id).cloned() else {
        return Err(refused(400, "unauthorized_client", 700_016, "The application is gone."));
    };
    let asked = asked(&application, scope).map_err(|(number, text)| refused(400, "invalid_scope", number, text))?;
    let granted = held(world.tenant(tenant).and_then(|tenant| tenant.grants.get(client_id)), user);
    let resource = asked.resource.unwrap_or(Resource::Graph);
    let prefix = format!("{}/", resource.uri());
    let of_resource = |keys: &BTreeSet<String>| -> BTreeSet<String> {
        keys.iter().filter_map(|key| key.strip_prefix(&prefix)).map(str::to_owned).collect()
    };
    if let Some(missing) = of_resource(&asked.scopes).difference(&of_resource(&granted)).next() {
        let text =
            format!("The user or administrator has not consented to use the application with ID '{client_id}' (permission {missing}).");
        return Err(refused(400, "invalid_grant", 65_001, text));
    }
    let permissions = of_resource(&granted);
    let listed: Vec<String> =
        permissions.iter().map(|permission| resource.key(permission)).chain(["openid".into(), "profile".into()]).collect();
    let token = issue(world, resource, tenant, client_id, Some(user), permissions);
    let mut body = json!({
        "token_type": "Bearer", "scope": listed.join(" "), "expires_in": LIFE, "ext_expires_in": LIFE, "access_token": token,
    });
    let words: Vec<&str> = scope.split_whitespace().collect();
    if words.contains(&"openid") {
        body["id_token"] = json!(identity(world, tenant, client_id, user, nonce));
    }
    if words.contains(&"offline_access") {
        let refresh = world.random.token(8);
        let expires = world.now() + REFRESH_LIFE;
        let kept = Refresh { tenant: tenant.into(), client_id: client_id.into(), user, scope: scope.into(), expires };
        world.refreshes.insert(refresh.clone(), kept);
        body["refresh_token"] = json!(refresh);
    }
    if form.text("client_info") == "1" {
        body["client_info"] = json!(encoded(json!({"uid": user.to_string(), "utid": tenant}).to_string().as_bytes()));
    }
    Ok(body)
}

/// Makes an access token and remembers what it says.
pub(crate) fn issue(
    world: &mut World,
    resource: Resource,
    tenant: &str,
    client_id: &str,
    user: Option<Id>,
    permissions: BTreeSet<String>,
) -> String {
    let now = world.now();
    let mut claims = json!({
        "aud": resource.uri(), "iss": format!("{}/{tenant}/", world.base), "iat": now / 1000, "nbf": now / 1000, "exp": now / 1000 + LIFE,
        "appid": client_id, "tid": tenant, "ver": "1.0", "uti": world.random.token(1),
    });
    let listed: Vec<&str> = permissions.iter().map(String::as_str).collect();
    if let Some(user) = user {
        claims["scp"] = json!(listed.join(" "));
        claims["oid"] = json!(user.to_string());
        let roles = world.tenant(tenant).map(|tenant| tenant.roles_of(user, now)).unwrap_or_default();
        claims["wids"] = json!(roles);
    } else {
        claims["idtyp"] = json!("app");
        if !listed.is_empty() {
            claims["roles"] = json!(listed);
        }
    }
    let token = world.signing.sign(&claims);
    let access = Access { resource, tenant: tenant.into(), client_id: client_id.into(), user, permissions, expires: now + LIFE * 1000 };
    world.tokens.insert(token.clone(), access);
    token
}

fn identity(world: &World, tenant: &str, client_id: &str, user: Id, nonce: Option<&str>) -> String {
    let now = world.now() / 1000;
    let person = world.tenant(tenant).and_then(|tenant| tenant.any(user));
    let text = |name| person.map_or("", |person| person.properties.text(name));
    let mut claims = json!({
        "aud": client_id, "iss": format!("{}/{tenant}/v2.0", world.base), "iat": now, "nbf": now, "exp": now + LIFE,
        "tid": tenant, "oid": user.to_string(), "sub": sha256(format!("{client_id}{user}").as_bytes()), "ver": "2.0",
        "name": text("displayName"), "preferred_username": text("userPrincipalName"),
    });
    if let Some(nonce) = nonce {
        claims["nonce"] = json!(nonce);
    }
    world.signing.sign(&claims)
}
