//! What stands before and behind every handler: who is there, whether they may, whether the request is theirs, and the fields of the
//! answer.
//!
//! RFC 6265 (cookies), RFC 7617 (Basic, for `/api/` only), the `Origin` and `Sec-Fetch-Site` fields (Fetch standard), CSP level 3. A
//! request that changes something is taken from our own pages only: it carries the token of its cookie and does not come from another
//! site. One with a password in it needs no token.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{RawPathParams, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Extensions, HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::Shared;
use super::failure::Failure;
use super::fields::Fields;
use super::gate::Verdict;
use super::server::{ANSWER_TIME, MAX_BODY, PATIENCE, Peer};
use super::sessions::Holder;
use super::show;
use super::table::{Access, Route};
use crate::config::Role;
use crate::control::credentials::BrowserBinding;

/// Where the token of a request to the API stands, and where its answers tell it.
pub(super) const TOKEN_FIELD: &str = "x-signet-token";

/// `connect-src` is for the script's questions to our own API, `frame-src` for the signature of a person.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    User { name: String, role: Role },
    Guest { tenant: String },
}

/// One request, as handlers see it.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) who: Option<Who>,
    /// The secret in the cookie, whether or not anybody has signed in with it.
    pub(super) secret: Option<String>,
    /// For forms on the answer.
    pub(super) token: String,
    /// Of the body, or of the query when there is no body.
    pub(super) fields: Fields,
    pub(super) peer: IpAddr,
}

impl Visit {
    /// Nobody, from there.
    fn of(peer: IpAddr) -> Self {
        Self { who: None, secret: None, token: String::new(), fields: Fields::default(), peer }
    }

    /// Whether somebody with that role is there.
    pub(super) fn is(&self, least: Role) -> bool {
        matches!(&self.who, Some(Who::User { role, .. }) if *role <= least)
    }

    /// Whether they may connect the tenant that they see.
    pub(super) fn connects(&self) -> bool {
        self.is(Role::Owner) || matches!(self.who, Some(Who::Guest { .. }))
    }

    /// The browser that is to come back from the service; a program with a password has none.
    pub(super) fn browser(&self) -> Result<BrowserBinding, Failure> {
        let secret = self.secret.as_ref().ok_or_else(|| {
            let detail = "Signing in to the service takes a browser that is signed in to the console; this request has no session.";
            Failure::new(StatusCode::CONFLICT, "browser", detail, "Do this in the console, or invite an administrator.")
        })?;
        Ok(BrowserBinding::of(secret.as_bytes()))
    }
}

/// Lets a request through to its handler, or not.
pub(super) async fn guard(
    State((shared, route)): State<(Arc<Shared>, &'static Route)>,
    parameters: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let tenant = parameters.iter().find(|(name, _)| *name == "tenant").map(|(_, value)| value.to_owned());
    let (visit, request) = match admit(&shared, route, tenant.as_deref(), request).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    // Taken when the body is there: a slow sender holds its connection only.
    let mut response = match shared.requests.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => unavailable("The console has too much to do.").into_response(),
    };
    if route.method == "POST" {
        record(route, &visit, tenant.as_deref(), &response);
    }
    if is_api(route.path)
        && let Ok(token) = HeaderValue::from_str(&visit.token)
    {
        response.headers_mut().insert(TOKEN_FIELD, token);
    }
    response.extensions_mut().insert(visit);
    response
}

