//! The token endpoint: one request, one answer (RFC 6749 section 4.1.3, 4.4 and 6). The protocol is the library's; here are Microsoft's addresses,
//! the application's proof, and what a refusal means. Nothing is cached and nothing is repeated.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use oauth2::basic::{BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::answer::Refusal;
use super::error::{Cause, CredentialError, ahead};
use super::key::{Client, Evidence};
use super::secret::Secret;
use super::settings::base;
use super::wire::{Seen, Wire, WireError};

/// `client_assertion_type` of RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// A lifetime when the service names none, and the longest that is believed: what access tokens that can be revoked at any time have.
const LIFETIME: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(28 * 60 * 60));

type Protocol = oauth2::Client<
    Refusal,
    StandardTokenResponse<IdTokenField, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

/// The field that OpenID Connect adds to a token answer.
#[derive(Default, Deserialize, Serialize)]
struct IdTokenField {
    #[serde(default)]
    id_token: Option<String>,
}

impl ExtraTokenFields for IdTokenField {}

impl fmt::Debug for IdTokenField {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("IdTokenField")
    }
}

/// What a token is asked for with.
pub(super) enum Grant<'a> {
    /// The code of a redirect, and the verifier of the sign-in that it belongs to (RFC 7636).
    Code { code: &'a str, verifier: &'a Secret },
    /// A refresh token.
    Refresh(&'a Secret),
    /// The application itself.
    Client,
}

/// What the service issued.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) access: Secret,
    pub(super) refresh: Option<Secret>,
    pub(super) id_token: Option<Secret>,
    pub(super) expires: SystemTime,
}

/// One request for a token.
pub(super) struct Request<'a> {
    pub(super) client: &'a Client,
    pub(super) grant: Grant<'a>,
    pub(super) scopes: &'a [String],
    /// What a resource demanded in addition.
    pub(super) claims: Option<&'a str>,
}

/// The endpoint of one tenant.
pub(super) struct Endpoint<'a> {
    pub(super) authority: &'a Url,
    pub(super) redirect: &'a Url,
    pub(super) wire: &'a Wire,
}

impl Endpoint<'_> {
    /// Asks once. `tenant` is an id, or `organizations` for a sign-in whose tenant is not known yet.
    pub(super) async fn ask(&self, tenant: &str, request: Request<'_>, now: SystemTime) -> Result<Issued, CredentialError> {
        let address = format!("{}/{tenant}/oauth2/v2.0/token", base(self.authority));
        let evidence = request.client.evidence(&address, now)?;
        let token_url = TokenUrl::new(address).map_err(|_| CredentialError::new(Cause::Local("the token address is no URL")))?;
        let mut protocol = Protocol::new(ClientId::new(request.client.id.to_string()))
            .set_auth_type(AuthType::RequestBody)
            .set_redirect_uri(RedirectUrl::from_url(self.redirect.clone()))
            .set_token_uri(token_url);
        let mut extra = Vec::new();
        match &evidence {
            Evidence::Secret(secret) => protocol = protocol.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            Evidence::Assertion(assertion) => {
                extra.push(("client_assertion_type", ASSERTION_TYPE));
                extra.push(("client_assertion", assertion.expose()));
            }
        }
        extra.extend(request.claims.map(|claims| ("claims", claims)));

        let send = Watched { wire: self.wire, seen: Mutex::new(None), now };
        let scopes = request.scopes.iter().cloned().map(Scope::new);
        let answer = match request.grant {
            Grant::Code { code, verifier } => {
                let asked = protocol.exchange_code(AuthorizationCode::new(code.to_owned()));
                let asked = asked.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
                // Not in RFC 6749, but the service wants to be told which of the consented resources this token is for.
                let asked = asked.add_extra_param("scope", request.scopes.join(" "));
                extra.into_iter().fold(asked, |asked, (name, value)| asked.add_extra_param(name, value)).request_async(&send).await
            }
            Grant::Refresh(token) => {
                let token = RefreshToken::new(token.expose().to_owned());
                let asked = protocol.exchange_refresh_token(&token).add_scopes(scopes);
                extra.into_iter().fold(asked, |asked, (name, value)| asked.add_extra_param(name, value)).request_async(&send).await
            }
            Grant::Client => {
                let asked = protocol.exchange_client_credentials().add_scopes(scopes);
                extra.into_iter().fold(asked, |asked, (name, value)| asked.add_extra_param(name, value)).request_async(&send).await
            }
        };
        let seen = send.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        answer.map_err(|error| refused(error, seen, now)).and_then(|answer| issued(&answer, now))
    }
}

/// The way to the service, which remembers what an answer says beside its body.
struct Watched<'a> {
    wire: &'a Wire,
    seen: Mutex<Option<Seen>>,
    now: SystemTime,
}

impl<'c> AsyncHttpClient<'c> for Watched<'_> {
    type Error = WireError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, WireError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = self.wire.send(request).await?;
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen::of(&answer, self.now));
            Ok(answer)
        })
    }
}

fn issued(answer: &StandardTokenResponse<IdTokenField, BasicTokenType>, now: SystemTime) -> Result<Issued, CredentialError> {
    if answer.token_type() != &BasicTokenType::Bearer {
        return Err(CredentialError::new(Cause::Protocol("its token is not a bearer token".to_owned())));
    }
    let lifetime = answer.expires_in().unwrap_or(LIFETIME.0).min(LIFETIME.1);
    Ok(Issued {
        access: Secret::new(answer.access_token().secret().clone()),
        refresh: answer.refresh_token().map(|token| Secret::new(token.secret().clone())),
        id_token: answer.extra_fields().id_token.clone().map(Secret::new),
        expires: now + lifetime,
    })
}

/// The library's errors may hold what was received, so they are never printed.
fn refused(error: RequestTokenError<WireError, Refusal>, seen: Option<Seen>, now: SystemTime) -> CredentialError {
    let skew = seen.and_then(|seen| seen.date).map(|theirs| ahead(now, theirs));
    let mut explained = match &error {
        RequestTokenError::ServerResponse(refusal) => refusal.explain(skew),
        RequestTokenError::Request(error) => CredentialError::new(Cause::Unreachable(error.0.clone())),
        RequestTokenError::Parse(at, _) => {
            CredentialError::new(Cause::Protocol(format!("its answer has no usable value at {:?}", at.path().to_string())))
        }
        RequestTokenError::Other(_) => CredentialError::new(Cause::Protocol("its answer is empty or not JSON".to_owned())),
    };
    if let Some(seen) = seen {
        match seen.status.as_u16() {
            429 => explained.cause = Cause::Throttled,
            status @ 500.. => explained.cause = Cause::Unavailable(status),
            status @ 300..400 => explained.cause = Cause::Protocol(format!("status {status}, a redirect")),
            _ => {}
        }
        explained.wait = seen.retry_after;
    }
    explained
}
