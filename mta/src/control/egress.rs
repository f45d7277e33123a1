//! The way out of a control plugin: one HTTP client that sends what the operator's list allows, and nothing else.
//!
//! RFC 9110 and RFC 9112 through reqwest: no redirect is followed, no proxy is taken from the environment, no cookie is kept, nothing is
//! repeated by itself. Names are resolved here, and the address that was checked is the one that is connected to, so an answer that changes between two
//! look-ups gains nothing. Credentials are added by handle; a token that comes back in an answer is masked, as long as it comes back as it was:
//! a service on the list that encodes it first could pass it on, and is trusted with the token anyway.

mod address;
mod credential;
mod rule;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolving};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, Method, StatusCode, redirect, retry};
use url::Url;

pub use credential::{Awaited, Bearer, CredentialSource};
pub use rule::{METHODS, Rule, RuleError};

use super::words::{HttpError, Request, Response};
use crate::smtp::client::Resolve;
use crate::tls::{ClientTls, ClientTlsSettings, Roots, TlsError};

/// Longest value of a header field in either direction, in octets; servers refuse longer ones.
const HEADER: usize = 8 << 10;
/// Most header fields of an answer; services send twenty.
const HEADERS: usize = 100;
/// Longest text about an error of the network.
const CAUSE: usize = 300;

/// Request fields that are the host's: they frame the message, name its target or its sender, or would carry another method or a credential past
/// the list (RFC 9110 sections 7.2, 7.6 and 11.6).
const RESERVED: &[&str] = &[
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "max-forwards",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Answer fields that a plugin does not get: credentials, hop-by-hop fields, and lengths of what was decoded.
const WITHHELD: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "set-cookie",
    "set-cookie2",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// What may be sent, and its limits. Every field is a setting.
#[derive(Clone, Debug)]
pub struct EgressSettings {
    /// The list. An empty one denies all.
    pub rules: Vec<Rule>,
    /// Networks that are not public and may be connected to all the same.
    pub private_networks: Vec<IpNet>,
    /// Who may vouch for a server.
    pub roots: Roots,
    /// Time for name, connection and TLS.
    pub connect_time: Duration,
    /// Time for one request, from the first look-up to the last octet.
    pub request_time: Duration,
    /// Time in which one call may begin requests.
    pub call_time: Duration,
    /// Requests of one call.
    pub requests: u32,
    /// Octets of a request's body.
    pub sent: usize,
    /// Octets of an answer's body, decoded.
    pub received: usize,
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            private_networks: Vec::new(),
            roots: Roots::Native,
            connect_time: Duration::from_secs(10),
            // A page of 999 people takes seconds; a cmdlet up to half a minute.
            request_time: Duration::from_secs(60),
            call_time: Duration::from_secs(300),
            // A plan reads some twenty objects; a page of the directory may need a request for each of a few dozen managers.
            requests: 200,
            sent: 1 << 20,
            received: 8 << 20,
        }
    }
}

/// Why there is no way out.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The trusted authorities cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client cannot be made.
    #[error("the HTTP client does not start: {0}")]
    Client(String),
}

/// The way out, shared by all tenants.
pub struct Egress {
    settings: EgressSettings,
    secure: Client,
    plain: Client,
    credentials: Arc<dyn CredentialSource>,
}

impl Egress {
    /// Reads the trusted authorities. `names` finds addresses; what it finds is checked at every connection.
    pub fn new(settings: EgressSettings, names: Arc<dyn Resolve>, credentials: Arc<dyn CredentialSource>) -> Result<Self, EgressError> {
        let tls = ClientTls::load(&ClientTlsSettings { certificate: None, roots: settings.roots.clone() }, SystemTime::now())?;
        let client = |loopback_only: bool| {
            let networks = settings.private_networks.clone();
            let client = Client::builder()
                .tls_backend_preconfigured((*tls.config).clone())
                .https_only(!loopback_only)
                .dns_resolver(CheckedNames { names: Arc::clone(&names), networks: networks.into(), loopback_only })
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .no_proxy()
                .referer(false)
                .http1_only()
                .http1_max_headers(HEADERS)
                .connect_timeout(settings.connect_time)
                .timeout(settings.request_time)
                .user_agent(concat!("signet/", env!("CARGO_PKG_VERSION")));
            client.build().map_err(|error| EgressError::Client(cause(&error)))
        };
        Ok(Self { secure: client(false)?, plain: client(true)?, settings, credentials })
    }

