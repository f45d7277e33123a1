//! Name lookups for all checks: one resolver, one bounded cache, no answer later than the deadline.
//!
//! TXT answers are kept apart by what they were asked for, and only answers of that kind, or that the name has none (RFC 2308), are kept at
//! all. mail-auth keeps every parsed answer under the bare name; with that, a stranger who sends mail from
//! `selector._domainkey.victim.example` would make the victim's key look broken for everybody until the TTL ends.

use std::borrow::Borrow;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;
use mail_auth::{DnsCache, DnsError, Error, MessageAuthenticator, Mx, Negative, RecordSet, ResolverCache, TxtRecord};
use quick_cache::sync::Cache;

use super::VerifyError;

/// Long enough for every useful TTL, short enough that a revoked key is noticed.
const MAX_TTL: Duration = Duration::from_secs(3600);
/// RFC 7208 section 4.6.4 asks for at least 20 seconds for one SPF check; all checks of a message run side by side within this.
const DEADLINE: Duration = Duration::from_secs(20);
/// TXT for SPF, keys and DMARC; MX, A, AAAA, PTR.
const CACHES: usize = 7;
/// Below this a cache only costs.
const MIN_ENTRIES: usize = 16;

/// How names are looked up.
#[derive(Clone, Debug)]
pub struct DnsSettings {
    /// Recursive servers, asked over UDP and, for long answers, TCP. Empty: those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long to wait for one answer.
    pub timeout: Duration,
    /// How often to ask again.
    pub attempts: usize,
    /// How many answers to keep, over all kinds.
    pub cache_entries: usize,
    /// How long to keep, at most, the answer that there is nothing.
    pub negative_ttl: Duration,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(3),
            attempts: 2,
            cache_entries: 50_000,
            negative_ttl: Duration::from_secs(60),
        }
    }
}

/// Looks names up; clones share the cache.
#[derive(Clone)]
pub struct Resolver {
    authenticator: MessageAuthenticator,
    caches: Arc<Caches>,
    hosts: TokioResolver,
    deadline: Duration,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver with an empty cache. No packet is sent.
    pub fn new(settings: &DnsSettings) -> Result<Self, VerifyError> {
        let (config, mut options) = if settings.servers.is_empty() {
            read_system_conf().map_err(|error| VerifyError::SystemDns(error.to_string()))?
        } else {
            let servers = settings.servers.iter().map(name_server).collect();
            let mut options = ResolverOpts::default();
            options.use_hosts_file = ResolveHosts::Never;
            (ResolverConfig::from_parts(None, Vec::new(), servers), options)
        };
        // Every name here is complete; a search domain could only give a stranger's answer.
        let config = ResolverConfig::from_parts(None, Vec::new(), config.name_servers().to_vec());
        options.timeout = settings.timeout;
        options.attempts = settings.attempts;
        options.cache_size = 0;
        options.edns0 = true;
        let hosts = hosts(config.clone(), options.clone())?;
        let authenticator = MessageAuthenticator::new(config, options)
            .map_err(|error| VerifyError::Dns(error.to_string()))?
            .with_max_negative_ttl(settings.negative_ttl);
        Ok(Self { authenticator, caches: Arc::new(Caches::new(settings.cache_entries)), hosts, deadline: DEADLINE })
    }

    /// The same servers, for the names of next hops.
    pub fn hosts(&self) -> TokioResolver {
        self.hosts.clone()
    }

    /// The same resolver, with another time limit for all checks of one message.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

/// What the checks of one message share: the resolver, each kind's view of the cache, and the time by which they end.
pub(super) struct Context<'a> {
    pub(super) authenticator: &'a MessageAuthenticator,
    pub(super) spf: View<'a>,
    pub(super) keys: View<'a>,
    pub(super) dmarc: View<'a>,
    pub(super) deadline: tokio::time::Instant,
}

impl<'a> Context<'a> {
    pub(super) fn new(resolver: &'a Resolver) -> Self {
        let caches = &*resolver.caches;
        let view = |txt| View { txt, caches };
        Self {
            authenticator: &resolver.authenticator,
            spf: view(&caches.spf),
            keys: view(&caches.keys),
            dmarc: view(&caches.dmarc),
            deadline: tokio::time::Instant::now() + resolver.deadline,
        }
    }
}

