//! What SPF record a sending domain should publish (RFC 7208), given the TXT records that it has.
//!
//! It resolves nothing: what the host found is given, and lookups inside included records are not counted.

use signet_plugin_sdk::control::{Connection, SpfAdvice};

/// Microsoft's own terms, one a cloud: mail leaves through Exchange Online whoever signed it.
const MICROSOFT: &[&str] =
    &["include:spf.protection.outlook.com", "include:spf.protection.office365.us", "include:spf.protection.partner.outlook.cn"];

/// Lookups that checking a record may cost (RFC 7208, section 4.6.4).
const LOOKUPS: usize = 10;

/// Octets in one string of a TXT record (RFC 1035, section 3.3.14); longer records are written as several strings.
const STRING: usize = 255;

/// What the domain should publish, and why.
pub(crate) fn advise(connection: &Connection, domain: &str, published: &[String]) -> SpfAdvice {
    let records: Vec<&str> = published.iter().map(|text| text.trim()).filter(|text| is_spf(text)).collect();
    let term = connection.spf_term.trim();
    let wanted = merged(&records, term);
    let same = records.len() == 1 && words(records[0]).eq(words(&wanted));
    let explanation = match records.len() {
        0 => "The domain has no SPF record. Publish this one, with the other hosts that send its mail added before `all`.".to_owned(),
        1 if same => "The published record will do.".to_owned(),
        1 => why(records[0], term),
        count => format!(
            "The domain has {count} records that begin with v=spf1, which every checker takes for an error (RFC 7208, section 4.5): \
             remove all of them and publish this one, which holds the terms of all."
        ),
    };
    SpfAdvice {
        domain: domain.to_owned(),
        published: records.join("\n"),
        publish: if same { String::new() } else { wanted.clone() },
        explanation: format!("{explanation}{}", cautions(&wanted)),
    }
}

/// A record begins with its version and a space or the end (RFC 7208, section 4.5).
fn is_spf(text: &str) -> bool {
    text.split(' ').next().is_some_and(|version| version.eq_ignore_ascii_case("v=spf1"))
}

fn words(record: &str) -> impl Iterator<Item = String> {
    record.split_ascii_whitespace().map(str::to_ascii_lowercase).collect::<Vec<_>>().into_iter()
}

/// A term without its `+`, which is the same as none.
fn plain(term: &str) -> &str {
    term.strip_prefix('+').unwrap_or(term)
}

fn is_all(term: &str) -> bool {
    term.trim_start_matches(['+', '-', '~', '?']).eq_ignore_ascii_case("all")
}

fn is_redirect(term: &str) -> bool {
    term.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("redirect="))
}

fn is_microsoft(term: &str) -> bool {
    MICROSOFT.iter().any(|known| plain(term).eq_ignore_ascii_case(known))
}

/// One record with all their terms, and ours behind Microsoft's. Terms after `all` mean nothing, so ours goes before it; a `redirect`
/// works only when no term matched, so ours goes before that too (RFC 7208, sections 5.1 and 6.1).
fn merged(records: &[&str], ours: &str) -> String {
    let mut terms: Vec<&str> = Vec::new();
    for term in records.iter().flat_map(|record| record.split_ascii_whitespace().skip(1)) {
        let known = terms.iter().any(|known| plain(known).eq_ignore_ascii_case(plain(term)) || (is_all(known) && is_all(term)));
        if !known {
            terms.push(term);
        }
    }
    if records.len() > 1
        && let Some(at) = terms.iter().position(|term| is_all(term))
    {
        let all = terms.remove(at);
        terms.push(all);
    }
    if records.is_empty() {
        // Not `-all`: nobody knows yet who else sends for the domain.
        terms.extend([MICROSOFT[0], "~all"]);
    }
    let end = terms.iter().position(|term| is_all(term)).or_else(|| terms.iter().position(|term| is_redirect(term))).unwrap_or(terms.len());
    let present = terms[..end].iter().any(|term| plain(term).eq_ignore_ascii_case(ours));
    if !ours.is_empty() && !present {
        let microsoft = terms[..end].iter().position(|term| is_microsoft(term));
        terms.insert(microsoft.map_or(end, |at| at + 1), ours);
    }
    let mut record = "v=spf1".to_owned();
    for term in terms {
        record.push(' ');
        record.push_str(term);
    }
    record
}

fn why(record: &str, term: &str) -> String {
    let present = words(record).any(|word| plain(&word).eq_ignore_ascii_case(term));
    if present {
        return format!("`{term}` stands behind `all`, where it means nothing: move it.");
    }
    let redirect = record.split_ascii_whitespace().any(is_redirect) && !record.split_ascii_whitespace().any(is_all);
    let how = if redirect { ", before `redirect=`, which goes on to work for everything else" } else { "" };
    format!("Add `{term}`{how}: Microsoft checks the address of the signature service when it hands mail back.")
}

