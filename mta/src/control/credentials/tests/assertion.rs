//! The proof by certificate, its files and their faults.

use jsonwebtoken::{DecodingKey, Validation};

use super::*;

fn with_certificate(service: &Service, from: (i32, u8, u8), to: (i32, u8, u8)) -> Settings {
    let mut settings = service.settings();
    settings.synchronisation.credential = certificate(&service.folder, from, to);
    settings
}

#[tokio::test]
async fn an_assertion_has_the_documented_header_and_claims_and_is_fresh_each_time() {
    let service = Service::start().await;
    let settings = with_certificate(&service, (2026, 1, 1), (2027, 12, 1));
    let credentials = Credentials::load(settings, now()).unwrap();
    for _ in 0..2 {
        service.reply(Reply::token("first", &["User.Read.All"], 3599));
        credentials.bearer(TENANT, DIRECTORY, now()).await.unwrap();
        credentials.forget(TENANT);
    }
    let asked = service.asked();
    let first = asked[0].field("client_assertion");
    assert_eq!(asked[0].field("client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!(asked[0].field("client_secret"), "");
    assert_ne!(first, asked[1].field("client_assertion"));

    let part = |index: usize| -> Value {
        let part = first.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let der = x509_parser::pem::parse_x509_pem(&fs::read(service.folder.join("app.pem")).unwrap()).unwrap().1.contents;
    let thumbprint = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der));
    assert_eq!(part(0), json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
    let mut claims = part(1);
    let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert!(Uuid::try_parse(id.as_str().unwrap()).is_ok_and(|id| id.get_version_num() == 4));
    let expected = json!({
        "aud": format!("http://{}/{TENANT}/oauth2/v2.0/token", service.address), "iss": SYNCHRONISATION.to_string(),
        "sub": SYNCHRONISATION.to_string(), "nbf": seconds(now()), "iat": seconds(now()), "exp": seconds(later(300)),
    });
    assert_eq!(claims, expected);

    let mut validation = Validation::new(Algorithm::PS256);
    (validation.validate_exp, validation.validate_aud) = (false, false);
    let key = DecodingKey::from_rsa_pem(KEYS[1].public_key_pem().as_bytes()).unwrap();
    jsonwebtoken::decode::<Value>(first, &key, &validation).unwrap();
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_not_shown_to_the_service() {
    let service = Service::start().await;
    for (from, to, cause) in [
        ((2025, 1, 1), (2026, 11, 20), Cause::CertificateExpired(Duration::from_secs(4 * 86_400 + 18 * 3600))),
        ((2026, 11, 25), (2027, 1, 1), Cause::CertificateNotYetValid(Duration::from_secs(6 * 3600))),
    ] {
        let credentials = Credentials::load(with_certificate(&service, from, to), now()).unwrap();
        assert_eq!(error_of(credentials.bearer(TENANT, DIRECTORY, now()).await).cause, cause);
    }
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn a_certificate_is_mentioned_thirty_days_before_its_end() {
    let service = Service::start().await;
    for (to, words) in [
        ((2026, 12, 25), None),
        ((2026, 12, 24), Some("expires in 29 days")),
        ((2026, 11, 25), Some("expires in 0 days")),
        ((2026, 11, 24), Some("has expired")),
    ] {
        let credentials = Credentials::load(with_certificate(&service, (2026, 1, 1), to), now()).unwrap();
        let warnings = credentials.warnings(now());
        assert_eq!(warnings.len(), usize::from(words.is_some()), "{warnings:?}");
        assert!(words.is_none_or(|words| warnings[0].contains(words) && warnings[0].contains("app.pem")), "{warnings:?}");
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_the_way_out() {
    let service = Service::start().await;
    let good = certificate(&service.folder, (2026, 1, 1), (2027, 1, 1));
    let Credential::Certificate { certificate: chain, key } = good else { unreachable!("a certificate was made") };
    let file = |name: &str, content: &str| {
        let path = service.folder.join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let proof = |certificate: &Path, key: &Path| Credential::Certificate { certificate: certificate.to_owned(), key: key.to_owned() };
    let curve = KeyPair::generate().unwrap().serialize_pem();
    for (credential, words) in [
        (proof(&service.folder.join("absent"), &key), "absent: No such file"),
        (proof(&key, &key), "-----BEGIN CERTIFICATE----- block"),
        (proof(&file("damaged", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), &key), "its certificate is damaged"),
        (proof(&chain, &chain), "-----BEGIN PRIVATE KEY----- block"),
        (proof(&chain, &file("curve", &curve)), "no RSA private key"),
        (proof(&chain, &file("other", &KEYS[0].serialize_pem())), "does not belong to certificate"),
        (Credential::Secret(file("empty", " \n")), "client secret's value alone"),
        (Credential::Secret(file("two", "one\ntwo\n")), "client secret's value alone"),
        (Credential::Secret(service.folder.join("none")), "none: No such file"),
    ] {
        let mut settings = service.settings();
        settings.setup.credential = credential;
        let error = Credentials::load(settings, now()).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}
