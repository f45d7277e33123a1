//! The product's own words: what a plugin is told (facts), what a selector answers (decision), what a renderer answers
//! (fragment). Plain values, shared by `plugin`, `mime` and `pipeline`.
//!
//! They mirror `wit/`, whose documentation is the plugin author's manual; the generated types stop in `plugin/` and are converted
//! there by hand. This module does not choose, render or place anything.

use std::sync::Arc;

use bytes::Bytes;

/// One person as the tenant's directory knows them; for an unknown sender only the address is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Local-part of the address, as received.
    pub local: String,
    /// Domain of the address: lower case, A-labels.
    pub domain: String,
    /// Attribute names and values in the directory's order; empty values are left out.
    pub attributes: Vec<(String, String)>,
    /// Ids of the groups that the person is a member of, ascending.
    pub groups: Vec<String>,
}

/// Where a recipient stands in relation to the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientClass {
    /// In one of the tenant's own domains.
    Internal,
    /// In a domain that the tenant did not name.
    External,
    /// In a domain on the tenant's list of partners.
    Partner,
}

/// One recipient of the mail transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Local-part of the forward-path.
    pub local: String,
    /// Domain of the forward-path: lower case, A-labels.
    pub domain: String,
    /// In relation to the tenant.
    pub class: RecipientClass,
    /// Ids of the tenant's groups that the recipient is a member of, ascending.
    pub groups: Vec<String>,
}

/// How the message relates to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It starts a conversation.
    New,
    /// It answers an earlier message.
    Reply,
    /// It passes an earlier message on.
    Forward,
}

/// Which forms of the body the author's client wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// text/plain only.
    Plain,
    /// text/html only.
    Html,
    /// Both, as alternatives.
    Alternative,
}

/// RFC 8601 result words of the authentication checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// RFC 7208 result for the reverse-path.
    pub spf: &'static str,
    /// Best RFC 6376 result.
    pub dkim: &'static str,
    /// DMARC result for the From domain.
    pub dmarc: &'static str,
    /// RFC 8617 chain result.
    pub arc: &'static str,
    /// Whether the From domain is proven by a check that the tenant's policy accepts.
    pub aligned: bool,
}

/// A point in time, as plugins see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_milliseconds: i64,
    /// Minutes to add to UTC for the tenant's local time.
    pub offset_minutes: i32,
    /// The tenant's time zone name.
    pub zone: String,
}

/// The small, plain record about a message that a selector is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The tenant's id.
    pub tenant: String,
    /// The author in `From`.
    pub sender: Person,
    /// In the order of the RCPT commands.
    pub recipients: Vec<Recipient>,
    /// Decoded and unfolded, at most 4 KiB.
    pub subject: String,
    /// The fields that the selector asked for: lower-case name, decoded value of at most 4 KiB; in message order.
    pub headers: Vec<(String, String)>,
    /// New, reply or forward.
    pub kind: Kind,
    /// Results of the checks.
    pub authentication: Authentication,
    /// Octets of the message as received.
    pub size: u64,
    /// Parts that are neither body nor inline image.
    pub attachments: u32,
    /// Which forms of the body exist.
    pub format: Format,
    /// Whether the authored part already carries one of our signatures.
    pub already_signed: bool,
    /// The time of the decision.
    pub now: Moment,
    /// Differs from message to message, equal in a replay.
    pub seed: u64,
    /// Who really sent it, where `Sender` names somebody else than `From`.
    pub delegate: Option<Person>,
    /// Whether header fields say that it belongs to an earlier conversation.
    pub in_thread: bool,
    /// Whether a person will read the explanations.
    pub explain_every_rule: bool,
}

/// Where a fragment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placement {
    /// Below what the author wrote now, above the quoted earlier messages.
    NewestReply,
    /// At the end of the body.
    End,
}

/// One signature to add.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// The signature's id.
    pub id: String,
    /// Where it goes.
    pub placement: Placement,
}

/// What happens to one copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// These signatures, from top to bottom; never empty.
    Sign(Vec<Choice>),
    /// None, for this reason.
    Skip(String),
}

/// Why one rule did or did not contribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The rule's name.
    pub rule: String,
    /// Whether it applied.
    pub applied: bool,
    /// The condition that decided.
    pub reason: String,
}

/// What the selector wants for some of the recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPlan {
    /// Indexes into [`Facts::recipients`], ascending.
    pub recipients: Vec<usize>,
    /// Which signatures, or why none.
    pub outcome: Outcome,
    /// Every rule in order.
    pub explanation: Vec<Explanation>,
}

/// What the selector answers: every recipient is in exactly one copy (checked by `plugin::select`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// At least one.
    pub copies: Vec<CopyPlan>,
    /// Texts to take out of the subject of every copy, without regard to letter case.
    pub remove_from_subject: Vec<String>,
}

/// One rendered signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// The inside of an HTML block; images are referred to as `cid:NAME`.
    pub html: Option<String>,
    /// Plain text with `\n` line ends.
    pub text: Option<String>,
    /// Names of the assets that `html` refers to, each once.
    pub images: Vec<String>,
}

/// An image that the host holds and attaches when a fragment refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Letters, digits, `.`, `-` and `_`.
    pub name: String,
    /// For example `image/png`.
    pub media_type: String,
    /// The image itself.
    pub content: Bytes,
}

/// The name of the asset that is the picture of whom a signature is rendered for, and the value of their attribute `photo`. It stands for
/// another picture with everybody; no configured asset has this name.
pub const PERSON_PHOTO: &str = "person-photo";

/// A fragment together with where it goes and the images it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The signature's id.
    pub id: String,
    /// Where it goes.
    pub placement: Placement,
    /// What the renderer answered.
    pub fragment: Fragment,
    /// The assets that the fragment's `images` name, in that order.
    pub assets: Vec<Arc<Asset>>,
}
