//! The application's own token: caching, single flight, failures.

use super::*;

/// Status, error word, number; the cause that must come of it.
fn refusals() -> Vec<(u16, &'static str, u32, Cause)> {
    vec![
        (401, "invalid_client", 7_000_222, Cause::SecretExpired),
        (401, "invalid_client", 7_000_215, Cause::SecretWrong),
        (401, "invalid_client", 700_027, Cause::CertificateUnknown),
        (401, "invalid_client", 50_012, Cause::CertificateUnknown),
        (401, "invalid_client", 700_030, Cause::CertificateUnknown),
        (401, "invalid_client", 700_024, Cause::ClockSkew(Some(0))),
        (400, "invalid_request", 90_002, Cause::TenantUnknown),
        (400, "invalid_grant", 53_003, Cause::ConditionalAccess),
        (400, "invalid_grant", 53_000, Cause::ConditionalAccess),
        (400, "invalid_resource", 500_011, Cause::ResourceAbsent),
        (400, "unauthorized_client", 700_016, Cause::NotYet),
        (400, "invalid_grant", 65_001, Cause::NotYet),
        (401, "unauthorized_client", 7_000_112, Cause::NotYet),
        (400, "invalid_client", 650_057, Cause::Registration),
        (400, "invalid_scope", 70_011, Cause::Registration),
        (400, "invalid_resource", 1, Cause::ResourceAbsent),
        (400, "invalid_request", 2, Cause::Refused),
        (400, "something_new", 3, Cause::Refused),
        (400, "temporarily_unavailable", 4, Cause::Unavailable(503)),
        (429, "temporarily_unavailable", 5, Cause::Throttled),
        (503, "temporarily_unavailable", 6, Cause::Unavailable(503)),
        (500, "server_error", 7_000_222, Cause::Unavailable(500)),
    ]
}

#[tokio::test]
async fn each_refusal_has_its_cause_its_next_step_and_the_correlation_id() {
    let service = Service::start().await;
    let credentials = service.credentials();
    for (status, error, number, cause) in refusals() {
        credentials.forget(TENANT);
        service.reply(Reply::refusal(status, error, number).header("date", "Tue, 24 Nov 2026 18:00:00 GMT"));
        let found = error_of(credentials.bearer(TENANT, DIRECTORY, now()).await);
        assert_eq!(found.cause, cause, "AADSTS{number}");
        let said = found.said.clone().unwrap();
        assert_eq!((said.error.as_str(), said.numbers.as_slice(), said.correlation.as_deref()), (error, &[number][..], Some(CORRELATION)));
        assert!(found.next_step().ends_with('.') && found.to_string().contains(CORRELATION), "{found}");
        assert!(!found.to_string().contains(SECRET_VALUE));
    }
}

#[tokio::test]
async fn answers_that_are_none_are_faults_of_protocol_and_never_printed() {
    let service = Service::start().await;
    let cases = [
        (Reply { status: 200, headers: vec![("content-type", "text/html".to_owned())], body: "<p>Pssst".to_owned() }, "empty or not JSON"),
        (Reply::json(200, &json!({"token_type": "Bearer", "expires_in": 1, "token": "Pssst"})), "no usable value"),
        (Reply::json(200, &json!({"token_type": "Bearer", "expires_in": "Pssst", "access_token": "Pssst"})), "no usable value"),
        (Reply::json(200, &json!({"token_type": "mac", "expires_in": 1, "access_token": "Pssst"})), "not a bearer token"),
        (Reply { status: 400, headers: vec![], body: "Pssst".to_owned() }, "no usable value"),
        (Reply { status: 302, headers: vec![("location", "/Pssst".to_owned())], body: String::new() }, "status 302, a redirect"),
        (Reply { status: 200, headers: vec![], body: "x".repeat(2 * 1024 * 1024) }, "larger than 1048576 octets"),
    ];
    let credentials = service.credentials();
    for (reply, words) in cases {
        credentials.forget(TENANT);
        service.reply(reply);
        let error = error_of(credentials.bearer(TENANT, DIRECTORY, now()).await);
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error:?} {error}").contains("Pssst"), "{error:?}");
    }
}

