//! Requests to the sign-in service: TLS, no redirects, bounded in time and size. It knows nothing of OAuth but the fields of an answer that the
//! rest needs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oauth2::http::header::{DATE, RETRY_AFTER};
use oauth2::http::{HeaderMap, StatusCode};
use oauth2::{HttpRequest, HttpResponse};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// One request with its answer. The service answers within a second; a person is waiting.
const REQUEST_TIME: Duration = Duration::from_secs(20);
/// A connection that is not there by then does not come.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Tokens have some kilobytes, the list of keys some dozen.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// The longest wait that the service may ask for; a larger number is a mistake of somebody's.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(60 * 60);

/// Why no request can be sent.
#[derive(Debug, thiserror::Error)]
pub enum WireSetupError {
    /// A file with trusted authorities cannot be used.
    #[error("cannot use the trusted authorities in {}: {reason}; it must hold -----BEGIN CERTIFICATE----- blocks", path.display())]
    Roots {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The library refuses.
    #[error("TLS to the sign-in service cannot be set up: {0}")]
    Tls(String),
}

/// Why there is no answer. The text never has the request's address in it: a query may hold a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct WireError(pub(super) String);

/// What an answer says about time, and its status.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) date: Option<SystemTime>,
    pub(super) retry_after: Option<Duration>,
}

/// The way to the service.
#[derive(Clone, Debug)]
pub(super) struct Wire(reqwest::Client);

impl Wire {
    /// Trusts the operating system's authorities and those in the files.
    pub(super) fn new(files: &[PathBuf]) -> Result<Self, WireSetupError> {
        let setup = |error: &dyn std::error::Error| WireSetupError::Tls(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(&error))?
            .with_root_certificates(trusted(files)?)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(REQUEST_TIME)
            .connect_timeout(CONNECT_TIME)
            .user_agent(concat!("signet/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| setup(&error))?;
        Ok(Self(client))
    }

    /// Sends one request and reads its whole answer.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, WireError> {
        let request = reqwest::Request::try_from(request).map_err(|error| broken(&error))?;
        let mut answer = self.0.execute(request).await.map_err(|error| broken(&error.without_url()))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| broken(&error.without_url()))? {
            if body.len() + part.len() > ANSWER_LIMIT {
                return Err(WireError(format!("its answer is larger than {ANSWER_LIMIT} octets")));
            }
            body.extend_from_slice(&part);
        }
        let mut response = HttpResponse::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

impl Seen {
    /// What `answer`, which came at `now`, says.
    pub(super) fn of(answer: &HttpResponse, now: SystemTime) -> Self {
        let date = text(answer.headers(), DATE.as_str()).and_then(http_date);
        let retry_after = text(answer.headers(), RETRY_AFTER.as_str()).and_then(|value| match value.trim().parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => http_date(value).map(|until| until.duration_since(date.unwrap_or(now)).unwrap_or_default()),
        });
        Self { status: answer.status(), date, retry_after: retry_after.map(|wait: Duration| wait.min(RETRY_AFTER_LIMIT)) }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A date of RFC 9110 section 5.6.7, which is one of RFC 5322.
fn http_date(value: &str) -> Option<SystemTime> {
    jiff::fmt::rfc2822::parse(value).ok().map(|zoned| zoned.timestamp().into())
}

/// The innermost reason, which is the one that helps.
fn broken(error: &dyn std::error::Error) -> WireError {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    WireError(inner.to_string())
}

fn trusted(files: &[PathBuf]) -> Result<rustls::RootCertStore, WireSetupError> {
    let mut store = rustls::RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for path in files {
        let fault = |reason: String| WireSetupError::Roots { path: path.clone(), reason };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?;
        let before = store.len();
        for certificate in certificates {
            store.add(certificate.map_err(|error| fault(error.to_string()))?).map_err(|error| fault(error.to_string()))?;
        }
        if store.len() == before {
            return Err(fault("it holds no certificate".to_owned()));
        }
    }
    if store.is_empty() {
        return Err(WireSetupError::Tls("no certification authority is trusted; install ca-certificates or name a PEM file".to_owned()));
    }
    Ok(store)
}
