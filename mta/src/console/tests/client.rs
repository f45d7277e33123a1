//! A browser, and a program with a password, as far as the console sees them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tower::ServiceExt as _;
use url::form_urlencoded;

use super::fake::Fake;
use crate::config;
use crate::config::{Role, User};
use crate::console::{Console, Foundation};
use crate::smtp::auth::StoredKeys;

pub(super) const USERS: [(&str, Role); 4] =
    [("olga", Role::Owner), ("anton", Role::Administrator), ("edda", Role::Editor), ("auke", Role::Auditor)];
pub(super) const PASSWORD: &str = "correct horse";

pub(super) fn users() -> Vec<User> {
    let keys = StoredKeys::derive(PASSWORD, b"0123456789", 4096).unwrap();
    USERS.iter().map(|(name, role)| User { name: (*name).to_owned(), keys: keys.clone(), role: *role }).collect()
}

/// A console at that address for browsers, on a plane that is not connected.
pub(super) fn console_at(url: &str) -> (Console, Arc<Fake>) {
    let fake = Arc::new(Fake::default());
    let settings = config::Console {
        address: "127.0.0.1:9726".parse().unwrap(),
        url: url.to_owned(),
        tls: None,
        idle: std::time::Duration::from_secs(1800),
        lifetime: std::time::Duration::from_secs(43_200),
        users: users(),
    };
    let foundation = Foundation { settings, plane: fake.clone(), directory: fake.clone() };
    (Console::new(foundation).unwrap(), fake)
}

pub(super) fn console() -> (Router, Arc<Fake>) {
    let (console, fake) = console_at("https://signet.example");
    (console.router(), fake)
}

/// An answer.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Page {
    pub(super) fn location(&self) -> &str {
        self.header("location")
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The token of the first form.
    pub(super) fn token(&self) -> Option<&str> {
        let rest = self.body.split_once("name=\"token\" value=\"")?.1;
        rest.split('"').next()
    }
}

pub(super) async fn send(router: &Router, request: Request<Body>) -> Page {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let octets = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Page { status: parts.status, headers: parts.headers, body: String::from_utf8(octets.to_vec()).unwrap() }
}

/// Keeps its cookie and the token of the last form that it saw.
#[derive(Clone)]
pub(super) struct Browser {
    router: Router,
    pub(super) cookie: Option<String>,
    pub(super) token: String,
}

impl Browser {
    pub(super) fn new(router: &Router) -> Self {
        Self { router: router.clone(), cookie: None, token: String::new() }
    }

    /// Signed in as that user.
    pub(super) async fn signed_in(router: &Router, name: &str) -> Self {
        let mut browser = Self::new(router);
        browser.get("/sign-in").await;
        let page = browser.post("/sign-in", &[("name", name), ("password", PASSWORD)]).await;
        assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, "/"), "{}", page.body);
        browser.get("/").await;
        browser
    }

    pub(super) async fn get(&mut self, path: &str) -> Page {
        let request = self.request("GET", path).body(Body::empty()).unwrap();
        self.take(request).await
    }

    /// A form of ours, with its token.
    pub(super) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = self.token.clone();
        self.post_with(path, fields, &token, &[("sec-fetch-site", "same-origin"), ("origin", "null")]).await
    }

    pub(super) async fn post_with(&mut self, path: &str, fields: &[(&str, &str)], token: &str, headers: &[(&str, &str)]) -> Page {
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("token", token).extend_pairs(fields).finish();
        let mut request = self.request("POST", path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.take(request.body(Body::from(body)).unwrap()).await
    }

    /// The API with the cookie and the token.
    pub(super) async fn api(&mut self, method: &str, path: &str, body: &str) -> Page {
        let token = self.token.clone();
        let request = self.request(method, path).header("x-signet-token", token).header("sec-fetch-site", "same-origin");
        self.take(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path);
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }

    async fn take(&mut self, request: Request<Body>) -> Page {
        let page = send(&self.router, request).await;
        if let Some(cookie) = page.headers.get(header::SET_COOKIE) {
            self.cookie = cookie.to_str().unwrap().split(';').next().map(str::to_owned);
        }
        if let Some(token) = page.token().map(str::to_owned) {
            self.token = token;
        }
        page
    }
}

/// A program with a name and a password.
pub(super) async fn basic(router: &Router, user: (&str, &str), method: &str, path: &str, body: &str) -> Page {
    let credentials = STANDARD.encode(format!("{}:{}", user.0, user.1));
    let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Basic {credentials}"));
    send(router, request.body(Body::from(body.to_owned())).unwrap()).await
}
