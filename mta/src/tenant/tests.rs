use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::{Claim, Permit, Proof, Registry, SecretHeader, Tenant, TenantError, TenantId, Verdict};
use crate::address::{Domain, ForwardPath, ReversePath};
use crate::message::{Accepted, ClientCertificate, Envelope, MailParameters, Peer, Recipient, Tls};
use crate::signature::RecipientClass;

const CONTOSO: &str = "11111111-aaaa-4bbb-8ccc-222222222222";
const FABRIKAM: &str = "33333333-aaaa-4bbb-8ccc-444444444444";
const MICROSOFT: &str = "mail.protection.outlook.com";

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn tenant(id: &str, domains: &[&str], proof: Proof) -> Arc<Tenant> {
    let domains = domains.iter().copied().map(domain).collect();
    Arc::new(Tenant { id: TenantId::new(id), name: id.to_owned(), domains, partners: vec![domain("partner.example")], proof })
}

/// What Microsoft 365 tenants demand.
fn microsoft(id: &str) -> Proof {
    Proof {
        networks: vec!["40.92.0.0/15".parse().unwrap(), "2a01:111:f400::/48".parse().unwrap()],
        certificate_names: vec![MICROSOFT.to_owned()],
        reverse_path: true,
        cross_tenant_id: Some(id.to_owned()),
        ..Proof::default()
    }
}

fn contoso() -> Arc<Tenant> {
    tenant(CONTOSO, &["contoso.example", "contoso.onmicrosoft.com"], microsoft(CONTOSO))
}

fn fabrikam() -> Arc<Tenant> {
    tenant(FABRIKAM, &["fabrikam.example"], microsoft(FABRIKAM))
}

fn registry(tenants: Vec<Arc<Tenant>>) -> Registry {
    Registry::new(tenants, []).unwrap()
}

fn peer(address: &str, certificate: Option<&str>) -> Peer {
    let client = certificate.map(|name| ClientCertificate { names: vec![name.to_owned()], sha256: String::new() });
    Peer {
        address: SocketAddr::new(address.parse().unwrap(), 4711),
        local: "127.0.0.1:25".parse().unwrap(),
        helo: "out.example".to_owned(),
        extended: true,
        tls: Some(Tls {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
            server_name: Some("contoso.in.signet.example".to_owned()),
            client,
        }),
        login: None,
    }
}

fn path(text: &str) -> ReversePath {
    ReversePath::parse(text).unwrap()
}

fn accepted(permit: Permit, peer: Peer, reverse_path: &str, header: &str) -> Accepted {
    let recipient = Recipient { path: ForwardPath::parse("x@elsewhere.example").unwrap(), notify: None, orcpt: None };
    Accepted {
        id: "1".into(),
        peer: Arc::new(peer),
        envelope: Arc::new(Envelope::new(permit, path(reverse_path), MailParameters::default(), recipient)),
        content: Bytes::from(format!("{header}\r\nbody\r\n")),
        received: SystemTime::UNIX_EPOCH,
    }
}

fn attribute(registry: &Registry, peer: &Peer, reverse_path: &str, header: &str) -> Result<(String, Vec<&'static str>), Verdict> {
    let permit = registry.permit(peer)?;
    let attribution = registry.attribute(&accepted(permit, peer.clone(), reverse_path, header))?;
    Ok((attribution.tenant.id.to_string(), attribution.factors.iter().map(|factor| factor.name).collect()))
}

fn failed(verdict: &Verdict) -> Vec<&'static str> {
    verdict.factors.iter().filter(|factor| !factor.agrees).map(|factor| factor.name).collect()
}

#[test]
fn a_microsoft_tenant_is_attributed_when_every_factor_agrees() {
    let registry = registry(vec![contoso(), fabrikam()]);
    let peer = peer("40.92.1.2", Some(MICROSOFT));
    let header = format!(
        "X-MS-Exchange-CrossTenant-Id: {}\r\nX-OriginatorOrg: contoso.example\r\nFrom: a@contoso.example\r\n",
        CONTOSO.to_uppercase()
    );
    let (id, factors) = attribute(&registry, &peer, "a@contoso.example", &header).unwrap();
    assert_eq!(id, CONTOSO);
    assert_eq!(factors, ["network", "certificate", "reverse-path", "cross-tenant-id", "originator-org"]);
}

