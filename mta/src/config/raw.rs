//! The configuration as it was written: every key that exists, every value still text or number, with its place in the file.
//!
//! Nothing is checked here but the names of keys (`deny_unknown_fields`) and whether a value, a list or a table stands where
//! one belongs. Values keep their span, so that a later check can name the line.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::control::{RawConnection, RawConsole, RawControl};

/// A single value: text, number or truth value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// A list, a table or a date where a single value belongs.
    Other(&'static str),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{:?}", crate::telemetry::clean(text, LONGEST_QUOTE)),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// A wrong value is repeated in the error; more of it than this would hide the rest of the line.
const LONGEST_QUOTE: usize = 80;

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a single value")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(i64::try_from(number).map_or(Scalar::Float(number as f64), Scalar::Integer))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar::Float(number))
            }

            fn visit_bool<E: Error>(self, truth: bool) -> Result<Scalar, E> {
                Ok(Scalar::Boolean(truth))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Scalar, A::Error> {
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("a table or a date"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("a list"))
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// A key's single value, if the key is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf(pub(super) Option<Spanned<Scalar>>);

impl<'de> Deserialize<'de> for Leaf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

/// A key's list of values; empty when the key is not there.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    pub(super) span: Option<Range<usize>>,
    pub(super) items: Vec<Spanned<Scalar>>,
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Spanned::<Vec<Spanned<Scalar>>>::deserialize(deserializer)?;
        Ok(Self { span: Some(list.span()), items: list.into_inner() })
    }
}

