//! A small sign-in service in this process, made from the documented shapes, and what the tests ask of it.

mod assertion;
mod directory;
mod redirects;
mod secrecy;
mod tls;

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, Response, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use super::*;

const TENANT: Uuid = uuid!("3b4a7a2c-6a35-4c0a-9d0e-2f3b8a1c5d7e");
const OTHER_TENANT: Uuid = uuid!("11111111-2222-3333-4444-555555555555");
const PERSON: Uuid = uuid!("aaaaaaaa-0000-0000-0000-000000000001");
const SYNCHRONISATION: Uuid = uuid!("0c0c0c0c-0000-0000-0000-000000000001");
const SETUP: Uuid = uuid!("0c0c0c0c-0000-0000-0000-000000000002");
const GLOBAL_ADMINISTRATOR: Uuid = uuid!("62e90394-69f5-4237-9190-012177145e10");
const SECRET_VALUE: &str = "Sup3r~secret.value";
const CORRELATION: &str = "c0ffee00-1111-2222-3333-444444444444";
/// The service's key and another one; making RSA keys is slow, so once for all tests.
static KEYS: LazyLock<[KeyPair; 2]> = LazyLock::new(|| [rsa(), rsa()]);

fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

/// 2026-11-24T18:00:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_543_200)
}

fn later(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// One answer of the service.
#[derive(Clone, Debug)]
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: vec![("content-type", "application/json; charset=utf-8".to_owned())], body: body.to_string() }
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// A token for an application, with or without roles.
    fn token(name: &str, roles: &[&str], lifetime: u64) -> Self {
        Self::json(
            200,
            &json!({"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": access_token(name, roles)}),
        )
    }

    fn refusal(status: u16, error: &str, number: u32) -> Self {
        let body = json!({
            "error": error,
            "error_description": format!("AADSTS{number}: Words. Trace ID: 1 Correlation ID: {CORRELATION} Timestamp: 2026-11-24 18:00:00Z"),
            "error_codes": [number],
            "timestamp": "2026-11-24 18:00:00Z",
            "trace_id": "deadbeef-0000-0000-0000-000000000000",
            "correlation_id": CORRELATION,
        });
        Self::json(status, &body)
    }
}

fn access_token(name: &str, roles: &[&str]) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.{}",
        part(json!({"alg": "RS256", "typ": "JWT", "nonce": "n"})),
        part(json!({"jti": name, "roles": roles})),
        "c2lnbmF0dXJl"
    )
}

#[derive(Clone, Debug)]
struct Asked {
    path: String,
    form: Vec<(String, String)>,
}

impl Asked {
    fn field(&self, name: &str) -> &str {
        self.form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

#[derive(Default)]
struct Script {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
    keys: Mutex<Value>,
    key_reads: AtomicU32,
    /// Time that an answer takes, so that callers can meet.
    pause: Mutex<Duration>,
}

struct Service {
    script: Arc<Script>,
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
    folder: PathBuf,
}

impl Service {
    async fn start() -> Self {
        let script = Arc::new(Script::default());
        *script.keys.lock().unwrap() = published(&[("one", &KEYS[0])]);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&script));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { script, address, server, folder: folder() }
    }

    fn reply(&self, reply: Reply) {
        self.script.replies.lock().unwrap().push_back(reply);
    }

    fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }

    fn settings(&self) -> Settings {
        let file = self.folder.join("secret");
        fs::write(&file, format!("{SECRET_VALUE}\n")).unwrap();
        settings(&format!("http://{}", self.address), &file)
    }

    fn credentials(&self) -> Credentials {
        Credentials::load(self.settings(), now()).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn settings(authority: &str, secret: &Path) -> Settings {
    let (_, resources) = Cloud::Global.endpoints().unwrap();
    let application = |client_id| Application { client_id, credential: Credential::Secret(secret.to_owned()) };
    Settings {
        authority: authority.parse().unwrap(),
        synchronisation: application(SYNCHRONISATION),
        setup: application(SETUP),
        redirect: "https://signet.example.com/connect/done".parse().unwrap(),
        resources,
        roots: vec![],
    }
}

fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = std::env::temp_dir().join(format!("signet-credentials-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&folder).unwrap();
    folder
}

async fn answer(State(script): State<Arc<Script>>, method: Method, uri: Uri, body: Bytes) -> Response<Body> {
    if uri.path().ends_with("/discovery/v2.0/keys") {
        script.key_reads.fetch_add(1, Ordering::Relaxed);
        let keys = script.keys.lock().unwrap().to_string();
        return Response::builder().header("content-type", "application/json").body(keys.into()).unwrap();
    }
    assert_eq!(method, Method::POST);
    let form = url::form_urlencoded::parse(&body).into_owned().collect();
    script.asked.lock().unwrap().push(Asked { path: uri.path().to_owned(), form });
    let pause = *script.pause.lock().unwrap();
    tokio::time::sleep(pause).await;
    let reply = script.replies.lock().unwrap().pop_front().expect("a reply is scripted for every request");
    let response = Response::builder().status(reply.status);
    let response = reply.headers.into_iter().fold(response, |response, (name, value)| response.header(name, value));
    response.body(reply.body.into()).unwrap()
}

fn published(keys: &[(&str, &KeyPair)]) -> Value {
    let jwk = |name: &str, key: &KeyPair| {
        let mut jwk = Jwk::from_encoding_key(&encoding(key), Algorithm::RS256).unwrap();
        jwk.common.key_id = Some(name.to_owned());
        // The service publishes no algorithm.
        jwk.common.key_algorithm = None;
        jwk
    };
    serde_json::to_value(JwkSet { keys: keys.iter().map(|(name, key)| jwk(name, key)).collect() }).unwrap()
}

fn encoding(key: &KeyPair) -> EncodingKey {
    EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap()
}

/// A certificate with its key in files, valid for some days around now.
fn certificate(folder: &Path, from: (i32, u8, u8), to: (i32, u8, u8)) -> Credential {
    let mut params = CertificateParams::new(vec!["signet.example.com".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
    params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
    let (chain, key) = (folder.join("app.pem"), folder.join("app.key"));
    fs::write(&chain, params.self_signed(&KEYS[1]).unwrap().pem()).unwrap();
    fs::write(&key, KEYS[1].serialize_pem()).unwrap();
    Credential::Certificate { certificate: chain, key }
}

fn error_of<T: std::fmt::Debug>(result: Result<T, CredentialError>) -> CredentialError {
    result.expect_err("the service refused")
}

fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
    Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }
}
