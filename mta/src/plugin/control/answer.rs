//! Checks and cleans what a control plugin answers. Counts, ids, names of domains and sizes that are wrong make the answer unusable;
//! control characters in text become spaces, and text for people is cut where it is longer than anyone would read. Pure.

use std::collections::HashSet;

use super::convert::Raw;
use crate::control::words::{
    Action, Administrator, Answer, Call, Cause, Change, Difference, Entry, Group, Listed, Organisation, Outcome, Page, Photo, Plan,
    Problem, Progress, SpfAdvice, Standing, Status, Step,
};
use crate::plugin::bindings::control::exports::signet::control::controller as guest;
use crate::plugin::limits::{ATTRIBUTES, ID, REASON};
use crate::plugin::text;

/// Longest text of several sentences, a DNS record or a value of an attribute, in octets.
const TEXT: usize = 4 << 10;
/// Longest instruction to a person and longest script, in octets: a plan of some steps is a few pages of PowerShell.
const SCRIPT: usize = 256 << 10;
/// Most lines in any list for people.
const LINES: usize = 100;
/// Most steps of a plan: an object of the service each.
const STEPS: usize = 64;
/// Most properties in which an object differs.
const DIFFERENCES: usize = 64;
/// Most domains of an organisation; Microsoft 365 has 5000 at most.
const DOMAINS: usize = 5000;
/// Longest domain name (RFC 1035 section 2.3.4), as text without the last dot.
const DOMAIN: usize = 253;
/// Longest address (RFC 5321 section 4.5.3.1): 64 octets, `@`, 255 octets.
const ADDRESS: usize = 320;
/// Most addresses of one entry; Exchange allows a few hundred.
const ADDRESSES: usize = 1000;
/// Most changes on one page: a thousand groups with a hundred members each.
const CHANGES: usize = 100_000;
/// Longest cursor: it is stored with every page.
const CURSOR: usize = 64 << 10;
/// Largest picture (`wit/control`).
const PHOTO: usize = 64 << 10;
/// Most people in each list of a status (`wit/control`).
const LISTED: usize = 100;
/// Longest wait that is believed, in seconds: after a day, asking again costs nothing.
const WAIT: u32 = 86_400;

/// The answer in the product's words, or what is wrong with it.
pub(super) fn check(raw: Raw, call: &Call) -> Result<Answer, String> {
    Ok(match raw {
        Raw::Administrator(found) => Answer::Administrator(administrator(found)?),
        Raw::Organisation(found) => Answer::Organisation(organisation(found)?),
        Raw::Groups(found) => {
            if let Call::FindGroups { limit, .. } = call {
                few("groups", found.len(), usize::try_from(*limit).unwrap_or(usize::MAX))?;
            }
            Answer::Groups(found.into_iter().map(group).collect::<Result<_, _>>()?)
        }
        Raw::Group(found) => {
            let found = group(found)?;
            if let Call::ReadGroup { id } = call {
                same("group", &found.id, id)?;
            }
            Answer::Group(found)
        }
        Raw::Plan(found) => Answer::Plan(plan(found)?),
        Raw::Outcome(found) => Answer::Outcome(outcome(found)?),
        Raw::Script(script) => {
            few("octets of script", script.len(), SCRIPT)?;
            Answer::Script(text::block(script))
        }
        Raw::Page(found) => Answer::Page(page(found)?),
        Raw::Photo(found) => Answer::Photo(found.map(photo).transpose()?),
        Raw::Status(found) => Answer::Status(status(found)?),
        Raw::SpfAdvice(found) => {
            let found = spf_advice(found)?;
            if let Call::AdviseSpf { domain, .. } = call {
                same("domain", &found.domain, &domain.to_ascii_lowercase())?;
            }
            Answer::SpfAdvice(found)
        }
    })
}

