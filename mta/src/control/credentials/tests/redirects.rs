//! Browsers that come back: states, identities, consents, and the tokens of an administrator.

use super::*;

fn browser() -> BrowserBinding {
    BrowserBinding::of(b"the cookie of one browser")
}

fn query(url: &Url) -> HashMap<String, String> {
    url.query_pairs().into_owned().collect()
}

/// The claims of a good id_token; the nonce is that of the sign-in.
fn claims(service: &Service, client: Uuid, nonce: &str) -> Value {
    json!({
        "aud": client.to_string(), "iss": format!("http://{}/{TENANT}/v2.0", service.address), "iat": seconds(now()), "nbf": seconds(now()),
        "exp": seconds(later(3600)), "nonce": nonce, "oid": PERSON.to_string(), "tid": TENANT.to_string(), "sub": "pairwise", "ver": "2.0",
        "preferred_username": "ada@example.com", "wids": [GLOBAL_ADMINISTRATOR.to_string(), "not an id"],
    })
}

fn signed(claims: &Value) -> String {
    jsonwebtoken::encode(&header(Algorithm::RS256, Some("one")), claims, &encoding(&KEYS[0])).unwrap()
}

fn tokens(id_token: &str) -> Reply {
    let body = json!({
        "token_type": "Bearer", "scope": "openid profile", "expires_in": 4000, "access_token": access_token("of the administrator", &[]),
        "refresh_token": "1.refresh-token", "id_token": id_token,
    });
    Reply::json(200, &body)
}

/// Begins a sign-in, lets the service answer with what `token` makes of good claims, and comes back.
async fn come_back(
    service: &Service,
    credentials: &Credentials,
    purpose: Purpose,
    token: impl Fn(Value) -> String,
) -> Result<Completed, SignInError> {
    let url = credentials.begin(Some(TENANT), purpose, browser(), now()).unwrap();
    let sent = query(&url);
    let client = if purpose == Purpose::SignIn { SYNCHRONISATION } else { SETUP };
    service.reply(tokens(&token(claims(service, client, &sent["nonce"]))));
    credentials.complete(&format!("code=1.the-code&session_state=x&state={}", sent["state"]), browser(), now()).await
}

#[tokio::test]
async fn a_sign_in_asks_as_documented_and_proves_who_it_is() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let url = credentials.begin(None, Purpose::SignIn, browser(), now()).unwrap();
    let sent = query(&url);
    assert_eq!(url.path(), "/organizations/oauth2/v2.0/authorize");
    for (name, value) in [
        ("client_id", SYNCHRONISATION.to_string().as_str()),
        ("response_type", "code"),
        ("response_mode", "query"),
        ("redirect_uri", "https://signet.example.com/connect/done"),
        ("scope", "openid profile"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(sent[name], value, "{name}");
    }
    assert!(sent["state"].len() == 43 && sent["nonce"].len() == 43 && sent["state"] != sent["nonce"]);

    service.reply(tokens(&signed(&claims(&service, SYNCHRONISATION, &sent["nonce"]))));
    let completed = credentials.complete(&format!("code=1.the-code&state={}", sent["state"]), browser(), now()).await.unwrap();
    let identity =
        Identity { tenant: TENANT, person: PERSON, name: Some("ada@example.com".to_owned()), roles_hint: vec![GLOBAL_ADMINISTRATOR] };
    assert_eq!(completed, Completed::SignedIn(identity));
    let asked = &service.asked()[0];
    assert_eq!(asked.path, "/organizations/oauth2/v2.0/token");
    assert_eq!(
        (asked.field("grant_type"), asked.field("code"), asked.field("scope")),
        ("authorization_code", "1.the-code", "openid profile")
    );
    let challenge = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, asked.field("code_verifier").as_bytes()));
    assert_eq!(challenge, sent["code_challenge"]);
    assert_eq!(credentials.handles(TENANT, now()), [DIRECTORY], "a sign-in alone opens nothing");
}