async fn admit(shared: &Shared, route: &Route, tenant: Option<&str>, request: Request) -> Result<(Visit, Request), Box<Response>> {
    let (mut parts, body) = request.into_parts();
    let peer = peer(&parts.extensions);
    let mut visit = Visit::of(peer);
    let refuse = |failure: Failure, visit: &Visit| {
        let mut response = failure.into_response();
        response.extensions_mut().insert(visit.clone());
        Box::new(response)
    };
    by_cookie(shared, &parts.headers, &mut visit);
    let mut by_password = false;
    if visit.who.is_none() && is_api(route.path) {
        visit.secret = None;
        visit.who = by_basic(shared, &parts.headers, peer).await.map_err(|failure| challenge(refuse(failure, &visit), &parts.headers))?;
        by_password = visit.who.is_some();
    }
    match allowed(route, visit.who.as_ref(), tenant) {
        Allowed::Yes => {}
        Allowed::NotSignedIn if is_api(route.path) => {
            let failure =
                Failure::new(StatusCode::UNAUTHORIZED, "sign-in", "Nobody is signed in.", "Send the name and password of a console user.");
            return Err(challenge(refuse(failure, &visit), &parts.headers));
        }
        Allowed::NotSignedIn => {
            let wanted = parts.uri.path_and_query().map(|uri| uri.as_str());
            return Err(Box::new(to_sign_in(wanted, &parts.method)));
        }
        Allowed::No => {
            let next_step = "Ask somebody whose role allows it; roles are set in the configuration file.";
            let failure = Failure::new(StatusCode::FORBIDDEN, "forbidden", "Your role does not allow this.", next_step);
            return Err(refuse(failure, &visit));
        }
    }
    if route.method == "GET" {
        visit.fields = Fields::form(parts.uri.query().unwrap_or_default().as_bytes());
    } else {
        visit.fields = read(route, body).await.map_err(|failure| refuse(failure, &visit))?;
        genuine(shared, route, &parts.headers, &visit, by_password).map_err(|failure| refuse(failure, &visit))?;
    }
    parts.extensions.insert(visit.clone());
    Ok((visit, Request::from_parts(parts, axum::body::Body::empty())))
}

/// Unspecified when there is no socket.
fn peer(extensions: &Extensions) -> IpAddr {
    extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
}

fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}

fn by_cookie(shared: &Shared, headers: &HeaderMap, visit: &mut Visit) {
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let Some(secret) = shared.cookies.read(fields) else { return };
    visit.who = match shared.sessions.find(secret, Instant::now()) {
        Some(Holder::User(name)) => shared.gate.role(&name).map(|role| Who::User { name, role }),
        Some(Holder::Guest(tenant)) => Some(Who::Guest { tenant }),
        None => None,
    };
    visit.token = shared.tokens.token(secret);
    visit.secret = Some(secret.to_owned());
}

/// Nobody when there is no Authorization field.
async fn by_basic(shared: &Shared, headers: &HeaderMap, peer: IpAddr) -> Result<Option<Who>, Failure> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let decoded = || {
        let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
        let octets = STANDARD.decode(credentials.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let text = String::from_utf8(octets).ok()?;
        text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
    };
    let (name, password) = decoded().unwrap_or_default();
    match shared.gate.check(&name, &password, peer, Instant::now()).await {
        Verdict::Known => Ok(shared.gate.role(&name).map(|role| Who::User { name, role })),
        Verdict::Wrong => {
            tracing::warn!(event = "console.sign-in-failed", %peer, way = "basic", "a name and password were wrong");
            Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                "sign-in",
                "Name and password do not belong together.",
                "Check both, and try again.",
            ))
        }
        Verdict::TooMany => Err(too_many()),
    }
}

/// The answer to guessing.
pub(super) fn too_many() -> Failure {
    let detail = "There were too many wrong attempts.";
    Failure::new(StatusCode::TOO_MANY_REQUESTS, "too-many", detail, "Wait 15 minutes, then try again.")
}

fn unavailable(detail: &str) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail, "Try again in a minute.")
}

enum Allowed {
    Yes,
    NotSignedIn,
    No,
}

/// The one place where roles are compared.
fn allowed(route: &Route, who: Option<&Who>, tenant: Option<&str>) -> Allowed {
    match (route.access, who) {
        (Access::Public, _) => Allowed::Yes,
        (_, None) => Allowed::NotSignedIn,
        (Access::Role(least) | Access::Guest(least), Some(Who::User { role, .. })) if *role <= least => Allowed::Yes,
        (Access::Guest(_), Some(Who::Guest { tenant: own })) if tenant.is_none_or(|tenant| tenant == own) => Allowed::Yes,
        _ => Allowed::No,
    }
}

/// RFC 9110 section 11.6.1 wants a challenge. A browser gets one that it does not know, or it would ask for a password itself.
fn challenge(mut response: Box<Response>, headers: &HeaderMap) -> Box<Response> {
    let scheme = if headers.contains_key("sec-fetch-site") { "Session" } else { "Basic realm=\"signet\", charset=\"UTF-8\"" };
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    response
}