/// What can go wrong with the record for a reason other than its terms.
fn cautions(record: &str) -> String {
    let terms = || record.split_ascii_whitespace().skip(1);
    let mut text = String::new();
    if !terms().any(is_microsoft) && !terms().any(is_redirect) {
        text.push_str(" Microsoft's own term is missing: mail leaves through Exchange Online, so include:spf.protection.outlook.com belongs there unless another term covers it.");
    }
    let lookups = terms().filter(|term| looks_up(term)).count();
    if lookups > LOOKUPS {
        text.push_str(&format!(
            " The record needs at least {lookups} lookups and {LOOKUPS} are allowed (RFC 7208, section 4.6.4): it would fail for everybody; remove what is not used any more."
        ));
    } else if lookups + 2 >= LOOKUPS {
        text.push_str(&format!(
            " It needs at least {lookups} lookups, those inside the included records not counted; {LOOKUPS} are allowed."
        ));
    }
    if record.len() > STRING {
        text.push_str(&format!(" It is longer than {STRING} octets: write it as several strings of one TXT record."));
    }
    text
}

/// Whether a term costs a lookup.
fn looks_up(term: &str) -> bool {
    let name = term.trim_start_matches(['+', '-', '~', '?']).to_ascii_lowercase();
    let name = name.split([':', '/', '=']).next().unwrap_or_default().to_owned();
    matches!(name.as_str(), "include" | "a" | "mx" | "ptr" | "exists" | "redirect")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::connection;

    #[test]
    fn the_exact_record_keeps_what_is_there_and_puts_our_term_where_it_works() {
        let ours = "include:spf.signet.example";
        let m = "include:spf.protection.outlook.com";
        for (published, publish, explained) in [
            (vec![], format!("v=spf1 {m} {ours} ~all"), "no SPF record"),
            (vec!["google-site=1", "v=spf10 -all"], format!("v=spf1 {m} {ours} ~all"), "no SPF record"),
            (
                vec!["v=spf1 ip4:192.0.2.1 include:spf.protection.outlook.com mx -all"],
                format!("v=spf1 ip4:192.0.2.1 {m} {ours} mx -all"),
                "Add",
            ),
            (
                vec!["V=SPF1 +Include:SPF.protection.outlook.com ?all"],
                format!("v=spf1 +Include:SPF.protection.outlook.com {ours} ?all"),
                "Add",
            ),
            (vec!["v=spf1 a -all"], format!("v=spf1 a {ours} -all"), "Microsoft's own term is missing"),
            (
                vec!["v=spf1 mx redirect=_spf.contoso.example"],
                format!("v=spf1 mx {ours} redirect=_spf.contoso.example"),
                "before `redirect=`",
            ),
            (vec!["v=spf1 include:spf.protection.outlook.com"], format!("v=spf1 {m} {ours}"), "Add"),
            (
                vec!["v=spf1 include:spf.protection.outlook.com -all include:spf.signet.example"],
                format!("v=spf1 {m} {ours} -all {ours}"),
                "behind `all`",
            ),
            (vec!["v=spf1 include:spf.protection.outlook.com +include:SPF.signet.example -all"], String::new(), "will do"),
            (vec!["v=spf1 include:spf.protection.outlook.com -all", "v=spf1 mx ~all"], format!("v=spf1 {m} {ours} mx -all"), "2 records"),
        ] {
            let published: Vec<String> = published.into_iter().map(str::to_owned).collect();
            let advice = advise(&connection(), "contoso.example", &published);
            assert_eq!(advice.publish, publish, "{published:?}");
            assert!(advice.explanation.contains(explained), "{advice:?}");
        }
    }

    #[test]
    fn too_many_lookups_and_long_records_are_said() {
        let many = (0..10).map(|n| format!("include:s{n}.example")).collect::<Vec<_>>().join(" ");
        let advice = advise(&connection(), "contoso.example", &[format!("v=spf1 {many} -all")]);
        assert!(advice.explanation.contains("at least 11 lookups"), "{advice:?}");
        let long = (0..20).map(|n| format!("ip4:192.0.2.{n}/32")).collect::<Vec<_>>().join(" ");
        let advice = advise(&connection(), "contoso.example", &[format!("v=spf1 {long} -all")]);
        assert!(advice.explanation.contains("several strings") && !advice.explanation.contains("lookups"), "{advice:?}");
    }

    #[test]
    fn without_a_term_of_ours_a_good_record_will_do() {
        let connection = Connection { spf_term: String::new(), ..connection() };
        let advice = advise(&connection, "contoso.example", &["v=spf1 include:spf.protection.outlook.com -all".to_owned()]);
        assert_eq!((advice.publish.as_str(), advice.explanation.as_str()), ("", "The published record will do."));
    }
}
