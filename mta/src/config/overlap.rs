//! Two tenants that a peer or a message could belong to at once.
//!
//! Attribution refuses such mail (RFC 5321 code 550), so the mistake is found here, before there is any.

use std::collections::HashMap;
use std::ops::Range;

use ipnet::IpNet;

use super::Tenant;
use super::source::{At, Source};
use super::tenants::Places;

/// Records every collision between two tenants, at the later one and naming the line of the earlier one.
pub(super) fn check(source: &mut Source<'_>, tenants: &[(Tenant, Places)]) {
    let ids = tenants.iter().map(|(tenant, places)| (tenant.id.clone(), &places.id, tenant));
    claims(source, "id", ids.collect());
    let domains = tenants.iter().flat_map(|(tenant, places)| {
        tenant.domains.iter().zip(&places.domains).map(move |(name, place)| (name.to_string(), place, tenant))
    });
    // Its sender of trials is the tenant's, too.
    let certificates = tenants.iter().filter_map(|(tenant, places)| {
        let connection = tenant.connection.as_ref()?;
        Some((connection.certificate_domain.to_string(), &places.certificate_domain, tenant))
    });
    claims(source, "domain", domains.chain(certificates).collect());
    let server_names = tenants.iter().flat_map(|(tenant, places)| {
        tenant.proof.server_names.iter().zip(&places.server_names).map(move |(name, place)| (name.clone(), place, tenant))
    });
    claims(source, "server name", server_names.collect());
    let logins = tenants.iter().flat_map(|(tenant, places)| {
        tenant.logins.iter().zip(&places.logins).map(move |(login, place)| (login.name.clone(), place, tenant))
    });
    claims(source, "login", logins.collect());
    for (index, (later, places)) in tenants.iter().enumerate() {
        for (earlier, earlier_places) in &tenants[..index] {
            if one_peer_fits_both(earlier, later) && one_message_fits_both(earlier, later) {
                let message = format!(
                    "the same peer and message could be of tenant {:?} on line {}: nothing tells the two apart",
                    earlier.id,
                    source.line(&earlier_places.table)
                );
                let example = "reverse_path = true, or cross_tenant_id, or a secret_header, in both".to_owned();
                source.error(At::Missing { table: Some(places.proof.clone()), path: "tenant.proof".to_owned() }, message, Some(example));
            }
        }
    }
}

/// Records every name that is claimed twice.
fn claims(source: &mut Source<'_>, what: &str, claims: Vec<(String, &Range<usize>, &Tenant)>) {
    let mut first: HashMap<String, (&Range<usize>, &Tenant)> = HashMap::new();
    for (name, place, tenant) in claims {
        let Some((earlier_place, earlier)) = first.get(&name) else {
            first.insert(name, (place, tenant));
            continue;
        };
        let line = source.line(earlier_place);
        let message = if what == "id" {
            format!("{name:?} is already the id of the tenant on line {line}")
        } else if std::ptr::eq(*earlier, tenant) {
            format!("{name:?} is already on line {line}")
        } else {
            format!("{name:?} is already a {what} of tenant {:?} on line {line}", earlier.id)
        };
        source.error(At::Span(place.clone()), message, None);
    }
}

/// A factor that only one of the two demands excludes nothing: the peer may have it.
fn one_peer_fits_both(a: &Tenant, b: &Tenant) -> bool {
    let (a, b) = (&a.proof, &b.proof);
    // A connection is logged in as one, and a login belongs to one tenant.
    let logins = a.login && b.login;
    // A client asks for one server name, and no two tenants have the same.
    let server_names = !a.server_names.is_empty() && !b.server_names.is_empty();
    !logins && !server_names && networks(&a.networks, &b.networks) && certificates(&a.certificate_names, &b.certificate_names)
}

fn networks(a: &[IpNet], b: &[IpNet]) -> bool {
    let overlap = |x: &IpNet, y: &IpNet| x.contains(&y.network()) || y.contains(&x.network());
    a.is_empty() || b.is_empty() || a.iter().any(|x| b.iter().any(|y| overlap(x, y)))
}

fn certificates(a: &[String], b: &[String]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|x| b.iter().any(|y| x == y || under(x, y) || under(y, x)))
}

/// Whether `pattern` is a wildcard that a certificate for `name` satisfies.
fn under(name: &str, pattern: &str) -> bool {
    pattern.strip_prefix('*').is_some_and(|suffix| name.trim_start_matches('*').ends_with(suffix))
}

/// As for peers: a message can satisfy both unless both demand the same kind of proof and differ in it.
fn one_message_fits_both(a: &Tenant, b: &Tenant) -> bool {
    let (a, b) = (&a.proof, &b.proof);
    // Domains belong to one tenant each.
    let addresses = a.reverse_path && b.reverse_path || a.header_from && b.header_from;
    let ids = matches!((&a.cross_tenant_id, &b.cross_tenant_id), (Some(a), Some(b)) if a != b);
    let secrets = matches!((&a.secret_header, &b.secret_header), (Some(a), Some(b)) if a != b);
    !addresses && !ids && !secrets
}