#[tokio::test]
async fn the_request_is_the_documented_one_with_a_secret() {
    let service = Service::start().await;
    service.reply(Reply::token("first", &["User.Read.All"], 3599));
    let bearer = service.credentials().bearer(TENANT, DIRECTORY, now()).await.unwrap();
    let asked = &service.asked()[0];
    assert_eq!(asked.path, format!("/{TENANT}/oauth2/v2.0/token"));
    let mut form = asked.form.clone();
    form.sort();
    let expected = [
        ("client_id", SYNCHRONISATION.to_string()),
        ("client_secret", SECRET_VALUE.to_owned()),
        ("grant_type", "client_credentials".to_owned()),
        ("scope", "https://graph.microsoft.com/.default".to_owned()),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value)));
    assert_eq!(*bearer.authorization(), format!("Bearer {}", access_token("first", &["User.Read.All"])));
    assert!(bearer.is_for(&"https://graph.microsoft.com/v1.0/users".parse().unwrap()));
    for elsewhere in ["http://graph.microsoft.com/", "https://graph.microsoft.com:8443/", "https://graph.microsoft.com.example/"] {
        assert!(!bearer.is_for(&elsewhere.parse().unwrap()), "{elsewhere}");
    }
}

#[tokio::test]
async fn a_hundred_callers_make_one_request() {
    let service = Service::start().await;
    *service.script.pause.lock().unwrap() = Duration::from_millis(100);
    let credentials = Arc::new(service.credentials());
    service.reply(Reply::token("first", &["User.Read.All"], 3599));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let credentials = Arc::clone(&credentials);
            tokio::spawn(async move { credentials.bearer(TENANT, DIRECTORY, now()).await.unwrap() })
        })
        .collect();
    for caller in callers {
        assert!(caller.await.unwrap().authorization().contains(&access_token("first", &["User.Read.All"])));
    }
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn a_failed_request_is_told_to_every_caller_and_soon_forgotten() {
    let service = Service::start().await;
    *service.script.pause.lock().unwrap() = Duration::from_millis(100);
    let credentials = Arc::new(service.credentials());
    service.reply(Reply::refusal(401, "invalid_client", 7_000_215));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let credentials = Arc::clone(&credentials);
            tokio::spawn(async move { error_of(credentials.bearer(TENANT, DIRECTORY, now()).await) })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().cause, Cause::SecretWrong);
    }
    assert_eq!(service.asked().len(), 1);
    assert_eq!(credentials.handles(TENANT, now()), Vec::<&str>::new());
    service.reply(Reply::token("second", &["User.Read.All"], 3599));
    credentials.bearer(TENANT, DIRECTORY, later(6)).await.unwrap();
    assert_eq!(credentials.handles(TENANT, later(6)), [DIRECTORY]);
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_the_request_to_the_next_one() {
    let service = Service::start().await;
    *service.script.pause.lock().unwrap() = Duration::from_millis(50);
    let credentials = service.credentials();
    service.reply(Reply::token("first", &["User.Read.All"], 3599));
    service.reply(Reply::token("second", &["User.Read.All"], 3599));
    let impatient = tokio::time::timeout(Duration::from_millis(20), credentials.bearer(TENANT, DIRECTORY, now())).await;
    assert!(impatient.is_err());
    credentials.bearer(TENANT, DIRECTORY, now()).await.unwrap();
}

#[tokio::test]
async fn a_token_is_renewed_at_four_fifths_of_its_life_and_kept_when_that_fails() {
    let service = Service::start().await;
    let credentials = service.credentials();
    service.reply(Reply::token("first", &["User.Read.All"], 1000));
    let first = credentials.bearer(TENANT, DIRECTORY, now()).await.unwrap();
    assert!(credentials.bearer(TENANT, DIRECTORY, later(799)).await.unwrap().same(&first));
    assert_eq!(service.asked().len(), 1);
    service.reply(Reply::refusal(503, "temporarily_unavailable", 1));
    assert!(credentials.bearer(TENANT, DIRECTORY, later(800)).await.unwrap().same(&first), "the old one is good for 200 seconds more");
    assert!(credentials.bearer(TENANT, DIRECTORY, later(800)).await.unwrap().same(&first), "and nobody asks at once again");
    assert_eq!(service.asked().len(), 2);
    service.reply(Reply::token("second", &["User.Read.All"], 1000));
    assert!(!credentials.bearer(TENANT, DIRECTORY, later(810)).await.unwrap().same(&first));
    assert_eq!(service.asked().len(), 3);
}

#[tokio::test]
async fn tenants_do_not_share_tokens_and_forgetting_one_asks_again() {
    let service = Service::start().await;
    let credentials = service.credentials();
    for name in ["one", "other", "again"] {
        service.reply(Reply::token(name, &["User.Read.All"], 3599));
    }
    let one = credentials.bearer(TENANT, DIRECTORY, now()).await.unwrap();
    let other = credentials.bearer(OTHER_TENANT, DIRECTORY, now()).await.unwrap();
    assert!(!one.same(&other));
    credentials.forget(TENANT);
    assert!(!credentials.bearer(TENANT, DIRECTORY, now()).await.unwrap().same(&one));
    assert!(credentials.bearer(OTHER_TENANT, DIRECTORY, now()).await.unwrap().same(&other));
    let paths: Vec<String> = service.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, [TENANT, OTHER_TENANT, TENANT].map(|tenant| format!("/{tenant}/oauth2/v2.0/token")));
}

