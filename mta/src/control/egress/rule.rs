//! The allow-list: which requests a control plugin may send. Pure.
//!
//! A URL is compared in the one form in which it will be sent. Anything that a parser would have to repair first is refused instead
//! (RFC 3986 section 6.2.2; RFC 9110 section 4.2.4 for user information), because two programs that repair differently are how lists are passed by.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

/// The methods that a plugin may use at all (`wit/control`).
pub const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "PUT", "DELETE"];
/// Longest URL: those of delta links are about 2 KiB.
const URL: usize = 16 << 10;
/// A request that carries other requests (OData 4.01 section 11.7). What is inside is on no list, so a prefix must name it to allow it.
const BATCH: &str = "$batch";
/// What a rule looks like, for errors.
const EXAMPLE: &str = "GET,POST https://graph.microsoft.com/v1.0/";

/// One line of the allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `https`, or `http` for this machine.
    pub scheme: String,
    /// In lower case: a name in A-labels, or an address; one of IPv6 in brackets.
    pub host: String,
    /// The port, also when it is the scheme's own.
    pub port: u16,
    /// Some of [`METHODS`].
    pub methods: Vec<String>,
    /// A path is allowed when it is one of these or begins with one and continues after a `/`.
    pub path_prefixes: Vec<String>,
}

/// Why a line is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a rule: {reason}; for example `{EXAMPLE}`")]
pub struct RuleError {
    text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://{}:{}{}", self.methods.join(","), self.scheme, self.host, self.port, self.path_prefixes.join(" "))
    }
}

impl Rule {
    /// Methods, a space, and a URL whose path is a prefix: `GET,POST https://graph.microsoft.com/v1.0/`. More prefixes of the same host may
    /// follow, each after a space.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        Self::read(text).map_err(|reason| RuleError { text: text.to_owned(), reason })
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let methods = words.next().ok_or("it is empty")?;
        let base = words.next().ok_or("a URL is missing after the methods")?;
        let methods: Vec<String> = methods.split(',').map(str::to_owned).collect();
        if let Some(method) = methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(format!("`{method}` is not a method; there are {}", METHODS.join(", ")));
        }
        let url = strict(base)?;
        if url.query().is_some() {
            return Err("a rule is about paths and has no query".to_owned());
        }
        let Some(port) = url.port_or_known_default() else { return Err("the port is missing".to_owned()) };
        let mut path_prefixes = vec![url.path().to_owned()];
        for more in words {
            if !more.starts_with('/') {
                return Err(format!("`{more}` is not a path; it must begin with `/`"));
            }
            let joined = strict(&format!("{}{more}", url.origin().ascii_serialization()))?;
            if joined.query().is_some() {
                return Err("a rule is about paths and has no query".to_owned());
            }
            path_prefixes.push(joined.path().to_owned());
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        if url.scheme() == "http" && !may_be_loopback(&url) {
            return Err("without TLS only this machine can be reached; write `https`".to_owned());
        }
        Ok(Self { scheme: url.scheme().to_owned(), host, port, methods, path_prefixes })
    }

    fn allows_path(&self, path: &str) -> bool {
        let batch = path.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(BATCH));
        self.path_prefixes.iter().any(|prefix| {
            let rest = path.strip_prefix(prefix.as_str());
            let below = rest.is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'));
            below && (!batch || rest.is_some_and(str::is_empty))
        })
    }
}

/// A name may turn out to be this machine; that is checked when its address is known. An address shows it now.
fn may_be_loopback(url: &Url) -> bool {
    match literal(url) {
        Some(address) => address.is_loopback(),
        None => true,
    }
}

/// The address when the host is one.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// A part of a request: what it is called, what it is, and whether a rule allows it.
type Part<'a> = (&'static str, String, Box<dyn Fn(&Rule) -> bool + 'a>);