#[test]
fn each_factor_alone_is_enough_to_refuse() {
    let registry = registry(vec![contoso()]);
    let good = peer("40.92.1.2", Some(MICROSOFT));
    let id = format!("X-MS-Exchange-CrossTenant-Id: {CONTOSO}\r\n");
    let from = "From: a@contoso.example\r\n";
    for (case, peer, reverse_path, header, expected) in [
        ("stranger's network", peer("192.0.2.1", Some(MICROSOFT)), "a@contoso.example", format!("{id}{from}"), "network"),
        ("no certificate", peer("40.92.1.2", None), "a@contoso.example", format!("{id}{from}"), "certificate"),
        ("other certificate", peer("40.92.1.2", Some("mail.evil.example")), "a@contoso.example", format!("{id}{from}"), "certificate"),
        (
            "certificate below the name",
            peer("40.92.1.2", Some("x.mail.protection.outlook.com")),
            "a@contoso.example",
            format!("{id}{from}"),
            "certificate",
        ),
        ("foreign reverse-path", good.clone(), "a@fabrikam.example", format!("{id}{from}"), "reverse-path"),
        ("subdomain of an own domain", good.clone(), "a@sub.contoso.example", format!("{id}{from}"), "reverse-path"),
        ("no tenant id", good.clone(), "a@contoso.example", from.to_owned(), "cross-tenant-id"),
        (
            "foreign tenant id",
            good.clone(),
            "a@contoso.example",
            format!("X-MS-Exchange-CrossTenant-Id: {FABRIKAM}\r\n{from}"),
            "cross-tenant-id",
        ),
        ("tenant id twice", good.clone(), "a@contoso.example", format!("{id}{id}{from}"), "cross-tenant-id"),
        (
            "two tenant ids",
            good.clone(),
            "a@contoso.example",
            format!("{id}{from}x-ms-exchange-crosstenant-id : {FABRIKAM}\r\n"),
            "cross-tenant-id",
        ),
        ("empty tenant id", good.clone(), "a@contoso.example", format!("X-MS-Exchange-CrossTenant-Id:\r\n{from}"), "cross-tenant-id"),
        ("tenant id in the body", good.clone(), "a@contoso.example", format!("{from}\r\n{id}"), "cross-tenant-id"),
        (
            "foreign organisation",
            good.clone(),
            "a@contoso.example",
            format!("{id}X-OriginatorOrg: fabrikam.example\r\n{from}"),
            "originator-org",
        ),
        (
            "two organisations",
            good.clone(),
            "a@contoso.example",
            format!("{id}X-OriginatorOrg: contoso.example\r\nX-OriginatorOrg: contoso.example\r\n{from}"),
            "originator-org",
        ),
        ("null path, foreign author", good.clone(), "", format!("{id}From: a@fabrikam.example\r\n"), "header-from"),
        ("null path, no author", good.clone(), "", id.clone(), "header-from"),
        ("null path, two authors", good.clone(), "", format!("{id}{from}{from}"), "header-from"),
    ] {
        let verdict = attribute(&registry, &peer, reverse_path, &header).expect_err(case);
        assert_eq!(failed(&verdict).iter().filter(|name| **name == expected).count(), 1, "{case}: {verdict:?}");
    }
}

#[test]
fn the_null_reverse_path_is_decided_by_the_header_from() {
    let registry = registry(vec![contoso(), fabrikam()]);
    let peer = peer("40.92.1.2", Some(MICROSOFT));
    let permit = registry.permit(&peer).unwrap();
    assert_eq!(permit.candidates().len(), 2);
    assert!(matches!(registry.claim(&permit, &path("")), Ok(Claim::Open(open)) if open.len() == 2));
    let header = format!("X-MS-Exchange-CrossTenant-Id: {FABRIKAM}\r\nFrom: Postmaster <postmaster@fabrikam.example>\r\n");
    let (id, factors) = attribute(&registry, &peer, "", &header).unwrap();
    assert_eq!(id, FABRIKAM);
    assert!(factors.contains(&"header-from"));
}