#[tokio::test]
async fn a_state_works_once_in_time_and_in_its_own_browser() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let begin = || query(&credentials.begin(Some(TENANT), Purpose::SignIn, browser(), now()).unwrap());
    let back = |state: String, browser, at| {
        let credentials = &credentials;
        async move { credentials.complete(&format!("error=access_denied&state={state}"), browser, at).await.unwrap_err() }
    };
    let declined = |error: &SignInError| matches!(error, SignInError::Service(error) if error.cause == Cause::Declined);

    let state = begin()["state"].clone();
    assert!(declined(&back(state.clone(), browser(), later(600)).await));
    assert_eq!(back(state, browser(), now()).await, SignInError::UnknownState);
    assert_eq!(back(begin()["state"].clone(), browser(), later(601)).await, SignInError::Expired);
    let state = begin()["state"].clone();
    assert_eq!(back(state.clone(), BrowserBinding::of(b"another"), now()).await, SignInError::OtherBrowser);
    assert_eq!(back(state, browser(), now()).await, SignInError::UnknownState, "whoever shows it uses it up");
    assert_eq!(back("invented".to_owned(), browser(), now()).await, SignInError::UnknownState);
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn redirects_that_do_not_fit_together_are_refused_before_anything_is_asked() {
    let service = Service::start().await;
    let credentials = service.credentials();
    for parameters in ["", "code=x", "code=x&state={}&state={}", "state={}", "code=&state={}", "error=&state={}"] {
        let sent = query(&credentials.begin(Some(TENANT), Purpose::SignIn, browser(), now()).unwrap());
        let error = credentials.complete(&parameters.replace("{}", &sent["state"]), browser(), now()).await.unwrap_err();
        assert!(matches!(error, SignInError::Redirect(_)), "{parameters}: {error}");
    }
    let long = format!("code={}", "x".repeat(64 * 1024));
    assert!(matches!(credentials.complete(&long, browser(), now()).await, Err(SignInError::Redirect(_))));
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn sign_ins_under_way_are_bounded_and_one_browser_pushes_out_only_its_own() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let quiet = query(&credentials.begin(None, Purpose::SignIn, BrowserBinding::of(b"quiet"), now()).unwrap())["state"].clone();
    for _ in 0..100 {
        credentials.begin(None, Purpose::SignIn, browser(), now()).unwrap();
    }
    assert_eq!(credentials.pending.len(), 9);
    let quiet = credentials.complete(&format!("state={quiet}"), BrowserBinding::of(b"quiet"), now()).await;
    assert!(matches!(quiet, Err(SignInError::Redirect(_))), "it was still known: {quiet:?}");
    for number in 0..2000_u32 {
        credentials.begin(None, Purpose::SignIn, BrowserBinding::of(&number.to_be_bytes()), now()).unwrap();
    }
    assert_eq!(credentials.pending.len(), 1024);
}

/// Whether an error is the expected one.
type Judge = fn(&SignInError) -> bool;

