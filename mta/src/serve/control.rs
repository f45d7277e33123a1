//! Starting the control plane: the plugin, its way out, the tokens, the state machine, the synchronisation, and what they need of the rest.
//!
//! Nothing here knows what a tenant's service is; the plugin does. Without `[control]` none of this exists.

use std::sync::Arc;
use std::time::SystemTime;

use url::Url;

use super::StartError;
use crate::config::{self, ApplicationCredential, Config};
use crate::control::credentials::{self, Cloud, Credentials};
use crate::control::egress::{Egress, EgressSettings};
use crate::control::session::Caller;
use crate::control::tokens::Tokens;
use crate::plugin::{ControlLimits, Controller, Engine};
use crate::service::Shared;
use crate::store::Store;
use crate::tls::Roots;

/// The path below the console's address to which the service sends browsers back.
pub(crate) const RETURN_PATH: &str = "/connect/return";

/// The tokens, with the keys that the configuration names.
pub(super) fn credentials(control: &config::Control, console: &str, now: SystemTime) -> Result<Credentials, StartError> {
    let address = |text: &str| text.parse::<Url>().map_err(|error| StartError::Control(format!("{text:?} is no address: {error}")));
    let (graph, exchange) = (address(&control.graph)?, address(&control.exchange)?);
    let (graph_scope, exchange_scope) = scopes(&graph)?;
    let settings = credentials::Settings {
        authority: address(&control.authority)?,
        synchronisation: application(&control.synchronisation)?,
        setup: application(&control.setup)?,
        redirect: address(&format!("{console}{RETURN_PATH}"))?,
        resources: credentials::Resources { graph, graph_scope, exchange, exchange_scope },
        roots: match &control.roots {
            Roots::Native => Vec::new(),
            Roots::File(path) => vec![path.clone()],
        },
    };
    Credentials::load(settings, now).map_err(|error| StartError::Control(error.to_string()))
}

/// What tokens are asked for: the names of the cloud's resources, which are not always their addresses. An address that is none of Microsoft's is a
/// proxy's or a stand-in's, for the worldwide cloud.
fn scopes(graph: &Url) -> Result<(String, String), StartError> {
    let mut worldwide = None;
    for cloud in [Cloud::Global, Cloud::GccHigh, Cloud::Dod, Cloud::China] {
        let (_, resources) = cloud.endpoints().map_err(|error| StartError::Control(error.to_string()))?;
        let scopes = (resources.graph_scope, resources.exchange_scope);
        if resources.graph.host() == graph.host() {
            return Ok(scopes);
        }
        worldwide = worldwide.or(Some(scopes));
    }
    worldwide.ok_or_else(|| StartError::Control("there is no cloud".to_owned()))
}

fn application(configured: &config::Application) -> Result<credentials::Application, StartError> {
    let client_id = configured.client_id.parse();
    let client_id = client_id.map_err(|error| StartError::Control(format!("client_id {:?}: {error}", configured.client_id)))?;
    let credential = match &configured.credential {
        ApplicationCredential::Certificate(files) => {
            credentials::Credential::Certificate { certificate: files.chain.clone(), key: files.key.clone() }
        }
        ApplicationCredential::Secret(path) => credentials::Credential::Secret(path.clone()),
    };
    Ok(credentials::Application { client_id, credential })
}

/// The plugin with everything around a call.
pub(super) fn caller(
    control: &config::Control,
    shared: &Shared,
    credentials: &Arc<Credentials>,
    store: Store,
) -> Result<Caller, StartError> {
    let limits = ControlLimits { deadline: control.call_deadline, ..ControlLimits::default() };
    let engine = Engine::new(&limits.engine())?;
    let component = control.plugin.as_ref().map_or(crate::DEFAULT_CONTROLLER, |plugin| &plugin.wasm);
    let controller = Controller::load(&engine, component, &limits);
    let controller = controller.map_err(|error| StartError::Control(format!("control.plugin: the plugin does not load: {error}")))?;
    let settings = EgressSettings {
        rules: control.egress.clone(),
        private_networks: control.private_networks.clone(),
        roots: control.roots.clone(),
        request_time: control.request_timeout,
        requests: u32::try_from(control.requests).unwrap_or(u32::MAX),
        received: control.response_size,
        ..EgressSettings::default()
    };
    let egress = Egress::new(settings, Arc::new(shared.resolver.hosts()), Arc::new(Tokens::new(Arc::clone(credentials))));
    let egress = egress.map_err(|error| StartError::Control(error.to_string()))?;
    Ok(Caller::new(Arc::new(controller), Arc::new(egress), store, control.recordings.clone()))
}