/// A table. Its span is its header's; a table that is not there is the same as an empty one, without a span.
#[derive(Clone, Debug, Default)]
pub(super) struct Section<T> {
    pub(super) span: Option<Range<usize>>,
    pub(super) body: T,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Section<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let section = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { span: Some(section.span()), body: section.into_inner() })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) version: Leaf,
    pub(super) hostname: Leaf,
    pub(super) authserv_id: Leaf,
    pub(super) limits: Section<RawLimits>,
    pub(super) timeouts: Section<RawTimeouts>,
    pub(super) listener: Vec<Section<RawListener>>,
    pub(super) dns: Section<RawDns>,
    pub(super) operations: Section<RawOperations>,
    pub(super) state: Section<RawState>,
    pub(super) drain: Section<RawDrain>,
    pub(super) plugins: Section<RawPlugins>,
    pub(super) log: Section<RawLog>,
    pub(super) control: Section<RawControl>,
    pub(super) console: Section<RawConsole>,
    pub(super) tenant: Vec<Section<RawTenant>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) message_size: Leaf,
    pub(super) memory_budget: Leaf,
    pub(super) connections: Leaf,
    pub(super) connections_per_address: Leaf,
    pub(super) recipients: Leaf,
    pub(super) commands: Leaf,
    pub(super) errors: Leaf,
    pub(super) unrecognised: Leaf,
    pub(super) transactions_per_connection: Leaf,
    pub(super) hops: Leaf,
    pub(super) copies: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTimeouts {
    pub(super) handshake: Leaf,
    pub(super) server: Leaf,
    pub(super) data_block: Leaf,
    pub(super) message: Leaf,
    pub(super) write: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawListener {
    pub(super) address: Leaf,
    pub(super) tls: Leaf,
    pub(super) certificate: Leaf,
    pub(super) key: Leaf,
    pub(super) identity: Vec<Section<RawIdentity>>,
    pub(super) client_roots: Leaf,
    pub(super) client_certificate: Leaf,
    pub(super) starttls_required: Leaf,
    pub(super) proxy_networks: List,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawIdentity {
    pub(super) certificate: Leaf,
    pub(super) key: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDns {
    pub(super) servers: List,
    pub(super) timeout: Leaf,
    pub(super) attempts: Leaf,
    pub(super) cache_entries: Leaf,
    pub(super) negative_ttl: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawOperations {
    pub(super) address: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawState {
    pub(super) directory: Leaf,
    pub(super) ledger_partial: Leaf,
    pub(super) ledger_unconfirmed: Leaf,
    pub(super) ledger_entries: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDrain {
    pub(super) deadline: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawPlugins {
    pub(super) workers: Leaf,
    pub(super) instances: Leaf,
    pub(super) component_size: Leaf,
    pub(super) memory: Leaf,
    pub(super) configure_memory: Leaf,
    pub(super) select_deadline: Leaf,
    pub(super) render_deadline: Leaf,
    pub(super) configure_deadline: Leaf,
    pub(super) table_elements: Leaf,
    pub(super) handles: Leaf,
    pub(super) hostcall: Leaf,
    pub(super) host_calls: Leaf,
    pub(super) read_total: Leaf,
    pub(super) log_lines: Leaf,
    pub(super) breaker: Section<RawBreaker>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawBreaker {
    pub(super) faults: Leaf,
    pub(super) window: Leaf,
    pub(super) pause: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) level: Leaf,
    pub(super) format: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTenant {
    pub(super) id: Leaf,
    pub(super) name: Leaf,
    pub(super) domains: List,
    pub(super) partners: List,
    pub(super) time_zone: Leaf,
    pub(super) locale: Leaf,
    pub(super) locale_from: List,
    pub(super) proof: Section<RawProof>,
    pub(super) login: Vec<Section<RawLogin>>,
    pub(super) alignment: Section<RawAlignment>,
    pub(super) plugins: Section<RawTenantPlugins>,
    pub(super) signatures: Section<RawSignatures>,
    pub(super) directory: Section<RawDirectory>,
    pub(super) connection: Section<RawConnection>,
    pub(super) seal: Section<RawSeal>,
    #[serde(rename = "return")]
    pub(super) return_route: Section<RawReturn>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawProof {
    pub(super) networks: List,
    pub(super) certificate_names: List,
    pub(super) server_names: List,
    pub(super) login: Leaf,
    pub(super) reverse_path: Leaf,
    pub(super) cross_tenant_id: Leaf,
    pub(super) secret_header: Section<RawSecretHeader>,
    pub(super) header_from: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSecretHeader {
    pub(super) name: Leaf,
    pub(super) value: Leaf,
    pub(super) value_file: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLogin {
    pub(super) name: Leaf,
    pub(super) secret: Leaf,
    pub(super) secret_file: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAlignment {
    pub(super) unaligned: Leaf,
    pub(super) trusted_sealers: List,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTenantPlugins {
    pub(super) fault: Leaf,
    pub(super) selector: Section<RawComponent>,
    pub(super) renderer: Section<RawComponent>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawComponent {
    pub(super) path: Leaf,
    pub(super) sha256: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSignatures {
    pub(super) rules: List,
    pub(super) templates: Leaf,
    pub(super) assets: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDirectory {
    pub(super) people: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSeal {
    pub(super) arc: Leaf,
    pub(super) arc_key: Section<RawKey>,
    pub(super) key: Vec<Section<RawKey>>,
    #[serde(rename = "loop")]
    pub(super) loop_token: Section<RawLoop>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawKey {
    pub(super) domain: Leaf,
    pub(super) selector: Leaf,
    pub(super) file: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLoop {
    pub(super) header: Leaf,
    pub(super) key_file: Leaf,
    pub(super) word_header: Leaf,
    pub(super) word: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawReturn {
    pub(super) host: Leaf,
    pub(super) port: Leaf,
    pub(super) server_name: Leaf,
    pub(super) roots: Leaf,
    pub(super) certificate: Leaf,
    pub(super) key: Leaf,
    pub(super) plaintext_loopback: Leaf,
    pub(super) connections: Leaf,
    pub(super) wait: Leaf,
    pub(super) messages_per_connection: Leaf,
    pub(super) idle: Leaf,
    pub(super) recipient_within: Leaf,
    pub(super) deliver_within: Leaf,
    pub(super) timeouts: Section<RawReturnTimeouts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawReturnTimeouts {
    pub(super) connect: Leaf,
    pub(super) initial_220: Leaf,
    pub(super) command: Leaf,
    pub(super) data_initiation: Leaf,
    pub(super) data_block: Leaf,
    pub(super) data_termination: Leaf,
}
