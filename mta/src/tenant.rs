//! Whose mail is it: from the peer, the envelope and the message's own marks to exactly one tenant, or to a refusal.
//!
//! A Microsoft 365 address range or client certificate proves *some* tenant of Microsoft's, never which one; whoever lets that be enough relays
//! for every Microsoft customer. So every factor that a tenant's [`Proof`] configures is demanded, zero, two or conflicting values are a
//! refusal, and nothing is guessed. Three steps: [`Registry::permit`] when the peer is known, [`Registry::claim`] at MAIL,
//! [`Registry::attribute`] at the end of data. Whether the author is authentic (SPF, DKIM, DMARC) is `verify`'s question.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use thiserror::Error;

use crate::address::{Domain, ReversePath};
use crate::header::check_name;
use crate::message::{Accepted, Peer};
use crate::signature::RecipientClass;

mod factors;

use factors::Evidence;

/// Certificate names that every Microsoft 365 tenant's mail arrives with, by cloud.
const SHARED_CERTIFICATE_NAMES: [&str; 3] =
    ["mail.protection.outlook.com", "mail.protection.office365.us", "mail.protection.partner.outlook.cn"];

/// Networks that every Microsoft 365 tenant's mail comes from (Office 365 endpoint set 10, with the wider block that newer lists show).
const SHARED_NETWORKS: [&str; 6] =
    ["40.92.0.0/15", "40.107.0.0/16", "52.96.0.0/12", "104.47.0.0/17", "2a01:111:f400::/48", "2a01:111:f403::/48"];

/// Why tenants cannot be served together, or one not safely at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TenantError {
    /// Two tenants with one id.
    #[error("tenant {0} is configured twice; give each tenant its own id")]
    Twice(TenantId),
    /// A domain must decide between tenants.
    #[error("domain {domain} belongs to the tenants {first} and {second}; list it for one of them only")]
    SharedDomain {
        /// The domain.
        domain: Domain,
        /// Its first owner.
        first: TenantId,
        /// Its second owner.
        second: TenantId,
    },
    /// Anybody could send as this tenant.
    #[error(
        "tenant {0} asks nothing of the peer that a stranger could not show, so anybody could send as this tenant; configure networks, certificate names or a login"
    )]
    Unproven(TenantId),
    /// Every customer of the same provider could send as this tenant.
    #[error(
        "tenant {tenant} accepts {name}, with which every Microsoft 365 tenant's mail arrives; configure cross_tenant_id or secret_header too"
    )]
    SharedProof {
        /// The tenant.
        tenant: TenantId,
        /// The certificate name or network that is not its own.
        name: String,
    },
    /// It would match what anybody can write, or nothing.
    #[error(
        "tenant {0} has a secret header whose name or value cannot stand in a header field; use printable ASCII, for example 32 random letters"
    )]
    SecretHeader(TenantId),
    /// A domain factor that nothing can fulfil.
    #[error("tenant {0} checks the sender's domain but has no domains; list at least one, for example \"example.com\"")]
    NoDomains(TenantId),
    /// A login of nobody.
    #[error("login {login:?} belongs to the tenant {tenant}, which does not exist")]
    UnknownTenant {
        /// The login.
        login: String,
        /// The tenant that it names.
        tenant: TenantId,
    },
    /// One login cannot prove two tenants.
    #[error("login {0:?} is configured twice; a login proves one tenant")]
    LoginTwice(String),
}

/// A tenant's id: as configured, a GUID in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The id `text`; GUIDs become lower case.
    pub fn new(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        Self(if is_guid(text) { text.to_ascii_lowercase().into() } else { text.into() })
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_guid(text: &str) -> bool {
    let groups = [8, 4, 4, 4, 12];
    text.split('-').map(str::len).eq(groups) && text.bytes().all(|octet| octet.is_ascii_hexdigit() || octet == b'-')
}

/// One customer organisation.
#[derive(Debug)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// For people.
    pub name: String,
    /// Its own domains; each belongs to one tenant. Subdomains are listed one by one.
    pub domains: Vec<Domain>,
    /// Domains of organisations that it calls partners.
    pub partners: Vec<Domain>,
    /// What must agree before mail counts as this tenant's.
    pub proof: Proof,
}

impl Tenant {
    /// Whether `domain` is one of its own.
    pub fn owns(&self, domain: &Domain) -> bool {
        self.domains.contains(domain)
    }

    /// Where a recipient in `domain` stands in relation to this tenant.
    pub fn recipient_class(&self, domain: &Domain) -> RecipientClass {
        if self.owns(domain) {
            RecipientClass::Internal
        } else if self.partners.contains(domain) {
            RecipientClass::Partner
        } else {
            RecipientClass::External
        }
    }

