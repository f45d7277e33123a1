//! Requests and answers as values: what the stand-in gets and gives, without sockets.

use std::borrow::Cow;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// One request.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query as on the request line.
    pub target: String,
    /// Names in any case.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from transfer coding.
    pub body: Vec<u8>,
}

impl Call {
    /// A request without headers and body.
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), ..Self::default() }
    }

    /// `GET target`.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// `POST target` with a form.
    pub fn form(target: &str, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut call = Self::new("POST", target).header("content-type", "application/x-www-form-urlencoded");
        call.body = body.into_bytes();
        call
    }

    /// `POST target` with JSON.
    pub fn json(target: &str, body: &Value) -> Self {
        let mut call = Self::new("POST", target).header("content-type", "application/json");
        call.body = body.to_string().into_bytes();
        call
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// The first header of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The path, not decoded.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The query, not decoded; empty when there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The path's segments, decoded, empty ones left out.
    pub fn segments(&self) -> Vec<String> {
        self.path().split('/').filter(|segment| !segment.is_empty()).map(decoded).collect()
    }

    /// The query's options, decoded.
    pub fn options(&self) -> Fields {
        Fields::parse(self.query().as_bytes())
    }

    /// The body as a form.
    pub fn form_fields(&self) -> Fields {
        Fields::parse(&self.body)
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Named values of a query or a form.
#[derive(Debug, Clone, Default)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// Reads `a=b&c=d`.
    pub fn parse(text: &[u8]) -> Self {
        let own = |text: Cow<'_, str>| text.into_owned();
        Self(form_urlencoded::parse(text).map(|(name, value)| (own(name), own(value))).collect())
    }

    /// The first value of that name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The first value of that name; empty when there is none.
    pub fn text(&self, name: &str) -> &str {
        self.value(name).unwrap_or_default()
    }
}

/// How an answer gets to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// As it is.
    #[default]
    Whole,
    /// Cut in the middle of the body: `content-length` promises more than is in `body`, then the connection breaks.
    Truncated,
    /// The connection breaks before the answer.
    Dropped,
}

/// One answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long to wait before it is sent.
    pub delay: Duration,
    /// How it is sent.
    pub delivery: Delivery,
}

impl Answer {
    /// An answer without headers and body.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        let mut answer = Self::status(status).header("content-type", "application/json; charset=utf-8");
        answer.body = body.to_string().into_bytes();
        answer
    }

    /// A page.
    pub fn html(status: u16, body: String) -> Self {
        let mut answer = Self::status(status).header("content-type", "text/html; charset=utf-8");
        answer.body = body.into_bytes();
        answer
    }

    /// Plain text.
    pub fn text(status: u16, body: &str) -> Self {
        let mut answer = Self::status(status).header("content-type", "text/plain");
        answer.body = body.as_bytes().to_vec();
        answer
    }

    /// Sends the browser elsewhere.
    pub fn redirect(to: &str) -> Self {
        Self::status(302).header("location", to)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first header of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Adds `name=value` pairs to a URL that may have a query.
pub(crate) fn with_query<'a>(url: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{query}")
}