/// Next hops are few, and their addresses are asked for at every new connection.
const HOST_CACHE: u64 = 1024;

fn hosts(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, VerifyError> {
    options.cache_size = HOST_CACHE;
    options.use_hosts_file = ResolveHosts::Always;
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
    builder.build().map_err(|error| VerifyError::Dns(error.to_string()))
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

/// What a TXT record was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Spf,
    Key,
    Dmarc,
}

type Answer<T> = Result<RecordSet<T>, Negative>;

struct Caches {
    spf: TxtCache,
    keys: TxtCache,
    dmarc: TxtCache,
    mx: Timed<Box<str>, Answer<Mx>>,
    ipv4: Timed<Box<str>, Answer<Ipv4Addr>>,
    ipv6: Timed<Box<str>, Answer<Ipv6Addr>>,
    ptr: Timed<IpAddr, Answer<Box<str>>>,
}

impl Caches {
    fn new(entries: usize) -> Self {
        let entries = (entries / CACHES).max(MIN_ENTRIES);
        let txt = |kind| TxtCache { kind, entries: Timed::new(entries) };
        Self {
            spf: txt(Kind::Spf),
            keys: txt(Kind::Key),
            dmarc: txt(Kind::Dmarc),
            mx: Timed::new(entries),
            ipv4: Timed::new(entries),
            ipv6: Timed::new(entries),
            ptr: Timed::new(entries),
        }
    }
}

/// Answers with the time they end.
pub(super) struct Timed<K, V>(Cache<K, (V, Instant)>);

impl<K: Eq + Hash, V: Clone> Timed<K, V> {
    fn new(entries: usize) -> Self {
        Self(Cache::new(entries))
    }
}

impl<K: Eq + Hash, V: Clone> ResolverCache<K, V> for Timed<K, V> {
    fn get<Q>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (value, until) = self.0.get(name)?;
        (until > Instant::now()).then_some(value)
    }

    fn remove<Q>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.remove(name).map(|(_, (value, _))| value)
    }

    fn insert(&self, key: K, value: V, valid_until: Instant) {
        self.0.insert(key, (value, valid_until.min(Instant::now() + MAX_TTL)));
    }
}

/// TXT answers to one kind of question.
pub(super) struct TxtCache {
    kind: Kind,
    entries: Timed<Box<str>, TxtRecord>,
}

impl ResolverCache<Box<str>, TxtRecord> for TxtCache {
    fn get<Q>(&self, name: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.entries.get(name)
    }

    fn remove<Q>(&self, name: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.entries.remove(name)
    }

    fn insert(&self, key: Box<str>, value: TxtRecord, valid_until: Instant) {
        let fitting = match (&value, self.kind) {
            (TxtRecord::Error(Error::Dns(DnsError::RecordNotFound(_))), _)
            | (TxtRecord::Spf(_), Kind::Spf)
            | (TxtRecord::DomainKey(_), Kind::Key)
            | (TxtRecord::Dmarc(_), Kind::Dmarc) => true,
            // An exp= target, a report record, a record that is not what was asked for: true of the question, not of the name.
            _ => false,
        };
        if fitting {
            self.entries.insert(key, value, valid_until);
        }
    }
}

/// What one kind of check sees of the cache.
pub(super) struct View<'a> {
    txt: &'a TxtCache,
    caches: &'a Caches,
}

impl DnsCache for View<'_> {
    type Txt = TxtCache;
    type Mx = Timed<Box<str>, Answer<Mx>>;
    type Ipv4 = Timed<Box<str>, Answer<Ipv4Addr>>;
    type Ipv6 = Timed<Box<str>, Answer<Ipv6Addr>>;
    type Ptr = Timed<IpAddr, Answer<Box<str>>>;

    fn txt(&self) -> Option<&Self::Txt> {
        Some(self.txt)
    }

    fn mx(&self) -> Option<&Self::Mx> {
        Some(&self.caches.mx)
    }

    fn ipv4(&self) -> Option<&Self::Ipv4> {
        Some(&self.caches.ipv4)
    }

    fn ipv6(&self) -> Option<&Self::Ipv6> {
        Some(&self.caches.ipv6)
    }

    fn ptr(&self) -> Option<&Self::Ptr> {
        Some(&self.caches.ptr)
    }
}