/// A problem is shown to a person, so nothing about it is wrong enough to withhold it.
pub(super) fn problem(problem: guest::Problem) -> Problem {
    let guest::Problem { cause, detail, next_step, wait } = problem;
    Problem {
        cause: match cause {
            guest::Cause::Permission => Cause::Permission,
            guest::Cause::Credential => Cause::Credential,
            guest::Cause::Unavailable => Cause::Unavailable,
            guest::Cause::Missing => Cause::Missing,
            guest::Cause::Unfit => Cause::Unfit,
            guest::Cause::Conflict => Cause::Conflict,
            guest::Cause::Denied => Cause::Denied,
            guest::Cause::Protocol => Cause::Protocol,
            guest::Cause::Other(word) => Cause::Other(text::line(word, ID)),
        },
        detail: text::line(detail, TEXT),
        next_step: text::line(next_step, TEXT),
        wait: wait.map(|seconds| seconds.min(WAIT)),
    }
}

fn few(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count > most { Err(format!("{count} {what}; at most {most} are allowed")) } else { Ok(()) }
}

fn same(what: &str, found: &str, asked: &str) -> Result<(), String> {
    if found == asked { Ok(()) } else { Err(format!("the {what} `{found}` is not the one that was asked for")) }
}

fn id(what: &str, id: String) -> Result<String, String> {
    if text::is_id(&id, ID) {
        Ok(id)
    } else {
        Err(format!("the {what} id `{}` is empty, longer than {ID} octets or has control characters", text::line(id, ID)))
    }
}

fn lines(what: &str, lines: Vec<String>) -> Result<Vec<String>, String> {
    few(what, lines.len(), LINES)?;
    Ok(lines.into_iter().map(|line| text::line(line, REASON)).collect())
}

/// A domain as DNS and mail have it: A-labels, lower case, no dot at the end.
fn domain(name: String) -> Result<String, String> {
    let name = name.to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= DOMAIN && name.split('.').all(label) { Ok(name) } else { Err(format!("`{}` is not a domain", text::line(name, ID))) }
}

/// An address with one domain, which is all that a directory's answer can be held to; whoever sends mail to it parses it.
fn address(address: String) -> Result<String, String> {
    let wrong = || Err(format!("`{}` is not an address", text::line(address.clone(), ID)));
    let Some((local, name)) = address.rsplit_once('@') else { return wrong() };
    if local.is_empty() || name.is_empty() || !text::is_id(&address, ADDRESS) || address.contains(char::is_whitespace) {
        return wrong();
    }
    Ok(address)
}

fn administrator(found: guest::Administrator) -> Result<Administrator, String> {
    let guest::Administrator { standing, sufficient, explanation, steps, source } = found;
    Ok(Administrator {
        standing: match standing {
            guest::Standing::Direct => Standing::Direct,
            guest::Standing::Activated(until) => Standing::Activated(until.map(|until| text::line(until, ID))),
            guest::Standing::ThroughGroup => Standing::ThroughGroup,
            guest::Standing::Absent => Standing::Absent,
            guest::Standing::Other(word) => Standing::Other(text::line(word, ID)),
        },
        sufficient,
        explanation: text::line(explanation, TEXT),
        steps: lines("steps", steps)?,
        source: text::line(source, REASON),
    })
}

fn organisation(found: guest::Organisation) -> Result<Organisation, String> {
    let guest::Organisation { id: found, name, initial_domain, domains } = found;
    few("domains", domains.len(), DOMAINS)?;
    Ok(Organisation {
        id: id("organisation", found)?,
        name: text::line(name, REASON),
        initial_domain: domain(initial_domain)?,
        domains: domains.into_iter().map(domain).collect::<Result<_, _>>()?,
    })
}

fn group(found: guest::Group) -> Result<Group, String> {
    let guest::Group { id: found, name, address: mail } = found;
    Ok(Group { id: id("group", found)?, name: text::line(name, REASON), address: address(mail)? })
}

fn plan(found: guest::Plan) -> Result<Plan, String> {
    let guest::Plan { steps: found, notes } = found;
    Ok(Plan { steps: steps(found)?, notes: lines("notes", notes)? })
}

