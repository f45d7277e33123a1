//! The properties of users and groups: their names, what an unset one looks like, and where they can be asked for.

use serde_json::{Map, Value, json};

use crate::tenant::{Kind, Object};

/// What an unset property looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `null`.
    Null,
    /// `[]`.
    List,
    /// Only for one object, and never null: left out when unset.
    Absent,
}

/// A property: name, form, and whether a collection can be asked for it.
type Property = (&'static str, Form, bool);

use Form::{Absent, List, Null};

#[rustfmt::skip]
const USER: &[Property] = &[
    ("id", Null, true), ("deletedDateTime", Null, true), ("aboutMe", Null, false), ("accountEnabled", Null, true),
    ("ageGroup", Null, true), ("assignedLicenses", List, true), ("assignedPlans", List, true), ("authorizationInfo", Null, true),
    ("birthday", Absent, false), ("businessPhones", List, true), ("city", Null, true), ("companyName", Null, true),
    ("consentProvidedForMinor", Null, true), ("country", Null, true), ("createdDateTime", Null, true), ("creationType", Null, true),
    ("customSecurityAttributes", Null, true), ("department", Null, true), ("deviceEnrollmentLimit", Absent, true),
    ("displayName", Null, true), ("employeeHireDate", Null, true), ("employeeId", Null, true), ("employeeLeaveDateTime", Null, true),
    ("employeeOrgData", Null, true), ("employeeType", Null, true), ("externalUserState", Null, true),
    ("externalUserStateChangeDateTime", Null, true), ("faxNumber", Null, true), ("givenName", Null, true),
    ("hireDate", Absent, false), ("identities", List, true), ("identityParentId", Null, true), ("imAddresses", List, true),
    ("interests", List, false), ("isManagementRestricted", Null, true), ("isResourceAccount", Null, true), ("jobTitle", Null, true),
    ("lastPasswordChangeDateTime", Null, true), ("legalAgeGroupClassification", Null, true), ("licenseAssignmentStates", List, true),
    ("mail", Null, true), ("mailboxSettings", Null, false), ("mailNickname", Null, true), ("mobilePhone", Null, true),
    ("mySite", Null, false), ("officeLocation", Null, true), ("onPremisesDistinguishedName", Null, true),
    ("onPremisesDomainName", Null, true), ("onPremisesExtensionAttributes", Null, true), ("onPremisesImmutableId", Null, true),
    ("onPremisesLastSyncDateTime", Null, true), ("onPremisesProvisioningErrors", List, true),
    ("onPremisesSamAccountName", Null, true), ("onPremisesSecurityIdentifier", Null, true), ("onPremisesSyncEnabled", Null, true),
    ("onPremisesUserPrincipalName", Null, true), ("otherMails", List, true), ("passwordPolicies", Null, true),
    ("passwordProfile", Null, true), ("pastProjects", List, false), ("postalCode", Null, true), ("preferredDataLocation", Null, true),
    ("preferredLanguage", Null, true), ("preferredName", Null, false), ("print", Null, true), ("provisionedPlans", List, true),
    ("proxyAddresses", List, true), ("responsibilities", List, false), ("schools", List, false), ("securityIdentifier", Null, true),
    ("serviceProvisioningErrors", List, true), ("showInAddressList", Null, true), ("signInActivity", Null, true),
    ("signInSessionsValidFromDateTime", Null, true), ("skills", List, false), ("state", Null, true), ("streetAddress", Null, true),
    ("surname", Null, true), ("usageLocation", Null, true), ("userPrincipalName", Null, true), ("userType", Null, true),
];

#[rustfmt::skip]
const GROUP: &[Property] = &[
    ("id", Null, true), ("deletedDateTime", Null, true), ("accessType", Null, true), ("allowExternalSenders", Null, false),
    ("assignedLabels", List, true), ("assignedLicenses", List, true), ("autoSubscribeNewMembers", Null, false),
    ("classification", Null, true), ("createdDateTime", Null, true), ("description", Null, true), ("displayName", Null, true),
    ("expirationDateTime", Null, true), ("groupTypes", List, true), ("hasMembersWithLicenseErrors", Null, true),
    ("hideFromAddressLists", Null, false), ("hideFromOutlookClients", Null, false), ("infoCatalogs", List, true),
    ("isArchived", Null, true), ("isAssignableToRole", Null, true), ("isFavorite", Null, true),
    ("isManagementRestricted", Null, true), ("isSubscribedByMail", Null, false), ("licenseProcessingState", Null, true),
    ("mail", Null, true), ("mailEnabled", Null, true), ("mailNickname", Null, true), ("membershipRule", Null, true),
    ("membershipRuleProcessingState", Null, true), ("onPremisesDomainName", Null, true),
    ("onPremisesExtensionAttributes", Null, true), ("onPremisesLastSyncDateTime", Null, true), ("onPremisesNetBiosName", Null, true),
    ("onPremisesProvisioningErrors", List, true), ("onPremisesSamAccountName", Null, true),
    ("onPremisesSecurityIdentifier", Null, true), ("onPremisesSyncEnabled", Null, true), ("organizationId", Null, true),
    ("preferredDataLocation", Null, true), ("preferredLanguage", Null, true), ("proxyAddresses", List, true),
    ("renewedDateTime", Null, true), ("resourceBehaviorOptions", List, true), ("resourceProvisioningOptions", List, true),
    ("securityEnabled", Null, true), ("securityIdentifier", Null, true), ("serviceProvisioningErrors", List, true),
    ("theme", Null, true), ("uniqueName", Null, true), ("unseenConversationsCount", Null, true), ("unseenCount", Null, false),
    ("unseenMessagesCount", Null, true), ("visibility", Null, true), ("welcomeMessageEnabled", Null, true),
];

/// What a user shows when nothing is selected.
const USER_DEFAULT: [&str; 11] = [
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
];

/// What a group shows when nothing is selected.
const GROUP_DEFAULT: [&str; 22] = [
    "id",
    "deletedDateTime",
    "classification",
    "createdDateTime",
    "description",
    "displayName",
    "expirationDateTime",
    "groupTypes",
    "isAssignableToRole",
    "mail",
    "mailEnabled",
    "mailNickname",
    "membershipRule",
    "onPremisesLastSyncDateTime",
    "onPremisesSyncEnabled",
    "preferredLanguage",
    "proxyAddresses",
    "renewedDateTime",
    "securityEnabled",
    "securityIdentifier",
    "theme",
    "visibility",
];

fn table(kind: Kind) -> &'static [Property] {
    match kind {
        Kind::User => USER,
        Kind::Group => GROUP,
    }
}

