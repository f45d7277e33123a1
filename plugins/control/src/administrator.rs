//! How a person holds the role Global Administrator: directly, activated for a time, through a group, or not at all.
//!
//! Only a direct assignment is sufficient: Exchange Online takes up the others late or never, and one that ends in the middle leaves half a
//! configuration behind. The precise question is asked first; a tenant without the licence for it, or a consent without the permission,
//! gets the older ones.

use serde::Deserialize;
use signet_plugin_sdk::control::{Administrator, Cause, Connection, Problem, Standing, Surroundings};

use crate::directory::{Collection, is_guid};
use crate::graph::{ADMINISTRATOR, advanced, answer, code, encoded, refused, request};

/// Microsoft's template of the role Global Administrator, the same in every tenant.
pub(crate) const GLOBAL: &str = "62e90394-69f5-4237-9190-012177145e10";

/// That of the role Exchange Administrator.
const EXCHANGE_ROLE: &str = "29232cdf-9323-42fd-ade2-1d097af3e4de";

const INSTANCES: &str = "/roleManagement/directory/roleAssignmentScheduleInstances";
const ASSIGNMENTS: &str = "/roleManagement/directory/roleAssignments";

/// Pages of members of the role that are read; Microsoft advises fewer than five members.
const PAGES: usize = 20;

/// How the person holds the role.
pub(crate) fn check(around: &dyn Surroundings, connection: &Connection, person: &str) -> Result<Administrator, Problem> {
    if !is_guid(person) {
        return Err(Problem {
            cause: Cause::Missing,
            detail: format!("{person:?} is no person's id; an id looks like {GLOBAL}."),
            next_step: "Sign in again.".to_owned(),
            wait: None,
        });
    }
    let filter = format!("principalId eq '{person}'");
    if let Some(rows) = ask::<Instance>(around, connection, &format!("{INSTANCES}?$filter={}", encoded(&filter)))? {
        return Ok(from_instances(&rows));
    }
    // Whoever may not ask about schedules may still ask about assignments, where a group's members have no row.
    let rows = ask::<Assignment>(around, connection, &format!("{ASSIGNMENTS}?$filter={}", encoded(&filter)))?;
    let other = rows.as_ref().is_some_and(|rows| rows.iter().any(|row| row.role_definition_id.eq_ignore_ascii_case(EXCHANGE_ROLE)));
    let direct = rows.as_ref().map(|rows| rows.iter().any(|row| row.is_for(person) && row.role_definition_id.eq_ignore_ascii_case(GLOBAL)));
    let (direct, source) = match direct {
        Some(direct) => (direct, ASSIGNMENTS),
        // The query of the article: groups among the members are hidden by the cast, so who is listed has the role directly.
        None => {
            let target = format!("/directoryRoles(roleTemplateId='{GLOBAL}')/members/microsoft.graph.user?$select=id,displayName,mail");
            match ask::<Member>(around, connection, &target)? {
                Some(members) => (members.iter().any(|member| member.id.eq_ignore_ascii_case(person)), "/directoryRoles"),
                None => return Err(unknown()),
            }
        }
    };
    if direct {
        return Ok(verdict(Standing::Direct, other, source));
    }
    let target = "/me/transitiveMemberOf/microsoft.graph.directoryRole?$select=id,roleTemplateId&$count=true";
    // This only tells why the role is not direct: a tenant that does not answer it still gets its verdict.
    let held = match ask::<Role>(around, connection, target) {
        Err(problem) if problem.cause == Cause::Protocol => None,
        held => held?,
    };
    let global = |role: &Role| role.role_template_id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(GLOBAL));
    let through = held.as_ref().is_some_and(|held| held.iter().any(global));
    let mut found = verdict(if through { Standing::ThroughGroup } else { Standing::Absent }, other, source);
    if held.is_none() {
        found.explanation.push_str(" Whether a group gives it could not be seen; that would not be enough either.");
    }
    Ok(found)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instance {
    role_definition_id: String,
    #[serde(default)]
    directory_scope_id: Option<String>,
    #[serde(default)]
    member_type: Option<String>,
    #[serde(default)]
    assignment_type: Option<String>,
    #[serde(default)]
    end_date_time: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assignment {
    role_definition_id: String,
    #[serde(default)]
    principal_id: Option<String>,
    #[serde(default)]
    directory_scope_id: Option<String>,
}

impl Assignment {
    fn is_for(&self, person: &str) -> bool {
        self.principal_id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(person)) && whole(self.directory_scope_id.as_deref())
    }
}

