//! Links that tell a web analysis where a visitor came from: the `utm_` parameters, on the customer's own domains only.

/// Names of the parameters without their prefix, in the order in which they are written.
pub(crate) const PARAMETERS: [&str; 5] = ["source", "medium", "campaign", "term", "content"];

/// Why a link gets no parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It leads somewhere else than to a web page.
    NoWebAddress,
    /// It leads to a domain that is not the customer's.
    Foreign,
}

/// The link with the parameters. One that the link has already stays as it is; the fragment stays at the end.
pub(crate) fn tagged(url: &str, domains: &[String], parameters: &[(&str, String)]) -> Result<String, Refusal> {
    let host = host(url).ok_or(Refusal::NoWebAddress)?;
    let own = |domain: &String| host == *domain || host.strip_suffix(domain.as_str()).is_some_and(|sub| sub.ends_with('.'));
    if !domains.iter().any(own) {
        return Err(Refusal::Foreign);
    }
    let (address, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let mut tagged = address.to_owned();
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let known: Vec<&str> = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default()).collect();
    for (name, value) in parameters.iter().filter(|(name, _)| !known.iter().any(|known| known.strip_prefix("utm_") == Some(*name))) {
        let separator = match tagged.chars().next_back() {
            Some('?' | '&') => "",
            _ if tagged.contains('?') => "&",
            _ => "?",
        };
        tagged.push_str(&format!("{separator}utm_{name}={}", encoded(value)));
    }
    tagged.push_str(fragment);
    Ok(tagged)
}

/// The host of a web address, in lower case. Browsers take `\` for `/`, so an address with one is none; nor is one with a user name.
pub(crate) fn host(url: &str) -> Option<String> {
    let scheme = url.find("://").filter(|at| ["http", "https"].iter().any(|scheme| url[..*at].eq_ignore_ascii_case(scheme)))?;
    let rest = &url[scheme + "://".len()..];
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains(['@', '\\']) || url.contains(|char: char| char.is_whitespace() || char.is_control()) {
        return None;
    }
    let host = authority.split(':').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    (!host.is_empty()).then_some(host)
}

/// Whether a text is a domain as `[links]` has it: labels of letters, digits and `-`, at least two.
pub(crate) fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    text.contains('.') && text.split('.').all(is_label)
}

/// RFC 3986 section 2.1; all but the unreserved characters.
fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for octet in value.bytes() {
        match octet {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(octet)),
            _ => encoded.push_str(&format!("%{octet:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_go_between_address_and_fragment() {
        let domains = ["a.example".to_owned()];
        let parameters = [("source", "e-mail".to_owned()), ("campaign", "Frühling & Co".to_owned())];
        let utm = "utm_source=e-mail&utm_campaign=Fr%C3%BChling%20%26%20Co";
        for (url, expected) in [
            ("https://a.example", format!("https://a.example?{utm}")),
            ("https://A.example/x?y=1#z", format!("https://A.example/x?y=1&{utm}#z")),
            ("https://www.a.example:8443/?", format!("https://www.a.example:8443/?{utm}")),
            ("HTTPS://a.example./#?", format!("HTTPS://a.example./?{utm}#?")),
            ("https://a.example/?utm_source=own", "https://a.example/?utm_source=own&utm_campaign=Fr%C3%BChling%20%26%20Co".to_owned()),
        ] {
            assert_eq!(tagged(url, &domains, &parameters), Ok(expected));
        }
    }

    #[test]
    fn links_to_others_are_refused() {
        let domains = ["a.example".to_owned()];
        for (url, refusal) in [
            ("https://b.example/", Refusal::Foreign),
            ("https://nota.example/", Refusal::Foreign),
            ("https://a.example.b.example/", Refusal::Foreign),
            ("https://a.example@b.example/", Refusal::NoWebAddress),
            ("https://b.example\\.a.example/", Refusal::NoWebAddress),
            ("mailto:x@a.example", Refusal::NoWebAddress),
            ("javascript://a.example", Refusal::NoWebAddress),
            ("https://", Refusal::NoWebAddress),
            ("a.example", Refusal::NoWebAddress),
        ] {
            assert_eq!(tagged(url, &domains, &[]), Err(refusal), "{url}");
        }
    }
}