    /// Names of the header fields that prove this tenant and must not reach any recipient; `seal` removes them.
    pub fn private_fields(&self) -> impl Iterator<Item = &str> {
        self.proof.secret_header.iter().map(|header| header.name.as_str())
    }
}

/// The factors that a tenant demands: all that are configured here must agree.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// The peer's address is in one of these.
    pub networks: Vec<IpNet>,
    /// The client certificate carries one of these names: exact, or `*.suffix` for every name below `suffix`.
    pub certificate_names: Vec<String>,
    /// The peer asked for one of these names in its TLS handshake.
    pub server_names: Vec<String>,
    /// The peer proved a login of this tenant by SMTP AUTH.
    pub login: bool,
    /// The reverse-path is in one of the tenant's domains; when it is null, the header From is.
    pub reverse_path: bool,
    /// Exactly one `X-MS-Exchange-CrossTenant-Id`, with this value; and no `X-OriginatorOrg` of another tenant.
    pub cross_tenant_id: Option<String>,
    /// Exactly one field of this name, with this value.
    pub secret_header: Option<SecretHeader>,
    /// The header From is in one of the tenant's domains, whatever the reverse-path is.
    pub header_from: bool,
}

/// A header field that only the tenant's own mail-flow rule can set.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHeader {
    /// The field's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretHeader").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One thing that was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factor {
    /// Which factor.
    pub name: &'static str,
    /// Whether it agrees.
    pub agrees: bool,
    /// What was seen, cut to 128 characters; never a secret.
    pub value: String,
}

/// A refusal and what led to it, for the log. The peer gets 550 5.7.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Everything that was compared.
    pub factors: Vec<Factor>,
    /// The refusal in a few words.
    pub reason: &'static str,
}

/// Evidence that a peer may send for these tenants, as far as the peer alone can prove it. Made by [`Registry::permit`] only.
#[derive(Clone, Debug)]
pub struct Permit {
    candidates: Arc<[Arc<Tenant>]>,
}

impl Permit {
    /// The tenants that the peer may send for; never empty.
    pub fn candidates(&self) -> &[Arc<Tenant>] {
        &self.candidates
    }
}

/// What peer and reverse-path say together.
#[derive(Clone, Debug)]
pub enum Claim {
    /// One tenant only.
    One(Arc<Tenant>),
    /// Several, until the message is seen.
    Open(Vec<Arc<Tenant>>),
}

/// The tenant that a message belongs to, and every factor that agreed.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// Whose message it is.
    pub tenant: Arc<Tenant>,
    /// What was compared.
    pub factors: Vec<Factor>,
}

/// All tenants.
#[derive(Debug, Default)]
pub struct Registry {
    tenants: Vec<Arc<Tenant>>,
    logins: HashMap<String, TenantId>,
}

impl Registry {
    /// These tenants, with their SMTP AUTH logins; an error where their proofs could not keep them, or strangers, apart.
    pub fn new(tenants: Vec<Arc<Tenant>>, logins: impl IntoIterator<Item = (String, TenantId)>) -> Result<Self, TenantError> {
        let mut ids: HashMap<&TenantId, ()> = HashMap::new();
        let mut owners: HashMap<&Domain, &TenantId> = HashMap::new();
        for tenant in &tenants {
            if ids.insert(&tenant.id, ()).is_some() {
                return Err(TenantError::Twice(tenant.id.clone()));
            }
            check_proof(tenant)?;
            for domain in &tenant.domains {
                match owners.insert(domain, &tenant.id) {
                    Some(first) if *first != tenant.id => {
                        return Err(TenantError::SharedDomain { domain: domain.clone(), first: first.clone(), second: tenant.id.clone() });
                    }
                    _ => {}
                }
            }
        }
        let mut owner_of_login = HashMap::new();
        for (login, tenant) in logins {
            if !ids.contains_key(&tenant) {
                return Err(TenantError::UnknownTenant { login, tenant });
            }
            if owner_of_login.contains_key(&login) {
                return Err(TenantError::LoginTwice(login));
            }
            owner_of_login.insert(login, tenant);
        }
        Ok(Self { tenants, logins: owner_of_login })
    }

    /// The tenants, in configuration order.
    pub fn tenants(&self) -> &[Arc<Tenant>] {
        &self.tenants
    }

    /// The tenants whose peer factors (network, certificate, server name, login) all agree.
    pub fn permit(&self, peer: &Peer) -> Result<Permit, Verdict> {
        let agrees = |tenant: &&Arc<Tenant>| factors::of_peer(tenant, peer, &self.logins).iter().all(|factor| factor.agrees);
        let candidates: Arc<[_]> = self.tenants.iter().filter(agrees).cloned().collect();
        if candidates.is_empty() {
            return Err(Verdict { factors: factors::summary(&self.tenants, peer, &self.logins), reason: "no tenant expects this peer" });
        }
        Ok(Permit { candidates })
    }