#[test]
fn the_reverse_path_claims_one_tenant_of_those_that_the_peer_may_send_for() {
    let registry = registry(vec![contoso(), fabrikam()]);
    let permit = registry.permit(&peer("40.92.1.2", Some(MICROSOFT))).unwrap();
    assert!(matches!(registry.claim(&permit, &path("a@CONTOSO.example")), Ok(Claim::One(tenant)) if tenant.id.as_str() == CONTOSO));
    let verdict = registry.claim(&permit, &path("a@elsewhere.example")).unwrap_err();
    assert_eq!(failed(&verdict), ["reverse-path"]);
}

#[test]
fn a_verdict_about_several_tenants_names_each() {
    let registry = registry(vec![contoso(), fabrikam()]);
    let peer = peer("40.92.1.2", Some(MICROSOFT));
    let verdict = attribute(&registry, &peer, "", "From: a@contoso.example\r\n").unwrap_err();
    let named: Vec<_> = verdict.factors.iter().filter(|factor| factor.name == "tenant").map(|factor| factor.value.as_str()).collect();
    assert_eq!(named, [CONTOSO, FABRIKAM]);
}

#[test]
fn a_plain_smart_host_client_needs_no_microsoft_headers() {
    for (case, proof, peer) in [
        ("network", Proof { networks: vec!["192.0.2.0/24".parse().unwrap()], ..Proof::default() }, peer("192.0.2.7", None)),
        ("mapped IPv4", Proof { networks: vec!["192.0.2.0/24".parse().unwrap()], ..Proof::default() }, peer("::ffff:192.0.2.7", None)),
        (
            "certificate",
            Proof { certificate_names: vec!["Relay.Contoso.example".to_owned()], ..Proof::default() },
            peer("198.51.100.1", Some("relay.contoso.example")),
        ),
        (
            "wildcard",
            Proof { certificate_names: vec!["*.contoso.example".to_owned()], ..Proof::default() },
            peer("198.51.100.1", Some("a.b.contoso.example")),
        ),
        (
            "server name",
            Proof {
                networks: vec!["198.51.100.0/24".parse().unwrap()],
                server_names: vec!["contoso.in.signet.example".to_owned()],
                ..Proof::default()
            },
            peer("198.51.100.1", None),
        ),
    ] {
        let registry = registry(vec![tenant("contoso", &["contoso.example"], proof)]);
        assert_eq!(attribute(&registry, &peer, "anyone@anywhere.example", "From: x\r\n").expect(case).0, "contoso", "{case}");
    }
}

#[test]
fn a_wildcard_is_no_suffix_of_other_names() {
    let proof = Proof { certificate_names: vec!["*.contoso.example".to_owned()], ..Proof::default() };
    let registry = registry(vec![tenant("contoso", &["contoso.example"], proof)]);
    for name in ["contoso.example", "evilcontoso.example", ".contoso.example", "contoso.example.evil.example", "é.example"] {
        assert!(registry.permit(&peer("198.51.100.1", Some(name))).is_err(), "{name}");
    }
}

#[test]
fn a_login_proves_its_own_tenant_and_no_other() {
    let login = || Proof { login: true, ..Proof::default() };
    let network = Proof { networks: vec!["198.51.100.0/24".parse().unwrap()], ..Proof::default() };
    let tenants = vec![tenant("a", &["a.example"], login()), tenant("b", &["b.example"], login()), tenant("c", &["c.example"], network)];
    let registry = Registry::new(tenants, [("ann".to_owned(), TenantId::new("a")), ("bob".to_owned(), TenantId::new("b"))]).unwrap();
    for (name, expected) in [(Some("ann"), "a"), (Some("bob"), "b"), (None, "c")] {
        let peer = Peer { login: name.map(Into::into), ..peer("198.51.100.1", None) };
        let permit = registry.permit(&peer).unwrap();
        let ids: Vec<_> = permit.candidates().iter().map(|tenant| tenant.id.as_str()).collect();
        assert_eq!(ids, [expected], "{name:?}");
    }
    let stranger = Peer { login: Some("eve".into()), ..peer("198.51.100.1", None) };
    assert!(registry.permit(&stranger).is_err());
}

