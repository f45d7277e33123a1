//! What the console asks of the control plane, as a trait, so that its pages can be tried without one.

use std::future::Future;
use std::pin::Pin;

use url::Url;

use crate::control::credentials::BrowserBinding;
use crate::control::plane::{ControlPlane, Invitation, Return};
use crate::control::report::{Comparison, Overview, People, Senders, Trouble};
use crate::control::words::{Goal, Group, Plan, SpfAdvice};

/// An answer that may take time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// An answer that may be what went wrong.
pub type Outcome<'a, T> = Answer<'a, Result<T, Trouble>>;

/// The methods of [`ControlPlane`]; its documentation is theirs.
pub trait Plane: Send + Sync + 'static {
    /// Ids and names, in order.
    fn tenants(&self) -> Vec<(String, String)>;
    /// Everything about one tenant.
    fn overview<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Overview>;
    /// Connect and Re-connect.
    fn begin<'a>(&'a self, tenant: &'a str, browser: BrowserBinding) -> Outcome<'a, Url>;
    /// A browser came back.
    fn returned<'a>(&'a self, query: &'a str, browser: BrowserBinding) -> Outcome<'a, Return>;
    /// Groups that can be chosen.
    fn find_groups<'a>(&'a self, tenant: &'a str, text: &'a str) -> Outcome<'a, Vec<Group>>;
    /// Whose people.
    fn choose_people<'a>(&'a self, tenant: &'a str, group: Option<&'a str>) -> Outcome<'a, People>;
    /// Whose mail.
    fn choose_routing<'a>(&'a self, tenant: &'a str, group: Option<&'a str>) -> Outcome<'a, Senders>;
    /// Authorize and Disconnect.
    fn authorize<'a>(&'a self, tenant: &'a str, goal: Goal, browser: BrowserBinding) -> Outcome<'a, Url>;
    /// What would be done.
    fn plan<'a>(&'a self, tenant: &'a str, goal: Goal) -> Outcome<'a, Plan>;
    /// The same for PowerShell.
    fn script<'a>(&'a self, tenant: &'a str, goal: Goal) -> Outcome<'a, String>;
    /// It was run.
    fn script_was_run<'a>(&'a self, tenant: &'a str, goal: Goal) -> Outcome<'a, ()>;
    /// Try again.
    fn go_on<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()>;
    /// Forget what was chosen.
    fn abandon<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()>;
    /// A link for somebody without an account.
    fn invite<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Invitation>;
    /// Uses it up.
    fn redeem<'a>(&'a self, token: &'a str) -> Outcome<'a, String>;
    /// Drift and the two groups.
    fn status<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Comparison>;
    /// SPF records.
    fn spf<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Vec<SpfAdvice>>;
    /// A round now.
    fn synchronise<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()>;
    /// The round that was held back.
    fn accept_shrink<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()>;
}

// Inherent methods come before those of a trait, so each of these calls the one of the same name above.
impl Plane for ControlPlane {
    fn tenants(&self) -> Vec<(String, String)> {
        self.tenants()
    }

    fn overview<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Overview> {
        Box::pin(self.overview(tenant))
    }

    fn begin<'a>(&'a self, tenant: &'a str, browser: BrowserBinding) -> Outcome<'a, Url> {
        Box::pin(self.begin(tenant, browser))
    }

    fn returned<'a>(&'a self, query: &'a str, browser: BrowserBinding) -> Outcome<'a, Return> {
        Box::pin(self.returned(query, browser))
    }

    fn find_groups<'a>(&'a self, tenant: &'a str, text: &'a str) -> Outcome<'a, Vec<Group>> {
        Box::pin(self.find_groups(tenant, text))
    }

    fn choose_people<'a>(&'a self, tenant: &'a str, group: Option<&'a str>) -> Outcome<'a, People> {
        Box::pin(self.choose_people(tenant, group))
    }

    fn choose_routing<'a>(&'a self, tenant: &'a str, group: Option<&'a str>) -> Outcome<'a, Senders> {
        Box::pin(self.choose_routing(tenant, group))
    }

    fn authorize<'a>(&'a self, tenant: &'a str, goal: Goal, browser: BrowserBinding) -> Outcome<'a, Url> {
        Box::pin(self.authorize(tenant, goal, browser))
    }

    fn plan<'a>(&'a self, tenant: &'a str, goal: Goal) -> Outcome<'a, Plan> {
        Box::pin(self.plan(tenant, goal))
    }

    fn script<'a>(&'a self, tenant: &'a str, goal: Goal) -> Outcome<'a, String> {
        Box::pin(self.script(tenant, goal))
    }

    fn script_was_run<'a>(&'a self, tenant: &'a str, goal: Goal) -> Outcome<'a, ()> {
        Box::pin(self.script_was_run(tenant, goal))
    }

    fn go_on<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()> {
        Box::pin(self.go_on(tenant))
    }

    fn abandon<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()> {
        Box::pin(self.abandon(tenant))
    }

    fn invite<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Invitation> {
        Box::pin(self.invite(tenant))
    }

    fn redeem<'a>(&'a self, token: &'a str) -> Outcome<'a, String> {
        Box::pin(self.redeem(token))
    }

    fn status<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Comparison> {
        Box::pin(self.status(tenant))
    }

    fn spf<'a>(&'a self, tenant: &'a str) -> Outcome<'a, Vec<SpfAdvice>> {
        Box::pin(self.spf(tenant))
    }

    fn synchronise<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()> {
        Box::pin(self.synchronise(tenant))
    }

    fn accept_shrink<'a>(&'a self, tenant: &'a str) -> Outcome<'a, ()> {
        Box::pin(self.accept_shrink(tenant))
    }
}