fn steps(found: Vec<guest::Step>) -> Result<Vec<Step>, String> {
    few("steps", found.len(), STEPS)?;
    let mut seen = HashSet::new();
    let mut steps = Vec::with_capacity(found.len());
    for guest::Step { id, title, purpose, action, differences } in found {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if id.is_empty() || id.len() > ID || !id.bytes().all(plain) {
            let id = text::line(id, ID);
            return Err(format!("the step id `{id}` is not usable; use lower-case letters, digits and `-`, for example `mail-flow-rule`"));
        }
        if !seen.insert(id.clone()) {
            return Err(format!("the step `{id}` is there twice"));
        }
        few("differences", differences.len(), DIFFERENCES)?;
        let action = match action {
            guest::Action::Create => Action::Create,
            guest::Action::Change => Action::Change,
            guest::Action::Keep => Action::Keep,
            guest::Action::Remove => Action::Remove,
            guest::Action::Check => Action::Check,
            guest::Action::Other(word) => Action::Other(text::line(word, ID)),
        };
        let differences = differences.into_iter().map(|guest::Difference { property, before, after }| Difference {
            property: text::line(property, ID),
            before: text::line(before, TEXT),
            after: text::line(after, TEXT),
        });
        let differences = differences.collect();
        steps.push(Step { id, title: text::line(title, REASON), purpose: text::line(purpose, REASON), action, differences });
    }
    Ok(steps)
}

fn outcome(found: guest::Outcome) -> Result<Outcome, String> {
    Ok(match found {
        guest::Outcome::Done(changed) => Outcome::Done(lines("lines", changed)?),
        guest::Outcome::Again((seconds, reason)) => Outcome::Again { seconds: seconds.min(WAIT), reason: text::line(reason, TEXT) },
        guest::Outcome::ActionNeeded(what) => {
            few("octets of instruction", what.len(), SCRIPT)?;
            Outcome::ActionNeeded(text::block(what))
        }
        guest::Outcome::Probe(sender) => Outcome::Probe(address(sender)?),
        guest::Outcome::Other(word) => Outcome::Other(text::line(word, REASON)),
    })
}

fn page(found: guest::Page) -> Result<Page, String> {
    let guest::Page { changes, cursor, complete, restarted, progress, notes } = found;
    few("changes", changes.len(), CHANGES)?;
    few("octets of cursor", cursor.len(), CURSOR)?;
    let guest::Progress { pages, objects, expected, subject } = progress;
    Ok(Page {
        changes: changes.into_iter().map(change).collect::<Result<_, _>>()?,
        cursor,
        complete,
        restarted,
        progress: Progress { pages, objects, expected, subject: text::line(subject, ID) },
        notes: lines("notes", notes)?,
    })
}

fn change(found: guest::Change) -> Result<Change, String> {
    Ok(match found {
        guest::Change::Person(found) => Change::Person(entry("person", found)?),
        guest::Change::PersonRemoved(person) => Change::PersonRemoved(id("person", person)?),
        guest::Change::Group(found) => Change::Group(entry("group", found)?),
        guest::Change::GroupRemoved(group) => Change::GroupRemoved(id("group", group)?),
        guest::Change::Member((group, member)) => Change::Member { group: id("group", group)?, member: id("member", member)? },
        guest::Change::MemberRemoved((group, member)) => {
            Change::MemberRemoved { group: id("group", group)?, member: id("member", member)? }
        }
        guest::Change::MembersRestart(group) => Change::MembersRestart(id("group", group)?),
    })
}

fn entry(what: &str, found: guest::Entry) -> Result<Entry, String> {
    let guest::Entry { id: found, addresses, attributes, manager } = found;
    few("addresses", addresses.len(), ADDRESSES)?;
    few("attributes", attributes.len(), ATTRIBUTES)?;
    let attribute = |(name, value): (String, String)| {
        let name = id("attribute", name)?;
        // Streets have several lines.
        let mut value = text::block(value);
        value.truncate(value.floor_char_boundary(TEXT));
        Ok((name, value))
    };
    Ok(Entry {
        id: id(what, found)?,
        addresses: addresses.into_iter().map(address).collect::<Result<_, _>>()?,
        attributes: attributes.into_iter().map(attribute).collect::<Result<Vec<_>, String>>()?,
        manager: manager.map(|manager| if manager.is_empty() { Ok(manager) } else { id("manager", manager) }).transpose()?,
    })
}

