//! Which messages are never edited, and why: signed, encrypted, rights-managed, reports, calendar items, TNEF, journals, automatic
//! answers, patches, and everything whose MIME structure is not beyond doubt.
//!
//! Decides from header fields and media types; armoured blocks and patches are noticed where the body is read. The null
//! reverse-path belongs to the envelope and is the caller's matter.

use std::fmt;

use super::structure::{Disposition, Structure, decoded_value};

/// Longest header value that is looked at here.
const LONGEST_VALUE: usize = 256;

/// The sender of the message with which Microsoft 365 tests a connector, in lower case.
const CONNECTOR_VALIDATION: &str = "o365connectorvalidation@";

/// Whether a message may be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It has a body that a signature can be added to.
    Editable,
    /// It passes unchanged.
    Passed(Passed),
}

macro_rules! passed {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Why a message passes unchanged.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Passed {
            $($(#[$doc])* $name,)*
        }

        impl Passed {
            /// The machine-readable reason.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

passed! {
    /// multipart/signed with S/MIME, or an opaque S/MIME signature.
    SmimeSigned = "smime-signed",
    /// S/MIME enveloped data.
    SmimeEncrypted = "smime-encrypted",
    /// multipart/signed with OpenPGP, or a clear-signed text.
    PgpSigned = "pgp-signed",
    /// OpenPGP encryption, as MIME or as an armoured text.
    PgpEncrypted = "pgp-encrypted",
    /// multipart/signed with another protocol.
    Signed = "signed",
    /// multipart/encrypted with another protocol.
    Encrypted = "encrypted",
    /// A Microsoft rights-managed message.
    RightsManaged = "rights-managed",
    /// RFC 6522 report, such as a delivery status notification.
    Report = "report",
    /// RFC 5965 abuse report.
    FeedbackReport = "feedback-report",
    /// RFC 8098 message disposition notification.
    DispositionNotification = "disposition-notification",
    /// RFC 2046 message/partial.
    PartialMessage = "message-partial",
    /// RFC 2046 message/external-body.
    ExternalBody = "external-body",
    /// A calendar item, such as a meeting request.
    Calendar = "calendar",
    /// A body in Microsoft's TNEF.
    Tnef = "tnef",
    /// An Exchange journal report.
    Journal = "journal",
    /// RFC 3834 Auto-Submitted.
    AutoSubmitted = "auto-submitted",
    /// An automatic answer by its own header fields.
    AutoReply = "auto-reply",
    /// The message with which Microsoft 365 tests a connector.
    ConnectorValidation = "connector-validation",
    /// A post to a Microsoft 365 group, such as a comment in Planner: the group's service sends it.
    GroupPost = "group-post",
    /// A text that is, or carries, a patch to be applied as it stands.
    Patch = "patch",
    /// No part that is shown as text.
    NoBody = "no-body",
    /// An HTML frameset.
    Frames = "frames",
    /// Damaged MIME structure on the way to the body.
    DamagedMime = "damaged-mime",
    /// Damaged header section on the way to the body.
    DamagedHeader = "damaged-header",
    /// A header field that may occur once occurs more often.
    DuplicateHeaderField = "duplicate-header-field",
    /// A parameter that may occur once occurs more often.
    DuplicateParameter = "duplicate-parameter",
    /// A Content-Type that cannot be read.
    DamagedContentType = "damaged-content-type",
    /// A boundary that starts like the one around it.
    AmbiguousBoundary = "ambiguous-boundary",
    /// An alternative that offers the same form twice.
    AmbiguousBody = "ambiguous-body",
    /// A multipart with a content-transfer-encoding that RFC 2045 forbids.
    EncodedMultipart = "encoded-multipart",
    /// A content-transfer-encoding that nobody knows.
    UnknownTransferEncoding = "unknown-transfer-encoding",
    /// A body whose content-transfer-encoding is damaged.
    DamagedTransferEncoding = "damaged-transfer-encoding",
    /// A charset that cannot be written to.
    UnsupportedCharset = "unsupported-charset",
    /// A body that is not valid in its charset.
    DamagedCharset = "damaged-charset",
    /// A body text larger than any letter.
    BodyTooLarge = "body-too-large",
}

impl fmt::Display for Passed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What header fields and media types tell.
pub(super) fn classify(content: &[u8], structure: &Structure) -> Option<Passed> {
    by_header(content, structure).or_else(|| (0..structure.parts.len()).find_map(|index| by_type(content, structure, index)))
}

fn by_header(content: &[u8], structure: &Structure) -> Option<Passed> {
    let root = structure.root()?;
    for field in &root.fields {
        let name = &content[field.name.clone()];
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        let value = || decoded_value(content, field, LONGEST_VALUE).trim().to_ascii_lowercase();
        let first = name.first().map(u8::to_ascii_lowercase);
        let passed = match first {
            Some(b'a') if is("auto-submitted") => {
                let value = value();
                let word = value.split([';', '(']).next().unwrap_or_default().trim();
                (word != "no" && !word.is_empty()).then_some(Passed::AutoSubmitted)
            }
            Some(b'f') if is("from") => value().contains(CONNECTOR_VALIDATION).then_some(Passed::ConnectorValidation),
            Some(b'p') if is("precedence") => matches!(value().as_str(), "auto_reply" | "auto-reply").then_some(Passed::AutoReply),
            Some(b'x') if is("x-ms-journal-report") => Some(Passed::Journal),
            Some(b'x') if is("x-autoreply") || is("x-autorespond") || is("x-autoresponse") => {
                (value() != "no").then_some(Passed::AutoReply)
            }
            Some(b'x') if is("x-ms-exchange-calendar-series-instance-id") => Some(Passed::Calendar),
            Some(b'x') if is("x-ms-exchange-unifiedgroup-submittedviagroupaddress") => (!value().is_empty()).then_some(Passed::GroupPost),
            Some(b'c') if is("content-class") => match value().as_str() {
                "rpmsg.message" => Some(Passed::RightsManaged),
                "urn:content-classes:calendarmessage" => Some(Passed::Calendar),
                _ => None,
            },
            _ => None,
        };
        if passed.is_some() {
            return passed;
        }
    }
    None
}

fn by_type(content: &[u8], structure: &Structure, index: usize) -> Option<Passed> {
    let part = &structure.parts[index];
    let lower = |name: &str| part.parameter(name).unwrap_or_default().to_ascii_lowercase();
    match part.media_type.as_str() {
        "multipart/signed" => Some(match lower("protocol").as_str() {
            "application/pgp-signature" => Passed::PgpSigned,
            protocol if protocol.ends_with("pkcs7-signature") => Passed::SmimeSigned,
            _ => Passed::Signed,
        }),
        "multipart/encrypted" if lower("protocol") == "application/pgp-encrypted" => Some(Passed::PgpEncrypted),
        "multipart/encrypted" => Some(Passed::Encrypted),
        "application/pgp-encrypted" => Some(Passed::PgpEncrypted),
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => is_content(structure, index).then(|| match lower("smime-type").as_str() {
            "signed-data" | "certs-only" => Passed::SmimeSigned,
            _ => Passed::SmimeEncrypted,
        }),
        "application/x-microsoft-rpmsg-message" => Some(Passed::RightsManaged),
        "multipart/report"
        | "message/feedback-report"
        | "message/delivery-status"
        | "message/global-delivery-status"
        | "message/global-disposition-notification"
        | "message/disposition-notification" => Some(match (part.media_type.as_str(), lower("report-type").as_str()) {
            (_, "feedback-report") | ("message/feedback-report", _) => Passed::FeedbackReport,
            (_, "disposition-notification") | ("message/disposition-notification" | "message/global-disposition-notification", _) => {
                Passed::DispositionNotification
            }
            _ => Passed::Report,
        }),
        "message/partial" => Some(Passed::PartialMessage),
        "message/external-body" => Some(Passed::ExternalBody),
        "application/ms-tnef" | "application/vnd.ms-tnef" => Some(Passed::Tnef),
        "text/calendar" => {
            let request = part.fields_named(content, "content-class").next().is_some() || part.parameter("method").is_some();
            let alternative = part.parent.is_some_and(|parent| structure.parts[parent].media_type == "multipart/alternative");
            (part.parent.is_none() || alternative || request && part.disposition != Disposition::Attachment).then_some(Passed::Calendar)
        }
        _ => by_name(part.name.as_deref()),
    }
}

fn by_name(name: Option<&str>) -> Option<Passed> {
    let name = name?;
    if name.eq_ignore_ascii_case("message.rpmsg") {
        Some(Passed::RightsManaged)
    } else {
        name.eq_ignore_ascii_case("winmail.dat").then_some(Passed::Tnef)
    }
}

/// Whether the part is the message's content rather than a file behind a text: the first leaf, also under a list's footer.
fn is_content(structure: &Structure, index: usize) -> bool {
    structure.path(index).all(|at| {
        let part = &structure.parts[at];
        part.parent.is_none_or(|parent| structure.parts[parent].children.first() == Some(&at))
    })
}
