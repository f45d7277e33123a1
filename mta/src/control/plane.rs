//! The control plane: everything that the console, the API and the command line do with the connections of tenants.
//!
//! One [`ControlPlane`] a process. It answers from memory and the store at once; what takes time (applying a plan, synchronising) runs on tasks of its
//! own and is seen through [`ControlPlane::overview`].

use std::sync::Arc;

use url::Url;

use super::credentials::{ADMINISTRATOR, BrowserBinding, DIRECTORY, EXCHANGE, Purpose};
use super::onboarding::{Choice, Desk, Event, Foundation, KeepError, Kept, Office, Record};
use super::onboarding::{before_authorisation, of_call, of_credential, stage_trouble};
use super::report::{Comparison, Overview, People, Senders, Stage, Trouble};
use super::words::{Action, Goal, Group, Organisation, Plan, SpfAdvice};

/// Suggestions at once.
const SUGGESTIONS: u32 = 10;

/// The connections of all tenants that have a `[tenant.connection]`.
pub struct ControlPlane {
    office: Arc<Office>,
}

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
    /// Reads what was kept, begins the synchronisation of connected tenants and goes on with what was under way.
    pub async fn new(foundation: Foundation) -> Result<Arc<Self>, KeepError> {
        Ok(Arc::new(Self { office: Office::open(foundation).await? }))
    }

    /// Ends what is under way, as dropping does. What was done is kept, and the rest is done after the next start.
    pub fn stop(&self) {
        self.office.stop();
    }

    /// Ids and names of the tenants, in the order of the configuration.
    pub fn tenants(&self) -> Vec<(String, String)> {
        self.office.desks.iter().map(|desk| (desk.tenant.id.to_string(), desk.tenant.name.clone())).collect()
    }

    /// Everything about one tenant.
    pub async fn overview(&self, tenant: &str) -> Result<Overview, Trouble> {
        let desk = self.office.desk(tenant)?;
        let record = desk.record().await;
        let id = desk.tenant.id.to_string();
        let synchronised = self.office.foundation.synchroniser.report(&id).await;
        let (warnings, trouble) = (self.warnings(desk, &record), record.told());
        let Record { stage, organisation, signed_in, choices, connected, connected_since, administrator, work, .. } = record;
        let name = desk.tenant.name.clone();
        Ok(Overview {
            tenant: id,
            name,
            stage,
            organisation,
            signed_in,
            choices,
            connected,
            connected_since,
            administrator,
            work,
            trouble,
            synchronised,
            warnings,
        })
    }

    fn warnings(&self, desk: &Desk, record: &Record) -> Vec<String> {
        let foundation = &self.office.foundation;
        let mut warnings = foundation.credentials.warnings((foundation.clock)());
        if record.stage == Stage::SignedIn && record.consented && record.trouble.is_none() {
            warnings
                .push("The consent has not arrived everywhere yet. This takes up to ten minutes and is tried again by itself.".to_owned());
        }
        let foreign = |organisation: &Organisation| -> Vec<String> {
            let domains = desk.tenant.domains.iter().filter(|domain| !organisation.domains.contains(domain));
            domains.map(|domain| format!("The configured domain {domain} is not one that {} sends mail from.", organisation.name)).collect()
        };
        warnings.extend(record.organisation.as_ref().map(foreign).unwrap_or_default());
        warnings
    }

    /// Connect: where to send the browser to sign in to the service. Also begins Re-connect, which keeps what is connected until the new
    /// plan is applied.
    pub async fn begin(&self, tenant: &str, browser: BrowserBinding) -> Result<Url, Trouble> {
        let desk = self.office.desk(tenant)?;
        if desk.record().await.stage == Stage::InProgress {
            let next_step = "Wait until it is applied, or give it up first.";
            return Err(stage_trouble("A plan is being applied.", next_step, self.office.now()));
        }
        self.office.send(desk, Purpose::SignIn, None, browser)
    }

    /// A browser came back from the service; `query` is the part behind the question mark.
    pub async fn returned(&self, query: &str, browser: BrowserBinding) -> Result<Return, Trouble> {
        self.office.returned(query, browser).await
    }

    /// Groups that can be chosen, whose name or address begins with `text`; at most 10.
    pub async fn find_groups(&self, tenant: &str, text: &str) -> Result<Vec<Group>, Trouble> {
        let desk = self.office.desk(tenant)?;
        let connection = self.office.connection(desk, &desk.record().await.choices);
        match self.office.foundation.caller.find_groups(&connection, text, SUGGESTIONS).await {
            Ok(groups) => Ok(groups),
            Err(error) => Err(self.office.explained(desk, &error, &[DIRECTORY]).await),
        }
    }

    /// Full, or Limited to the group of that id (which is read again and refused when it is not a mail-enabled security group).
    pub async fn choose_people(&self, tenant: &str, group: Option<&str>) -> Result<People, Trouble> {
        let (desk, group) = self.chosen(tenant, Choice::People, group).await?;
        let people = group.map_or(People::Full, People::Limited);
        self.office.on(desk, Event::PeopleChosen(people.clone())).await?;
        Ok(people)
    }

    /// All users, or the group of that id.
    pub async fn choose_routing(&self, tenant: &str, group: Option<&str>) -> Result<Senders, Trouble> {
        let (desk, group) = self.chosen(tenant, Choice::Senders, group).await?;
        let senders = group.map_or(Senders::AllUsers, Senders::Group);
        self.office.on(desk, Event::SendersChosen(senders.clone())).await?;
        Ok(senders)
    }

    /// The tenant, and the group as the directory knows it.
    async fn chosen(&self, tenant: &str, choice: Choice, group: Option<&str>) -> Result<(&Arc<Desk>, Option<Group>), Trouble> {
        let desk = self.office.desk(tenant)?;
        let record = desk.record().await;
        record.may_choose(choice, self.office.now())?;
        let Some(id) = group else { return Ok((desk, None)) };
        let connection = self.office.connection(desk, &record.choices);
        match self.office.foundation.caller.read_group(&connection, id).await {
            Ok(group) => Ok((desk, Some(group))),
            Err(error) => Err(self.office.explained(desk, &error, &[DIRECTORY]).await),
        }
    }

    /// Authorize: where to send the browser so that an administrator consents; the plan is applied when it comes back. Also for Disconnect, and
    /// for going on after the administrator's tokens have ended.
    pub async fn authorize(&self, tenant: &str, goal: Goal, browser: BrowserBinding) -> Result<Url, Trouble> {
        let desk = self.office.desk(tenant)?;
        desk.record().await.may(goal, self.office.now())?;
        self.office.send(desk, Purpose::Authorize, Some(goal), browser)
    }

    /// The plan as it would be applied now, from what is there; needs an authorisation that has not ended.
    pub async fn plan(&self, tenant: &str, goal: Goal) -> Result<Plan, Trouble> {
        let desk = self.office.desk(tenant)?;
        let record = desk.record().await;
        record.may(goal, self.office.now())?;
        self.authorised(desk).await.map_err(|trouble| match record.stage {
            Stage::InProgress => trouble,
            _ => before_authorisation(trouble),
        })?;
        self.make_plan(desk, &record, goal).await
    }

    async fn make_plan(&self, desk: &Desk, record: &Record, goal: Goal) -> Result<Plan, Trouble> {
        match self.office.make_plan(desk, record.chosen_for(goal), goal).await {
            Ok(plan) => Ok(plan),
            Err(error) => Err(self.office.explained(desk, &error, &[ADMINISTRATOR, EXCHANGE, DIRECTORY]).await),
        }
    }

    /// Whether somebody's authorisation is there.
    async fn authorised(&self, desk: &Desk) -> Result<(), Trouble> {
        let foundation = &self.office.foundation;
        for handle in [ADMINISTRATOR, EXCHANGE] {
            let bearer = foundation.credentials.bearer(desk.tenant.id, handle, (foundation.clock)()).await;
            bearer.map_err(|error| of_credential(&error, self.office.now()))?;
        }
        Ok(())
    }

    /// The plan as a PowerShell script.
    pub async fn script(&self, tenant: &str, goal: Goal) -> Result<String, Trouble> {
        let desk = self.office.desk(tenant)?;
        let record = desk.record().await;
        record.may(goal, self.office.now())?;
        let connection = self.office.connection(desk, record.chosen_for(goal));
        let script = self.office.foundation.caller.write_script(&connection, goal).await;
        script.map_err(|error| of_call(&error, self.office.now()))
    }

    /// The administrator says that the script was run. It is looked at when somebody's authorisation is there, and believed when not: then the first
    /// message proves it.
    pub async fn script_was_run(&self, tenant: &str, goal: Goal) -> Result<(), Trouble> {
        let desk = self.office.desk(tenant)?;
        let record = desk.record().await;
        record.may(goal, self.office.now())?;
        let plan = match self.authorised(desk).await {
            Ok(()) => Some(self.make_plan(desk, &record, goal).await?),
            Err(_) => None,
        };
        let left = plan.iter().flat_map(|plan| &plan.steps).filter(|step| !matches!(step.action, Action::Keep | Action::Check));
        let left: Vec<&str> = left.map(|step| step.title.as_str()).collect();
        if !left.is_empty() {
            let detail = format!("The script was not run to its end; this is still to be done: {}.", left.join(", "));
            let trouble = Trouble::new("missing", detail, "Run the script again, and read what it says.", self.office.now());
            self.office.on(desk, Event::Troubled(trouble.clone())).await?;
            return Err(trouble);
        }
        if goal == Goal::Disconnect {
            self.office.clear(desk).await?;
        }
        self.office.on(desk, Event::ScriptRan(goal, plan)).await
    }

    /// The step that waits for somebody, or that failed, is tried again now.
    pub async fn go_on(&self, tenant: &str) -> Result<(), Trouble> {
        self.office.on(self.office.desk(tenant)?, Event::GoOn).await
    }

    /// What was chosen and not applied is forgotten; what is connected stays. What a plan changed before stays too, and is told as trouble until
    /// another plan is through.
    pub async fn abandon(&self, tenant: &str) -> Result<(), Trouble> {
        self.office.on(self.office.desk(tenant)?, Event::Abandoned).await
    }

    /// A link for a Global Administrator without an account; the one before ends.
    pub async fn invite(&self, tenant: &str) -> Result<Invitation, Trouble> {
        let desk = self.office.desk(tenant)?;
        let now = self.office.now();
        let (token, kept) = Kept::fresh(now)
            .ok_or_else(|| Trouble::new("fault", "This machine gives no random octets.", "See this machine's system log.", now))?;
        let expires = kept.expires();
        self.office.on(desk, Event::Invited(kept)).await?;
        Ok(Invitation { token, expires })
    }

    /// Uses an invitation up; the tenant that it is for.
    pub async fn redeem(&self, token: &str) -> Result<String, Trouble> {
        for desk in &self.office.desks {
            let is_of = |record: &Record| record.invitation.as_ref().is_some_and(|kept| kept.is_of(token));
            if is_of(&desk.record().await) {
                self.office.on(desk, Event::Redeemed(token.to_owned())).await?;
                return Ok(desk.tenant.id.to_string());
            }
        }
        Err(Record::no_invitation(self.office.now()))
    }

    /// Drift and the two-group report; without an authorisation that has not ended, the report alone.
    pub async fn status(&self, tenant: &str) -> Result<Comparison, Trouble> {
        let desk = self.office.desk(tenant)?;
        let record = desk.record().await;
        let Some(connected) = &record.connected else {
            return Err(stage_trouble("This tenant is not connected.", "Choose Connect and sign in.", self.office.now()));
        };
        let compared = self.office.connection(desk, connected).credentials.iter().any(|handle| handle == EXCHANGE);
        match self.office.read_status(desk, connected).await {
            Ok(status) => Ok(Comparison { compared, status }),
            Err(error) => Err(self.office.explained(desk, &error, &[DIRECTORY]).await),
        }
    }

    /// The SPF record that each domain of the tenant should publish.
    pub async fn spf(&self, tenant: &str) -> Result<Vec<SpfAdvice>, Trouble> {
        let desk = self.office.desk(tenant)?;
        let foundation = &self.office.foundation;
        let connection = self.office.connection(desk, &desk.record().await.choices);
        let mut advice = Vec::new();
        for domain in &desk.tenant.domains {
            let published = foundation.spf.of(domain).await.map_err(|error| {
                let detail = format!("The TXT records of {domain} could not be looked up: {error}.");
                Trouble::new("unavailable", detail, "Check this machine's name resolution; then try again.", self.office.now())
            })?;
            let advised = foundation.caller.advise_spf(&connection, domain, published).await;
            advice.push(advised.map_err(|error| of_call(&error, self.office.now()))?);
        }
        Ok(advice)
    }

    /// Begins a round of synchronisation now.
    pub async fn synchronise(&self, tenant: &str) -> Result<(), Trouble> {
        let desk = self.synchronised(tenant).await?;
        self.office.foundation.synchroniser.now(&desk.tenant.id.to_string()).await
    }

    /// Takes over a round that was held back because too many people were missing in it.
    pub async fn accept_shrink(&self, tenant: &str) -> Result<(), Trouble> {
        let desk = self.synchronised(tenant).await?;
        self.office.foundation.synchroniser.accept_shrink(&desk.tenant.id.to_string()).await
    }

    async fn synchronised(&self, tenant: &str) -> Result<&Arc<Desk>, Trouble> {
        let desk = self.office.desk(tenant)?;
        if desk.record().await.synchronised_by().is_some() {
            return Ok(desk);
        }
        Err(stage_trouble(
            "People are synchronised once the tenant is being connected.",
            "Complete the connection first.",
            self.office.now(),
        ))
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.stop();
    }
}