/// What is done to good claims, and what must come of it.
type Forgery = (&'static str, fn(Value) -> String, IdTokenFault);

fn set(mut claims: Value, name: &str, value: impl Into<Value>) -> Value {
    claims[name] = value.into();
    claims
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

const FORGERIES: &[Forgery] = &[
    (
        "alg none",
        |claims| format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT", "kid": "one"})), part(&claims)),
        IdTokenFault::Algorithm,
    ),
    (
        "HS256 with the public key as the secret",
        |claims| {
            let secret = EncodingKey::from_secret(KEYS[0].public_key_pem().as_bytes());
            jsonwebtoken::encode(&header(Algorithm::HS256, Some("one")), &claims, &secret).unwrap()
        },
        IdTokenFault::Algorithm,
    ),
    (
        "PS256",
        |claims| jsonwebtoken::encode(&header(Algorithm::PS256, Some("one")), &claims, &encoding(&KEYS[0])).unwrap(),
        IdTokenFault::Algorithm,
    ),
    (
        "a key of somebody else's under a known name",
        |claims| jsonwebtoken::encode(&header(Algorithm::RS256, Some("one")), &claims, &encoding(&KEYS[1])).unwrap(),
        IdTokenFault::Signature,
    ),
    (
        "an unknown key",
        |claims| jsonwebtoken::encode(&header(Algorithm::RS256, Some("two")), &claims, &encoding(&KEYS[1])).unwrap(),
        IdTokenFault::UnknownKey,
    ),
    (
        "no key name",
        |claims| jsonwebtoken::encode(&header(Algorithm::RS256, None), &claims, &encoding(&KEYS[0])).unwrap(),
        IdTokenFault::UnknownKey,
    ),
    (
        "an extension that must be understood",
        |claims| {
            let header = Header { crit: Some(vec!["b64".to_owned()]), ..header(Algorithm::RS256, Some("one")) };
            jsonwebtoken::encode(&header, &claims, &encoding(&KEYS[0])).unwrap()
        },
        IdTokenFault::Algorithm,
    ),
    (
        "claims changed after signing",
        |claims| {
            let token = signed(&claims);
            let parts: Vec<&str> = token.split('.').collect();
            format!("{}.{}.{}", parts[0], part(&set(claims, "oid", OTHER_TENANT.to_string())), parts[2])
        },
        IdTokenFault::Signature,
    ),
    (
        "another issuer",
        |claims| signed(&set(claims, "iss", "https://login.example/3b4a7a2c-6a35-4c0a-9d0e-2f3b8a1c5d7e/v2.0")),
        IdTokenFault::Issuer,
    ),
    (
        "the issuer of another tenant than tid",
        |claims| {
            let issuer = claims["iss"].as_str().unwrap().replace(&TENANT.to_string(), &OTHER_TENANT.to_string());
            signed(&set(claims, "iss", issuer))
        },
        IdTokenFault::Issuer,
    ),
    ("another audience", |claims| signed(&set(claims, "aud", OTHER_TENANT.to_string())), IdTokenFault::Audience),
    (
        "no audience",
        |mut claims| {
            claims.as_object_mut().unwrap().remove("aud");
            signed(&claims)
        },
        IdTokenFault::Unreadable,
    ),
    ("expired", |claims| signed(&set(claims, "exp", seconds(now()) - 300)), IdTokenFault::Expired),
    ("not valid yet", |claims| signed(&set(claims, "nbf", seconds(now()) + 301)), IdTokenFault::NotYetValid),
    ("another nonce", |claims| signed(&set(claims, "nonce", "x")), IdTokenFault::Nonce),
    (
        "no nonce",
        |mut claims| {
            claims.as_object_mut().unwrap().remove("nonce");
            signed(&claims)
        },
        IdTokenFault::Nonce,
    ),
    (
        "no tenant",
        |mut claims| {
            claims.as_object_mut().unwrap().remove("tid");
            signed(&claims)
        },
        IdTokenFault::Unreadable,
    ),
    ("a tenant that is no id", |claims| signed(&set(claims, "tid", "../common")), IdTokenFault::Unreadable),
    (
        "no person",
        |mut claims| {
            claims.as_object_mut().unwrap().remove("oid");
            signed(&claims)
        },
        IdTokenFault::Unreadable,
    ),
    ("no token", |_| "x".to_owned(), IdTokenFault::Unreadable),
];

#[tokio::test]
async fn each_forged_id_token_is_refused_for_its_reason() {
    let service = Service::start().await;
    let credentials = service.credentials();
    for (name, forge, fault) in FORGERIES {
        let error = come_back(&service, &credentials, Purpose::Authorize, forge).await.unwrap_err();
        assert_eq!(error, SignInError::IdToken(*fault), "{name}");
        assert!(error.next_step().ends_with('.'));
        assert_eq!(credentials.handles(TENANT, now()), [DIRECTORY], "{name}: no token is held");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_less_than_five_minutes() {
    let service = Service::start().await;
    for (name, value) in [("exp", seconds(now()) - 299), ("nbf", seconds(now()) + 300)] {
        let completed = come_back(&service, &service.credentials(), Purpose::SignIn, |claims| signed(&set(claims, name, value))).await;
        assert!(completed.is_ok(), "{name}: {completed:?}");
    }
}

#[tokio::test]
async fn an_answer_without_id_token_is_refused() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let sent = query(&credentials.begin(Some(TENANT), Purpose::SignIn, browser(), now()).unwrap());
    service.reply(Reply::token("access only", &[], 3599));
    let error = credentials.complete(&format!("code=x&state={}", sent["state"]), browser(), now()).await.unwrap_err();
    assert_eq!(error, SignInError::IdToken(IdTokenFault::Missing));
}

#[tokio::test]
async fn new_keys_are_fetched_when_they_are_needed_and_not_more_than_once_a_minute() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let with_two = |claims: Value| jsonwebtoken::encode(&header(Algorithm::RS256, Some("two")), &claims, &encoding(&KEYS[1])).unwrap();
    let reads = || service.script.key_reads.load(Ordering::Relaxed);
    come_back(&service, &credentials, Purpose::SignIn, |claims| signed(&claims)).await.unwrap();
    come_back(&service, &credentials, Purpose::SignIn, |claims| signed(&claims)).await.unwrap();
    assert_eq!(reads(), 1);
    for _ in 0..5 {
        let error = come_back(&service, &credentials, Purpose::SignIn, with_two).await.unwrap_err();
        assert_eq!(error, SignInError::IdToken(IdTokenFault::UnknownKey));
    }
    assert_eq!(reads(), 1);

    *service.script.keys.lock().unwrap() = published(&[("two", &KEYS[1])]);
    let sent = query(&credentials.begin(Some(TENANT), Purpose::SignIn, browser(), later(60)).unwrap());
    service.reply(tokens(&with_two(claims(&service, SYNCHRONISATION, &sent["nonce"]))));
    credentials.complete(&format!("code=x&state={}", sent["state"]), browser(), later(60)).await.unwrap();
    assert_eq!(reads(), 2);
}

#[tokio::test]
async fn somebody_of_another_tenant_is_told_so() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let error = come_back(&service, &credentials, Purpose::Authorize, |claims| {
        let issuer = claims["iss"].as_str().unwrap().replace(&TENANT.to_string(), &OTHER_TENANT.to_string());
        signed(&set(set(claims, "iss", issuer), "tid", OTHER_TENANT.to_string()))
    });
    assert_eq!(error.await.unwrap_err(), SignInError::WrongTenant { expected: TENANT, actual: OTHER_TENANT });
    for tenant in [TENANT, OTHER_TENANT] {
        assert_eq!(credentials.handles(tenant, now()), [DIRECTORY]);
    }
}

#[tokio::test]
async fn each_refusal_in_a_redirect_has_its_cause() {
    let service = Service::start().await;
    let credentials = service.credentials();
    for (error, description, cause) in [
        ("access_denied", "AADSTS65004: User declined to consent", Cause::Declined),
        ("access_denied", "the user canceled the authentication", Cause::Declined),
        ("consent_required", "AADSTS65001: not consented", Cause::NotConsented),
        ("consent_required", "AADSTS90094: an administrator must grant", Cause::MayNotConsent),
        ("interaction_required", "AADSTS50076: second factor", Cause::InteractionRequired),
        ("login_required", "AADSTS50058", Cause::InteractionRequired),
        ("invalid_request", "AADSTS50011: reply address", Cause::Registration),
        ("invalid_request", "AADSTS50020: not of this tenant", Cause::OtherTenantsUser),
        ("access_denied", "AADSTS53003: blocked", Cause::ConditionalAccess),
        ("unauthorized_client", "AADSTS700016: not found", Cause::NotInTenant),
        ("server_error", "", Cause::Unavailable(503)),
        ("<script>alert(1)</script>", "AADSTS99999999999999: what", Cause::Refused),
    ] {
        let sent = query(&credentials.begin(Some(TENANT), Purpose::SignIn, browser(), now()).unwrap());
        let description = format!("{description} Trace ID: 1 Correlation ID: {CORRELATION} Timestamp: x");
        let redirect = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("error", error), ("error_description", &description), ("state", &sent["state"])])
            .finish();
        let failure = credentials.complete(&redirect, browser(), now()).await.unwrap_err();
        assert_eq!(failure.said().unwrap().correlation.as_deref(), Some(CORRELATION));
        assert!(!failure.to_string().contains('<'), "{failure}");
        assert!(matches!(&failure, SignInError::Service(found) if found.cause == cause), "{description}: {failure:?}");
    }
}