#[test]
fn a_message_that_two_tenants_could_own_is_refused() {
    let open = || Proof { networks: vec!["192.0.2.0/24".parse().unwrap()], ..Proof::default() };
    let registry = registry(vec![tenant("a", &["a.example"], open()), tenant("b", &["b.example"], open())]);
    let verdict = attribute(&registry, &peer("192.0.2.1", None), "x@a.example", "From: x@a.example\r\n").unwrap_err();
    assert_eq!(verdict.reason, "the message's factors prove more than one tenant");
}

#[test]
fn the_secret_header_is_compared_exactly_and_never_logged() {
    let secret = SecretHeader { name: "X-Contoso-Proof".to_owned(), value: "s3cr3t-0123456789".to_owned() };
    let proof = Proof { networks: vec!["192.0.2.0/24".parse().unwrap()], secret_header: Some(secret), ..Proof::default() };
    let contoso = tenant("contoso", &["contoso.example"], proof);
    assert_eq!(contoso.private_fields().collect::<Vec<_>>(), ["X-Contoso-Proof"]);
    assert!(!format!("{contoso:?}").contains("s3cr3t"));
    let registry = registry(vec![contoso]);
    let peer = peer("192.0.2.1", None);
    for (header, agrees) in [
        ("X-Contoso-Proof: s3cr3t-0123456789\r\n", true),
        ("x-contoso-proof:\r\n s3cr3t-0123456789 \r\n", true),
        ("X-Contoso-Proof: s3cr3t-012345678\r\n", false),
        ("X-Contoso-Proof: S3CR3T-0123456789\r\n", false),
        ("X-Contoso-Proof: s3cr3t-0123456789\r\nX-Contoso-Proof: s3cr3t-0123456789\r\n", false),
        ("X-Contoso-Proof:\r\n", false),
        ("", false),
    ] {
        let result = attribute(&registry, &peer, "a@contoso.example", header);
        assert_eq!(result.is_ok(), agrees, "{header:?}");
        if let Err(verdict) = result {
            assert_eq!(failed(&verdict), ["secret-header"]);
            assert!(!format!("{verdict:?}").to_lowercase().contains("s3cr3t"), "{verdict:?}");
        }
    }
}

#[test]
fn the_header_from_factor_is_demanded_for_every_reverse_path() {
    let proof = Proof { networks: vec!["192.0.2.0/24".parse().unwrap()], header_from: true, ..Proof::default() };
    let registry = registry(vec![tenant("contoso", &["contoso.example"], proof)]);
    let peer = peer("192.0.2.1", None);
    assert!(attribute(&registry, &peer, "bounce@list.example", "From: Ann <a@contoso.example>\r\n").is_ok());
    for header in [
        "From: a@elsewhere.example\r\n",
        "From: a@contoso.example, b@contoso.example\r\n",
        "From: \"a@contoso.example\" <x@evil.example>\r\n",
        "",
    ] {
        assert_eq!(failed(&attribute(&registry, &peer, "a@contoso.example", header).unwrap_err()), ["header-from"], "{header:?}");
    }
}

#[test]
fn logged_values_are_cut_and_hold_no_control_characters() {
    let registry = registry(vec![contoso()]);
    let header = format!("X-MS-Exchange-CrossTenant-Id: {}\u{1b}[31m{}\r\nFrom: a@contoso.example\r\n", "x".repeat(20), "y".repeat(500));
    let verdict = attribute(&registry, &peer("40.92.1.2", Some(MICROSOFT)), "a@contoso.example", &header).unwrap_err();
    assert!(verdict.factors.iter().all(|factor| factor.value.chars().count() <= 128 && !factor.value.contains('\u{1b}')));
}

