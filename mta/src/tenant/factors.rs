//! The single factors: what each compares, and what of it may be logged.

use std::collections::HashMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{Factor, Proof, SecretHeader, Tenant, TenantId};
use crate::address::{Domain, Mailbox, ReversePath};
use crate::header::{AuthorFault, Field, author, fields};
use crate::message::Peer;

/// Logged values are cut here: enough for every address and id, too little to carry content.
const MAX_VALUE: usize = 128;
const CROSS_TENANT_ID: &str = "X-MS-Exchange-CrossTenant-Id";
const ORIGINATOR_ORG: &str = "X-OriginatorOrg";

/// `value` as a log may hold it.
pub(super) fn cut(value: &str) -> String {
    value.chars().take(MAX_VALUE).map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn factor(name: &'static str, agrees: bool, value: &str) -> Factor {
    Factor { name, agrees, value: cut(value) }
}

/// Whether `name` is `pattern`, or below the suffix of a pattern `*.suffix`.
pub(super) fn name_matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => name
            .len()
            .checked_sub(suffix.len())
            .is_some_and(|split| split > 0 && name.is_char_boundary(split) && name[split..].eq_ignore_ascii_case(suffix)),
        _ => name.eq_ignore_ascii_case(pattern),
    }
}

fn network_agrees(proof: &Proof, peer: &Peer) -> bool {
    // A dual-stack socket shows IPv4 peers as ::ffff:192.0.2.1.
    let address = peer.address.ip().to_canonical();
    proof.networks.iter().any(|network| network.contains(&address))
}

fn certificate_names(peer: &Peer) -> &[String] {
    peer.tls.as_ref().and_then(|tls| tls.client.as_ref()).map_or(&[], |certificate| certificate.names.as_slice())
}

fn certificate_agrees(proof: &Proof, peer: &Peer) -> bool {
    certificate_names(peer).iter().any(|name| proof.certificate_names.iter().any(|pattern| name_matches(pattern, name)))
}

fn server_name(peer: &Peer) -> &str {
    peer.tls.as_ref().and_then(|tls| tls.server_name.as_deref()).unwrap_or_default()
}

fn server_name_agrees(proof: &Proof, peer: &Peer) -> bool {
    let asked = server_name(peer);
    !asked.is_empty() && proof.server_names.iter().any(|name| name.eq_ignore_ascii_case(asked))
}

/// The factors that `tenant` demands of the peer. A login that was proven counts against every other tenant even where none is demanded.
pub(super) fn of_peer(tenant: &Tenant, peer: &Peer, logins: &HashMap<String, TenantId>) -> Vec<Factor> {
    let proof = &tenant.proof;
    let mut factors = Vec::new();
    if !proof.networks.is_empty() {
        factors.push(factor("network", network_agrees(proof, peer), &peer.address.ip().to_canonical().to_string()));
    }
    if !proof.certificate_names.is_empty() {
        factors.push(factor("certificate", certificate_agrees(proof, peer), &certificate_names(peer).join(" ")));
    }
    if !proof.server_names.is_empty() {
        factors.push(factor("server-name", server_name_agrees(proof, peer), server_name(peer)));
    }
    match &peer.login {
        Some(login) => factors.push(factor("login", logins.get(&**login) == Some(&tenant.id), login)),
        None if proof.login => factors.push(factor("login", false, "")),
        None => {}
    }
    factors
}

/// What the peer showed, against all tenants at once: a factor agrees when at least one tenant that demands it is content.
pub(super) fn summary(tenants: &[std::sync::Arc<Tenant>], peer: &Peer, logins: &HashMap<String, TenantId>) -> Vec<Factor> {
    let any = |agrees: fn(&Proof, &Peer) -> bool| tenants.iter().any(|tenant| agrees(&tenant.proof, peer));
    let login = peer.login.as_deref().unwrap_or_default();
    vec![
        factor("network", any(network_agrees), &peer.address.ip().to_canonical().to_string()),
        factor("certificate", any(certificate_agrees), &certificate_names(peer).join(" ")),
        factor("server-name", any(server_name_agrees), server_name(peer)),
        factor("login", logins.contains_key(login), login),
    ]
}

/// The reverse-path factor, where demanded. The null reverse-path has no domain; [`Evidence::factors`] demands the header From instead.
pub(super) fn of_reverse_path(tenant: &Tenant, reverse_path: &ReversePath) -> Option<Factor> {
    let mailbox = reverse_path.mailbox()?;
    tenant.proof.reverse_path.then(|| factor("reverse-path", tenant.owns(mailbox.domain()), mailbox.as_str()))
}

/// The message's own marks.
pub(super) struct Evidence<'a> {
    fields: Vec<Field<'a>>,
    author: Result<Mailbox, AuthorFault>,
}

impl<'a> Evidence<'a> {
    pub(super) fn read(content: &'a [u8]) -> Self {
        Self { fields: fields(content).collect(), author: author(content) }
    }

    fn values(&self, name: &str) -> Vec<String> {
        self.fields.iter().filter(|field| field.is(name)).map(Field::text).collect()
    }

    /// The factors that `tenant` demands of the message.
    pub(super) fn factors(&self, tenant: &Tenant, reverse_path: &ReversePath) -> Vec<Factor> {
        let proof = &tenant.proof;
        let mut factors = Vec::new();
        if let Some(id) = &proof.cross_tenant_id {
            factors.push(exactly_one("cross-tenant-id", &self.values(CROSS_TENANT_ID), |value| value.eq_ignore_ascii_case(id)));
            let organisations = self.values(ORIGINATOR_ORG);
            if !organisations.is_empty() {
                let owned = |value: &str| Domain::parse(value).is_ok_and(|domain| tenant.owns(&domain));
                factors.push(exactly_one("originator-org", &organisations, owned));
            }
        }
        if let Some(secret) = &proof.secret_header {
            factors.push(self.secret(secret));
        }
        let null = reverse_path.mailbox().is_none();
        if proof.header_from || proof.reverse_path && null {
            factors.push(match &self.author {
                Ok(mailbox) => factor("header-from", tenant.owns(mailbox.domain()), mailbox.as_str()),
                Err(fault) => factor("header-from", false, fault.as_str()),
            });
        }
        factors
    }

    /// Compares in constant time, and says only how the comparison went.
    fn secret(&self, secret: &SecretHeader) -> Factor {
        match self.values(&secret.name).as_slice() {
            [] => factor("secret-header", false, "absent"),
            [value] => {
                let agrees = verify_slices_are_equal(value.as_bytes(), secret.value.as_bytes()).is_ok();
                factor("secret-header", agrees, if agrees { "equal" } else { "different" })
            }
            several => factor("secret-header", false, &format!("{} fields", several.len())),
        }
    }
}

fn exactly_one(name: &'static str, values: &[String], agrees: impl Fn(&str) -> bool) -> Factor {
    match values {
        [] => factor(name, false, ""),
        [value] => factor(name, agrees(value), value),
        several => factor(name, false, &several.join(" | ")),
    }
}