fn photo(found: guest::Photo) -> Result<Photo, String> {
    let guest::Photo { media_type, content, tag } = found;
    few("octets of picture", content.len(), PHOTO)?;
    // The type is written into mail and pages; what it says must be what is there.
    let begins: &[u8] = match media_type.as_str() {
        "image/jpeg" => b"\xff\xd8\xff",
        "image/png" => b"\x89PNG\r\n\x1a\n",
        "image/gif" => b"GIF8",
        _ => return Err(format!("a picture of type `{}`; JPEG, PNG and GIF are allowed", text::line(media_type, ID))),
    };
    if !content.starts_with(begins) {
        return Err(format!("a picture that is not {media_type}"));
    }
    Ok(Photo { media_type, content, tag: id("tag", tag)? })
}

fn status(found: guest::Status) -> Result<Status, String> {
    let guest::Status { drift, routed_only, routed_only_count, synchronised_only, synchronised_only_count, notes } = found;
    let listed = |found: Vec<guest::Listed>, count: u64| {
        few("people in a list", found.len(), LISTED.min(usize::try_from(count).unwrap_or(LISTED)))?;
        let one = |guest::Listed { id: found, name, address }| {
            Ok(Listed { id: id("person", found)?, name: text::line(name, REASON), address: text::line(address, ADDRESS) })
        };
        found.into_iter().map(one).collect::<Result<Vec<_>, String>>()
    };
    Ok(Status {
        drift: steps(drift)?,
        routed_only: listed(routed_only, routed_only_count)?,
        routed_only_count,
        synchronised_only: listed(synchronised_only, synchronised_only_count)?,
        synchronised_only_count,
        notes: lines("notes", notes)?,
    })
}

