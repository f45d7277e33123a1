//! Sign-in, consent and tokens.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::{BASE, small};
use crate::call::{Fields, with_query};
use crate::entra::keys::{decoded, encoded, sha256, thumbprint};
use crate::seed::{FOREIGN_TENANT, PASSWORD, SETUP, SYNC, TENANT};
use crate::{Call, Cloud};

const REDIRECT: &str = "http://127.0.0.1:9000/callback";
const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-taken-0123456789";
const SECRET: &str = "setup~secret~of~the~stand-in";

fn authorize(changes: &[(&str, &str)]) -> String {
    let challenge = sha256(VERIFIER.as_bytes());
    let mut fields = vec![
        ("client_id", SETUP),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid profile offline_access User.Read"),
        ("state", "s1"),
        ("nonce", "n1"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        fields.push((name, value));
    }
    with_query(&format!("/{TENANT}/oauth2/v2.0/authorize"), fields)
}

fn redeem(cloud: &Cloud, code: &str, changes: &[(&str, &str)]) -> (u16, Value) {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("client_id", SETUP),
        ("client_secret", SECRET),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        fields.push((name, value));
    }
    let answer = cloud.answer(&Call::form(&format!("/{TENANT}/oauth2/v2.0/token"), &fields));
    (answer.status, answer.value())
}