fn to_sign_in(wanted: Option<&str>, method: &Method) -> Response {
    let wanted = wanted.filter(|wanted| *method == Method::GET && *wanted != "/" && !wanted.starts_with("/connect/return"));
    let query = wanted.map(|wanted| form_urlencoded::Serializer::new("?".to_owned()).append_pair("to", wanted).finish());
    Redirect::to(&format!("/sign-in{}", query.unwrap_or_default())).into_response()
}

async fn read(route: &Route, body: axum::body::Body) -> Result<Fields, Failure> {
    let too_large = |_| {
        let detail = format!("The request is larger than {MAX_BODY} octets.");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail, "Send less.")
    };
    let late = |_| Failure::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request did not arrive in time.", "Send it again.");
    let octets = tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, MAX_BODY)).await.map_err(late)?.map_err(too_large)?;
    if is_api(route.path) {
        Fields::json(&octets).map_err(|detail| Failure::bad_request(detail, "Send a JSON object as docs/api.md describes."))
    } else {
        Ok(Fields::form(&octets))
    }
}

/// Whether a request that changes something comes from a page of ours.
fn genuine(shared: &Shared, route: &Route, headers: &HeaderMap, visit: &Visit, by_password: bool) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let same_site = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin.eq_ignore_ascii_case(&shared.url),
        (None, None) => true,
    };
    let token = if is_api(route.path) { text(TOKEN_FIELD).unwrap_or_default() } else { visit.fields.raw("token") };
    let ours = by_password || visit.secret.as_ref().is_some_and(|secret| shared.tokens.matches(secret, token));
    if same_site && ours {
        return Ok(());
    }
    let detail = "The request does not come from a page of this console, or the page is from before you signed in.";
    Err(Failure::new(StatusCode::FORBIDDEN, "forgery", detail, "Go back, load the page again and repeat what you did."))
}

/// Everything that somebody did, or tried to; no personal data but the name of the user.
fn record(route: &Route, visit: &Visit, tenant: Option<&str>, response: &Response) {
    let user = match &visit.who {
        Some(Who::User { name, .. }) => name,
        Some(Who::Guest { .. }) => "(invited)",
        None => return,
    };
    let action = route.path.rsplit('/').next().unwrap_or_default();
    let failure = response.extensions().get::<Failure>().map_or("", |failure| failure.trouble.kind.as_str());
    let status = response.status().as_u16();
    tracing::info!(
        event = "console.action",
        user,
        action,
        tenant = tenant.unwrap_or_default(),
        status,
        failure,
        "somebody used the console"
    );
}

/// Around everything: limits, failures as pages or JSON, and the fields that every answer has.
pub(super) async fn finish(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let api = is_api(request.uri().path());
    let (peer, headers) = (peer(request.extensions()), request.headers().clone());
    let answered = tokio::time::timeout(ANSWER_TIME, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| unavailable("The answer took too long.").into_response());
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        // An address that is none has no guard, which would have looked who is there.
        let visit = response.extensions_mut().remove::<Visit>().unwrap_or_else(|| {
            let mut visit = Visit::of(peer);
            by_cookie(&shared, &headers, &mut visit);
            visit
        });
        let body = if api { show::json(failure.status, &failure.trouble) } else { show::failure_page(&failure, &visit) };
        let fields = std::mem::take(response.headers_mut());
        response = body;
        response.headers_mut().extend(fields.into_iter().filter_map(|(name, value)| {
            name.filter(|name| !matches!(*name, header::CONTENT_LENGTH | header::CONTENT_TYPE)).map(|name| (name, value))
        }));
    }
    harden(response.headers_mut(), shared.cookies.https);
    response
}

fn harden(headers: &mut HeaderMap, https: bool) {
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    let fields: [(HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

pub(super) async fn no_such_page() -> Failure {
    Failure::not_found("There is no page at this address.")
}

pub(super) async fn no_such_method() -> Failure {
    let detail = "This address does not take requests of that kind.";
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail, "Look for the page from the start page.")
}