    /// The way out for one call about one tenant.
    pub fn open(self: &Arc<Self>, tenant: &str) -> Exit {
        Exit { egress: Arc::clone(self), tenant: tenant.to_owned(), sent: 0, since: Instant::now() }
    }

    /// The URL, when method, URL and, for an address, its network are allowed.
    fn permitted(&self, request: &Request) -> Result<Url, HttpError> {
        let url = rule::permitted(&self.settings.rules, &request.method, &request.url).map_err(HttpError::Denied)?;
        // A client does not look an address up, so the check of names does not see it.
        if let Some(literal) = rule::literal(&url)
            && !address::allowed(literal, &self.settings.private_networks)
        {
            return Err(HttpError::Denied(format!("the address {literal} is not public")));
        }
        Ok(url)
    }
}

/// The way out of one call: what it has used is counted here.
pub struct Exit {
    egress: Arc<Egress>,
    tenant: String,
    sent: u32,
    since: Instant,
}

impl Exit {
    /// Sends one request and waits for its answer. When the service refuses the credential and says that another one will do
    /// (RFC 6750 section 3.1, and `insufficient_claims` of continuous access evaluation), it is sent once more.
    pub async fn send(&mut self, request: &Request) -> Result<Response, HttpError> {
        self.count()?;
        let url = self.egress.permitted(request)?;
        let size = request.body.as_ref().map_or(0, Vec::len);
        if size > self.egress.settings.sent {
            return Err(HttpError::Denied(format!("a body of {size} octets; at most {} are sent", self.egress.settings.sent)));
        }
        let headers = fields(&request.headers)?;
        let Some(handle) = &request.credential else {
            return self.exchange(request, &url, headers, None).await.map(|(response, _)| response);
        };
        let bearer = self.credential(handle, &url).await?;
        let (response, challenge) = self.exchange(request, &url, headers.clone(), Some(&bearer)).await?;
        if response.status != StatusCode::UNAUTHORIZED.as_u16() {
            return Ok(response);
        }
        let challenge = challenge.unwrap_or_default();
        self.egress.credentials.rejected(&self.tenant, handle, &bearer, &challenge).await;
        if !["insufficient_claims", "invalid_token"].iter().any(|error| challenge.contains(error)) {
            return Ok(response);
        }
        self.count()?;
        let next = self.credential(handle, &url).await?;
        if next.is_same(&bearer) {
            return Ok(response);
        }
        self.exchange(request, &url, headers, Some(&next)).await.map(|(response, _)| response)
    }

    fn count(&mut self) -> Result<(), HttpError> {
        let settings = &self.egress.settings;
        if self.sent >= settings.requests {
            return Err(HttpError::Exhausted(settings.requests));
        }
        if self.since.elapsed() >= settings.call_time {
            return Err(HttpError::Other(format!("a call may begin requests for {} s", settings.call_time.as_secs())));
        }
        self.sent += 1;
        Ok(())
    }

    async fn credential(&self, handle: &str, url: &Url) -> Result<Bearer, HttpError> {
        let asked = self.egress.credentials.bearer(&self.tenant, handle);
        let bearer = tokio::time::timeout(self.egress.settings.request_time, asked).await.map_err(|_| HttpError::TimedOut)?;
        let bearer = bearer.map_err(HttpError::NoCredential)?;
        let origin = url.origin().ascii_serialization();
        if bearer.origin() != origin {
            return Err(HttpError::Denied(format!("the credential `{handle}` is for {}, not for {origin}", bearer.origin())));
        }
        Ok(bearer)
    }