#[tokio::test]
async fn retry_after_is_obeyed_within_reason() {
    let service = Service::start().await;
    for (value, waits) in
        [("37", 37..=37), ("0", 1..=2), ("999999999", 3600..=3600), ("Tue, 24 Nov 2026 18:01:30 GMT", 90..=90), ("soon", 1..=2)]
    {
        let credentials = service.credentials();
        let date = "Tue, 24 Nov 2026 18:00:00 GMT";
        service.reply(Reply::refusal(429, "temporarily_unavailable", 1).header("retry-after", value).header("date", date));
        let error = error_of(credentials.bearer(TENANT, DIRECTORY, now()).await);
        let wait = error.wait.unwrap().as_secs();
        assert!(waits.contains(&wait), "{value}: {wait}");
        let again = error_of(credentials.bearer(TENANT, DIRECTORY, now()).await);
        assert_eq!((again.cause, again.wait), (error.cause, error.wait));
    }
    assert_eq!(service.asked().len(), 5, "nobody asks before the wait is over");
}

#[tokio::test]
async fn waits_grow_and_are_not_all_alike() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let mut at = now();
    for (most, least) in [(2, 1), (4, 2), (8, 4), (16, 8), (32, 16), (64, 32), (120, 60), (120, 60)] {
        service.reply(Reply::refusal(503, "temporarily_unavailable", 1));
        let wait = error_of(credentials.bearer(TENANT, DIRECTORY, at).await).wait.unwrap();
        assert!(wait >= Duration::from_secs(least) && wait <= Duration::from_secs(most), "{wait:?}");
        at += wait;
    }
}