/// Whether the name is a directory extension's.
fn is_extension(name: &str) -> bool {
    let Some((application, own)) = name.strip_prefix("extension_").and_then(|rest| rest.split_once('_')) else { return false };
    application.len() == 32 && application.bytes().all(|octet| octet.is_ascii_hexdigit()) && !own.is_empty()
}

/// How a property can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Everywhere.
    Everywhere,
    /// For one object only.
    Single,
    /// There is none of that name.
    Unknown,
}

/// How a property of that kind of object can be asked for.
pub(crate) fn standing(kind: Kind, name: &str) -> Standing {
    match table(kind).iter().find(|(known, _, _)| *known == name) {
        Some((_, _, true)) => Standing::Everywhere,
        Some((_, _, false)) => Standing::Single,
        None if is_extension(name) => Standing::Everywhere,
        None => Standing::Unknown,
    }
}

/// The name of the type in error texts.
pub(crate) fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "microsoft.graph.user",
        Kind::Group => "microsoft.graph.group",
    }
}

/// The value of a property, or of a part of one (`onPremisesExtensionAttributes/extensionAttribute1`); null when unset.
pub(crate) fn value(object: &Object, path: &str) -> Value {
    if path == "id" {
        return json!(object.id.to_string());
    }
    let (name, part) = path.split_once('/').unwrap_or((path, ""));
    let Some(value) = object.properties.value(name) else { return Value::Null };
    if part.is_empty() { value.clone() } else { value.get(part).cloned().unwrap_or_default() }
}

/// The object as the service shows it: what is selected, or the default.
pub(crate) fn project(object: &Object, select: Option<&[String]>) -> Map<String, Value> {
    let mut shown = Map::new();
    match select {
        Some(names) => names.iter().for_each(|name| show(object, name, &mut shown)),
        None => {
            let names: &[&str] = if object.kind == Kind::User { &USER_DEFAULT } else { &GROUP_DEFAULT };
            names.iter().for_each(|name| show(object, name, &mut shown));
        }
    }
    shown
}

fn show(object: &Object, name: &str, shown: &mut Map<String, Value>) {
    let value = match value(object, name) {
        Value::Null => match table(object.kind).iter().find(|(known, _, _)| *known == name) {
            Some((_, List, _)) => json!([]),
            Some((_, Null, _)) => Value::Null,
            Some((_, Absent, _)) | None => return,
        },
        Value::Object(set) if name == "onPremisesExtensionAttributes" => {
            let names = (1..=15).map(|number| format!("extensionAttribute{number}"));
            names.map(|name| (name.clone(), set.get(&name).cloned().unwrap_or_default())).collect()
        }
        value => value,
    };
    shown.insert(name.to_owned(), value);
}