#[tokio::test]
async fn a_code_that_was_used_before_means_signing_in_again() {
    let service = Service::start().await;
    let credentials = service.credentials();
    for number in [54_005, 70_008, 9] {
        let sent = query(&credentials.begin(Some(TENANT), Purpose::SignIn, browser(), now()).unwrap());
        service.reply(Reply::refusal(400, "invalid_grant", number));
        let error = credentials.complete(&format!("code=x&state={}", sent["state"]), browser(), now()).await.unwrap_err();
        assert!(matches!(&error, SignInError::Service(found) if found.cause == Cause::CodeUsed), "{error:?}");
    }
}

#[tokio::test]
async fn a_consent_is_asked_as_documented_and_believed_for_the_signed_in_tenant_only() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let begin = || credentials.begin_consent(TENANT, browser(), now()).unwrap();
    let url = begin();
    let sent = query(&url);
    assert_eq!(url.path(), format!("/{TENANT}/v2.0/adminconsent"));
    assert_eq!(sent["scope"], "https://graph.microsoft.com/.default");
    assert_eq!(
        (sent["client_id"].clone(), sent["redirect_uri"].as_str()),
        (SYNCHRONISATION.to_string(), "https://signet.example.com/connect/done")
    );

    let declined: Judge = |error| matches!(error, SignInError::Service(error) if error.cause == Cause::Declined);
    let wrong = |error: &SignInError| *error == SignInError::WrongTenant { expected: TENANT, actual: OTHER_TENANT };
    let unfit = |error: &SignInError| matches!(error, SignInError::Redirect(_));
    let cases: [(&str, Judge); 7] = [
        ("admin_consent=True&error=consent_required&error_description=AADSTS65004%3a+declined", declined),
        ("admin_consent=True&error=consent_required", declined),
        ("error=permission_denied&error_description=The+admin+canceled+the+request", declined),
        ("admin_consent=True&tenant=11111111-2222-3333-4444-555555555555", wrong),
        ("admin_consent=True&tenant=example.com", unfit),
        ("admin_consent=True", unfit),
        ("tenant=3b4a7a2c-6a35-4c0a-9d0e-2f3b8a1c5d7e", unfit),
    ];
    for (parameters, expected) in cases {
        let state = query(&begin())["state"].clone();
        let error = credentials.complete(&format!("{parameters}&state={state}"), browser(), now()).await.unwrap_err();
        assert!(expected(&error), "{parameters}: {error:?}");
    }
    let given = format!("admin_consent=True&tenant={TENANT}&scope=x&state={}", sent["state"]);
    assert_eq!(credentials.complete(&given, browser(), now()).await.unwrap(), Completed::Consented(TENANT));
    assert_eq!(credentials.complete(&given, browser(), now()).await.unwrap_err(), SignInError::UnknownState);
}

