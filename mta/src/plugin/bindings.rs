//! Host bindings generated from `wit/`, the only place that does so, and the conversions between them and the product's words.
//!
//! Generated types stop here and in the calls of `select` and `render`: everything else speaks `crate::signature`. Conversions are
//! written by hand so that a change of the interface is a compile error in one file.

use super::fault::{Description, Diagnostic, File, PluginError, Severity};
use super::limits::REASON;
use super::text;
use crate::signature as words;

/// The selector's world.
pub(super) mod select {
    #![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated from wit/, where the documentation is")]
    wasmtime::component::bindgen!({
        path: ["../wit/mail", "../wit/plugin", "../wit/select"],
        world: "signet:select/selector-plugin",
        imports: { default: trappable },
        with: { "signet:mail/message.message": crate::plugin::host::Lent },
    });
}

/// The renderer's world; shares the plain types and the log with the selector's.
pub(super) mod render {
    #![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated from wit/, where the documentation is")]
    wasmtime::component::bindgen!({
        path: ["../wit/mail", "../wit/plugin", "../wit/render"],
        world: "signet:render/renderer-plugin",
        imports: { default: trappable },
        with: {
            "signet:mail/types": super::select::signet::mail::types,
            "signet:plugin/types": super::select::signet::plugin::types,
            "signet:plugin/log": super::select::signet::plugin::log,
        },
    });
}

/// The controller's world; shares the log with the others.
pub(super) mod control {
    #![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated from wit/, where the documentation is")]
    wasmtime::component::bindgen!({
        path: ["../wit/mail", "../wit/plugin", "../wit/control"],
        world: "signet:control/controller-plugin",
        imports: { default: trappable },
        with: {
            "signet:plugin/log": super::select::signet::plugin::log,
        },
    });
}

pub(super) use select::signet::mail::types as mail;
pub(super) use select::signet::plugin::types as plugin;

impl From<&words::Person> for mail::Person {
    fn from(person: &words::Person) -> Self {
        Self {
            address: mail::Address { local: person.local.clone(), domain: person.domain.clone() },
            attributes: person.attributes.clone(),
            groups: person.groups.clone(),
        }
    }
}

impl From<&words::Recipient> for mail::Recipient {
    fn from(recipient: &words::Recipient) -> Self {
        Self {
            address: mail::Address { local: recipient.local.clone(), domain: recipient.domain.clone() },
            class: match recipient.class {
                words::RecipientClass::Internal => mail::RecipientClass::Internal,
                words::RecipientClass::External => mail::RecipientClass::External,
                words::RecipientClass::Partner => mail::RecipientClass::Partner,
            },
            groups: recipient.groups.clone(),
        }
    }
}

impl From<words::Format> for mail::Format {
    fn from(format: words::Format) -> Self {
        match format {
            words::Format::Plain => Self::Plain,
            words::Format::Html => Self::Html,
            words::Format::Alternative => Self::Alternative,
        }
    }
}

impl From<&words::Moment> for mail::Moment {
    fn from(moment: &words::Moment) -> Self {
        Self { unix_milliseconds: moment.unix_milliseconds, offset_minutes: moment.offset_minutes, zone: moment.zone.clone() }
    }
}

impl From<&words::Facts> for mail::Facts {
    fn from(facts: &words::Facts) -> Self {
        Self {
            tenant: facts.tenant.clone(),
            sender: (&facts.sender).into(),
            recipients: facts.recipients.iter().map(Into::into).collect(),
            subject: facts.subject.clone(),
            headers: facts.headers.iter().map(|(name, value)| mail::Header { name: name.clone(), value: value.clone() }).collect(),
            kind: match facts.kind {
                words::Kind::New => mail::Kind::New,
                words::Kind::Reply => mail::Kind::Reply,
                words::Kind::Forward => mail::Kind::Forward,
            },
            authentication: mail::Authentication {
                spf: facts.authentication.spf.to_owned(),
                dkim: facts.authentication.dkim.to_owned(),
                dmarc: facts.authentication.dmarc.to_owned(),
                arc: facts.authentication.arc.to_owned(),
                aligned: facts.authentication.aligned,
            },
            size: facts.size,
            attachments: facts.attachments,
            format: facts.format.into(),
            already_signed: facts.already_signed,
            now: (&facts.now).into(),
            seed: facts.seed,
            delegate: facts.delegate.as_ref().map(Into::into),
            in_thread: facts.in_thread,
            explain_every_rule: facts.explain_every_rule,
        }
    }
}

impl From<&File> for plugin::File {
    fn from(file: &File) -> Self {
        Self { name: file.name.clone(), content: file.content.clone() }
    }
}

impl From<plugin::Diagnostic> for Diagnostic {
    fn from(diagnostic: plugin::Diagnostic) -> Self {
        Self {
            // An unknown severity is taken seriously.
            severity: match diagnostic.severity {
                plugin::Severity::Warning => Severity::Warning,
                plugin::Severity::Error | plugin::Severity::Other(_) => Severity::Error,
            },
            file: text::line(diagnostic.file, REASON),
            line: diagnostic.line,
            key: text::line(diagnostic.key, REASON),
            message: text::line(diagnostic.message, REASON),
        }
    }
}

impl From<plugin::PluginError> for PluginError {
    fn from(error: plugin::PluginError) -> Self {
        match error {
            plugin::PluginError::InvalidConfig(detail) => Self::InvalidConfig(text::line(detail, REASON)),
            plugin::PluginError::Unsupported(detail) => Self::Unsupported(text::line(detail, REASON)),
            plugin::PluginError::Internal(detail) => Self::Internal(text::line(detail, REASON)),
            plugin::PluginError::Other(detail) => Self::Other(text::line(detail, REASON)),
        }
    }
}

impl From<select::exports::signet::plugin::describe::Description> for Description {
    fn from(description: select::exports::signet::plugin::describe::Description) -> Self {
        let select::exports::signet::plugin::describe::Description { name, version, headers, attributes } = description;
        Self { name, version, headers, attributes }
    }
}

impl From<render::exports::signet::plugin::describe::Description> for Description {
    fn from(description: render::exports::signet::plugin::describe::Description) -> Self {
        let render::exports::signet::plugin::describe::Description { name, version, headers, attributes } = description;
        Self { name, version, headers, attributes }
    }
}

impl From<control::exports::signet::plugin::describe::Description> for Description {
    fn from(description: control::exports::signet::plugin::describe::Description) -> Self {
        let control::exports::signet::plugin::describe::Description { name, version, headers, attributes } = description;
        Self { name, version, headers, attributes }
    }
}
