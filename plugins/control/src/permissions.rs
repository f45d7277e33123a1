//! What needs which permission: every request of this plugin, and the consent that covers it.
//!
//! An operator's registrations ask for exactly these. The application reads; what changes something acts for the signed-in administrator and leaves
//! no standing right.

use crate::exchange::EXCHANGE;
use crate::graph::{ADMINISTRATOR, DIRECTORY};

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The method.
    pub method: &'static str,
    /// The path, as Microsoft describes it.
    pub path: &'static str,
    /// The credential that it is sent with.
    pub credential: &'static str,
    /// The permission: of the application for `directory`, delegated for `administrator` and `exchange`; empty where the requests inside have their own.
    pub permission: &'static str,
}

const fn need(method: &'static str, path: &'static str, credential: &'static str, permission: &'static str) -> Need {
    Need { method, path, credential, permission }
}

/// All requests.
pub const NEEDS: &[Need] = &[
    need("GET", "/organization", DIRECTORY, "User.Read.All"),
    need("GET", "/users", DIRECTORY, "User.Read.All"),
    need("GET", "/groups", DIRECTORY, "GroupMember.Read.All"),
    need("GET", "/groups/{groupId}", DIRECTORY, "GroupMember.Read.All"),
    need("GET", "/groups/{groupId}/transitiveMembers/microsoft.graph.user", DIRECTORY, "GroupMember.Read.All"),
    need("GET", "/users/delta", DIRECTORY, "User.Read.All"),
    need("GET", "/users/{userId}", DIRECTORY, "User.Read.All"),
    need("GET", "/users/{userId}/manager", DIRECTORY, "User.Read.All"),
    need("GET", "/users/{userId}/photo", DIRECTORY, "User.Read.All"),
    need("GET", "/users/{userId}/photo/$value", DIRECTORY, "User.Read.All"),
    need("GET", "/users/{userId}/photos/{photoSize}/$value", DIRECTORY, "User.Read.All"),
    need("GET", "/groups/delta", DIRECTORY, "GroupMember.Read.All"),
    need("GET", "/users/$count", DIRECTORY, "User.Read.All"),
    need("GET", "/groups/$count", DIRECTORY, "GroupMember.Read.All"),
    need("GET", "/users/{userId}/transitiveMemberOf/microsoft.graph.group", DIRECTORY, "GroupMember.Read.All"),
    need("POST", "/$batch", DIRECTORY, ""),
    need("GET", "/roleManagement/directory/roleAssignmentScheduleInstances", ADMINISTRATOR, "RoleManagement.Read.Directory"),
    need("GET", "/roleManagement/directory/roleAssignments", ADMINISTRATOR, "RoleManagement.Read.Directory"),
    need(
        "GET",
        "/directoryRoles(roleTemplateId='{roleTemplateId}')/members/microsoft.graph.user",
        ADMINISTRATOR,
        "RoleManagement.Read.Directory",
    ),
    need("GET", "/me/transitiveMemberOf/microsoft.graph.directoryRole", ADMINISTRATOR, "User.Read"),
    need("GET", "/domains/{domainId}", ADMINISTRATOR, "Domain.ReadWrite.All"),
    need("POST", "/domains", ADMINISTRATOR, "Domain.ReadWrite.All"),
    need("GET", "/domains/{domainId}/verificationDnsRecords", ADMINISTRATOR, "Domain.ReadWrite.All"),
    need("POST", "/domains/{domainId}/verify", ADMINISTRATOR, "Domain.ReadWrite.All"),
    need("DELETE", "/domains/{domainId}", ADMINISTRATOR, "Domain.ReadWrite.All"),
    // Of the resource Office 365 Exchange Online; the application's is Exchange.ManageAsApp, with the directory role Exchange Administrator.
    need("POST", "/adminapi/beta/{tenant}/InvokeCommand", EXCHANGE, "Exchange.Manage"),
];
