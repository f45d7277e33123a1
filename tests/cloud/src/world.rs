//! All state of the stand-in: organisations, applications, tokens, faults, the clock and what was asked.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::entra::keys::SigningKey;
use crate::faults::Fault;
use crate::graph::cursor::Cursor;
use crate::random::{Id, Random};
use crate::tenant::{Assignment, Tenant};

/// The API that a permission or a token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Microsoft Graph.
    Graph,
    /// Office 365 Exchange Online.
    Exchange,
}

impl Resource {
    /// All resources.
    pub const ALL: [Self; 2] = [Self::Graph, Self::Exchange];

    /// Its address in scopes, and the audience of its tokens.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Graph => "https://graph.microsoft.com",
            Self::Exchange => "https://outlook.office365.com",
        }
    }

    /// Its application id.
    pub fn app_id(self) -> &'static str {
        match self {
            Self::Graph => "00000003-0000-0000-c000-000000000000",
            Self::Exchange => "00000002-0000-0ff1-ce00-000000000000",
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Graph => &["https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"],
            Self::Exchange => &["https://outlook.office365.com", "https://outlook.office.com", "00000002-0000-0ff1-ce00-000000000000"],
        }
    }

    /// Splits `https://graph.microsoft.com/User.Read` into resource and permission; a bare name is Graph's.
    pub fn of_scope(scope: &str) -> Option<(Self, &str)> {
        for resource in Self::ALL {
            for name in resource.names() {
                if let Some(permission) = scope.strip_prefix(name).and_then(|rest| rest.strip_prefix('/')) {
                    return Some((resource, permission.trim_start_matches('/')));
                }
            }
        }
        (!scope.contains('/')).then_some((Self::Graph, scope))
    }

    /// The name under which grants keep a permission.
    pub fn key(self, permission: &str) -> String {
        format!("{}/{permission}", self.uri())
    }
}

/// A registered application.
#[derive(Debug, Clone)]
pub struct Application {
    /// `sync` or `setup`.
    pub name: String,
    /// What the consent page calls it.
    pub display_name: String,
    /// Its client id.
    pub client_id: String,
    /// Its secret.
    pub secret: String,
    /// Registered certificates, DER.
    pub certificates: Vec<Vec<u8>>,
    /// Registered redirect addresses; one that ends in `*` allows what begins with it. The port of a loopback host is ignored.
    pub redirects: Vec<String>,
    /// Application permissions that the registration asks for, as `resource/permission`.
    pub roles: Vec<String>,
    /// Delegated permissions that the registration asks for.
    pub scopes: Vec<String>,
}

/// What an access token says.
#[derive(Debug, Clone)]
pub struct Access {
    /// For which API.
    pub resource: Resource,
    /// In which organisation.
    pub tenant: String,
    /// For which application.
    pub client_id: String,
    /// Who signed in; none for the application itself.
    pub user: Option<Id>,
    /// Permissions: roles of an application, scopes of a person.
    pub permissions: BTreeSet<String>,
    /// When it ends, in milliseconds.
    pub expires: i64,
}

/// An authorization code that was given.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) redirect: String,
    pub(crate) user: Id,
    pub(crate) scope: String,
    pub(crate) nonce: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) expires: i64,
    pub(crate) used: bool,
}

/// A refresh token that was given.
#[derive(Debug, Clone)]
pub(crate) struct Refresh {
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) user: Id,
    pub(crate) scope: String,
    pub(crate) expires: i64,
}