    /// The tenants of `permit` that this reverse-path can belong to.
    pub fn claim(&self, permit: &Permit, reverse_path: &ReversePath) -> Result<Claim, Verdict> {
        let agrees = |tenant: &&Arc<Tenant>| factors::of_reverse_path(tenant, reverse_path).is_none_or(|factor| factor.agrees);
        let mut candidates: Vec<_> = permit.candidates.iter().filter(agrees).cloned().collect();
        match candidates.len() {
            0 => {
                let seen = Factor { name: "reverse-path", agrees: false, value: factors::cut(&reverse_path.to_string()) };
                Err(Verdict { factors: vec![seen], reason: "the reverse-path is in no domain of a tenant that this peer may send for" })
            }
            1 => Ok(Claim::One(candidates.swap_remove(0))),
            _ => Ok(Claim::Open(candidates)),
        }
    }

    /// The one tenant whose factors all agree, with the message's header fields among them.
    pub fn attribute(&self, accepted: &Accepted) -> Result<Attribution, Verdict> {
        let evidence = Evidence::read(&accepted.content);
        let candidates = accepted.envelope.permit().candidates();
        let mut proven = Vec::new();
        let mut refuted = Vec::new();
        for tenant in candidates {
            let mut factors = factors::of_peer(tenant, &accepted.peer, &self.logins);
            factors.extend(factors::of_reverse_path(tenant, accepted.envelope.reverse_path()));
            factors.extend(evidence.factors(tenant, accepted.envelope.reverse_path()));
            let fulfilled = factors.iter().all(|factor| factor.agrees);
            let sink = if fulfilled { &mut proven } else { &mut refuted };
            sink.push((tenant, factors));
        }
        if proven.len() == 1
            && let Some((tenant, factors)) = proven.pop()
        {
            return Ok(Attribution { tenant: Arc::clone(tenant), factors });
        }
        let (reason, considered) = if proven.is_empty() {
            ("the message's factors prove no tenant", refuted)
        } else {
            ("the message's factors prove more than one tenant", proven)
        };
        Err(Verdict { factors: listed(considered), reason })
    }
}

/// A verdict about several candidates names the tenant before each group of factors.
fn listed(considered: Vec<(&Arc<Tenant>, Vec<Factor>)>) -> Vec<Factor> {
    /// More candidates than this tell the reader of a log nothing new.
    const MAX_CANDIDATES: usize = 8;
    let several = considered.len() > 1;
    let mut list = Vec::new();
    for (tenant, factors) in considered.into_iter().take(MAX_CANDIDATES) {
        if several {
            let agrees = factors.iter().all(|factor| factor.agrees);
            list.push(Factor { name: "tenant", agrees, value: factors::cut(tenant.id.as_str()) });
        }
        list.extend(factors);
    }
    list
}

fn check_proof(tenant: &Tenant) -> Result<(), TenantError> {
    let proof = &tenant.proof;
    // Any client can ask for a server name, and everybody is in a network of all addresses: neither proves anything alone.
    let networks = proof.networks.iter().any(|network| network.prefix_len() > 0);
    if !networks && proof.certificate_names.is_empty() && !proof.login {
        return Err(TenantError::Unproven(tenant.id.clone()));
    }
    if (proof.reverse_path || proof.header_from) && tenant.domains.is_empty() {
        return Err(TenantError::NoDomains(tenant.id.clone()));
    }
    if let Some(SecretHeader { name, value }) = &proof.secret_header
        && (check_name(name).is_err() || value.is_empty() || !value.bytes().all(|octet| octet.is_ascii_graphic()))
    {
        return Err(TenantError::SecretHeader(tenant.id.clone()));
    }
    let tells_apart = proof.cross_tenant_id.is_some() || proof.secret_header.is_some() || proof.login;
    let shared =
        proof.certificate_names.iter().find(|name| SHARED_CERTIFICATE_NAMES.iter().any(|shared| factors::name_matches(name, shared)));
    let shared = shared.cloned().or_else(|| proof.certificate_names.is_empty().then(|| shared_network(proof)).flatten());
    match shared {
        Some(name) if !tells_apart => Err(TenantError::SharedProof { tenant: tenant.id.clone(), name }),
        _ => Ok(()),
    }
}

/// A network of the proof that Microsoft's outbound hosts are in.
fn shared_network(proof: &Proof) -> Option<String> {
    let shared: Vec<IpNet> = SHARED_NETWORKS.iter().filter_map(|network| network.parse().ok()).collect();
    let overlaps = |network: &&IpNet| shared.iter().any(|known| known.contains(*network) || network.contains(known));
    proof.networks.iter().find(overlaps).map(ToString::to_string)
}

#[cfg(test)]
mod tests;
