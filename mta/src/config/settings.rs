//! Parts of the configuration as the modules want them: one small function each, no decision.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Config, Dns, Limits, ListenerTls, Plugins, Return, State, Tenant, TextFile, Timeouts};
use crate::handoff::{LedgerSettings, Route, RouteLimits};
use crate::smtp::{client, server, session};
use crate::tenant::TenantId;
use crate::tls::{ClientTls, TlsError};
use crate::{plugin, seal, tenant, verify};

impl Config {
    /// What the sessions of one listener offer and demand.
    pub fn session(&self, tls: &ListenerTls) -> session::Settings {
        session::Settings {
            hostname: self.hostname.as_str().to_owned(),
            maximum_size: self.limits.message_size as u64,
            starttls: matches!(tls, ListenerTls::StartTls { .. }),
            tls_required: matches!(tls, ListenerTls::StartTls { required: true, .. }),
            authentication: self.tenants.iter().any(|tenant| !tenant.logins.is_empty()),
            limits: self.limits.session(),
            maximum_line: crate::smtp::data::DEFAULT_MAX_LINE,
        }
    }

    /// How one tenant's mail is judged.
    pub fn policy(&self, tenant: &Tenant) -> verify::Policy {
        verify::Policy {
            authserv_id: self.authserv_id.clone(),
            hostname: self.hostname.as_str().to_owned(),
            unaligned: match tenant.unaligned {
                super::Unaligned::Reject => verify::Unaligned::Reject,
                super::Unaligned::RelayUnsigned => verify::Unaligned::RelayUnsigned,
                super::Unaligned::Sign => verify::Unaligned::Sign,
            },
            trusted_sealers: tenant.trusted_sealers.clone(),
        }
    }

    /// Keys and trace fields of one tenant. Reads the keys.
    pub fn seal(&self, tenant: &Tenant) -> Result<seal::Settings, seal::SealError> {
        let load = |file: &super::KeyFile| seal::Key::load(&file.path, file.domain.clone(), &file.selector).map(Arc::new);
        let id = TenantId::new(&tenant.id);
        let token = |token: &super::LoopToken| {
            let word = token.word.as_ref().map(|word| (word.name.clone(), word.value.clone()));
            seal::LoopToken::new(&id, token.header.clone(), &token.key, word)
        };
        let settings = seal::Settings {
            hostname: self.hostname.as_str().to_owned(),
            authserv_id: self.authserv_id.clone(),
            arc: tenant.seal.arc_key.as_ref().map(load).transpose()?,
            dkim: tenant.seal.keys.iter().map(load).collect::<Result<_, _>>()?,
            arc_enabled: tenant.seal.arc,
            loop_token: tenant.seal.loop_token.as_ref().map(token).transpose()?,
            maximum_hops: self.limits.hops,
            private_fields: tenant.identity().private_fields().map(str::to_owned).collect(),
        };
        settings.check()?;
        Ok(settings)
    }

    /// Where one tenant's mail goes. Reads the tenant's certificate.
    pub fn route(&self, tenant: &Tenant, now: SystemTime) -> Result<Route, TlsError> {
        let route = &tenant.route;
        let tls = route.tls.as_ref().map(|settings| ClientTls::load(settings, now)).transpose()?;
        Ok(Route {
            tenant: TenantId::new(&tenant.id),
            host: route.host.clone(),
            port: route.port,
            server_name: route.server_name.clone(),
            identity: tls.as_ref().map(|tls| tls.identity.clone()).unwrap_or_default(),
            tls: tls.map(|tls| tls.config),
            hello: self.hostname.as_str().to_owned(),
            limits: route.limits(),
        })
    }
}

impl Limits {
    fn session(&self) -> session::Limits {
        session::Limits {
            commands: narrow(self.commands),
            errors: narrow(self.errors),
            unrecognised: narrow(self.unrecognised),
            recipients: self.recipients,
            transactions: narrow(self.transactions_per_connection),
        }
    }
}

