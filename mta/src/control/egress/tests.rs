//! The way out against servers on loopback.

use std::sync::atomic::Ordering;

use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::TlsAcceptor;

use super::super::stand_in::{Names, Server, Tokens, egress, get, plain, settings};
use super::*;

async fn sent(exit: &mut Exit, url: &str) -> Result<Response, HttpError> {
    exit.send(&get(url)).await
}

fn body(answer: Result<Response, HttpError>) -> String {
    String::from_utf8(answer.expect("an answer").body).expect("text")
}

fn denied(answer: Result<Response, HttpError>) -> String {
    match answer {
        Err(HttpError::Denied(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_allowed_request_arrives_as_it_was_and_its_answer_is_cleaned() {
    let server = Server::start("127.0.0.1:0", None, |request| {
        plain("201 Created", "X-Mixed-Case: a\r\nSet-Cookie: a=b\r\nWWW-Authenticate: Bearer\r\nRetry-After: 3\r\n", request)
    })
    .await;
    let mut exit = egress(settings(&[format!("POST {}", server.url("/v1.0/"))]), Names::default(), "").open("north");
    let request = Request {
        method: "POST".to_owned(),
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned()), ("ConsistencyLevel".to_owned(), "eventual".to_owned())],
        body: Some(b"{}".to_vec()),
        ..get(&server.url("/v1.0/users?$search=\"a:b\""))
    };
    let answer = exit.send(&request).await.expect("an answer");
    let fields: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((answer.status, fields), (201, vec!["x-mixed-case", "retry-after"]));
    let seen = String::from_utf8(answer.body).expect("text");
    assert!(seen.starts_with("POST /v1.0/users?$search=%22a:b%22 HTTP/1.1\r\n") && seen.ends_with("\r\n\r\n{}"), "{seen}");
    assert!(seen.contains("consistencylevel: eventual\r\n") && seen.contains("content-type: application/json\r\n"), "{seen}");
    assert!(seen.contains("accept-encoding: gzip\r\n") && seen.contains("user-agent: signet/") && !seen.contains("referer"), "{seen}");
}

#[tokio::test]
async fn fields_that_are_the_hosts_are_refused() {
    let server = Server::echo().await;
    let mut exit = egress(settings(&[format!("GET {}", server.url("/"))]), Names::default(), "").open("north");
    for name in
        ["Authorization", "COOKIE", "Host", "Connection", "Transfer-Encoding", "X-HTTP-Method-Override", "Proxy-Authorization", "TE"]
    {
        let headers = vec![(name.to_owned(), "x".to_owned())];
        let why = denied(exit.send(&Request { headers, ..get(&server.url("/")) }).await);
        assert!(why.ends_with("is the host's"), "{name}: {why}");
    }
    for (name, value) in [
        ("", "x"),
        ("a b", "x"),
        ("a:b", "x"),
        ("a\r\nb", "x"),
        ("x", "a\r\nAuthorization: b"),
        ("x", "a\0"),
        ("x", &"a".repeat(HEADER + 1)),
    ] {
        let headers = vec![(name.to_owned(), value.to_owned())];
        denied(exit.send(&Request { headers, ..get(&server.url("/")) }).await);
    }
    assert_eq!(server.count(), 0, "nothing was sent");
}

#[tokio::test]
async fn redirects_are_answers() {
    let server = Server::start("127.0.0.1:0", None, |_| plain("302 Found", "Location: http://127.0.0.1:1/\r\n", "")).await;
    let mut exit = egress(settings(&[format!("GET {}", server.url("/"))]), Names::default(), "").open("north");
    let answer = sent(&mut exit, &server.url("/")).await.expect("an answer");
    assert_eq!((answer.status, server.count()), (302, 1));
    assert!(answer.headers.contains(&("location".to_owned(), "http://127.0.0.1:1/".to_owned())));
}

#[tokio::test]
async fn an_address_that_is_not_public_is_refused_whether_it_is_written_or_resolved() {
    let server = Server::echo().await;
    let port = server.address.port();
    let rules = [
        format!("GET http://127.0.0.1:{port}/"),
        format!("GET https://inside.example:{port}/"),
        format!("GET https://169.254.169.254:{port}/"),
        format!("GET https://[::ffff:127.0.0.1]:{port}/").replace("127.0.0.1", "7f00:1"),
        format!("GET https://[64:ff9b::7f00:1]:{port}/"),
        format!("GET https://mapped.example:{port}/"),
    ];
    let strict = EgressSettings { private_networks: Vec::new(), ..settings(&rules) };
    let names = Names::default().with("inside.example", &[&["127.0.0.1", "10.0.0.1"]]).with("mapped.example", &[&["::ffff:127.0.0.1"]]);
    let mut exit = egress(strict, names, "").open("north");
    for (url, expected) in [
        (format!("http://127.0.0.1:{port}/"), "the address 127.0.0.1 is not public"),
        (format!("https://inside.example:{port}/"), "the address 127.0.0.1 of `inside.example` is not public"),
        (format!("https://169.254.169.254:{port}/"), "the address 169.254.169.254 is not public"),
        (format!("https://[::ffff:7f00:1]:{port}/"), "the address ::ffff:127.0.0.1 is not public"),
        (format!("https://[64:ff9b::7f00:1]:{port}/"), "the address 64:ff9b::7f00:1 is not public"),
        (format!("https://mapped.example:{port}/"), "the address ::ffff:127.0.0.1 of `mapped.example` is not public"),
    ] {
        assert_eq!(denied(sent(&mut exit, &url).await), expected);
    }
    assert_eq!(server.count(), 0, "nothing was connected to");
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_connected_to() {
    let wrong = Server::start("127.0.0.1:0", None, |_| plain("200 OK", "", "wrong")).await;
    let port = wrong.address.port();
    let right = Server::start(&format!("127.0.0.2:{port}"), None, |_| plain("200 OK", "", "right")).await;
    let rule = format!("GET http://rebind.example:{port}/");
    let only = EgressSettings { private_networks: vec!["127.0.0.2/32".parse().expect("a network")], ..settings(&[rule]) };
    let names = Arc::new(Names::default().with("rebind.example", &[&["127.0.0.1", "127.0.0.2"], &["127.0.0.1"]]));
    let egress = Arc::new(Egress::new(only, Arc::clone(&names) as Arc<dyn Resolve>, Tokens::of("")).expect("it starts"));
    let mut exit = egress.open("north");
    let url = format!("http://rebind.example:{port}/");
    assert_eq!(body(sent(&mut exit, &url).await), "right");
    assert_eq!(names.asked("rebind.example"), 1, "there is no second look-up that could answer otherwise");
    assert_eq!(
        denied(sent(&mut exit, &url).await),
        "the address 127.0.0.1 of `rebind.example` is not this machine's own, which a request without TLS needs"
    );
    assert_eq!((wrong.count(), right.count()), (0, 1));
}

#[tokio::test]
async fn without_tls_only_this_machine_is_reached() {
    let settings = EgressSettings {
        private_networks: vec!["10.0.0.0/8".parse().expect("a network")],
        ..settings(&["GET http://far.example:81/".to_owned(), "GET http://near.example:81/".to_owned()])
    };
    let names = Names::default().with("far.example", &[&["10.0.0.1"]]).with("near.example", &[&["1.1.1.1"]]);
    let mut exit = egress(settings, names, "").open("north");
    for url in ["http://far.example:81/", "http://near.example:81/"] {
        assert!(denied(sent(&mut exit, url).await).contains("which a request without TLS needs"), "{url}");
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate() {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["graph.example".to_owned()]).expect("names").self_signed(&key).expect("a certificate");
    let folder = std::env::temp_dir().join(format!("signet-egress-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let roots = folder.join("roots.pem");
    std::fs::write(&roots, certificate.pem()).expect("written");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let private = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private).expect("they fit");
    let tls = TlsAcceptor::from(Arc::new(config));
    let server = Server::start("127.0.0.1:0", Some(tls), |request| plain("200 OK", "", request)).await;
    let port = server.address.port();
    let rules = [format!("GET https://graph.example:{port}/"), format!("GET https://other.example:{port}/")];
    let names = || Names::default().with("graph.example", &[&["127.0.0.1"]]).with("other.example", &[&["127.0.0.1"]]);
    let trusted = EgressSettings { roots: Roots::File(roots), ..settings(&rules) };
    let mut exit = egress(trusted, names(), "").open("north");
    assert!(body(sent(&mut exit, &format!("https://graph.example:{port}/a")).await).starts_with("GET /a HTTP/1.1\r\n"));
    let wrong_name = sent(&mut exit, &format!("https://other.example:{port}/")).await;
    assert!(matches!(&wrong_name, Err(HttpError::Unreachable(why)) if why.contains("ertificate")), "{wrong_name:?}");
    if let Ok(native) = Egress::new(settings(&rules), Arc::new(names()), Tokens::of("")) {
        let stranger = sent(&mut Arc::new(native).open("north"), &format!("https://graph.example:{port}/")).await;
        assert!(matches!(stranger, Err(HttpError::Unreachable(_))), "{stranger:?}");
    }
    std::fs::remove_dir_all(folder).expect("removed");
}

#[tokio::test]
async fn time_size_and_count_are_bounded() {
    let server = Server::start("127.0.0.1:0", None, |request| match request.split(' ').nth(1) {
        Some("/large") => plain("200 OK", "", &"x".repeat(2001)),
        Some("/endless") => [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 1 << 20]].concat(),
        Some("/half") => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec(),
        Some("/nonsense") => b"hello\r\n\r\n".to_vec(),
        Some("/fits") => plain("200 OK", "", &"x".repeat(2000)),
        _ => plain("200 OK", "", request),
    })
    .await;
    let silent = TcpSilence::start().await;
    let rules = [format!("GET,POST {}", server.url("/")), format!("GET http://{}/", silent.0)];
    let tight = EgressSettings { request_time: Duration::from_millis(300), received: 2000, sent: 100, requests: 8, ..settings(&rules) };
    let mut exit = egress(tight, Names::default(), "").open("north");
    assert_eq!(body(sent(&mut exit, &server.url("/fits")).await).len(), 2000);
    for path in ["/large", "/endless"] {
        assert_eq!(sent(&mut exit, &server.url(path)).await, Err(HttpError::TooLarge(2000)), "{path}");
    }
    for path in ["/half", "/nonsense"] {
        let broken = sent(&mut exit, &server.url(path)).await;
        assert!(matches!(broken, Err(HttpError::Unreachable(_))), "{path}: {broken:?}");
    }
    assert_eq!(sent(&mut exit, &format!("http://{}/", silent.0)).await, Err(HttpError::TimedOut));
    let post = |size: usize| Request { method: "POST".to_owned(), body: Some(vec![0; size]), ..get(&server.url("/")) };
    assert_eq!(denied(exit.send(&post(101)).await), "a body of 101 octets; at most 100 are sent");
    assert!(exit.send(&post(100)).await.is_ok());
    assert_eq!(sent(&mut exit, &server.url("/")).await, Err(HttpError::Exhausted(8)), "refused ones count too");
}

/// Accepts and says nothing.
struct TcpSilence(SocketAddr, tokio::task::JoinHandle<()>);

impl TcpSilence {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        Self(address, task)
    }
}

impl Drop for TcpSilence {
    fn drop(&mut self) {
        self.1.abort();
    }
}

#[tokio::test]
async fn a_compressed_answer_is_bounded_by_what_it_becomes() {
    // One mebibyte of zeros, and ten octets, both by gzip.
    let bomb = gzip(&vec![0; 1 << 20]);
    assert!(bomb.len() < 2000, "it is small on the wire");
    let small = gzip(b"0123456789");
    let server = Server::start("127.0.0.1:0", None, move |request| {
        let (coding, content) = match request.split(' ').nth(1) {
            Some("/bomb") => ("gzip", &bomb),
            Some("/small") => ("gzip", &small),
            _ => ("br", &small),
        };
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
        [head.into_bytes(), content.clone()].concat()
    })
    .await;
    let small = EgressSettings { received: 100 << 10, ..settings(&[format!("GET {}", server.url("/"))]) };
    let mut exit = egress(small, Names::default(), "").open("north");
    assert_eq!(body(sent(&mut exit, &server.url("/small")).await), "0123456789");
    assert_eq!(sent(&mut exit, &server.url("/bomb")).await, Err(HttpError::TooLarge(100 << 10)));
    assert!(matches!(sent(&mut exit, &server.url("/other")).await, Err(HttpError::Other(_))));
}

/// RFC 1952.
fn gzip(octets: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(octets).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn a_credential_is_added_and_its_echo_is_masked() {
    let server = Server::start("127.0.0.1:0", None, |request| {
        let token = request.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("none").to_owned();
        plain("200 OK", &format!("X-Echo: {token}\r\n"), &format!("{token} and {token}"))
    })
    .await;
    let rules = [format!("GET {}", server.url("/"))];
    let mut exit = egress(settings(&rules), Names::default(), &server.url("")).open("north");
    let with = |handle: &str| Request { credential: Some(handle.to_owned()), ..get(&server.url("/")) };
    let answer = exit.send(&with("directory")).await.expect("an answer");
    assert!(answer.headers.contains(&("x-echo".to_owned(), "Bearer [credential]".to_owned())), "{:?}", answer.headers);
    assert_eq!(body(Ok(answer)), "Bearer [credential] and Bearer [credential]");
    assert_eq!(body(sent(&mut exit, &server.url("/")).await), "none and none", "without a handle there is no credential");
    let error = exit.send(&with("exchange")).await;
    assert_eq!(error, Err(HttpError::NoCredential("nobody has signed in for `exchange`".to_owned())));
}

#[tokio::test]
async fn a_credential_goes_to_its_own_service_only() {
    let (own, other) = (Server::echo().await, Server::echo().await);
    let rules = [format!("GET {}", own.url("/")), format!("GET {}", other.url("/"))];
    let mut exit = egress(settings(&rules), Names::default(), &own.url("")).open("north");
    let why = denied(exit.send(&Request { credential: Some("directory".to_owned()), ..get(&other.url("/")) }).await);
    assert_eq!(why, format!("the credential `directory` is for {}, not for {}", own.url(""), other.url("")));
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn a_refused_credential_is_reported_and_the_request_repeated_once() {
    for (challenge, requests, status) in [
        ("Bearer error=\"insufficient_claims\", claims=\"e30=\"", 2, 200),
        ("Bearer error=\"invalid_token\"", 2, 200),
        ("Bearer realm=\"x\"", 1, 401),
    ] {
        let server = Server::start("127.0.0.1:0", None, move |request| {
            if request.contains("directory-0") {
                plain("401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"), "")
            } else {
                plain("200 OK", "", "")
            }
        })
        .await;
        let tokens = Tokens::of(&server.url(""));
        let settings = settings(&[format!("GET {}", server.url("/"))]);
        let egress =
            Egress::new(settings, Arc::new(Names::default()), Arc::clone(&tokens) as Arc<dyn CredentialSource>).expect("it starts");
        let request = Request { credential: Some("directory".to_owned()), ..get(&server.url("/")) };
        let answer = Arc::new(egress).open("north").send(&request).await.expect("an answer");
        assert_eq!((answer.status, server.count()), (status, requests), "{challenge}");
        assert_eq!(tokens.rejected.load(Ordering::SeqCst), 1);
        assert_eq!(*tokens.challenge.lock().expect("nobody panics"), challenge);
        assert!(answer.headers.iter().all(|(name, _)| name != "www-authenticate"));
    }
}

#[tokio::test]
async fn errors_do_not_repeat_the_url() {
    let mut exit = egress(settings(&["GET http://127.0.0.1:1/".to_owned()]), Names::default(), "").open("north");
    let error = sent(&mut exit, "http://127.0.0.1:1/?$deltatoken=secret-token").await.expect_err("nobody is there");
    assert!(matches!(&error, HttpError::Unreachable(why) if !why.contains("secret") && why.contains("refused")), "{error:?}");
}