#[test]
fn unsafe_registries_are_refused() {
    let network = || Proof { networks: vec!["192.0.2.0/24".parse().unwrap()], ..Proof::default() };
    let no_id = Proof { cross_tenant_id: None, ..microsoft(CONTOSO) };
    let wildcard = Proof { certificate_names: vec!["*.protection.outlook.com".to_owned()], ..Proof::default() };
    let empty_secret = Proof { secret_header: Some(SecretHeader { name: "X-S".to_owned(), value: String::new() }), ..network() };
    type Case = (Vec<Arc<Tenant>>, Vec<(String, TenantId)>, fn(&TenantError) -> bool);
    let cases: Vec<Case> = vec![
        (vec![tenant("a", &["a.example"], network()), tenant("a", &["b.example"], network())], vec![], |error| {
            matches!(error, TenantError::Twice(_))
        }),
        (vec![tenant("a", &["x.example"], network()), tenant("b", &["x.example"], network())], vec![], |error| {
            matches!(error, TenantError::SharedDomain { .. })
        }),
        (vec![tenant("a", &["a.example"], Proof { reverse_path: true, ..Proof::default() })], vec![], |error| {
            matches!(error, TenantError::Unproven(_))
        }),
        (vec![tenant("a", &["a.example"], no_id)], vec![], |error| matches!(error, TenantError::SharedProof { .. })),
        (vec![tenant("a", &["a.example"], wildcard)], vec![], |error| matches!(error, TenantError::SharedProof { .. })),
        (vec![tenant("a", &[], Proof { header_from: true, ..network() })], vec![], |error| matches!(error, TenantError::NoDomains(_))),
        (vec![tenant("a", &["a.example"], empty_secret)], vec![], |error| matches!(error, TenantError::SecretHeader(_))),
        (vec![tenant("a", &["a.example"], network())], vec![("ann".to_owned(), TenantId::new("z"))], |error| {
            matches!(error, TenantError::UnknownTenant { .. })
        }),
        (
            vec![tenant("a", &["a.example"], network())],
            vec![("ann".to_owned(), TenantId::new("a")), ("ann".to_owned(), TenantId::new("a"))],
            |error| matches!(error, TenantError::LoginTwice(_)),
        ),
    ];
    for (index, (tenants, logins, expected)) in cases.into_iter().enumerate() {
        let error = Registry::new(tenants, logins).expect_err("unsafe");
        assert!(expected(&error), "case {index}: {error}");
    }
}

#[test]
fn guids_are_lower_case_and_other_ids_as_configured() {
    assert_eq!(TenantId::new(CONTOSO.to_uppercase()).as_str(), CONTOSO);
    assert_eq!(TenantId::new("Contoso").as_str(), "Contoso");
}

#[test]
fn recipients_are_internal_partner_or_external() {
    let contoso = contoso();
    for (name, class) in [
        ("contoso.example", RecipientClass::Internal),
        ("partner.example", RecipientClass::Partner),
        ("sub.contoso.example", RecipientClass::External),
    ] {
        assert_eq!(contoso.recipient_class(&domain(name)), class);
    }
}

#[test]
fn what_every_microsoft_tenant_shows_is_no_proof_of_one() {
    let networks = |text: &str| Proof { networks: vec![text.parse().unwrap()], ..Proof::default() };
    for shared in ["40.92.0.0/15", "40.107.8.0/24", "0.0.0.0/1", "2a01:111::/32"] {
        let result = Registry::new(vec![tenant("a", &["a.example"], networks(shared))], []);
        assert!(matches!(result, Err(TenantError::SharedProof { .. })), "{shared}");
        let told_apart = Proof { cross_tenant_id: Some("a".to_owned()), ..networks(shared) };
        assert!(Registry::new(vec![tenant("a", &["a.example"], told_apart)], []).is_ok(), "{shared}");
    }
    let any_client = Proof { server_names: vec!["a.in.signet.example".to_owned()], ..Proof::default() };
    assert!(matches!(Registry::new(vec![tenant("a", &["a.example"], any_client)], []), Err(TenantError::Unproven(_))));
}