#[tokio::test]
async fn a_state_of_one_errand_does_not_serve_another() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let sent = query(&credentials.begin(Some(TENANT), Purpose::SignIn, browser(), now()).unwrap());
    let error =
        credentials.complete(&format!("admin_consent=True&tenant={TENANT}&state={}", sent["state"]), browser(), now()).await.unwrap_err();
    assert!(matches!(error, SignInError::Redirect(_)), "{error:?}");
    let sent = query(&credentials.begin_consent(TENANT, browser(), now()).unwrap());
    let error = credentials.complete(&format!("code=x&state={}", sent["state"]), browser(), now()).await.unwrap_err();
    assert!(matches!(error, SignInError::Redirect(_)), "{error:?}");
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn a_consent_ends_the_memory_of_its_lack() {
    let service = Service::start().await;
    let credentials = service.credentials();
    service.reply(Reply::refusal(400, "unauthorized_client", 700_016));
    error_of(credentials.bearer(TENANT, DIRECTORY, now()).await);
    let state = query(&credentials.begin_consent(TENANT, browser(), now()).unwrap())["state"].clone();
    credentials.complete(&format!("admin_consent=True&tenant={TENANT}&state={state}"), browser(), now()).await.unwrap();
    service.reply(Reply::token("first", &["User.Read.All"], 3599));
    credentials.bearer(TENANT, DIRECTORY, now()).await.unwrap();
}