/// How the stand-in behaves where the real service differs from tenant to tenant and from hour to hour.
#[derive(Debug, Clone)]
pub struct Knobs {
    /// Items of a users delta page.
    pub user_page: usize,
    /// Items of a groups delta page.
    pub group_page: usize,
    /// Members in one item of a groups delta page.
    pub member_chunk: usize,
    /// Every so many delta pages one is empty; 0 for never.
    pub empty_page_every: usize,
    /// Milliseconds until a grant is known to the token endpoint.
    pub consent_delay: i64,
    /// Whether, meanwhile, tokens without roles are given instead of an error.
    pub token_without_roles: bool,
    /// Milliseconds until a verified domain is an accepted domain.
    pub accepted_domain_delay: i64,
    /// Milliseconds from an application's consent until Exchange lets its administrators in.
    pub exchange_delay: i64,
    /// Whether new inbound connectors are made disabled.
    pub connectors_disabled: bool,
    /// Whether published DNS records are found without `publish`.
    pub records_published: bool,
    /// Whether Validate-OutboundConnector succeeds.
    pub validation_succeeds: bool,
    /// Whether an expired delta token gets 410 with a `Location`; else 400.
    pub gone_with_location: bool,
    /// Objects on an Exchange page.
    pub exchange_page: usize,
    /// Whether the service principal of the sync application holds Exchange Administrator.
    pub application_is_administrator: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            user_page: 200,
            group_page: 100,
            member_chunk: 100,
            empty_page_every: 0,
            consent_delay: 0,
            token_without_roles: false,
            accepted_domain_delay: 0,
            exchange_delay: 0,
            connectors_disabled: false,
            records_published: true,
            validation_succeeds: true,
            gone_with_location: true,
            exchange_page: 1000,
            application_is_administrator: false,
        }
    }
}

impl Knobs {
    /// As JSON, under the names that `turn` takes.
    pub fn describe(&self) -> Value {
        json!({
            "user_page": self.user_page, "group_page": self.group_page, "member_chunk": self.member_chunk,
            "empty_page_every": self.empty_page_every, "consent_delay": self.consent_delay, "token_without_roles": self.token_without_roles,
            "accepted_domain_delay": self.accepted_domain_delay, "exchange_delay": self.exchange_delay,
            "connectors_disabled": self.connectors_disabled, "records_published": self.records_published,
            "validation_succeeds": self.validation_succeeds, "gone_with_location": self.gone_with_location,
            "exchange_page": self.exchange_page, "application_is_administrator": self.application_is_administrator,
        })
    }

    /// Turns one knob; the error names it, or what it takes.
    pub fn turn(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let wrong = |takes: &str| format!("{name} takes {takes}, not {value}");
        let count = || value.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(|| wrong("a number"));
        let size = || count().and_then(|n| if n > 0 { Ok(n) } else { Err(wrong("a number above 0")) });
        let time = || value.as_i64().ok_or_else(|| wrong("milliseconds"));
        let flag = || value.as_bool().ok_or_else(|| wrong("true or false"));
        match name {
            "user_page" => self.user_page = size()?,
            "group_page" => self.group_page = size()?,
            "member_chunk" => self.member_chunk = size()?,
            "empty_page_every" => self.empty_page_every = count()?,
            "consent_delay" => self.consent_delay = time()?,
            "token_without_roles" => self.token_without_roles = flag()?,
            "accepted_domain_delay" => self.accepted_domain_delay = time()?,
            "exchange_delay" => self.exchange_delay = time()?,
            "connectors_disabled" => self.connectors_disabled = flag()?,
            "records_published" => self.records_published = flag()?,
            "validation_succeeds" => self.validation_succeeds = flag()?,
            "gone_with_location" => self.gone_with_location = flag()?,
            "exchange_page" => self.exchange_page = size()?,
            "application_is_administrator" => self.application_is_administrator = flag()?,
            _ => return Err(format!("there is no knob {name:?}; GET /_control/knobs lists them")),
        }
        Ok(())
    }
}

/// A request as it is remembered: enough to judge permissions, without secrets.
#[derive(Debug, Clone)]
pub struct Received {
    /// `GET`.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query; tokens in it are cut out.
    pub query: String,
    /// Names of the headers, lower case.
    pub headers: Vec<String>,
    /// `application`, `delegated`, or empty.
    pub token: &'static str,
    /// The permissions of the token.
    pub permissions: Vec<String>,
    /// The cmdlet, for Exchange.
    pub cmdlet: String,
    /// The status that was answered.
    pub status: u16,
}