#[derive(Debug, Deserialize)]
struct Member {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Role {
    #[serde(default)]
    role_template_id: Option<String>,
}

/// Whether an assignment is for the whole directory and not for a part of it.
fn whole(scope: Option<&str>) -> bool {
    scope.is_none_or(|scope| scope == "/")
}

/// All rows of an answer; none when the tenant lacks the licence or the consent lacks the permission for the question.
fn ask<T: serde::de::DeserializeOwned>(
    around: &dyn Surroundings,
    connection: &Connection,
    target: &str,
) -> Result<Option<Vec<T>>, Problem> {
    let mut request = advanced(request(connection, ADMINISTRATOR, "GET", target));
    let mut rows = Vec::new();
    for _ in 0..PAGES {
        let response = answer(around, &request)?;
        if response.status == 403 || code(&response) == "AadPremiumLicenseRequired" || (response.status == 404 && rows.is_empty()) {
            return Ok(None);
        }
        if !(200..300).contains(&response.status) {
            return Err(refused(&request, &response));
        }
        let page: Collection<T> = crate::graph::decode(&request, &response)?;
        rows.extend(page.value);
        match page.next {
            Some(next) => request.url = next,
            None => break,
        }
    }
    Ok(Some(rows))
}

fn from_instances(rows: &[Instance]) -> Administrator {
    let is = |word: &Option<String>, expected: &str| word.as_deref().is_some_and(|word| word.eq_ignore_ascii_case(expected));
    let role = |row: &&Instance, id: &str| row.role_definition_id.eq_ignore_ascii_case(id) && whole(row.directory_scope_id.as_deref());
    let global: Vec<&Instance> = rows.iter().filter(|row| role(row, GLOBAL)).collect();
    let direct = |row: &&&Instance| is(&row.member_type, "Direct");
    let assigned = |row: &&&Instance| !is(&row.assignment_type, "Activated");
    let standing = if global.iter().filter(direct).any(|row| assigned(&row) && row.end_date_time.is_none()) {
        Standing::Direct
    } else if let Some(row) = global.iter().find(direct) {
        Standing::Activated(row.end_date_time.clone())
    } else if global.is_empty() {
        Standing::Absent
    } else {
        Standing::ThroughGroup
    };
    verdict(standing, rows.iter().any(|row| role(&row, EXCHANGE_ROLE)), INSTANCES)
}

fn verdict(standing: Standing, exchange: bool, source: &str) -> Administrator {
    let mut explanation = match &standing {
        Standing::Direct => "The role Global Administrator is assigned directly to this account. Everything can be set up.".to_owned(),
        Standing::Activated(until) => format!(
            "The role Global Administrator is assigned only for a time{}, usually because Privileged Identity Management activated it. \
             Exchange Online may not take it up in time, and when it ends the set-up stops half-way.",
            until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default()
        ),
        Standing::ThroughGroup => {
            "The role Global Administrator comes from a group. Exchange Online may not honour it, so the set-up may fail: the role \
             must be assigned to the account itself."
                .to_owned()
        }
        Standing::Absent | Standing::Other(_) => "This account does not have the role Global Administrator.".to_owned(),
    };
    if standing == Standing::Direct && source != INSTANCES {
        explanation.push_str(" Whether it was activated for a time only could not be seen with this tenant's licence or permissions.");
    }
    if standing != Standing::Direct && exchange {
        explanation.push_str(
            " It is an Exchange Administrator: that is enough for connectors and rules, but not for adding the certificate domain and granting the \
             permissions. Such an account can run the script.",
        );
    }
    Administrator { sufficient: standing == Standing::Direct, steps: steps(&standing), explanation, standing, source: source.to_owned() }
}

const OPEN: &str = "Sign in to the Microsoft Entra admin center, https://entra.microsoft.com/, and open the account under Users.";
const ROLES: &str = "Choose Assigned roles, and there the list of active assignments.";
const ADD: &str = "Choose Add assignments, select Global Administrator, and go on to the tab Setting.";
const ACTIVE: &str =
    "As assignment type choose Active, not Eligible, tick Permanently assigned where it is offered, and enter a justification.";
const AGAIN: &str = "Choose Assign, cancel this set-up, sign out everywhere, and connect again with this account.";
const EXPLORER: &str = "If it still fails, ask Graph Explorer (https://developer.microsoft.com/graph/graph-explorer), with consent to Directory.Read.All, \
     for https://graph.microsoft.com/v1.0/directoryRoles(roleTemplateId='62e90394-69f5-4237-9190-012177145e10')/members/microsoft.graph.user\
     ?$select=displayName,mail: the account must be in the answer.";

/// What to do about it; the way of the article, for each standing.
fn steps(standing: &Standing) -> Vec<String> {
    let steps: &[&str] = match standing {
        Standing::Direct => &[],
        Standing::Activated(_) => &[
            OPEN,
            ROLES,
            "Find Global Administrator: it has an end time, and under eligible assignments it is listed too.",
            ADD,
            ACTIVE,
            AGAIN,
            "The permanent assignment can be removed when the state is Connected.",
            EXPLORER,
        ],
        Standing::ThroughGroup => &[
            OPEN,
            ROLES,
            "Find Global Administrator and look at the column Membership: it says Group and must say Direct.",
            "Remove that assignment in the column Action; where the account gets it from a group that others need, leave the group as it is and only add the direct one.",
            ADD,
            ACTIVE,
            AGAIN,
            EXPLORER,
        ],
        Standing::Absent | Standing::Other(_) => &[
            "Sign in with another account that is a Global Administrator, or send one the invitation link: no account here is needed for it.",
            "Or have a Global Administrator assign you the role, as follows.",
            OPEN,
            ROLES,
            ADD,
            ACTIVE,
            AGAIN,
            EXPLORER,
        ],
    };
    steps.iter().map(|&step| step.to_owned()).collect()
}

fn unknown() -> Problem {
    Problem {
        cause: Cause::Permission,
        detail: "Microsoft Graph lets this sign-in read neither role assignments nor the members of a role.".to_owned(),
        next_step: "Sign in again and accept the request for RoleManagement.Read.Directory.".to_owned(),
        wait: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, connection};
    use serde_json::{Value, json};

    const PERSON: &str = "11111111-2222-3333-4444-555555555555";

    fn instance(role: &str, member: &str, assignment: &str, end: Option<&str>) -> Value {
        json!({ "roleDefinitionId": role, "principalId": PERSON, "directoryScopeId": "/", "memberType": member, "assignmentType": assignment,
            "endDateTime": end })
    }

    #[test]
    fn each_way_of_holding_the_role_gets_its_own_verdict() {
        let end = Some("2026-11-24T20:00:00Z");
        for (rows, standing, said) in [
            (vec![instance(GLOBAL, "Direct", "Assigned", None)], Standing::Direct, "directly"),
            (vec![instance(GLOBAL, "Group", "Assigned", None), instance(GLOBAL, "Direct", "Assigned", None)], Standing::Direct, "directly"),
            (vec![instance(GLOBAL, "Direct", "Activated", end)], Standing::Activated(end.map(str::to_owned)), "until 2026-11-24T20:00:00Z"),
            (vec![instance(GLOBAL, "Direct", "Activated", None)], Standing::Activated(None), "only for a time"),
            (vec![instance(GLOBAL, "Direct", "Assigned", end)], Standing::Activated(end.map(str::to_owned)), "only for a time"),
            (vec![instance(GLOBAL, "Group", "Assigned", None)], Standing::ThroughGroup, "from a group"),
            (vec![instance(GLOBAL, "Inherited", "Assigned", None)], Standing::ThroughGroup, "from a group"),
            (vec![instance(EXCHANGE_ROLE, "Direct", "Assigned", None)], Standing::Absent, "Exchange Administrator"),
            (vec![], Standing::Absent, "does not have"),
        ] {
            let fake = Fake::answering([(200, json!({ "value": rows }))]);
            let found = check(&fake, &connection(), PERSON).unwrap();
            assert_eq!(found.standing, standing, "{rows:?}");
            assert_eq!(found.sufficient, standing == Standing::Direct);
            assert_eq!(found.steps.is_empty(), found.sufficient);
            assert!(found.explanation.contains(said), "{found:?}");
        }
    }

    #[test]
    fn without_licence_or_permission_the_older_questions_are_asked() {
        let premium = (400, json!({ "error": { "code": "AadPremiumLicenseRequired", "message": "no" } }));
        let denied = (403, json!({ "error": { "code": "Authorization_RequestDenied", "message": "no" } }));
        let row = json!({ "roleDefinitionId": GLOBAL, "principalId": PERSON, "directoryScopeId": "/" });
        let member = json!({ "id": PERSON });
        let role = json!({ "id": "r", "roleTemplateId": GLOBAL });
        let list = |rows: Vec<Value>| (200, json!({ "value": rows }));
        for (answers, standing) in [
            (vec![premium.clone(), list(vec![row.clone()])], Standing::Direct),
            (vec![denied.clone(), list(vec![row])], Standing::Direct),
            (vec![premium.clone(), list(vec![]), list(vec![role.clone()])], Standing::ThroughGroup),
            (vec![premium, list(vec![]), list(vec![])], Standing::Absent),
            (vec![denied.clone(), denied.clone(), list(vec![member])], Standing::Direct),
            (vec![denied.clone(), denied.clone(), list(vec![]), list(vec![role])], Standing::ThroughGroup),
            (vec![denied.clone(), denied.clone(), list(vec![]), denied.clone()], Standing::Absent),
            (vec![denied.clone(), list(vec![]), (400, json!({ "error": { "code": "BadRequest" } }))], Standing::Absent),
        ] {
            let fake = Fake::answering(answers);
            assert_eq!(check(&fake, &connection(), PERSON).unwrap().standing, standing);
            assert!(fake.finished());
        }
        let fake = Fake::answering([denied.clone(), denied.clone(), denied]);
        assert_eq!(check(&fake, &connection(), PERSON).unwrap_err().cause, Cause::Permission);
        assert_eq!(check(&Fake::answering([]), &connection(), "' or true").unwrap_err().cause, Cause::Missing);
    }
}
