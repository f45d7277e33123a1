//! Entra ID: metadata and keys, sign-in and consent pages, and the token endpoint (OAuth 2.0, RFC 6749, 7636 and 7523; OpenID Connect).
//!
//! What it does not do: multi-factor sign-in, conditional access, the implicit and device flows.

pub(crate) mod assertion;
pub(crate) mod consent;
pub(crate) mod flow;
pub(crate) mod keys;
pub(crate) mod pages;
pub(crate) mod token;

use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::world::World;

/// Names that stand for "the organisation of whoever signs in".
const SHARED: [&str; 3] = ["common", "organizations", "consumers"];

/// Answers a request below `/{tenant}/`; none when the path is not Entra's.
pub(crate) fn answer(world: &mut World, call: &Call) -> Option<Answer> {
    let segments = call.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let answer = match (call.method.as_str(), parts.as_slice()) {
        ("GET", ["common", "discovery", "instance"]) => instance(world, call),
        ("GET", [tenant, ".well-known", "openid-configuration"]) => metadata(world, tenant, ""),
        ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => metadata(world, tenant, "/v2.0"),
        ("GET", [tenant, "discovery", "v2.0", "keys"]) => keys(world, tenant),
        ("GET" | "POST", [tenant, "oauth2", "v2.0", "authorize"]) => flow::authorize(world, call, tenant),
        ("GET", [tenant, "v2.0", "adminconsent"]) => flow::admin_consent(world, call, tenant, false),
        ("GET", [tenant, "adminconsent"]) => flow::admin_consent(world, call, tenant, true),
        ("POST", [_, "login"]) => flow::step(world, call),
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => token::answer(world, call, tenant),
        (_, [_, "oauth2", "v2.0", ..] | [_, "discovery", ..] | [_, "adminconsent"] | [_, "v2.0", "adminconsent"]) => Answer::status(405),
        _ => return None,
    };
    Some(answer)
}

fn metadata(world: &World, name: &str, version: &str) -> Answer {
    let tenant = if SHARED.contains(&name) {
        "{tenantid}".to_owned()
    } else if let Some(tenant) = world.tenant(name) {
        tenant.id.clone()
    } else {
        let text = format!("Tenant '{name}' not found. Check to make sure you have the correct tenant ID.");
        return token::refuse(world, 400, "invalid_tenant", 90_002, &text);
    };
    let (base, path) = (&world.base, if SHARED.contains(&name) { name } else { tenant.as_str() });
    Answer::json(
        200,
        &json!({
            "issuer": format!("{base}/{tenant}{version}"),
            "authorization_endpoint": format!("{base}/{path}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{base}/{path}/oauth2/v2.0/token"),
            "jwks_uri": format!("{base}/{path}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid", "oid", "ver"],
            "request_uri_parameter_supported": false,
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": "graph.microsoft.com",
        }),
    )
}

fn instance(world: &World, call: &Call) -> Answer {
    let endpoint = call.options().text("authorization_endpoint").to_owned();
    let host = world.base.split("://").nth(1).unwrap_or_default();
    let tenant = endpoint.split("://").nth(1).and_then(|rest| rest.split('/').nth(1)).unwrap_or("common").to_owned();
    Answer::json(
        200,
        &json!({
            "tenant_discovery_endpoint": format!("{}/{tenant}/v2.0/.well-known/openid-configuration", world.base),
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }),
    )
}

fn keys(world: &World, name: &str) -> Answer {
    let issuer = match world.tenant(name) {
        Some(tenant) => format!("{}/{}/v2.0", world.base, tenant.id),
        None => format!("{}/{{tenantid}}/v2.0", world.base),
    };
    let keys: Vec<Value> = std::iter::once(&world.signing).chain(&world.retired).map(|key| key.jwk(&issuer)).collect();
    Answer::json(200, &json!({"keys": keys}))
}
