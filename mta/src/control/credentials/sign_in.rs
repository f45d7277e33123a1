//! The ways of a browser: to the service for a sign-in or for a tenant's consent, and back. RFC 6749 section 4.1, RFC 7636, OpenID Connect Core 1.0
//! section 3.1, and Microsoft's page for an administrator's consent, of whose answer nothing is believed but that it is worth trying.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use url::Url;
use uuid::Uuid;

use super::Credentials;
use super::answer::Refusal;
use super::delegation::Delegation;
use super::error::{Cause, CredentialError, IdTokenFault, SignInError};
use super::id_token::{Expected, Identity};
use super::key::Client;
use super::pending::{BrowserBinding, Errand, Pending, Start};
use super::settings::base;
use super::token::{Grant, Request};

/// A tenant that is not known yet: any organisation's, and no private account.
const ORGANIZATIONS: &str = "organizations";
/// What every sign-in asks for: an id_token, with the name in it.
const IDENTITY: [&str; 2] = ["openid", "profile"];
/// What the administrator's token is for, below Graph: the domains, and the check of the administrator's own role.
const ADMINISTRATOR_PERMISSIONS: [&str; 3] = ["Domain.ReadWrite.All", "RoleManagement.Read.Directory", "User.Read"];
/// What the administrator consents to for mail flow.
const EXCHANGE_PERMISSION: &str = "Exchange.Manage";
/// The longest query that a redirect is read from; codes have about 2,000 octets.
const QUERY_LIMIT: usize = 32 * 1024;

/// What a person signs in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To say who it is, and of which tenant.
    SignIn,
    /// To have mail flow changed in that person's name.
    Authorize,
}

/// What a browser came back with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// Somebody signed in.
    SignedIn(Identity),
    /// An administrator authorised; the tokens are held behind the handles `administrator` and `exchange`.
    Authorized(Identity),
    /// The service says that this tenant consented. The proof is a token for `directory`.
    Consented(Uuid),
}

/// The parameters of a redirect that mean something.
#[derive(Default)]
struct Answer<'a>(HashMap<Cow<'a, str>, Cow<'a, str>>);

