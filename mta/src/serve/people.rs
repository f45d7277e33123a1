//! What the console shows of people: the directory in use, and the signature that a new message of somebody would get now, by the same plugins that
//! mail goes through.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::address::Mailbox;
use crate::console::plane::{Answer, Outcome};
use crate::console::view::{DirectoryView, Found, PersonView, RulesView, SignatureView};
use crate::control::report::Trouble;
use crate::locale;
use crate::mime::Message;
use crate::pipeline::view;
use crate::service::{Shared, Site};
use crate::signature::{Authentication, Facts, Format, Kind, Outcome as Chosen, PERSON_PHOTO, Person, Placed, Recipient, RecipientClass};
use crate::signatures::preview::with_images;
use crate::signatures::{Question, made_up};
use crate::tenant::TenantId;

/// Somebody outside, to whom the message of the preview goes.
const RECIPIENT: (&str, &str) = ("somebody", "recipient.invalid");

/// Looks at the service in force.
pub(super) struct People(pub(super) Arc<Shared>);

impl People {
    fn site(&self, tenant: &str) -> Result<Arc<Site>, Trouble> {
        let site = self.0.service().site(&TenantId::new(tenant));
        site.ok_or_else(|| trouble("unknown-tenant", format!("No tenant {tenant} is configured."), "Choose one of the list."))
    }

    async fn render(&self, tenant: &str, address: &str, at: u64) -> Result<SignatureView, Trouble> {
        let site = self.site(tenant)?;
        let mailbox = parsed(address)?;
        let job = move || signature(&site, &mailbox, UNIX_EPOCH + Duration::from_millis(at));
        let done = self.0.cpu.run(job).await;
        done.map_err(|error| trouble("fault", error.to_string(), "Try it again."))?
    }
}

impl DirectoryView for People {
    fn search<'a>(&'a self, tenant: &'a str, text: &'a str, limit: usize) -> Outcome<'a, Vec<Found>> {
        Box::pin(async move {
            let directory = self.site(tenant)?.directory();
            let text = text.to_owned();
            let found = self.0.cpu.run(move || directory.search(&text, limit)).await;
            let found = found.map_err(|error| trouble("fault", error.to_string(), "Try it again."))?;
            Ok(found.into_iter().map(|(name, address)| Found { name, address }).collect())
        })
    }

    fn person<'a>(&'a self, tenant: &'a str, address: &'a str) -> Outcome<'a, Option<PersonView>> {
        Box::pin(async move {
            let directory = self.site(tenant)?.directory();
            let mailbox = parsed(address)?;
            if !directory.contains(&mailbox) {
                return Ok(None);
            }
            let Person { attributes, mut groups, .. } = directory.person(&mailbox);
            // A synchronised group is known by its id and addresses as well, for rules; its name is enough for people.
            groups.retain(|group| uuid::Uuid::try_parse(group).is_err() && !group.contains('@'));
            Ok(Some(PersonView { address: mailbox.as_str().to_owned(), attributes, groups }))
        })
    }

    fn signature<'a>(&'a self, tenant: &'a str, address: &'a str, now: u64) -> Outcome<'a, SignatureView> {
        Box::pin(self.render(tenant, address, now))
    }

    fn rules<'a>(&'a self, tenant: &'a str) -> Answer<'a, Option<RulesView>> {
        Box::pin(async move {
            let site = self.site(tenant).ok()?;
            let plugins = site.plugins.as_ref()?;
            Some(RulesView { folder: site.rules.clone(), signatures: plugins.renderer.summary().signatures.len() })
        })
    }
}

/// Asks the plugins about a new message to somebody outside.
fn signature(site: &Site, author: &Mailbox, at: SystemTime) -> Result<SignatureView, Trouble> {
    let Some(plugins) = &site.plugins else {
        let explanation = vec!["The tenant has no rules and no templates.".to_owned()];
        return Ok(SignatureView { explanation, ..SignatureView::default() });
    };
    let fault = |error: String| trouble("fault", error, "Look at the rules and templates with `signet signatures check`.");
    let to = Mailbox::parse(&format!("{}@{}", RECIPIENT.0, RECIPIENT.1)).map_err(|error| fault(error.to_string()))?;
    let question = Question { from: Some(author.clone()), to: vec![to], ..Question::at(at) };
    let message = made_up(&question).map_err(|error| fault(error.to_string()))?;
    let message = Arc::new(Message::parse(Bytes::from(message)));
    let facts = facts(site, author, &message, at);
    let decision = plugins.selector.select(&facts, view(&message)).map_err(|error| fault(error.to_string()))?;
    let mut shown = SignatureView::default();
    let Some(copy) = decision.copies.into_iter().next() else { return Ok(shown) };
    shown.explanation = copy.explanation.iter().map(|line| format!("{}: {}", line.rule, line.reason)).collect();
    let choices = match copy.outcome {
        Chosen::Sign(choices) => choices,
        Chosen::Skip(reason) => {
            shown.explanation.push(format!("No signature: {reason}."));
            return Ok(shown);
        }
    };
    let photo = site.directory().photo(author).cloned();
    let asset = |name: &String| if name == PERSON_PHOTO { photo.clone() } else { plugins.renderer.asset(name).cloned() };
    let locale = locale::choose(&site.locale_from, &[], &facts.sender, &site.locale);
    for choice in choices {
        let fragment = plugins.renderer.render(&choice.id, &facts.sender, &locale, &facts.now, Format::Alternative);
        let fragment = fragment.map_err(|error| fault(error.to_string()))?;
        let assets = fragment.images.iter().filter_map(asset).collect();
        let placed = Placed { id: choice.id.clone(), placement: choice.placement, fragment, assets };
        shown.html.push_str(&with_images(&placed));
        let text = placed.fragment.text.unwrap_or_default();
        shown.text = [std::mem::take(&mut shown.text), text].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n");
        shown.ids.push(choice.id);
    }
    Ok(shown)
}

fn facts(site: &Site, author: &Mailbox, message: &Message, at: SystemTime) -> Facts {
    let recipient =
        Recipient { local: RECIPIENT.0.to_owned(), domain: RECIPIENT.1.to_owned(), class: RecipientClass::External, groups: Vec::new() };
    Facts {
        tenant: site.tenant.id.to_string(),
        sender: site.directory().person(author),
        recipients: vec![recipient],
        subject: String::new(),
        headers: Vec::new(),
        kind: Kind::New,
        authentication: Authentication { spf: "pass", dkim: "pass", dmarc: "pass", arc: "none", aligned: true },
        size: message.content().len() as u64,
        attachments: 0,
        format: Format::Alternative,
        already_signed: false,
        now: site.zone.moment(at),
        seed: 0,
        delegate: None,
        in_thread: false,
        explain_every_rule: true,
    }
}

fn parsed(address: &str) -> Result<Mailbox, Trouble> {
    Mailbox::parse(address)
        .map_err(|error| trouble("unfit", format!("{address:?} is no address: {error}."), "Choose somebody of the list."))
}

fn trouble(kind: &str, detail: String, next_step: &str) -> Trouble {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Trouble::new(kind, detail, next_step, u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