impl Timeouts {
    /// How long the server waits for a peer.
    pub fn server(&self) -> server::Timeouts {
        server::Timeouts {
            handshake: self.handshake,
            command: self.server,
            content: self.data_block,
            message: self.message,
            write: self.write,
        }
    }
}

impl Dns {
    /// How the checks resolve names.
    pub fn resolver(&self) -> verify::DnsSettings {
        verify::DnsSettings {
            servers: self.servers.clone(),
            timeout: self.timeout,
            attempts: self.attempts,
            cache_entries: self.cache_entries,
            negative_ttl: self.negative_ttl,
        }
    }
}

impl State {
    /// What the ledger remembers.
    pub fn ledger(&self) -> LedgerSettings {
        LedgerSettings { partial: self.ledger_partial, unconfirmed: self.ledger_unconfirmed, rows: self.ledger_entries }
    }
}

impl Plugins {
    /// What one plugin call may use.
    pub fn limits(&self) -> plugin::Limits {
        plugin::Limits {
            memory: self.memory,
            configure_memory: self.configure_memory,
            select_deadline: self.select_deadline,
            render_deadline: self.render_deadline,
            configure_deadline: self.configure_deadline,
            table_elements: self.table_elements,
            handles: self.handles,
            hostcall_fuel: self.hostcall,
            host_calls: narrow(self.host_calls),
            read_total: self.read_total,
            log_lines: self.log_lines,
            breaker: plugin::BreakerSettings { faults: self.breaker_faults, window: self.breaker_window, cool_down: self.breaker_pause },
            ..plugin::Limits::default()
        }
    }

    /// The engine that all calls share.
    pub fn engine(&self) -> plugin::EngineSettings {
        let default = plugin::EngineSettings::default();
        // Four a worker keep a warm slot for the selector and the renderer of a few tenants.
        let chosen = self.instances.or_else(|| self.workers.map(|workers| (workers * 4).max(8)));
        let instances = chosen.map_or(default.instances, narrow);
        // What `configure` may leave behind, and what a call may add to it, with room for the pages in between.
        let memory = (self.configure_memory + self.memory).max(default.memory);
        plugin::EngineSettings { instances, memory, ..default }
    }

    /// Threads for work that only computes.
    pub fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Tenant {
    /// Who the tenant is and what proves it.
    pub fn identity(&self) -> Arc<tenant::Tenant> {
        Arc::new(tenant::Tenant {
            id: TenantId::new(&self.id),
            name: self.name.clone(),
            // The trial of the loop comes from the domain of the certificate.
            domains: self.domains.iter().cloned().chain(self.connection.iter().map(|known| known.certificate_domain.clone())).collect(),
            partners: self.partners.clone(),
            proof: self.proof.clone(),
        })
    }

    /// What the selector is configured with.
    pub fn rule_files(&self) -> Vec<plugin::File> {
        self.rules.iter().map(TextFile::file).collect()
    }

    /// What the renderer is configured with.
    pub fn template_files(&self) -> Vec<plugin::File> {
        self.templates.iter().map(TextFile::file).collect()
    }
}

impl TextFile {
    fn file(&self) -> plugin::File {
        plugin::File { name: self.name.clone(), content: self.content.clone() }
    }
}

impl Return {
    fn limits(&self) -> RouteLimits {
        RouteLimits {
            connections: self.connections,
            wait: self.wait,
            messages_per_connection: narrow(self.messages_per_connection),
            idle: self.idle,
            recipient_within: self.recipient_within,
            deliver_within: self.deliver_within,
            timeouts: client::Timeouts {
                connect: self.timeouts.connect,
                greeting: self.timeouts.initial_220,
                command: self.timeouts.command,
                data_initiation: self.timeouts.data_initiation,
                data_block: self.timeouts.data_block,
                data_termination: self.timeouts.data_termination,
            },
        }
    }
}

/// Counts are bounded far below this while they are checked.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