fn back(location: &str) -> Fields {
    Fields::parse(location.split_once('?').map_or("", |(_, query)| query).as_bytes())
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&decoded(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[test]
fn a_person_signs_in_consents_and_the_application_gets_tokens() {
    let cloud = small();
    let location = cloud.sign_in(&authorize(&[]), "hanna.lindqvist@northwind.example", PASSWORD, true).unwrap();
    assert!(location.starts_with(REDIRECT), "{location}");
    let fields = back(&location);
    assert_eq!(fields.text("state"), "s1");
    let (status, body) = redeem(&cloud, fields.text("code"), &[("scope", "User.Read")]);
    assert_eq!(status, 200, "{body}");
    let identity = claims(body["id_token"].as_str().unwrap());
    assert_eq!((&identity["nonce"], &identity["tid"], &identity["aud"]), (&json!("n1"), &json!(TENANT), &json!(SETUP)));
    let me = cloud.answer(&Call::get("/v1.0/me").bearer(body["access_token"].as_str().unwrap())).value();
    assert_eq!(me["userPrincipalName"], "hanna.lindqvist@northwind.example");
    let (status, again) = redeem(&cloud, fields.text("code"), &[]);
    assert_eq!((status, &again["error_codes"][0]), (400, &json!(54_005)), "a code is redeemed once");
    let refresh = body["refresh_token"].as_str().unwrap();
    let fields = [("grant_type", "refresh_token"), ("client_id", SETUP), ("client_secret", SECRET), ("refresh_token", refresh)];
    assert_eq!(cloud.answer(&Call::form(&format!("/{TENANT}/oauth2/v2.0/token"), &fields)).status, 200);
}

#[test]
fn a_code_is_refused_for_what_is_wrong_with_it() {
    let cases: [(&str, &str, i64); 5] = [
        ("code_verifier", "another-verifier-that-is-long-enough-0123456789", 501_481),
        ("code_verifier", "", 50_148),
        ("redirect_uri", "http://127.0.0.1:9000/other", 500_112),
        ("client_secret", "wrong", 7_000_215),
        ("code", "0.0", 9_002_313),
    ];
    let cloud = small();
    for (name, value, number) in cases {
        let location = cloud.sign_in(&authorize(&[]), "hanna.lindqvist@northwind.example", PASSWORD, true).unwrap();
        let (_, body) = redeem(&cloud, back(&location).text("code"), &[(name, value)]);
        assert_eq!(body["error_codes"][0], json!(number), "{name}={value}: {body}");
    }
    let location = cloud.sign_in(&authorize(&[]), "hanna.lindqvist@northwind.example", PASSWORD, true).unwrap();
    cloud.with(|world| world.advance(std::time::Duration::from_secs(601)));
    assert_eq!(redeem(&cloud, back(&location).text("code"), &[]).1["error_codes"][0], json!(70_008));
}

#[test]
fn an_authorize_request_is_judged_before_anybody_signs_in() {
    let cloud = small();
    let page = |changes: &[(&str, &str)]| {
        let answer = cloud.answer(&Call::get(&authorize(changes)));
        (answer.status, answer.field("location").unwrap_or_default().to_owned(), String::from_utf8(answer.body).unwrap())
    };
    let (status, location, body) = page(&[("redirect_uri", "https://evil.example/callback")]);
    assert!(status == 400 && location.is_empty() && body.contains("AADSTS50011"), "{body}");
    for (changes, error) in [
        ([("code_challenge_method", "plain")], "invalid_request"),
        ([("response_type", "token")], "unsupported_response_type"),
        ([("scope", "openid Mail.Burn")], "invalid_scope"),
        ([("prompt", "none")], "login_required"),
    ] {
        assert_eq!(back(&page(&changes).1).text("error"), error, "{changes:?}");
    }
}

#[test]
fn only_an_administrator_consents_to_what_needs_one() {
    let cloud = small();
    let target = authorize(&[("scope", "openid https://outlook.office365.com/Exchange.Manage")]);
    let refused = cloud.sign_in(&target, "hanna.lindqvist@northwind.example", PASSWORD, true).unwrap_err().to_string();
    assert!(refused.contains("Need admin approval"), "{refused}");
    let cancelled = cloud.sign_in(&target, "astrid.holm@northwind.example", PASSWORD, false).unwrap();
    assert_eq!((back(&cancelled).text("error"), back(&cancelled).text("state")), ("access_denied", "s1"));
    let accepted = cloud.sign_in(&target, "astrid.holm@northwind.example", PASSWORD, true).unwrap();
    assert!(!back(&accepted).text("code").is_empty());
    let foreign = cloud.sign_in(&target, "admin@contrafforte.example", PASSWORD, true).unwrap_err().to_string();
    assert!(foreign.contains("AADSTS50020"), "{foreign}");
    let wrong = cloud.sign_in(&target, "astrid.holm@northwind.example", "wrong", true).unwrap_err().to_string();
    assert!(wrong.contains("AADSTS50126"), "{wrong}");
}

fn application(cloud: &Cloud, tenant: &str) -> Value {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", SYNC),
        ("client_secret", "sync~secret~of~the~stand-in"),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    cloud.answer(&Call::form(&format!("/{tenant}/oauth2/v2.0/token"), &fields)).value()
}

fn consent(older: bool) -> String {
    let path = if older { format!("/{TENANT}/adminconsent") } else { format!("/{TENANT}/v2.0/adminconsent") };
    with_query(&path, [("client_id", SYNC), ("redirect_uri", REDIRECT), ("scope", "https://graph.microsoft.com/.default"), ("state", "s2")])
}

#[test]
fn the_organisation_consents_and_the_application_gets_its_roles_after_a_while() {
    let cloud = small();
    cloud.with(|world| world.knobs.consent_delay = 60_000);
    assert_eq!(application(&cloud, TENANT)["error_codes"][0], 700_016);
    for (older, error) in [(false, "consent_required"), (true, "permission_denied")] {
        let location = cloud.sign_in(&consent(older), "astrid.holm@northwind.example", PASSWORD, false).unwrap();
        assert_eq!((back(&location).text("error"), back(&location).text("state")), (error, "s2"));
    }
    let location = cloud.sign_in(&consent(false), "astrid.holm@northwind.example", PASSWORD, true).unwrap();
    let fields = back(&location);
    assert_eq!((fields.text("admin_consent"), fields.text("tenant"), fields.text("state")), ("True", TENANT, "s2"));
    assert_eq!(application(&cloud, TENANT)["error_codes"][0], 700_016, "not known yet");
    cloud.with(|world| world.knobs.token_without_roles = true);
    assert_eq!(claims(application(&cloud, TENANT)["access_token"].as_str().unwrap())["roles"], Value::Null);
    cloud.with(|world| world.advance(std::time::Duration::from_secs(61)));
    let roles = claims(application(&cloud, TENANT)["access_token"].as_str().unwrap())["roles"].clone();
    assert_eq!(roles, json!(["GroupMember.Read.All", "ProfilePhoto.Read.All", "User.Read.All"]));
    assert_eq!(application(&cloud, FOREIGN_TENANT)["error_codes"][0], 700_016, "the other organisation granted nothing");
    assert_eq!(application(&cloud, "common")["error_codes"][0], 50_194);
    assert_eq!(application(&cloud, "nobody.example")["error_codes"][0], 90_002);
}

/// What is in an assertion.
struct Assertion {
    algorithm: &'static str,
    sha1: bool,
    audience: String,
    expires: i64,
    jti: &'static str,
    spoiled: bool,
}

fn assertion(cloud: &Cloud, parts: &Assertion) -> String {
    let pem = cloud.credential();
    let der = crate::control::certificate(&pem.certificate).unwrap();
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.key.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let header = if parts.sha1 {
        json!({"alg": parts.algorithm, "typ": "JWT", "x5t": thumbprint(&der)})
    } else {
        json!({"alg": parts.algorithm, "typ": "JWT", "x5t#S256": sha256(&der)})
    };
    let now = cloud.with(|world| world.now() / 1000);
    let claims = json!({
        "aud": parts.audience, "iss": SYNC, "sub": SYNC, "jti": parts.jti, "nbf": now, "iat": now, "exp": now + parts.expires,
    });
    let text = format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
    let padding: &dyn aws_lc_rs::signature::RsaEncoding = if parts.algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    if parts.spoiled {
        signature[7] ^= 1;
    }
    format!("{text}.{}", encoded(&signature))
}

#[test]
fn a_certificate_assertion_is_verified_in_every_part() {
    let cloud = small();
    cloud.grant(TENANT, "sync").unwrap();
    let endpoint = format!("{BASE}/{TENANT}/oauth2/v2.0/token");
    let good = |jti| Assertion { algorithm: "PS256", sha1: false, audience: endpoint.clone(), expires: 300, jti, spoiled: false };
    let cases = [
        (good("1"), None),
        (Assertion { algorithm: "RS256", sha1: true, ..good("2") }, None),
        (good("1"), Some(50_013)),
        (Assertion { spoiled: true, ..good("3") }, Some(700_027)),
        (Assertion { audience: format!("{BASE}/{FOREIGN_TENANT}/oauth2/v2.0/token"), ..good("4") }, Some(700_023)),
        (Assertion { expires: -600, ..good("5") }, Some(700_024)),
        (Assertion { expires: 48 * 3600, ..good("6") }, Some(700_024)),
    ];
    for (parts, refused) in cases {
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", SYNC),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion(&cloud, &parts)),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let answer = cloud.answer(&Call::form(&format!("/{TENANT}/oauth2/v2.0/token"), &fields)).value();
        assert_eq!(answer["error_codes"][0].as_i64(), refused, "{}: {answer}", parts.jti);
    }
}

#[test]
fn an_expired_certificate_is_refused() {
    let cloud = small();
    cloud.grant(TENANT, "sync").unwrap();
    // In the year 4102; the certificates that are made here end in 4096.
    cloud.with(|world| world.stop_clock(67_300_000_000_000));
    let audience = format!("{BASE}/{TENANT}/oauth2/v2.0/token");
    let parts = Assertion { algorithm: "PS256", sha1: false, audience, expires: 300, jti: "1", spoiled: false };
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", SYNC),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &assertion(&cloud, &parts)),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    let answer = cloud.answer(&Call::form(&format!("/{TENANT}/oauth2/v2.0/token"), &fields)).value();
    assert!(answer["error_description"].as_str().unwrap().contains("expired"), "{answer}");
}

#[test]
fn exchange_lets_in_a_while_after_the_consent_page() {
    let cloud = small();
    cloud.with(|world| world.knobs.exchange_delay = 60_000);
    let scope = "openid https://outlook.office365.com/Exchange.Manage";
    let location = cloud.sign_in(&authorize(&[("scope", scope)]), "astrid.holm@northwind.example", PASSWORD, true).unwrap();
    let token = redeem(&cloud, back(&location).text("code"), &[]).1["access_token"].as_str().unwrap().to_owned();
    let status = |cloud: &Cloud| {
        let call =
            Call::json(&format!("/adminapi/beta/{TENANT}/InvokeCommand"), &json!({"CmdletInput": {"CmdletName": "Get-AcceptedDomain"}}));
        cloud.answer(&call.bearer(&token).header("X-AnchorMailbox", "UPN:astrid.holm@northwind.example")).status
    };
    assert_eq!(status(&cloud), 401);
    cloud.with(|world| world.advance(std::time::Duration::from_secs(61)));
    assert_eq!(status(&cloud), 200);
}

#[test]
fn a_rotated_key_leaves_the_old_one_published() {
    let cloud = small();
    let keys = |cloud: &Cloud| cloud.answer(&Call::get(&format!("/{TENANT}/discovery/v2.0/keys"))).value()["keys"].clone();
    let first = keys(&cloud)[0]["kid"].clone();
    cloud.with(|world| world.rotate_keys()).unwrap();
    let kids: Vec<Value> = keys(&cloud).as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
    assert!(kids.len() == 2 && kids[0] != first && kids[1] == first, "{kids:?}");
}