#[tokio::test]
async fn an_administrator_s_tokens_serve_two_handles_until_they_are_forgotten() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let completed = come_back(&service, &credentials, Purpose::Authorize, |claims| signed(&claims)).await.unwrap();
    assert!(matches!(completed, Completed::Authorized(identity) if identity.person == PERSON));
    assert_eq!(credentials.handles(TENANT, now()), [DIRECTORY, ADMINISTRATOR, EXCHANGE]);
    assert_eq!(credentials.handles(OTHER_TENANT, now()), [DIRECTORY]);

    let administrator = credentials.bearer(TENANT, ADMINISTRATOR, now()).await.unwrap();
    assert!(administrator.is_for(&"https://graph.microsoft.com/".parse().unwrap()));
    assert_eq!(service.asked().len(), 1, "the sign-in's own token is used");
    service.reply(Reply::json(
        200,
        &json!({"token_type": "Bearer", "expires_in": 600, "access_token": "exchange-token", "refresh_token": "2.refresh-token"}),
    ));
    let exchange = credentials.bearer(TENANT, EXCHANGE, now()).await.unwrap();
    assert!(
        exchange.is_for(&"https://outlook.office365.com/adminapi".parse().unwrap())
            && !exchange.is_for(&"https://graph.microsoft.com/".parse().unwrap())
    );
    assert!(credentials.bearer(TENANT, EXCHANGE, later(479)).await.unwrap().same(&exchange));
    service.reply(Reply::json(200, &json!({"token_type": "Bearer", "expires_in": 600, "access_token": "exchange-token-2"})));
    credentials.bearer(TENANT, EXCHANGE, later(480)).await.unwrap();

    let asked = service.asked();
    let shown: Vec<_> =
        asked[1..].iter().map(|asked| (asked.field("grant_type"), asked.field("refresh_token"), asked.field("scope"))).collect();
    let scope = "https://outlook.office365.com/.default";
    assert_eq!(shown, [("refresh_token", "1.refresh-token", scope), ("refresh_token", "2.refresh-token", scope)]);
    assert_eq!(asked[0].field("client_id"), SETUP.to_string());

    credentials.forget_administrator(TENANT);
    for handle in [ADMINISTRATOR, EXCHANGE] {
        assert_eq!(error_of(credentials.bearer(TENANT, handle, now()).await).cause, Cause::NotSignedIn);
    }
}

#[tokio::test]
async fn an_administrator_s_tokens_are_gone_after_an_hour_whatever_they_say() {
    let service = Service::start().await;
    let credentials = service.credentials();
    come_back(&service, &credentials, Purpose::Authorize, |claims| signed(&claims)).await.unwrap();
    let bearer = credentials.bearer(TENANT, ADMINISTRATOR, now()).await.unwrap();
    assert_eq!(bearer.expires(), later(3600), "the service said 4000 seconds");
    credentials.sweep(later(3599));
    assert_eq!(credentials.locked_delegations().len(), 1);
    credentials.sweep(later(3600));
    assert_eq!(credentials.locked_delegations().len(), 0);
    assert_eq!(error_of(credentials.bearer(TENANT, ADMINISTRATOR, later(3600)).await).cause, Cause::NotSignedIn);
}

#[tokio::test]
async fn an_authorisation_asks_for_both_resources_and_redeems_for_one() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let url = credentials.begin(Some(TENANT), Purpose::Authorize, browser(), now()).unwrap();
    assert_eq!(url.path(), format!("/{TENANT}/oauth2/v2.0/authorize"));
    let graph = "https://graph.microsoft.com/Domain.ReadWrite.All https://graph.microsoft.com/RoleManagement.Read.Directory \
                 https://graph.microsoft.com/User.Read offline_access";
    assert_eq!(query(&url)["scope"], format!("openid profile {graph} https://outlook.office365.com/Exchange.Manage"));
    come_back(&service, &credentials, Purpose::Authorize, |claims| signed(&claims)).await.unwrap();
    assert_eq!(service.asked()[0].field("scope"), format!("openid profile {graph}"));
}
