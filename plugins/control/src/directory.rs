//! The organisation, and the groups that can be chosen: mail-enabled security groups and nothing else.
//!
//! A Microsoft 365 group can be mail-enabled and security-enabled too; its kind is told by `groupTypes`, which holds `Unified`.

use serde::Deserialize;
use signet_plugin_sdk::control::{Cause, Connection, Group, Organisation, Problem, Surroundings};

use crate::graph::{DIRECTORY, advanced, encoded, json, protocol, quoted, request};

/// Suggestions at once: more than a person reads, and one page of Graph.
const SUGGESTIONS: u32 = 100;

/// Pages that may be read for one list of suggestions.
const PAGES: usize = 5;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tenant {
    id: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    verified_domains: Vec<VerifiedDomain>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifiedDomain {
    name: Option<String>,
    #[serde(default)]
    capabilities: Option<String>,
    #[serde(default)]
    is_initial: Option<bool>,
}

/// One page of a collection.
#[derive(Debug, Deserialize)]
pub(crate) struct Collection<T> {
    pub(crate) value: Vec<T>,
    #[serde(default, rename = "@odata.nextLink")]
    pub(crate) next: Option<String>,
}

/// The organisation.
pub(crate) fn read_organisation(around: &dyn Surroundings, connection: &Connection) -> Result<Organisation, Problem> {
    let request = request(connection, DIRECTORY, "GET", "/organization?$select=id,displayName,verifiedDomains");
    let answer: Collection<Tenant> = json(around, &request)?;
    let tenant = answer.value.into_iter().next().ok_or_else(|| protocol(&request, "names no organisation"))?;
    if !tenant.id.eq_ignore_ascii_case(&connection.tenant) {
        return Err(protocol(&request, "is about another organisation than the one that signed in"));
    }
    let initial = tenant.verified_domains.iter().find(|domain| domain.is_initial == Some(true)).and_then(|domain| domain.name.clone());
    let domains = tenant.verified_domains.into_iter().filter(mails).filter_map(|domain| domain.name);
    Ok(Organisation {
        id: tenant.id,
        name: tenant.display_name.unwrap_or_default(),
        initial_domain: initial.unwrap_or_default(),
        domains: domains.map(|name| name.to_lowercase()).collect(),
    })
}

/// Whether mail may come from a domain; one without capabilities is not set up for anything yet.
fn mails(domain: &VerifiedDomain) -> bool {
    domain.capabilities.as_deref().unwrap_or_default().split(',').any(|capability| capability.trim().eq_ignore_ascii_case("Email"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    mail: Option<String>,
    #[serde(default)]
    mail_enabled: Option<bool>,
    #[serde(default)]
    security_enabled: Option<bool>,
    #[serde(default)]
    group_types: Vec<String>,
}

impl Entry {
    /// Why it cannot be chosen.
    fn unfit(&self) -> Option<&'static str> {
        if self.group_types.iter().any(|kind| kind.eq_ignore_ascii_case("Unified")) {
            Some("is a Microsoft 365 group")
        } else if self.mail_enabled != Some(true) {
            Some("is a security group without mail")
        } else if self.security_enabled != Some(true) {
            Some("is a distribution list, not a security group")
        } else if self.mail.as_deref().unwrap_or_default().is_empty() {
            Some("has no address yet")
        } else {
            None
        }
    }

    fn into_group(self) -> Group {
        Group { id: self.id, name: self.display_name.unwrap_or_default(), address: self.mail.unwrap_or_default() }
    }
}

const SELECT: &str = "$select=id,displayName,mail,mailEnabled,securityEnabled,groupTypes";

/// Groups whose name or address begins with `text`, for suggestions while somebody types.
pub(crate) fn find_groups(around: &dyn Surroundings, connection: &Connection, text: &str, limit: u32) -> Result<Vec<Group>, Problem> {
    let limit = limit.min(SUGGESTIONS);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut filter = "mailEnabled eq true and securityEnabled eq true and NOT groupTypes/any(c:c eq 'Unified')".to_owned();
    let text = text.trim();
    if !text.is_empty() {
        let text = quoted(text);
        filter.push_str(&format!(" and (startswith(displayName,{text}) or startswith(mail,{text}))"));
    }
    // A negated filter is an advanced query: it needs the count and the header.
    let target = format!("/groups?$filter={}&$count=true&$top={limit}&{SELECT}", encoded(&filter));
    let mut request = advanced(request(connection, DIRECTORY, "GET", &target));
    let mut groups: Vec<Group> = Vec::new();
    for _ in 0..PAGES {
        let page: Collection<Entry> = json(around, &request)?;
        groups.extend(page.value.into_iter().filter(|entry| entry.unfit().is_none()).map(Entry::into_group));
        match page.next {
            Some(next) if groups.len() < limit as usize => request.url = next,
            _ => break,
        }
    }
    groups.truncate(limit as usize);
    groups.sort_by_cached_key(|group| group.name.to_lowercase());
    Ok(groups)
}

/// One group, read again: what a browser sends is no proof that it can be chosen.
pub(crate) fn read_group(around: &dyn Surroundings, connection: &Connection, id: &str) -> Result<Group, Problem> {
    let problem = |cause, detail: String| Problem {
        cause,
        detail,
        next_step: "Choose a mail-enabled security group from the suggestions.".to_owned(),
        wait: None,
    };
    if !is_guid(id) {
        return Err(problem(Cause::Missing, format!("{id:?} is no group's id; an id looks like 62e90394-69f5-4237-9190-012177145e10.")));
    }
    let request = request(connection, DIRECTORY, "GET", &format!("/groups/{id}?{SELECT}"));
    let entry: Entry = json(around, &request).map_err(|error| match error.cause {
        Cause::Missing => problem(Cause::Missing, format!("The group {id} is not there (any more). {}", error.detail)),
        _ => error,
    })?;
    match entry.unfit() {
        None => Ok(entry.into_group()),
        Some(why) => {
            let name = entry.display_name.unwrap_or_default();
            Err(problem(Cause::Unfit, format!("{name:?} {why}; only mail-enabled security groups are supported.")))
        }
    }
}

/// Whether it is an id of the directory, and so nothing that could leave its place in a path or a filter.
pub(crate) fn is_guid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12] && parts.iter().all(|part| part.bytes().all(|octet| octet.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, GROUP, TENANT, connection};
    use serde_json::{Value, json};

    fn group(name: &str, mail: bool, security: bool, kinds: &[&str]) -> Value {
        json!({ "id": GROUP, "displayName": name, "mail": "g@contoso.example", "mailEnabled": mail, "securityEnabled": security, "groupTypes": kinds })
    }

    #[test]
    fn only_mail_enabled_security_groups_can_be_chosen_and_the_others_are_told_why() {
        for (entry, why) in [
            (group("A", true, true, &[]), None),
            (group("A", true, true, &["DynamicMembership"]), None),
            (group("A", true, true, &["Unified"]), Some("Microsoft 365 group")),
            (group("A", false, true, &[]), Some("without mail")),
            (group("A", true, false, &[]), Some("distribution list")),
            (json!({ "id": GROUP, "mailEnabled": true, "securityEnabled": true }), Some("no address")),
        ] {
            let fake = Fake::answering([(200, entry.clone()), (200, json!({ "value": [entry] }))]);
            let read = read_group(&fake, &connection(), GROUP);
            assert_eq!(find_groups(&fake, &connection(), "a", 10).unwrap().len(), usize::from(why.is_none()));
            match why {
                None => assert_eq!(read.unwrap().address, "g@contoso.example"),
                Some(why) => {
                    let problem = read.unwrap_err();
                    assert!(problem.cause == Cause::Unfit && problem.detail.contains(why), "{problem:?}");
                }
            }
        }
        let gone = Fake::answering([(404, json!({ "error": { "code": "Request_ResourceNotFound", "message": "none" } }))]);
        assert_eq!(read_group(&gone, &connection(), GROUP).unwrap_err().cause, Cause::Missing);
        assert_eq!(read_group(&gone, &connection(), "../users").unwrap_err().cause, Cause::Missing);
    }

    #[test]
    fn what_is_typed_stays_a_text() {
        let fake = Fake::answering([(200, json!({ "value": [] }))]);
        find_groups(&fake, &connection(), " O'Neil & co') or true ", 7).unwrap();
        let asked = fake.asked.borrow();
        assert!(asked[0].url.contains("startswith%28displayName,'O''Neil%20%26%20co''%29%20or%20true'%29"), "{}", asked[0].url);
        assert!(asked[0].headers.contains(&("ConsistencyLevel".to_owned(), "eventual".to_owned())) && asked[0].url.contains("&$top=7&"));
    }

    #[test]
    fn suggestions_go_on_over_pages_until_there_are_enough() {
        let more =
            json!({ "value": [group("B", true, true, &["Unified"])], "@odata.nextLink": "https://graph.example/v1.0/groups?$skiptoken=x" });
        let fake = Fake::answering([(200, more), (200, json!({ "value": [group("b", true, true, &[]), group("A", true, true, &[])] }))]);
        let names: Vec<_> = find_groups(&fake, &connection(), "", 5).unwrap().into_iter().map(|group| group.name).collect();
        assert_eq!(names, ["A", "b"]);
        assert_eq!(fake.asked.borrow()[1].url, "https://graph.example/v1.0/groups?$skiptoken=x");
        assert!(find_groups(&Fake::answering([]), &connection(), "a", 0).unwrap().is_empty());
    }

    #[test]
    fn the_organisation_has_the_domains_that_mail_can_come_from() {
        let domains = json!([
            { "name": "contoso.onmicrosoft.example", "isInitial": true, "capabilities": "Email, OfficeCommunicationsOnline" },
            { "name": "Contoso.example", "capabilities": "Email" },
            { "name": "intranet.example", "capabilities": "None" },
        ]);
        let answer = |id: &str| (200, json!({ "value": [{ "id": id, "displayName": "Contoso", "verifiedDomains": domains }] }));
        let found = read_organisation(&Fake::answering([answer(TENANT)]), &connection()).unwrap();
        assert_eq!(found.domains, ["contoso.onmicrosoft.example", "contoso.example"]);
        assert_eq!(found.initial_domain, "contoso.onmicrosoft.example");
        assert_eq!(read_organisation(&Fake::answering([answer(GROUP)]), &connection()).unwrap_err().cause, Cause::Protocol);
        assert_eq!(read_organisation(&Fake::answering([(200, json!({ "value": [] }))]), &connection()).unwrap_err().cause, Cause::Protocol);
    }
}