fn spf_advice(found: guest::SpfAdvice) -> Result<SpfAdvice, String> {
    let guest::SpfAdvice { domain: name, published, publish, explanation } = found;
    // Somebody will paste it into a zone.
    let record = publish.starts_with("v=spf1 ") && publish.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if !publish.is_empty() && (!record || publish.len() > TEXT) {
        return Err(format!("`{}` is not an SPF record (RFC 7208 section 4.5)", text::line(publish, ID)));
    }
    Ok(SpfAdvice { domain: domain(name)?, published: text::line(published, TEXT), publish, explanation: text::line(explanation, TEXT) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str) -> guest::Step {
        let (title, purpose) = ("Connector\n".to_owned(), "It is needed.".to_owned());
        guest::Step { id: id.to_owned(), title, purpose, action: guest::Action::Create, differences: Vec::new() }
    }

    fn planned(ids: &[&str]) -> Result<Plan, String> {
        plan(guest::Plan { steps: ids.iter().map(|id| step(id)).collect(), notes: vec!["a\rb".to_owned()] })
    }

    #[test]
    fn a_plan_has_steps_with_names_of_their_own() {
        let found = planned(&["outbound-connector", "rule-2"]).expect("it is fine");
        assert_eq!((found.steps[0].title.as_str(), found.notes[0].as_str()), ("Connector ", "a b"));
        for ids in [&[""][..], &["a", "a"], &["A"], &["a b"], &["a\n"], &["../a"]] {
            assert!(planned(ids).is_err(), "{ids:?}");
        }
        let many: Vec<String> = (0..=STEPS).map(|n| n.to_string()).collect();
        assert!(planned(&many.iter().map(String::as_str).collect::<Vec<_>>()).is_err());
    }

    #[test]
    fn domains_are_lower_case_and_complete() {
        for (given, expected) in
            [("Example.COM", Some("example.com")), ("xn--bcher-kva.example", Some("xn--bcher-kva.example")), ("contoso", Some("contoso"))]
        {
            assert_eq!(domain(given.to_owned()).ok().as_deref(), expected);
        }
        for given in ["", ".", "a..b", "example.com.", "-a.example", "a b", "a\n.example", "bücher.example", &"a.".repeat(200)] {
            assert!(domain(given.to_owned()).is_err(), "{given:?}");
        }
    }

    #[test]
    fn addresses_have_two_sides_and_no_spaces() {
        for (given, fine) in [
            ("ada@example.com", true),
            ("o'neil+x@a.b", true),
            ("ada", false),
            ("@a", false),
            ("a@", false),
            ("a b@c", false),
            ("a\r@c", false),
        ] {
            assert_eq!(address(given.to_owned()).is_ok(), fine, "{given:?}");
        }
    }

    #[test]
    fn a_page_is_bounded_and_cleaned() {
        let person = |id: &str, value: &str| {
            let attributes = vec![("streetAddress".to_owned(), value.to_owned())];
            let entry = guest::Entry { id: id.to_owned(), addresses: Vec::new(), attributes, manager: Some(String::new()) };
            guest::Change::Person(entry)
        };
        let with = |changes: Vec<guest::Change>, cursor: usize| {
            let progress = guest::Progress { pages: 1, objects: 1, expected: None, subject: "people".to_owned() };
            let cursor = vec![0; cursor];
            page(guest::Page { changes, cursor, complete: true, restarted: false, progress, notes: Vec::new() })
        };
        let found = with(vec![person("1", "a\r\nb\0")], CURSOR).expect("it is fine");
        let Change::Person(entry) = &found.changes[0] else { panic!("{found:?}") };
        assert_eq!(entry.attributes, [("streetAddress".to_owned(), "a\nb".to_owned())]);
        assert!(with(vec![person("", "")], 0).is_err());
        assert!(with(Vec::new(), CURSOR + 1).is_err());
        assert!(with(vec![guest::Change::Member(("g".to_owned(), "a\nb".to_owned()))], 0).is_err());
    }

    #[test]
    fn a_picture_is_what_it_says() {
        let with = |media_type: &str, content: &[u8]| {
            photo(guest::Photo { media_type: media_type.to_owned(), content: content.to_vec(), tag: "1".to_owned() }).is_ok()
        };
        assert!(with("image/jpeg", b"\xff\xd8\xff\xe0") && with("image/png", b"\x89PNG\r\n\x1a\n") && with("image/gif", b"GIF89a"));
        assert!(!with("image/svg+xml", b"<svg/>") && !with("image/png", b"\xff\xd8\xff\xe0") && !with("image/jpeg", b""));
        assert!(!with("image/gif", &[&b"GIF89a"[..], &[0; PHOTO]].concat()));
    }

    #[test]
    fn spf_advice_can_be_pasted_into_a_zone() {
        let with = |publish: &str| {
            let (domain, publish) = ("example.com".to_owned(), publish.to_owned());
            spf_advice(guest::SpfAdvice { domain, published: String::new(), publish, explanation: String::new() }).is_ok()
        };
        assert!(with("") && with("v=spf1 include:spf.signet.example -all"));
        assert!(!with("spf1") && !with("v=spf1 a\n-all") && !with("v=spf1 ü"));
    }

    #[test]
    fn answers_are_about_what_was_asked() {
        let found = || guest::Group { id: "2".to_owned(), name: "Sales".to_owned(), address: "sales@example.com".to_owned() };
        assert!(check(Raw::Group(found()), &Call::ReadGroup { id: "1".to_owned() }).is_err());
        assert!(check(Raw::Group(found()), &Call::ReadGroup { id: "2".to_owned() }).is_ok());
        let find = |limit| Call::FindGroups { text: "s".to_owned(), limit };
        assert!(check(Raw::Groups(vec![found(), found()]), &find(1)).is_err());
        assert!(check(Raw::Groups(vec![found(), found()]), &find(2)).is_ok());
    }
}
