//! The control plane: everything that the console, the API and the command line do with the connections of tenants.
//!
//! One [`ControlPlane`] a process. It answers from memory and the store at once; what takes time (applying a plan, synchronising) runs on tasks of its
//! own and is seen through [`ControlPlane::overview`].

use super::credentials::BrowserBinding;
use super::report::{Overview, People, Senders, Trouble};
use super::words::{Goal, Group, Plan, SpfAdvice, Status};
use url::Url;

/// The connections of all tenants that have a `[tenant.connection]`.
pub struct ControlPlane {}

/// What a browser that came back from the service is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Return {
    /// The service again: the next page of the same errand.
    Onward(Url),
    /// The connection page of that tenant.
    Tenant(String),
}

/// Proof that somebody may complete the connection of a tenant without an account: the secret part of a link that works once.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Goes into the link; 43 characters that are safe in a URL.
    pub token: String,
    /// When it ends, in milliseconds since 1970.
    pub expires: u64,
}

impl ControlPlane {
    /// Ids and names of the tenants, in the order of the configuration.
    pub fn tenants(&self) -> Vec<(String, String)> {
        todo!()
    }

    /// Everything about one tenant.
    pub async fn overview(&self, tenant: &str) -> Result<Overview, Trouble> {
        todo!()
    }

    /// Connect: where to send the browser to sign in to the service. Also begins Re-connect, which keeps what is connected until the new
    /// plan is applied.
    pub async fn begin(&self, tenant: &str, browser: BrowserBinding) -> Result<Url, Trouble> {
        todo!()
    }

    /// A browser came back from the service; `query` is the part behind the question mark.
    pub async fn returned(&self, query: &str, browser: BrowserBinding) -> Result<Return, Trouble> {
        todo!()
    }

    /// Groups that can be chosen, whose name or address begins with `text`; at most 10.
    pub async fn find_groups(&self, tenant: &str, text: &str) -> Result<Vec<Group>, Trouble> {
        todo!()
    }

    /// Full, or Limited to the group of that id (which is read again and refused when it is not a mail-enabled security group).
    pub async fn choose_people(&self, tenant: &str, group: Option<&str>) -> Result<People, Trouble> {
        todo!()
    }

    /// All users, or the group of that id.
    pub async fn choose_routing(&self, tenant: &str, group: Option<&str>) -> Result<Senders, Trouble> {
        todo!()
    }

    /// Authorize: where to send the browser so that an administrator consents; the plan is applied when it comes back. Also for Disconnect, and
    /// for going on after the administrator's tokens have ended.
    pub async fn authorize(&self, tenant: &str, goal: Goal, browser: BrowserBinding) -> Result<Url, Trouble> {
        todo!()
    }

    /// The plan as it would be applied now, from what is there; needs an authorisation that has not ended.
    pub async fn plan(&self, tenant: &str, goal: Goal) -> Result<Plan, Trouble> {
        todo!()
    }

    /// The plan as a PowerShell script.
    pub async fn script(&self, tenant: &str, goal: Goal) -> Result<String, Trouble> {
        todo!()
    }

    /// The administrator says that the script was run.
    pub async fn script_was_run(&self, tenant: &str, goal: Goal) -> Result<(), Trouble> {
        todo!()
    }

    /// The step that waits for somebody, or that failed, is tried again now.
    pub async fn go_on(&self, tenant: &str) -> Result<(), Trouble> {
        todo!()
    }

    /// What was chosen and not applied is forgotten; what is connected stays.
    pub async fn abandon(&self, tenant: &str) -> Result<(), Trouble> {
        todo!()
    }

    /// A link for a Global Administrator without an account; the one before ends.
    pub async fn invite(&self, tenant: &str) -> Result<Invitation, Trouble> {
        todo!()
    }

    /// Uses an invitation up; the tenant that it is for.
    pub async fn redeem(&self, token: &str) -> Result<String, Trouble> {
        todo!()
    }

    /// Drift and the two-group report; needs an authorisation that has not ended.
    pub async fn status(&self, tenant: &str) -> Result<Status, Trouble> {
        todo!()
    }

    /// The SPF record that each domain of the tenant should publish.
    pub async fn spf(&self, tenant: &str) -> Result<Vec<SpfAdvice>, Trouble> {
        todo!()
    }

    /// Begins a round of synchronisation now.
    pub async fn synchronise(&self, tenant: &str) -> Result<(), Trouble> {
        todo!()
    }

    /// Takes over a round that was held back because too many people were missing in it.
    pub async fn accept_shrink(&self, tenant: &str) -> Result<(), Trouble> {
        todo!()
    }
}
