//! Which permissions are asked for, who may grant them, and what they are called on the page.

use std::collections::BTreeSet;

use crate::random::Id;
use crate::tenant::{GLOBAL_ADMINISTRATOR, Grant};
use crate::world::{Application, Resource, World};

/// Scopes of OpenID Connect, which are no permissions of an API.
pub(crate) const PROTOCOL: [&str; 4] = ["openid", "profile", "email", "offline_access"];
/// Delegated permissions that a person may give alone.
const PERSONAL: [&str; 2] = ["https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/User.ReadBasic.All"];

/// What a scope text asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Delegated permissions as `resource/permission`.
    pub(crate) scopes: BTreeSet<String>,
    /// Application permissions; only `.default` can ask for them.
    pub(crate) roles: BTreeSet<String>,
    /// The API that the access token is for.
    pub(crate) resource: Option<Resource>,
}

/// Reads a scope text; the error is an AADSTS number and text.
pub(crate) fn asked(application: &Application, scope: &str) -> Result<Asked, (u32, String)> {
    let mut asked = Asked::default();
    for word in scope.split_whitespace().filter(|word| !PROTOCOL.contains(word)) {
        let unknown = || (500_011, format!("The resource principal named {word} was not found in the tenant."));
        let (resource, permission) = Resource::of_scope(word).ok_or_else(unknown)?;
        if permission == ".default" {
            // It stands for all that the registration asks for, of whatever resource.
            asked.scopes.extend(application.scopes.iter().cloned());
            asked.roles.extend(application.roles.iter().cloned());
        } else if words(&resource.key(permission)).is_none() {
            let text = format!("The provided value for the input parameter 'scope' is not valid. The scope '{word}' does not exist.");
            return Err((70_011, text));
        } else {
            asked.scopes.insert(resource.key(permission));
        }
        asked.resource.get_or_insert(resource);
    }
    Ok(asked)
}

/// Whether the person may grant for everybody.
pub(crate) fn may_grant(world: &World, tenant: &str, user: Id) -> bool {
    world.tenant(tenant).is_some_and(|tenant| tenant.roles_of(user, world.now()).contains(GLOBAL_ADMINISTRATOR))
}

/// Whether only an administrator may give this delegated permission.
pub(crate) fn needs_administrator(scope: &str) -> bool {
    !PERSONAL.contains(&scope)
}

/// Delegated permissions in force for a person.
pub(crate) fn held(grant: Option<&Grant>, user: Id) -> BTreeSet<String> {
    let Some(grant) = grant else { return BTreeSet::new() };
    grant.scopes.iter().chain(grant.personal.get(&user).into_iter().flatten()).cloned().collect()
}

/// What the consent page says about a permission; none when there is no such permission.
pub(crate) fn words(key: &str) -> Option<&'static str> {
    let words = match key.strip_prefix("https://graph.microsoft.com/").or_else(|| key.strip_prefix("https://outlook.office365.com/"))? {
        "User.Read" => "Sign in and read your profile",
        "User.ReadBasic.All" => "Read all users' basic profiles",
        "User.Read.All" => "Read all users' full profiles",
        "User.ReadWrite.All" => "Read and write all users' full profiles",
        "Group.ReadBasic.All" => "Read basic information of all groups",
        "Group.Read.All" => "Read all groups",
        "Group.ReadWrite.All" => "Read and write all groups",
        "GroupMember.Read.All" => "Read all group memberships",
        "GroupMember.ReadBasic.All" => "Read basic information of all group memberships",
        "Member.Read.Hidden" => "Read all hidden memberships",
        "ProfilePhoto.Read.All" => "Read all profile photos",
        "Organization.Read.All" => "Read organization information",
        "Domain.Read.All" => "Read domains",
        "Domain.ReadWrite.All" => "Read and write domains",
        "Directory.Read.All" => "Read directory data",
        "Directory.ReadWrite.All" => "Read and write directory data",
        "RoleManagement.Read.Directory" => "Read directory role assignments",
        "RoleManagement.Read.All" => "Read role management data for all role-based systems",
        "RoleAssignmentSchedule.Read.Directory" => "Read all active role assignments and role schedules",
        "Application.Read.All" => "Read all applications",
        "Exchange.Manage" => "Manage Exchange configuration",
        "Exchange.ManageAsApp" => "Manage Exchange As Application",
        _ => return None,
    };
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_permissions_of_a_resource() {
        let application = Application {
            name: String::new(),
            display_name: String::new(),
            client_id: String::new(),
            secret: String::new(),
            certificates: Vec::new(),
            redirects: Vec::new(),
            roles: vec!["https://graph.microsoft.com/User.Read.All".to_owned()],
            scopes: vec!["https://graph.microsoft.com/User.Read".to_owned(), "https://outlook.office365.com/Exchange.Manage".to_owned()],
        };
        let cases: [(&str, Result<&[&str], u32>); 6] = [
            ("openid profile", Ok(&[])),
            ("User.Read", Ok(&["https://graph.microsoft.com/User.Read"])),
            ("https://outlook.office365.com/Exchange.Manage", Ok(&["https://outlook.office365.com/Exchange.Manage"])),
            (
                "https://graph.microsoft.com/.default",
                Ok(&["https://graph.microsoft.com/User.Read", "https://outlook.office365.com/Exchange.Manage"]),
            ),
            ("Mail.Burn", Err(70_011)),
            ("https://example.com/.default", Err(500_011)),
        ];
        for (scope, expected) in cases {
            let found = asked(&application, scope).map(|asked| asked.scopes).map_err(|(number, _)| number);
            assert_eq!(found, expected.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()), "{scope}");
        }
    }
}
