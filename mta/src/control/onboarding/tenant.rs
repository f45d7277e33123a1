//! What the configuration says about a tenant that can be connected, and the record that every call of the plugin is given.

use uuid::Uuid;

use crate::config;
use crate::control::report::{Choices, People, Senders};
use crate::control::words::{Connection, Routing, Synchronisation, Word};

/// A tenant with a `[tenant.connection]`.
#[derive(Clone, Debug)]
pub struct ConnectedTenant {
    /// Its id at the service.
    pub id: Uuid,
    /// Its name, for people.
    pub name: String,
    /// The domains that it sends from, lower case.
    pub domains: Vec<String>,
    /// What it is connected with.
    pub settings: config::Connection,
    /// The field that messages bear which were processed.
    pub processed: Word,
    /// The field that the rule sets, when one is demanded.
    pub identification: Option<Word>,
}

impl ConnectedTenant {
    /// None for a tenant that is not to be connected, or cannot be: a configuration that was checked has no such.
    pub fn of(tenant: &config::Tenant) -> Option<Self> {
        let word = |field: &config::SecretHeader| Word { name: field.name.clone(), value: field.value.clone() };
        Some(Self {
            id: Uuid::try_parse(&tenant.id).ok()?,
            name: tenant.name.clone(),
            domains: tenant.domains.iter().map(|domain| domain.as_str().to_owned()).collect(),
            settings: tenant.connection.clone()?,
            processed: tenant.seal.loop_token.as_ref()?.word.as_ref().map(word)?,
            identification: tenant.proof.secret_header.as_ref().map(word),
        })
    }

    /// What a call is given: the configuration, what was chosen (everything where nothing was), and the credentials that are there.
    pub(super) fn connection(&self, endpoints: &[Word], choices: &Choices, credentials: &[&str]) -> Connection {
        let synchronisation = match &choices.people {
            Some(People::Limited(group)) => Synchronisation::Limited(group.id.clone()),
            Some(People::Full) | None => Synchronisation::Full,
        };
        let routing = match &choices.senders {
            Some(Senders::Group(group)) => Routing::Group(group.id.clone()),
            Some(Senders::AllUsers) | None => Routing::AllUsers,
        };
        Connection {
            tenant: self.id.to_string(),
            endpoints: endpoints.to_vec(),
            credentials: credentials.iter().map(|&handle| handle.to_owned()).collect(),
            synchronisation,
            routing,
            smart_host: self.settings.smart_host.as_str().to_owned(),
            certificate_domain: self.settings.certificate_domain.as_str().to_owned(),
            processed: self.processed.clone(),
            identification: self.identification.clone(),
            size_limit: u64::try_from(self.settings.size_limit).unwrap_or(u64::MAX),
            domains: self.domains.clone(),
            spf_term: self.settings.spf_term.clone(),
        }
    }
}
