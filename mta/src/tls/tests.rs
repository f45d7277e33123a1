use super::testing::{Authority, Folder, Leaf};
use super::*;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

/// 2026-11-23T00:00:00Z
const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const TODAY: Duration = Duration::from_secs(1_795_392_000);

fn today() -> SystemTime {
    NOW + TODAY
}

fn server(certificates: Vec<CertificateFiles>, client: ClientAuthentication) -> ServerTls {
    let settings = ServerTlsSettings { certificates, client, reload_interval: Duration::from_secs(10) };
    ServerTls::load(settings, today()).expect("server")
}

fn client(roots: Roots, certificate: Option<CertificateFiles>) -> ClientTls {
    ClientTls::load(&ClientTlsSettings { certificate, roots }, today()).expect("client")
}

/// What the server sees, and whether the client is content.
async fn handshake(server: &ServerTls, client: &ClientTls, name: &str, now: SystemTime) -> (io::Result<Tls>, io::Result<Vec<String>>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).expect("name");
    let connect = async {
        let mut stream = TlsConnector::from(Arc::clone(&client.config)).connect(name, near).await?;
        // With TLS 1.3 a refused client certificate shows at the first read only.
        let end = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
        let leaf = stream.get_ref().1.peer_certificates().expect("certificate")[0].clone();
        end.map(|_| files::names(&X509Certificate::from_der(&leaf).expect("parsed").1))
    };
    let accept = async {
        let (mut stream, tls) = server.accept(far, now).await?;
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await?;
        Ok(tls)
    };
    tokio::join!(accept, connect)
}

#[tokio::test]
async fn a_session_is_described_with_names_versions_and_the_client_certificate() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let server =
        server(vec![authority.files(&folder, "server", &["mx.signet.example"])], ClientAuthentication::Required(authority.roots(&folder)));
    let certificate = authority.files(&folder, "client", &["Mail.Protection.outlook.com", "b.example"]);
    let client = client(authority.roots(&folder), Some(certificate));
    let (seen, _) = handshake(&server, &client, "MX.signet.example", today()).await;
    let seen = seen.expect("handshake");
    assert_eq!((seen.version, seen.server_name.as_deref()), ("TLSv1.3", Some("mx.signet.example")));
    assert!(seen.cipher.starts_with("TLS_"), "{}", seen.cipher);
    let certificate = seen.client.expect("client certificate");
    assert_eq!(certificate.names, ["mail.protection.outlook.com", "b.example"]);
    assert_eq!(certificate.sha256, client.identity);
    assert_eq!(certificate.sha256.len(), 64);
}

#[tokio::test]
async fn a_client_that_speaks_tls_1_2_only_is_served() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let server = server(vec![authority.files(&folder, "server", &["mx.example"])], ClientAuthentication::None);
    let roots = files::load_roots(&authority.roots(&folder)).expect("roots");
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS12]).expect("versions");
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let client = ClientTls { config, identity: String::new(), names: Vec::new() };
    let (seen, trusted) = handshake(&server, &client, "mx.example", today()).await;
    let seen = seen.expect("handshake");
    assert_eq!((seen.version, seen.client), ("TLSv1.2", None));
    assert!(seen.cipher.starts_with("TLS_ECDHE_"), "{}", seen.cipher);
    trusted.expect("trusted");
}

#[tokio::test]
async fn the_certificate_follows_the_server_name() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let certificates = vec![
        authority.files(&folder, "first", &["first.example"]),
        authority.files(&folder, "second", &["second.example"]),
        authority.files(&folder, "wild", &["*.wild.example"]),
    ];
    let server = server(certificates, ClientAuthentication::None);
    let client = client(authority.roots(&folder), None);
    for (asked, shown) in [("first.example", "first.example"), ("second.example", "second.example"), ("a.wild.example", "*.wild.example")] {
        let (_, seen) = handshake(&server, &client, asked, today()).await;
        assert_eq!(seen.expect("trusted"), [shown]);
    }
    let (_, seen) = handshake(&server, &client, "a.b.wild.example", today()).await;
    assert!(seen.expect_err("the first certificate is shown, and has another name").to_string().contains("not valid for name"));
}