/// The state.
pub struct World {
    /// Scheme, host and port under which clients see the stand-in, without a slash at the end.
    pub base: String,
    /// Milliseconds since 1970 when time stands still, else what is added to the machine's clock.
    fixed: Option<i64>,
    advanced: i64,
    /// Organisations; the first is the one that is connected.
    pub tenants: Vec<Tenant>,
    /// Applications.
    pub applications: Vec<Application>,
    /// Behaviour.
    pub knobs: Knobs,
    /// Faults that wait for their request.
    pub faults: Vec<Fault>,
    /// What was asked.
    pub received: Vec<Received>,
    /// DNS TXT records that are published: name and text.
    pub records: Vec<(String, String)>,
    pub(crate) signing: SigningKey,
    pub(crate) retired: Vec<SigningKey>,
    pub(crate) tokens: HashMap<String, Access>,
    pub(crate) codes: HashMap<String, Code>,
    pub(crate) refreshes: HashMap<String, Refresh>,
    pub(crate) assertions: HashSet<String>,
    pub(crate) flows: HashMap<String, crate::entra::flow::Flow>,
    pub(crate) sessions: HashMap<String, Vec<(String, Id)>>,
    pub(crate) cursors: HashMap<String, Cursor>,
    pub(crate) exchange_pages: HashMap<String, (String, usize)>,
    pub(crate) random: Random,
}

impl World {
    pub(crate) fn new(base: &str, seed: u64, signing: SigningKey) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            fixed: None,
            advanced: 0,
            tenants: Vec::new(),
            applications: Vec::new(),
            knobs: Knobs::default(),
            faults: Vec::new(),
            received: Vec::new(),
            records: Vec::new(),
            signing,
            retired: Vec::new(),
            tokens: HashMap::new(),
            codes: HashMap::new(),
            refreshes: HashMap::new(),
            assertions: HashSet::new(),
            flows: HashMap::new(),
            sessions: HashMap::new(),
            cursors: HashMap::new(),
            exchange_pages: HashMap::new(),
            random: Random::new(seed ^ 0x5163_6e65_7421),
        }
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        let machine =
            || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        self.fixed.unwrap_or_else(machine) + self.advanced
    }

    /// Stops the clock at that time. Roles that end stay as far from their end as they were.
    pub fn stop_clock(&mut self, at: i64) {
        let moved = at - self.now();
        for role in self.tenants.iter_mut().flat_map(|tenant| &mut tenant.roles) {
            if let Assignment::Activated(end) = &mut role.assignment {
                *end += moved;
            }
        }
        (self.fixed, self.advanced) = (Some(at), 0);
    }

    /// Moves the clock.
    pub fn advance(&mut self, by: Duration) {
        self.advanced += i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    }

    /// The time as RFC 3339 with seconds.
    pub fn timestamp(&self) -> String {
        rfc3339(self.now())
    }

    /// The organisation of that id or domain.
    pub fn tenant(&self, name: &str) -> Option<&Tenant> {
        self.tenants.iter().find(|tenant| tenant.is(name))
    }

    /// The organisation of that id or domain, to change.
    pub fn tenant_mut(&mut self, name: &str) -> Option<&mut Tenant> {
        self.tenants.iter_mut().find(|tenant| tenant.is(name))
    }

    /// The application of that client id.
    pub fn application(&self, client_id: &str) -> Option<&Application> {
        self.applications.iter().find(|application| application.client_id.eq_ignore_ascii_case(client_id))
    }

    /// What the token of a request says; none when it is unknown.
    pub(crate) fn access(&self, bearer: Option<&str>) -> Option<&Access> {
        let (scheme, token) = bearer?.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") { self.tokens.get(token.trim()) } else { None }
    }
}

/// Milliseconds as `2026-01-01T00:00:00Z`.
pub(crate) fn rfc3339(milliseconds: i64) -> String {
    Timestamp::from_second(milliseconds.div_euclid(1000)).map_or_else(|_| String::new(), |time| time.to_string())
}