/// The URL when the list allows the request; else which part is not on it.
pub(super) fn permitted(rules: &[Rule], method: &str, url: &str) -> Result<Url, String> {
    if !METHODS.contains(&method) {
        return Err(format!("the method `{}` is none of {}", shown(method), METHODS.join(", ")));
    }
    let url = strict(url)?;
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    // Narrowed part by part, so that the refusal can name the first part that nothing allows.
    let mut fitting: Vec<&Rule> = rules.iter().collect();
    let parts: [Part<'_>; 5] = [
        ("host", host.to_owned(), Box::new(|rule| rule.host == host)),
        ("scheme", url.scheme().to_owned(), Box::new(|rule| rule.scheme == url.scheme())),
        ("port", port.to_string(), Box::new(|rule| rule.port == port)),
        ("path", url.path().to_owned(), Box::new(|rule| rule.allows_path(url.path()))),
        ("method", format!("{method} on {}", url.path()), Box::new(|rule| rule.methods.iter().any(|allowed| allowed == method))),
    ];
    for (part, value, allows) in parts {
        fitting.retain(|rule| allows(rule));
        if fitting.is_empty() {
            return Err(format!("the {part} `{value}` is not on the list of allowed requests"));
        }
    }
    Ok(url)
}

/// A URL in the form in which it will be sent, or why it is not in that form.
fn strict(text: &str) -> Result<Url, String> {
    if text.len() > URL {
        return Err(format!("a URL of {} octets; at most {URL} are allowed", text.len()));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("a URL has printable US-ASCII without spaces only; encode the rest, and write names as `xn--...`".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("`{}` is not a URL: {error}", shown(text)))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(format!("the scheme `{}` is neither `https` nor `http`", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL has no user information".to_owned());
    }
    if url.fragment().is_some() {
        return Err("a URL that is sent has no fragment".to_owned());
    }
    if url.host_str().is_none_or(|host| host.is_empty() || host.ends_with('.')) {
        return Err("a URL has a host without a dot at its end".to_owned());
    }
    let given = text.split('?').next().unwrap_or_default();
    let normal = url.as_str().split('?').next().unwrap_or_default();
    if given != normal && format!("{given}/") != normal {
        return Err(format!("the URL is not in normal form; `{}` is", shown(normal)));
    }
    path(url.path())?;
    Ok(url)
}

/// Refuses what a server may read as another path than the list did.
fn path(path: &str) -> Result<(), String> {
    if path.contains("//") {
        return Err("a path has no empty segment".to_owned());
    }
    if path.contains('\\') {
        return Err("a path has no backslash".to_owned());
    }
    for (at, _) in path.match_indices('%') {
        let octet = path.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(octet) = octet else { return Err("a `%` in a path is followed by two hexadecimal digits".to_owned()) };
        if octet.is_ascii_control() || octet.is_ascii_alphanumeric() || b"/\\%.-_~$;".contains(&octet) {
            return Err(format!("a path does not encode the octet {octet:#04x}"));
        }
    }
    Ok(())
}

/// Text of the guest's for an error: short, one line.
fn shown(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Vec<Rule> {
        [
            "GET,POST https://graph.example/v1.0/ /beta/users",
            "POST https://graph.example/v1.0/$batch",
            "POST https://outlook.example:8443/adminapi/",
            "GET http://127.0.0.1:8080/",
            "GET https://[2606:4700::1]/x",
            "GET https://xn--bcher-kva.example/",
        ]
        .map(|text| Rule::parse(text).unwrap_or_else(|error| panic!("{error}")))
        .to_vec()
    }

    #[test]
    fn what_is_on_the_list_may_be_sent() {
        let rules = rules();
        for (method, url) in [
            ("GET", "https://graph.example/v1.0/"),
            ("GET", "https://graph.example/v1.0/users"),
            ("POST", "https://graph.example/v1.0/users"),
            ("GET", "https://graph.example/v1.0/users?$select=id&$filter=startswith(displayName,'A')"),
            ("GET", "https://graph.example/v1.0/users/delta?$deltatoken=a-b_c%2Fd"),
            ("GET", "https://graph.example/v1.0/users('1')/photos/48x48/$value"),
            ("GET", "https://graph.example/v1.0/users/ada%40example.com"),
            ("GET", "https://graph.example/v1.0/a%20b"),
            ("GET", "https://graph.example/v1.0/users?a=//b\\c/../d"),
            ("GET", "https://graph.example/beta/users"),
            ("GET", "https://graph.example/beta/users/1"),
            ("POST", "https://graph.example/v1.0/$batch"),
            ("POST", "https://outlook.example:8443/adminapi/beta/x/InvokeCommand"),
            ("GET", "http://127.0.0.1:8080/"),
            ("GET", "http://127.0.0.1:8080"),
            ("GET", "https://[2606:4700::1]/x"),
            ("GET", "https://xn--bcher-kva.example/"),
        ] {
            assert!(permitted(&rules, method, url).is_ok(), "{method} {url}: {:?}", permitted(&rules, method, url));
        }
    }

    #[test]
    fn what_is_not_on_the_list_is_refused_by_its_part() {
        let rules = rules();
        for (method, url, part) in [
            ("DELETE", "https://graph.example/v1.0/users", "the method `DELETE on /v1.0/users`"),
            ("PATCH", "https://graph.example/v1.0/users", "the method"),
            ("GET", "https://outlook.example:8443/adminapi/", "the method"),
            ("GET", "https://graph.example/v1.0/$batch", "the method"),
            ("OPTIONS", "https://graph.example/v1.0/", "the method `OPTIONS` is none of"),
            ("CONNECT", "https://graph.example/v1.0/", "the method"),
            ("get", "https://graph.example/v1.0/", "the method"),
            ("GET ", "https://graph.example/v1.0/", "the method"),
            ("GET /x HTTP/1.1\r\nHost: a", "https://graph.example/v1.0/", "the method"),
            ("GET", "https://graph.example/", "the path `/`"),
            ("GET", "https://graph.example/v1.0", "the path"),
            ("GET", "https://graph.example/v1.01/users", "the path"),
            ("GET", "https://graph.example/beta/usersx", "the path"),
            ("GET", "https://graph.example/beta/users('1')", "the path"),
            ("GET", "https://graph.example/V1.0/users", "the path"),
            ("POST", "https://graph.example/v1.0/x/$batch", "the path"),
            ("POST", "https://graph.example/v1.0/x/$BATCH", "the path"),
            ("GET", "https://graph.example:8443/v1.0/", "the port `8443`"),
            ("GET", "https://graph.example:80/v1.0/", "the port"),
            ("POST", "https://outlook.example/adminapi/", "the port `443`"),
            ("GET", "http://graph.example/v1.0/", "the scheme `http`"),
            ("GET", "https://127.0.0.1:8080/", "the scheme"),
            ("GET", "http://127.0.0.1:8081/", "the port"),
            ("GET", "http://127.0.0.2:8080/", "the host"),
            ("GET", "http://localhost:8080/", "the host"),
            ("GET", "http://[::1]:8080/", "the host"),
            ("GET", "http://[::ffff:7f00:1]:8080/", "the host"),
            ("GET", "https://evil.example/v1.0/", "the host `evil.example`"),
            ("GET", "https://graph.example.evil.example/v1.0/", "the host"),
            ("GET", "https://xgraph.example/v1.0/", "the host"),
            ("GET", "https://evil.example/https://graph.example/v1.0/", "no empty segment"),
            ("GET", "https://evil.example?https://graph.example/v1.0/", "the host"),
        ] {
            let refusal = permitted(&rules, method, url).expect_err(url);
            assert!(refusal.contains(part), "{method} {url}: {refusal}");
        }
    }

    #[test]
    fn what_would_have_to_be_repaired_is_refused() {
        let rules = rules();
        for url in [
            "https://user@graph.example/v1.0/",
            "https://user:secret@graph.example/v1.0/",
            "https://graph.example@evil.example/v1.0/",
            "https://@graph.example/v1.0/",
            "https://:@graph.example/v1.0/",
            "https://graph.example:443/v1.0/",
            "https://graph.example:0443/v1.0/",
            "https://graph.example:/v1.0/",
            "https://graph.example./v1.0/",
            "https://Graph.Example/v1.0/",
            "HTTPS://graph.example/v1.0/",
            "https:/graph.example/v1.0/",
            "https:graph.example/v1.0/",
            "https:\\\\graph.example\\v1.0\\",
            "https://graph.example\\@evil.example/v1.0/",
            "https:///graph.example/v1.0/",
            "//graph.example/v1.0/",
            "/v1.0/users",
            "",
            "https://",
            "https://graph.example/v1.0/../beta/groups",
            "https://graph.example/v1.0/./users",
            "https://graph.example/v1.0/..",
            "https://graph.example/v1.0/%2e%2e/beta",
            "https://graph.example/v1.0/%2E./beta",
            "https://graph.example/v1.0/..%2fbeta",
            "https://graph.example/v1.0/%2f..%2fbeta",
            "https://graph.example/v1.0/..%5cbeta",
            "https://graph.example/v1.0/%252e%252e/beta",
            "https://graph.example/v1.0/%00",
            "https://graph.example/v1.0/%0d%0aHost:x",
            "https://graph.example/v1.0/%zz",
            "https://graph.example/v1.0/%",
            "https://graph.example/v1.0/%c",
            "https://graph.example/v1.0/%24batch",
            "https://graph.example/v1.0/%62atch",
            "https://graph.example/v1.0//users",
            "https://graph.example//v1.0/users",
            "https://graph.example/v1.0/us ers",
            "https://graph.example/v1.0/us\ters",
            "https://graph.example/v1.0/us\r\ners",
            " https://graph.example/v1.0/",
            "https://graph.example/v1.0/\0",
            "https://graph.example/v1.0/users#x",
            "https://bücher.example/",
            "https://gr\u{430}ph.example/v1.0/",
            "https://graph。example/v1.0/",
            "https://graph.example/v1.0/ü",
            "http://127.1:8080/",
            "http://0x7f.0.0.1:8080/",
            "http://2130706433:8080/",
            "http://0177.0.0.1:8080/",
            "http://127.0.0.1.:8080/",
            "https://[2606:4700:0::1]/x",
            "https://[2606:4700::1%25eth0]/x",
            "ftp://graph.example/v1.0/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "javascript:alert(1)",
            "wss://graph.example/v1.0/",
        ] {
            assert!(permitted(&rules, "GET", url).is_err(), "{url:?}");
        }
        let long = format!("https://graph.example/v1.0/{}", "a".repeat(URL));
        assert!(permitted(&rules, "GET", &long).is_err());
    }

    #[test]
    fn an_empty_list_denies_all() {
        assert_eq!(
            permitted(&[], "GET", "https://graph.example/v1.0/").expect_err("there are no rules"),
            "the host `graph.example` is not on the list of allowed requests"
        );
    }

    #[test]
    fn parts_of_different_rules_do_not_add_up() {
        let rules = ["GET https://a.example/x/", "POST https://a.example/y/"].map(|text| Rule::parse(text).expect("a rule"));
        assert!(permitted(&rules, "GET", "https://a.example/x/1").is_ok());
        assert!(permitted(&rules, "POST", "https://a.example/x/1").is_err());
        assert!(permitted(&rules, "GET", "https://a.example/y/1").is_err());
    }

    #[test]
    fn a_line_that_is_not_a_rule_says_why_and_shows_one() {
        for (text, reason) in [
            ("", "it is empty"),
            ("GET", "a URL is missing"),
            ("https://graph.example/", "a URL is missing"),
            ("HEAD https://graph.example/", "`HEAD` is not a method"),
            ("GET, https://graph.example/", "`` is not a method"),
            ("get https://graph.example/", "`get` is not a method"),
            ("GET graph.example/v1.0/", "is not a URL"),
            ("GET https://graph.example/v1.0/?a=b", "no query"),
            ("GET https://graph.example/v1.0/#a", "no fragment"),
            ("GET https://graph.example./", "without a dot"),
            ("GET https://Graph.example/", "`https://graph.example/` is"),
            ("GET https://graph.example:443/", "normal form"),
            ("GET https://u:p@graph.example/", "user information"),
            ("GET https://graph.example/a/../b", "normal form"),
            ("GET https://graph.example/ beta", "must begin with `/`"),
            ("GET https://graph.example/ /../x", "normal form"),
            ("GET http://10.0.0.1/", "write `https`"),
            ("GET ftp://graph.example/", "neither"),
            ("GET https://*.example/", "not on"),
        ] {
            match Rule::parse(text) {
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains(reason) || reason == "not on", "{text}: {error}");
                    assert!(error.ends_with(&format!("for example `{EXAMPLE}`")), "{error}");
                }
                // A star is a character of a name like any other: no host is called that.
                Ok(rule) => assert_eq!(rule.host, "*.example", "{text}"),
            }
        }
        assert!(Rule::parse(EXAMPLE).is_ok());
    }
}
