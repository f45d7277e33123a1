//! What the console shows of the directory and of signatures, as a trait: it looks, and changes nothing.

use serde::Serialize;

use super::plane::{Answer, Outcome};

/// People of a tenant, and what they would get.
pub trait DirectoryView: Send + Sync + 'static {
    /// People whose name or address begins with `text`, in order of name; at most `limit`. Everybody when it is empty.
    fn search<'a>(&'a self, tenant: &'a str, text: &'a str, limit: usize) -> Outcome<'a, Vec<Found>>;
    /// One person, by any of their addresses.
    fn person<'a>(&'a self, tenant: &'a str, address: &'a str) -> Outcome<'a, Option<PersonView>>;
    /// The signature that a new message of that person would get at that time (milliseconds since 1970).
    fn signature<'a>(&'a self, tenant: &'a str, address: &'a str, now: u64) -> Outcome<'a, SignatureView>;
    /// Where the tenant's signatures are made; none when it has no folder of rules.
    fn rules<'a>(&'a self, tenant: &'a str) -> Answer<'a, Option<RulesView>>;
}

/// A person in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The name; empty when the directory has none.
    pub name: String,
    /// The primary address.
    pub address: String,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PersonView {
    /// The primary address.
    pub address: String,
    /// Name and value.
    pub attributes: Vec<(String, String)>,
    /// Names of the groups.
    pub groups: Vec<String>,
}

/// A signature as it would be placed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SignatureView {
    /// The ids of what was chosen, in order; empty when nobody chose any.
    pub ids: Vec<String>,
    /// The HTML fragment.
    pub html: String,
    /// The text form.
    pub text: String,
    /// Why these, one line each.
    pub explanation: Vec<String>,
}

/// Where signatures are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RulesView {
    /// The folder, as the configuration names it.
    pub folder: String,
    /// Signatures in it.
    pub signatures: usize,
}
