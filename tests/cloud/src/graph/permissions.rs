//! Which permissions let a request through. The names are those of Microsoft's permissions reference.

use super::errors::Refusal;
use crate::world::Access;

const USERS: &[&str] = &["User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
const USERS_FULL: &[&str] = &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
const GROUPS: &[&str] = &[
    "Group.ReadBasic.All",
    "GroupMember.Read.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
const MEMBERS: &[&str] = &[
    "GroupMember.ReadBasic.All",
    "GroupMember.Read.All",
    "Group.ReadBasic.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "Directory.Read.All",
];
const MEMBER_OF: &[&str] = &["Directory.Read.All", "Directory.ReadWrite.All", "Group.ReadBasic.All", "GroupMember.ReadBasic.All"];
const TRANSITIVE_MEMBER_OF: &[&str] = &[
    "GroupMember.ReadBasic.All",
    "GroupMember.Read.All",
    "Group.ReadBasic.All",
    "Group.Read.All",
    "User.Read.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
const PHOTO: &[&str] = &["ProfilePhoto.Read.All", "ProfilePhoto.ReadWrite.All", "User.Read.All", "User.ReadBasic.All"];
const ORGANIZATION: &[&str] =
    &["User.Read.All", "Organization.Read.All", "Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
const DOMAINS: &[&str] = &["Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All"];
const DOMAIN_RECORDS: &[&str] = &["Domain.Read.All", "Domain.ReadWrite.All"];
const DOMAIN_WRITE: &[&str] = &["Domain.ReadWrite.All"];
const ROLES: &[&str] =
    &["RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "Directory.Read.All", "Directory.ReadWrite.All"];
const SCHEDULES: &[&str] = &[
    "RoleAssignmentSchedule.Read.Directory",
    "RoleAssignmentSchedule.ReadWrite.Directory",
    "RoleManagement.Read.Directory",
    "RoleManagement.Read.All",
    "RoleManagement.ReadWrite.Directory",
];

/// Judges the token for method and path below `/v1.0`.
pub(crate) fn judge(access: &Access, method: &str, parts: &[&str]) -> Result<(), Refusal> {
    let own = access.user.is_some();
    // One's own entry by its id is what /me is.
    let me = access.user.map(|id| id.to_string()).unwrap_or_default();
    let mine: Vec<&str> = match parts {
        ["users", id, rest @ ..] if own && *id == me => [&["me"], rest].concat(),
        _ => parts.to_vec(),
    };
    let parts = mine.as_slice();
    let accepted = match (method, parts) {
        (_, ["$batch"]) => return Ok(()),
        (_, ["me", ..]) if !own => {
            return Err(Refusal::bad("/me request is only valid with delegated authentication flow."));
        }
        (_, ["me"]) => [USERS, &["User.Read", "User.ReadWrite"]].concat(),
        (_, ["me", "memberOf" | "transitiveMemberOf", ..]) => [TRANSITIVE_MEMBER_OF, &["User.Read"]].concat(),
        (_, ["me", ..]) => [USERS, &["User.Read"]].concat(),
        (_, ["users", _, "photo" | "photos", ..]) => PHOTO.to_vec(),
        (_, ["users", _, "memberOf", ..]) => [MEMBER_OF, if own { &["GroupMember.Read.All"] } else { &[] }].concat(),
        (_, ["users", _, "transitiveMemberOf", ..]) => TRANSITIVE_MEMBER_OF.to_vec(),
        (_, ["users", _, "manager"] | ["users", "delta"]) => USERS_FULL.to_vec(),
        (_, ["users", ..]) => USERS.to_vec(),
        (_, ["groups", _, "members" | "transitiveMembers", ..]) => MEMBERS.to_vec(),
        (_, ["groups", ..]) => GROUPS.to_vec(),
        (_, ["organization", ..]) => [ORGANIZATION, if own { &["User.Read"] } else { &[] }].concat(),
        ("GET", ["domains", _, _]) => DOMAIN_RECORDS.to_vec(),
        ("GET", ["domains", ..]) => DOMAINS.to_vec(),
        (_, ["domains", ..]) => DOMAIN_WRITE.to_vec(),
        (_, ["roleManagement", "directory", "roleAssignmentScheduleInstances", ..]) => SCHEDULES.to_vec(),
        (_, ["roleManagement", ..]) => [ROLES, if own { &["RoleManagement.Read.All"] } else { &[] }].concat(),
        (_, [first, ..]) if first.starts_with("directoryRoles") => ROLES.to_vec(),
        _ => return Ok(()),
    };
    if accepted.iter().any(|permission| access.permissions.contains(*permission)) {
        return Ok(());
    }
    Err(Refusal::new(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."))
}
