//! What one plugin may use: settings with defaults, and the fixed caps of the interface.
//!
//! Settings are for operators; constants mirror the documentation in `wit/` and are therefore not adjustable: a plugin that
//! works here must work anywhere. Nothing here enforces anything; `host`, `select` and `render` do.

use std::time::Duration;

/// Most signatures in one copy (`wit/select`): a stack that a person would still scroll past.
pub(super) const STACK: usize = 8;
/// Most texts that are taken out of one subject (`wit/select`): trigger words, not a rewriting.
pub(super) const SUBJECT_REMOVALS: usize = 8;
/// Longest text that is taken out of a subject, in octets (`wit/select`).
pub(super) const SUBJECT_REMOVAL: usize = 256;
/// Longest reason, explanation line, error text and log line, in octets (`wit/`): a sentence, not a document.
pub(super) const REASON: usize = 1024;
/// Explanation lines kept of one decision: an audit reads hundreds, and 1 KiB each is bounded to 1 MiB by the host-call fuel anyway.
pub(super) const EXPLANATIONS: usize = 1000;
/// Longest signature id, rule name and asset name, in octets: ids travel in logs and headers.
pub(super) const ID: usize = 128;
/// Most signature ids of one plugin: more than any tenant has, and few enough to look at.
pub(super) const IDS: usize = 10_000;
/// Longest HTML of one fragment (`wit/render`).
pub(super) const HTML: usize = 256 * 1024;
/// Longest text of one fragment (`wit/render`).
pub(super) const TEXT: usize = 64 * 1024;
/// Most images of one fragment (`wit/render`).
pub(super) const IMAGES: usize = 16;
/// Most header fields a plugin may ask for (`wit/plugin`).
pub(super) const HEADERS: usize = 32;
/// Most attributes a plugin may name: directories have fewer columns.
pub(super) const ATTRIBUTES: usize = 256;
/// Longest answer of `read-part` and `authored-text`, in octets (`wit/mail`).
pub(super) const READ: usize = 64 * 1024;
/// Most diagnostics kept of one refusal: enough to work through before trying again.
pub(super) const DIAGNOSTICS: usize = 1000;

/// What one plugin may use. Every field is a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets that a call may add to the memory that `configure` left behind.
    pub memory: usize,
    /// Octets of memory that `configure` may reach. Shared copy-on-write by all calls afterwards.
    pub configure_memory: usize,
    /// Processor time of one `select`.
    pub select_deadline: Duration,
    /// Processor time of one `render`.
    pub render_deadline: Duration,
    /// Processor time of `configure` and `describe` together.
    pub configure_deadline: Duration,
    /// Elements of one table.
    pub table_elements: usize,
    /// Tables of one instance.
    pub tables: usize,
    /// Core instances that one component is made of.
    pub instances: usize,
    /// Resource handles alive at once.
    pub handles: usize,
    /// Octets that the host copies out of the guest in one host call or for one answer.
    pub hostcall_fuel: usize,
    /// Host calls of one plugin call.
    pub host_calls: u32,
    /// Octets of the message that one call may read in all.
    pub read_total: usize,
    /// Log lines kept of one call.
    pub log_lines: usize,
    /// When to stop calling a plugin that keeps failing.
    pub breaker: BreakerSettings,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 16 << 20,
            // 20,000 rules or 1,000 templates take a tenth of it.
            configure_memory: 64 << 20,
            select_deadline: Duration::from_millis(5),
            render_deadline: Duration::from_millis(20),
            // 20,000 rules take 5 ms; a template compiler takes a second at worst. Loading is off the mail path.
            configure_deadline: Duration::from_secs(10),
            table_elements: 20_000,
            tables: 4,
            // A component of one core module has two shims beside it.
            instances: 8,
            // The only handle a guest ever gets is the lent message; upstream's default of 100,000 was an advisory.
            handles: 64,
            hostcall_fuel: 1 << 20,
            // Reading a 25 MB message in pieces of 64 KiB takes 400.
            host_calls: 10_000,
            read_total: 32 << 20,
            log_lines: 16,
            breaker: BreakerSettings::default(),
        }
    }
}

/// When to stop calling a plugin that keeps failing, and when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Faults within `window` that open the breaker; 0 means that it never opens.
    pub faults: usize,
    /// How far back faults count.
    pub window: Duration,
    /// How long it stays open before one call may try again.
    pub cool_down: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        // Twenty faults in ten seconds are no accident, and cost at most a few hundred milliseconds of processor time.
        Self { faults: 20, window: Duration::from_secs(10), cool_down: Duration::from_secs(30) }
    }
}