    /// One request over the network, and the challenge that came with its answer.
    async fn exchange(
        &self,
        request: &Request,
        url: &Url,
        mut headers: HeaderMap,
        bearer: Option<&Bearer>,
    ) -> Result<(Response, Option<String>), HttpError> {
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| HttpError::Denied("the method".to_owned()))?;
        if let Some(bearer) = bearer {
            let value = HeaderValue::from_str(&bearer.authorization());
            let mut value = value.map_err(|_| HttpError::NoCredential("the token has characters that cannot be sent".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = if url.scheme() == "https" { &self.egress.secure } else { &self.egress.plain };
        let mut outgoing = client.request(method, url.clone()).headers(headers);
        if let Some(body) = &request.body {
            outgoing = outgoing.body(body.clone());
        }
        let mut incoming = outgoing.send().await.map_err(|error| failure(&error))?;
        let challenge = incoming.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let most = self.egress.settings.received;
        let too_large = || HttpError::TooLarge(u64::try_from(most).unwrap_or(u64::MAX));
        if incoming.headers().contains_key("content-encoding") {
            // What the client decodes, it takes this field from.
            return Err(HttpError::Other("the answer is in a content coding that was not asked for".to_owned()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = incoming.chunk().await.map_err(|error| failure(&error))? {
            if body.len() + chunk.len() > most {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        let body = match bearer {
            Some(bearer) => bearer.mask(body),
            None => body,
        };
        let response = Response { status: incoming.status().as_u16(), headers: cleaned(incoming.headers(), bearer), body };
        Ok((response, challenge))
    }
}

/// Request fields as they will be sent.
fn fields(given: &[(String, String)]) -> Result<HeaderMap, HttpError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let denied = |why: &str| {
            let name: String = name.chars().take(100).map(|c| if c.is_control() { ' ' } else { c }).collect();
            HttpError::Denied(format!("the header field `{name}` {why}"))
        };
        let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| denied("has no valid name"))?;
        if RESERVED.contains(&field.as_str()) {
            return Err(denied("is the host's"));
        }
        if value.len() > HEADER {
            return Err(denied("is too long"));
        }
        headers.append(field, HeaderValue::from_str(value).map_err(|_| denied("has no valid value"))?);
    }
    Ok(headers)
}

/// Answer fields as a plugin gets them: text, not too long, without what is the host's.
fn cleaned(given: &HeaderMap, bearer: Option<&Bearer>) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| {
        let value = value.to_str().ok().filter(|value| value.len() <= HEADER)?;
        let masked = bearer.map_or_else(|| value.as_bytes().to_vec(), |bearer| bearer.mask(value.as_bytes().to_vec()));
        String::from_utf8(masked).ok()
    };
    let kept = given.iter().filter(|(name, _)| !WITHHELD.contains(&name.as_str()));
    kept.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).take(HEADERS).collect()
}

/// The resolver of a client: only addresses that may be connected to come out of it.
struct CheckedNames {
    names: Arc<dyn Resolve>,
    networks: Arc<[IpNet]>,
    /// Without TLS, only this machine.
    loopback_only: bool,
}

/// A name whose addresses are all refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

impl reqwest::dns::Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, networks, loopback_only) = (Arc::clone(&self.names), Arc::clone(&self.networks), self.loopback_only);
        Box::pin(async move {
            let host = name.as_str();
            let found = names.addresses(host).await?;
            let fits = |address: &std::net::IpAddr| address::allowed(*address, &networks) && (!loopback_only || address.is_loopback());
            let allowed: Vec<SocketAddr> = found.iter().copied().filter(fits).map(|address| SocketAddr::new(address, 0)).collect();
            if let (Some(first), true) = (found.first(), allowed.is_empty()) {
                let why = if loopback_only { "not this machine's own, which a request without TLS needs" } else { "not public" };
                return Err(Refused(format!("the address {first} of `{host}` is {why}")).into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

/// What went wrong on the network, in the plugin's terms.
fn failure(error: &reqwest::Error) -> HttpError {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = source {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return HttpError::Denied(refused.to_string());
        }
        source = inner.source();
    }
    if error.is_timeout() { HttpError::TimedOut } else { HttpError::Unreachable(cause(error)) }
}

/// The chain of causes without the URL, whose query may hold what is not for a log.
fn cause(error: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        source = inner.source();
    }
    let mut text = if texts.is_empty() { "the request could not be made".to_owned() } else { texts.join(": ") };
    text.truncate(text.floor_char_boundary(CAUSE));
    text
}

#[cfg(test)]
mod tests;
