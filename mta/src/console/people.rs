//! People of a tenant: finding one, what is known about them, and the signature that they would get today.
//!
//! A signature is HTML that somebody else wrote. It is served as a document of its own that may run nothing and reach nothing but
//! pictures, and is shown in a frame that has no origin.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::{Html, IntoResponse};

use super::Shared;
use super::failure::Failure;
use super::guard::Visit;
use super::show::{Answered, Layout, page, segment};
use super::view::{Found, PersonView, SignatureView};
use crate::control::report::Trouble;

/// People in a list; who is looked for is found sooner by typing on.
pub(super) const MAX_FOUND: usize = 50;

const SIGNATURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; \
                                frame-ancestors 'self'; sandbox";

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    layout: Layout,
    id: String,
    text: String,
    found: Vec<(Found, String)>,
    more: bool,
}

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    layout: Layout,
    id: String,
    name: String,
    person: PersonView,
    /// The address as a part of a path.
    place: String,
    signature: Result<SignatureView, Trouble>,
}

pub(super) async fn search(State(shared): State<Arc<Shared>>, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    let overview = shared.plane.overview(&tenant).await?;
    let text = visit.fields.get("text").unwrap_or_default().to_owned();
    let mut found = shared.directory.search(&tenant, &text, MAX_FOUND + 1).await?;
    let more = found.len() > MAX_FOUND;
    found.truncate(MAX_FOUND);
    let linked = |person: Found| {
        let place = segment(&person.address);
        (person, place)
    };
    let template = PeoplePage {
        layout: Layout::of(&visit, &overview, "People", "people"),
        id: segment(&tenant),
        text,
        found: found.into_iter().map(linked).collect(),
        more,
    };
    Ok(page(StatusCode::OK, &template))
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Visit>,
    Path((tenant, address)): Path<(String, String)>,
) -> Answered {
    let overview = shared.plane.overview(&tenant).await?;
    let person = known(&shared, &tenant, &address).await?;
    let signature = shared.directory.signature(&tenant, &person.address, super::now()).await;
    let name = ["name", "displayName", "display_name"].into_iter().find_map(|wanted| attribute(&person, wanted));
    let name = name.unwrap_or_else(|| person.address.clone());
    let template = PersonPage {
        layout: Layout::of(&visit, &overview, &name, "people"),
        id: segment(&tenant),
        place: segment(&person.address),
        name,
        person,
        signature,
    };
    Ok(page(StatusCode::OK, &template))
}

fn attribute(person: &PersonView, wanted: &str) -> Option<String> {
    person.attributes.iter().find(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value.clone())
}

/// The person, or that there is none.
pub(super) async fn known(shared: &Shared, tenant: &str, address: &str) -> Result<PersonView, Failure> {
    let person = shared.directory.person(tenant, address).await?;
    person.ok_or_else(|| Failure::not_found("Nobody in the directory has this address."))
}

/// The document in the frame.
pub(super) async fn signature(State(shared): State<Arc<Shared>>, Path((tenant, address)): Path<(String, String)>) -> Answered {
    let SignatureView { html, .. } = shared.directory.signature(&tenant, &address, super::now()).await?;
    // White, as most mail is read; the fragment is not escaped, because it is what is to be seen.
    let head = "<!doctype html><html lang=\"\"><head><meta charset=\"utf-8\"><title>Signature</title></head>";
    let document = format!("{head}<body style=\"margin:16px;background:#ffffff;color:#000000\">{html}</body></html>");
    Ok(([(CONTENT_SECURITY_POLICY, SIGNATURE_POLICY)], Html(document)).into_response())
}