#[tokio::test]
async fn client_certificates_are_absent_proven_or_fatal() {
    let (folder, authority, stranger) = (Folder::new(), Authority::new("root"), Authority::new("stranger"));
    let own = || authority.files(&folder, "server", &["mx.example"]);
    let none = server(vec![own()], ClientAuthentication::None);
    let optional = server(vec![own()], ClientAuthentication::Optional(authority.roots(&folder)));
    let required = server(vec![own()], ClientAuthentication::Required(authority.roots(&folder)));
    let roots = || authority.roots(&folder);
    let without = client(roots(), None);
    let proven = client(roots(), Some(authority.files(&folder, "good", &["good.example"])));
    let unproven = client(roots(), Some(stranger.files(&folder, "bad", &["good.example"])));
    // Whether the handshake succeeds, and whether a certificate is on record.
    let table = [
        ("none, absent", &none, &without, Some(false)),
        ("none, proven", &none, &proven, Some(false)),
        ("optional, absent", &optional, &without, Some(false)),
        ("optional, proven", &optional, &proven, Some(true)),
        ("optional, unproven", &optional, &unproven, None),
        ("required, absent", &required, &without, None),
        ("required, proven", &required, &proven, Some(true)),
        ("required, unproven", &required, &unproven, None),
    ];
    for (case, server, client, expected) in table {
        let (seen, _) = handshake(server, client, "mx.example", today()).await;
        assert_eq!(seen.ok().map(|tls| tls.client.is_some()), expected, "{case}");
    }
}

#[tokio::test]
async fn changed_files_are_loaded_and_broken_ones_keep_the_old() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let files = authority.files(&folder, "server", &["old.example", "both.example"]);
    let server = server(vec![files.clone()], ClientAuthentication::None);
    let client = client(authority.roots(&folder), None);
    let shown = async |seconds: u64| {
        handshake(&server, &client, "both.example", today() + Duration::from_secs(seconds)).await.1.expect("trusted").remove(0)
    };
    assert_eq!(shown(0).await, "old.example");
    authority.files(&folder, "server", &["new.example", "both.example"]);
    assert_eq!(shown(5).await, "old.example", "the interval has not passed");
    assert_eq!(shown(11).await, "new.example");
    fs::write(&files.chain, "no certificate").expect("broken");
    assert_eq!(shown(22).await, "new.example");
    fs::remove_file(&files.chain).expect("removed");
    assert_eq!(shown(33).await, "new.example");
    authority.files(&folder, "server", &["third.example", "both.example"]);
    assert_eq!(shown(44).await, "third.example");
}

#[test]
fn every_bad_file_is_named_with_the_value_and_the_way_out() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let leaf = |names: &'static [&'static str], years| authority.issue(&Leaf { names, common_name: "legacy.example", years });
    let (good, key) = leaf(&["a.example"], (2000, 2100));
    let (_, other) = leaf(&["a.example"], (2000, 2100));
    let (expired, expired_key) = leaf(&["a.example"], (2000, 2020));
    let (early, early_key) = leaf(&["a.example"], (2090, 2100));
    let (nameless, nameless_key) = leaf(&[], (2000, 2100));
    let exposed = CertificateFiles { chain: folder.write("x.pem", &good, 0o644), key: folder.write("x.key", &key, 0o640) };
    let missing = CertificateFiles { chain: folder.path().join("none.pem"), key: folder.path().join("none.key") };
    let table = [
        (missing, vec!["none.pem", "No such file", "check the path"]),
        (exposed, vec!["x.key", "0640", "chmod 600"]),
        (folder.files("expired", &expired, &expired_key), vec!["expired.pem", "a.example", "2020", "renew"]),
        (folder.files("early", &early, &early_key), vec!["early.pem", "a.example", "2090", "clock"]),
        (folder.files("nameless", &nameless, &nameless_key), vec!["nameless.pem", "legacy.example", "alternative names"]),
        (folder.files("mismatch", &good, &other), vec!["mismatch.key", "mismatch.pem", "does not belong"]),
        (folder.files("empty", "", &key), vec!["empty.pem", "BEGIN CERTIFICATE"]),
        (folder.files("swapped", &good, &good), vec!["swapped.key", "BEGIN PRIVATE KEY"]),
        (folder.files("damaged", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key), vec!["damaged.pem", "damaged"]),
    ];
    for (files, expected) in table {
        let settings = ClientTlsSettings { certificate: Some(files), roots: authority.roots(&folder) };
        let error = ClientTls::load(&settings, today()).expect_err("refused").to_string();
        for word in expected {
            assert!(error.contains(word), "{error} should contain {word}");
        }
    }
    let listener = ServerTlsSettings { certificates: vec![], client: ClientAuthentication::None, reload_interval: Duration::ZERO };
    assert!(matches!(ServerTls::load(listener, today()), Err(TlsError::NoCertificates)));
}