impl Credentials {
    /// Where to send a browser to sign in. `tenant` is the one that is expected; anybody's organisation when none is.
    pub fn begin(&self, tenant: Option<Uuid>, purpose: Purpose, browser: BrowserBinding, now: SystemTime) -> Result<Url, SignInError> {
        let start = fresh()?;
        let segment = tenant.map_or_else(|| ORGANIZATIONS.to_owned(), |tenant| tenant.to_string());
        let address = format!("{}/{segment}/oauth2/v2.0/authorize", base(&self.settings.authority));
        let address = AuthUrl::new(address).map_err(|_| local("the sign-in address is no URL"))?;
        let (client, errand, scopes) = match purpose {
            Purpose::SignIn => (&self.synchronisation, Errand::SignIn, vec![]),
            Purpose::Authorize => {
                // The consent covers both resources at once; each token is for one of them.
                let mut scopes = self.administrator_scopes();
                scopes.push(self.settings.resources.exchange_permission(EXCHANGE_PERMISSION));
                (&self.setup, Errand::Authorize, scopes)
            }
        };
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(start.verifier.expose().to_owned()));
        let state = start.state.expose().to_owned();
        let (url, _) = oauth2::basic::BasicClient::new(ClientId::new(client.id.to_string()))
            .set_auth_uri(address)
            .set_redirect_uri(RedirectUrl::from_url(self.settings.redirect.clone()))
            .authorize_url(|| CsrfToken::new(state))
            .add_scopes(IDENTITY.map(|scope| Scope::new(scope.to_owned())))
            .add_scopes(scopes.into_iter().map(Scope::new))
            .set_pkce_challenge(challenge)
            .add_extra_param("response_mode", "query")
            .add_extra_param("nonce", start.nonce.expose())
            .add_extra_param("prompt", "select_account")
            .url();
        self.pending.add(start, errand, tenant, browser, now);
        Ok(url)
    }

    /// Where to send an administrator of `tenant`, which a sign-in has proven, to consent to the application's reading of the directory.
    pub fn begin_consent(&self, tenant: Uuid, browser: BrowserBinding, now: SystemTime) -> Result<Url, SignInError> {
        let start = fresh()?;
        let address = format!("{}/{tenant}/v2.0/adminconsent", base(&self.settings.authority));
        let mut url: Url = address.parse().map_err(|_| local("the consent address is no URL"))?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.synchronisation.id.to_string())
            .append_pair("scope", &self.settings.resources.graph_scope)
            .append_pair("redirect_uri", self.settings.redirect.as_str())
            .append_pair("state", start.state.expose());
        self.pending.add(start, Errand::Consent, Some(tenant), browser, now);
        Ok(url)
    }

    /// Finishes what the browser was sent away for; `query` is the part of the redirect behind the question mark.
    pub async fn complete(&self, query: &str, browser: BrowserBinding, now: SystemTime) -> Result<Completed, SignInError> {
        let completed = self.finish(query, browser, now).await;
        if let Err(error) = &completed {
            tracing::warn!(event = "control.sign-in-failed", %error, "a browser came back without success");
        }
        completed
    }

    async fn finish(&self, query: &str, browser: BrowserBinding, now: SystemTime) -> Result<Completed, SignInError> {
        let answer = Answer::read(query)?;
        let state = answer.value("state").ok_or(SignInError::Redirect("there is no state"))?;
        let pending = self.pending.take(state, browser, now)?;
        if let Some(error) = answer.value("error") {
            let refusal = Refusal::redirected(error, answer.value("error_description").unwrap_or_default());
            let mut explained = refusal.explain(None);
            // For a page that asks for consent, its lack is the person's answer.
            if pending.errand == Errand::Consent && explained.cause == Cause::NotConsented {
                explained.cause = Cause::Declined;
            }
            return Err(explained.into());
        }
        match pending.errand {
            Errand::Consent => self.consented(&answer, &pending),
            Errand::SignIn => {
                self.redeem(&answer, &pending, &self.synchronisation, now).await.map(|(identity, _)| Completed::SignedIn(identity))
            }
            Errand::Authorize => {
                let (identity, issued) = self.redeem(&answer, &pending, &self.setup, now).await?;
                let delegation = Delegation::new(issued, Arc::clone(&self.graph), now);
                self.sweep(now);
                self.locked_delegations().insert(identity.tenant, Arc::new(delegation));
                Ok(Completed::Authorized(identity))
            }
        }
    }

    fn consented(&self, answer: &Answer<'_>, pending: &Pending) -> Result<Completed, SignInError> {
        if !answer.value("admin_consent").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(SignInError::Redirect("admin_consent is not True"));
        }
        let named = answer.value("tenant").and_then(|tenant| Uuid::try_parse(tenant).ok());
        let actual = named.ok_or(SignInError::Redirect("tenant is not an id"))?;
        let expected = pending.tenant.ok_or(SignInError::UnknownState)?;
        if actual != expected {
            return Err(SignInError::WrongTenant { expected, actual });
        }
        let slot = self.locked_directory().get(&expected).cloned();
        slot.inspect(|slot| slot.hope());
        Ok(Completed::Consented(expected))
    }

    async fn redeem(
        &self,
        answer: &Answer<'_>,
        pending: &Pending,
        client: &Client,
        now: SystemTime,
    ) -> Result<(Identity, super::token::Issued), SignInError> {
        let code = answer.value("code").ok_or(SignInError::Redirect("there is neither a code nor an error"))?;
        let segment = pending.tenant.map_or_else(|| ORGANIZATIONS.to_owned(), |tenant| tenant.to_string());
        // Without them here too, the service gives no id_token.
        let mut scopes: Vec<String> = IDENTITY.map(str::to_owned).into();
        if pending.errand == Errand::Authorize {
            scopes.extend(self.administrator_scopes());
        }
        let request = Request { client, grant: Grant::Code { code, verifier: &pending.verifier }, scopes: &scopes, claims: None };
        let mut issued = self.endpoint().ask(&segment, request, now).await.map_err(restarted)?;
        let token = issued.id_token.take().ok_or(IdTokenFault::Missing)?;
        let expected = Expected { authority: &self.settings.authority, client_id: client.id, nonce: &pending.nonce };
        let identity = self.keys.verify(&token, &expected, &self.wire, now).await?;
        match pending.tenant {
            Some(expected) if expected != identity.tenant => Err(SignInError::WrongTenant { expected, actual: identity.tenant }),
            _ => Ok((identity, issued)),
        }
    }

    /// What the administrator's token for the directory is asked for, and the refresh token that stands for the sign-in.
    pub(super) fn administrator_scopes(&self) -> Vec<String> {
        let permissions = ADMINISTRATOR_PERMISSIONS.map(|permission| self.settings.resources.graph_permission(permission));
        permissions.into_iter().chain(["offline_access".to_owned()]).collect()
    }
}

impl<'a> Answer<'a> {
    fn read(query: &'a str) -> Result<Self, SignInError> {
        if query.len() > QUERY_LIMIT {
            return Err(SignInError::Redirect("they are too long"));
        }
        let mut answer = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            // RFC 6749 section 3.1: a parameter must not come twice.
            if answer.0.insert(name, value).is_some() {
                return Err(SignInError::Redirect("one of them comes twice"));
            }
        }
        Ok(answer)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(AsRef::as_ref).filter(|value| !value.is_empty())
    }
}

fn fresh() -> Result<Start, SignInError> {
    Start::fresh().ok_or_else(|| local("it has no randomness"))
}

fn local(what: &'static str) -> SignInError {
    CredentialError::new(Cause::Local(what)).into()
}

/// For a code, an invalid grant means the code.
fn restarted(mut error: CredentialError) -> SignInError {
    if error.cause == Cause::GrantExpired {
        error.cause = Cause::CodeUsed;
    }
    error.into()
}