#[tokio::test]
async fn missing_consent_is_not_yet_for_ten_minutes_and_then_missing() {
    let service = Service::start().await;
    for (reply, end) in [
        (Reply::refusal(400, "unauthorized_client", 700_016), Cause::NotInTenant),
        (Reply::refusal(400, "invalid_grant", 65_001), Cause::NotConsented),
        (Reply::refusal(401, "unauthorized_client", 7_000_112), Cause::Disabled),
        (Reply::token("without", &[], 3599), Cause::NotConsented),
    ] {
        let credentials = service.credentials();
        for (after, cause) in [(0, Cause::NotYet), (300, Cause::NotYet), (599, Cause::NotYet), (720, end)] {
            service.reply(reply.clone());
            let error = error_of(credentials.bearer(TENANT, DIRECTORY, later(after)).await);
            assert_eq!(error.wait.is_some(), cause == Cause::NotYet);
            assert_eq!(error.cause, cause, "after {after} seconds");
        }
        service.reply(Reply::token("with", &["User.Read.All"], 3599));
        credentials.bearer(TENANT, DIRECTORY, later(800)).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_proof_says_how_far_the_clocks_differ() {
    let service = Service::start().await;
    for (date, words) in [
        ("Tue, 24 Nov 2026 17:50:00 GMT", "this machine's clock is 600 seconds ahead of the service's"),
        ("Tue, 24 Nov 2026 18:10:01 GMT", "this machine's clock is 601 seconds behind the service's"),
        ("Tue, 24 Nov 2026 18:00:00 GMT", "the two clocks agree to the second"),
    ] {
        service.reply(Reply::refusal(401, "invalid_client", 700_024).header("date", date));
        let error = error_of(service.credentials().bearer(TENANT, DIRECTORY, now()).await);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_claims_challenge_replaces_the_token_once() {
    let service = Service::start().await;
    let credentials = service.credentials();
    service.reply(Reply::token("first", &["User.Read.All"], 3599));
    let first = credentials.bearer(TENANT, DIRECTORY, now()).await.unwrap();
    let claims = r#"{"access_token":{"nbf":{"essential":true, "value":"1795543200"}}}"#;
    let encoded = STANDARD.encode(claims);
    let challenge = format!(r#"Bearer realm="", authorization_uri="https://login/x", error="insufficient_claims", claims="{encoded}""#);

    service.reply(Reply::token("second", &["User.Read.All"], 3599));
    let second = credentials.challenged(TENANT, DIRECTORY, &challenge, &first, now()).await.unwrap().unwrap();
    assert!(!second.same(&first));
    assert_eq!(service.asked()[1].field("claims"), claims);
    let third = credentials.challenged(TENANT, DIRECTORY, &challenge, &first, now()).await.unwrap().unwrap();
    assert!(third.same(&second), "another caller with the old token gets the new one");
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn a_401_without_a_claims_challenge_changes_nothing() {
    let service = Service::start().await;
    let credentials = service.credentials();
    service.reply(Reply::token("first", &["User.Read.All"], 3599));
    let first = credentials.bearer(TENANT, DIRECTORY, now()).await.unwrap();
    for challenge in [
        "",
        "Bearer",
        r#"Bearer error="invalid_token", claims="e30=""#,
        r#"Bearer error="insufficient_claims""#,
        r#"Bearer error="insufficient_claims", claims="not base64!""#,
        r#"Bearer error="insufficient_claims", claims="W10=""#,
        r#"Bearer error="insufficient_claims, claims="#,
    ] {
        assert!(credentials.challenged(TENANT, DIRECTORY, challenge, &first, now()).await.unwrap().is_none(), "{challenge}");
    }
    assert!(credentials.bearer(TENANT, DIRECTORY, now()).await.unwrap().same(&first));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unreachable() {
    let service = Service::start().await;
    let mut settings = service.settings();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    settings.authority = format!("http://{free}").parse().unwrap();
    let error = error_of(Credentials::load(settings, now()).unwrap().bearer(TENANT, DIRECTORY, now()).await);
    assert!(matches!(error.cause, Cause::Unreachable(_)) && error.wait.is_some(), "{error}");
}

#[tokio::test]
async fn an_unknown_handle_and_a_missing_sign_in_are_errors_without_a_request() {
    let service = Service::start().await;
    let credentials = service.credentials();
    let error = error_of(credentials.bearer(TENANT, "owner", now()).await);
    assert_eq!(error.cause, Cause::UnknownHandle("owner".to_owned()));
    for handle in [ADMINISTRATOR, EXCHANGE] {
        assert_eq!(error_of(credentials.bearer(TENANT, handle, now()).await).cause, Cause::NotSignedIn);
    }
    assert_eq!(credentials.handles(TENANT, now()), [DIRECTORY]);
    assert!(service.asked().is_empty());
}

#[test]
fn secrets_are_sent_by_tls_or_to_this_machine_only() {
    let folder = folder();
    let file = folder.join("secret");
    fs::write(&file, SECRET_VALUE).unwrap();
    for (authority, safe) in [
        ("https://login.microsoftonline.com", true),
        ("http://127.0.0.1:8080", true),
        ("http://[::1]:8080", true),
        ("http://localhost:8080", true),
        ("http://login.microsoftonline.com", false),
        ("http://192.0.2.1", false),
        ("https://user@login.microsoftonline.com", false),
        ("https://login.microsoftonline.com/?x=1", false),
        ("ftp://login.microsoftonline.com", false),
    ] {
        let loaded = Credentials::load(settings(authority, &file), now());
        assert_eq!(loaded.is_ok(), safe, "{authority}");
        if let Err(error) = loaded {
            assert!(error.to_string().contains("authority = ") && error.to_string().contains("for example"), "{error}");
        }
    }
    fs::remove_dir_all(folder).ok();
}

#[test]
fn a_scope_without_default_is_refused_with_an_example() {
    let folder = folder();
    let file = folder.join("secret");
    fs::write(&file, SECRET_VALUE).unwrap();
    let mut settings = settings("https://login.microsoftonline.com", &file);
    settings.resources.exchange_scope = "https://outlook.office365.com/Exchange.Manage".to_owned();
    let error = Credentials::load(settings, now()).unwrap_err().to_string();
    assert!(
        error.contains("exchange_scope = ") && error.contains("Exchange.Manage") && error.contains("/.default, for example"),
        "{error}"
    );
    fs::remove_dir_all(folder).ok();
}

#[test]
fn every_cloud_has_addresses_that_can_be_used() {
    let folder = folder();
    let file = folder.join("secret");
    fs::write(&file, SECRET_VALUE).unwrap();
    for cloud in [Cloud::Global, Cloud::GccHigh, Cloud::Dod, Cloud::China] {
        let (authority, resources) = cloud.endpoints().unwrap();
        let settings = Settings { resources, ..settings(authority.as_str(), &file) };
        assert!(Credentials::load(settings, now()).is_ok(), "{cloud:?}");
    }
    fs::remove_dir_all(folder).ok();
}
