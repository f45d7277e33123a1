//! A browser that comes back from the service: who signed in, which tenant consented, who authorised.

use std::sync::Arc;
use std::time::Duration;

use url::Url;
use uuid::Uuid;

use super::desk::{Desk, Office};
use super::errand::Errand;
use super::machine::Event;
use super::trouble::{self, of_call, of_role};
use crate::control::credentials::{ADMINISTRATOR, BrowserBinding, Completed, Identity, Purpose, SignInError};
use crate::control::plane::Return;
use crate::control::report::{Stage, Trouble};
use crate::control::words::Goal;

/// How long a browser is kept waiting for the proof of a consent; after that the page shows how it goes on.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often the role is asked for while the service says that it is busy.
const ATTEMPTS: u32 = 3;
/// The longest wait between two such questions: a browser waits for the answer.
const LONGEST_WAIT: u32 = 5;

impl Office {
    /// Where to send a browser that is to sign in or to authorise.
    pub(in crate::control) fn send(
        &self,
        desk: &Desk,
        purpose: Purpose,
        goal: Option<Goal>,
        browser: BrowserBinding,
    ) -> Result<Url, Trouble> {
        let id = desk.tenant.id;
        let url = self.foundation.credentials.begin(Some(id), purpose, browser, (self.foundation.clock)());
        self.away(id, goal, url)
    }

    fn away(&self, tenant: Uuid, goal: Option<Goal>, url: Result<Url, SignInError>) -> Result<Url, Trouble> {
        let url = url.map_err(|error| self.failed(&error))?;
        self.errands.add(&url, Errand { tenant, goal });
        Ok(url)
    }

    fn failed(&self, error: &SignInError) -> Trouble {
        trouble::of_sign_in(error, |id| self.of(id).map(|desk| desk.tenant.name.clone()), self.now())
    }

    /// What the browser came back with, and where it goes from here.
    pub(in crate::control) async fn returned(self: &Arc<Self>, query: &str, browser: BrowserBinding) -> Result<Return, Trouble> {
        let errand = self.errands.take(query);
        let completed = self.foundation.credentials.complete(query, browser, (self.foundation.clock)()).await;
        let begun = errand.and_then(|errand| self.of(errand.tenant));
        let completed = match completed {
            Ok(completed) => completed,
            Err(error) => {
                let trouble = self.failed(&error);
                // What another browser comes with is not this connection's trouble.
                let own = !matches!(error, SignInError::UnknownState | SignInError::OtherBrowser);
                if let Some(desk) = begun.filter(|_| own) {
                    self.on(desk, Event::Troubled(trouble.clone())).await?;
                }
                return Err(trouble);
            }
        };
        let came = match &completed {
            Completed::SignedIn(identity) | Completed::Authorized(identity) => identity.tenant,
            Completed::Consented(tenant) => *tenant,
        };
        let (Some(errand), Some(desk)) = (errand, begun) else {
            return Err(Trouble::new("state", "It is not known any more what this sign-in was for.", "Start again.", self.now()));
        };
        if came != desk.tenant.id {
            let name = |id: Uuid| self.of(id).map(|desk| desk.tenant.name.clone());
            let trouble = trouble::wrong_tenant(desk.tenant.id, came, name, self.now());
            self.on(desk, Event::Troubled(trouble.clone())).await?;
            return Err(trouble);
        }
        match completed {
            Completed::SignedIn(identity) => self.signed_in(desk, identity, browser).await,
            Completed::Consented(_) => self.consented(desk).await,
            Completed::Authorized(identity) => self.authorised_by(desk, &identity, errand.goal.unwrap_or(Goal::Connect)).await,
        }
    }

    async fn signed_in(self: &Arc<Self>, desk: &Arc<Desk>, identity: Identity, browser: BrowserBinding) -> Result<Return, Trouble> {
        self.on(desk, Event::SignedIn(identity.name)).await?;
        let id = desk.tenant.id;
        let url = self.foundation.credentials.begin_consent(id, browser, (self.foundation.clock)());
        self.away(id, None, url).map(Return::Onward)
    }

    async fn consented(self: &Arc<Self>, desk: &Arc<Desk>) -> Result<Return, Trouble> {
        self.on(desk, Event::Consented).await?;
        desk.settles(|record| record.stage != Stage::SignedIn || record.trouble.is_some(), PATIENCE).await;
        match desk.record().await.trouble {
            Some(trouble) => Err(trouble),
            None => Ok(Return::Tenant(desk.tenant.id.to_string())),
        }
    }

    /// Nothing is begun before the role and the groups are known to be as they must.
    async fn authorised_by(self: &Arc<Self>, desk: &Arc<Desk>, identity: &Identity, goal: Goal) -> Result<Return, Trouble> {
        let record = desk.record().await;
        if let Err(trouble) = record.may(goal, self.now()) {
            if record.stage != Stage::InProgress {
                self.foundation.credentials.forget_administrator(desk.tenant.id);
            }
            return Err(trouble);
        }
        let administrator = match self.role(desk, identity).await {
            Ok(administrator) => administrator,
            Err(trouble) => {
                self.foundation.credentials.forget_administrator(desk.tenant.id);
                self.on(desk, Event::Troubled(trouble.clone())).await?;
                return Err(trouble);
            }
        };
        if !administrator.sufficient {
            let trouble = of_role(&administrator, self.now());
            self.on(desk, Event::RoleShort(administrator)).await?;
            return Err(trouble);
        }
        if goal == Goal::Connect
            && let Err((choice, trouble)) = self.check_groups(desk, &record).await
        {
            self.on(desk, Event::GroupGone(choice, trouble.clone())).await?;
            // The record knows what was changed before.
            return Err(desk.record().await.told().unwrap_or(trouble));
        }
        self.on(desk, Event::Authorized(goal, administrator)).await?;
        Ok(Return::Tenant(desk.tenant.id.to_string()))
    }

    async fn role(&self, desk: &Desk, identity: &Identity) -> Result<crate::control::words::Administrator, Trouble> {
        let record = desk.record().await;
        let person = identity.person.to_string();
        let mut attempt = 1;
        loop {
            let connection = self.connection(desk, &record.choices);
            match self.foundation.caller.check_administrator(&connection, &person).await {
                Ok(administrator) => return Ok(administrator),
                Err(error) => match trouble::wait(&error) {
                    Some(seconds) if attempt < ATTEMPTS => {
                        attempt += 1;
                        (self.foundation.sleep)(Duration::from_secs(seconds.clamp(1, LONGEST_WAIT).into())).await;
                    }
                    Some(_) => return Err(of_call(&error, self.now())),
                    None => return Err(self.explained(desk, &error, &[ADMINISTRATOR]).await),
                },
            }
        }
    }
}
