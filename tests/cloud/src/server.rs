//! HTTP and TLS around the stand-in, on loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::call::{Answer, Call, Delivery};
use crate::cloud::Cloud;

/// The largest request body, in octets: more than a batch of twenty needs.
const LARGEST_BODY: usize = 4 << 20;
/// How long a cut body waits for its break.
const BEFORE_BREAK: Duration = Duration::from_millis(50);

/// A self-made authority and a certificate for loopback.
pub struct Tls {
    /// The authority's certificate, PEM.
    pub authority: String,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// Makes authority, key and certificate for 127.0.0.1, ::1 and localhost.
    pub fn generate() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Signet stand-in authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let authority_key = KeyPair::generate()?;
        let authority = params.self_signed(&authority_key)?;
        let issuer = Issuer::new(params, authority_key);
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        let key = KeyPair::generate()?;
        let mut own = CertificateParams::new(names)?;
        own.distinguished_name.push(DnType::CommonName, "Signet stand-in for Microsoft");
        own.use_authority_key_identifier_extension = true;
        let certificate = own.signed_by(&key, &issuer)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())))?;
        Ok(Self { authority: authority.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

/// Binds a loopback address.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    ensure!(address.ip().is_loopback(), "{address} is not a loopback address; the stand-in is not for a network, take 127.0.0.1:0");
    TcpListener::bind(address).await.with_context(|| format!("binding {address}"))
}

/// Serves until the future is dropped.
pub async fn serve(listener: TcpListener, cloud: Arc<Cloud>, tls: Option<Tls>) -> Result<Infallible> {
    let acceptor = tls.map(|tls| tls.acceptor);
    loop {
        let (stream, _) = listener.accept().await.context("accepting a connection")?;
        let (cloud, acceptor) = (Arc::clone(&cloud), acceptor.clone());
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        tokio::spawn(async move {
            match acceptor {
                // A client that breaks off has nothing to be told.
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(stream, cloud).await;
                    }
                }
                None => connection(stream, cloud).await,
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, cloud: Arc<Cloud>) {
    let service = service_fn(move |request| {
        let cloud = Arc::clone(&cloud);
        async move { respond(request, &cloud).await }
    });
    let served = hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
    // The error is the client's break-off, or ours on demand.
    drop(served);
}

type Body = UnsyncBoxBody<Bytes, Broken>;

/// Ends a connection.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the stand-in breaks the connection")
    }
}

impl std::error::Error for Broken {}

async fn respond(request: Request<Incoming>, cloud: &Cloud) -> Result<Response<Body>, Broken> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(|_| Broken)?.to_bytes();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let call = Call { method: parts.method.to_string(), target, headers: headers.collect(), body: body.to_vec() };
    let answer = cloud.answer(&call);
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    if answer.delivery == Delivery::Dropped {
        return Err(Broken);
    }
    response(answer).map_err(|_| Broken)
}

fn response(answer: Answer) -> Result<Response<Body>, hyper::http::Error> {
    let mut builder = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        builder = builder.header(name, value);
    }
    let body = Bytes::from(answer.body);
    if answer.delivery == Delivery::Truncated {
        // What was written is sent while the stream waits; without a wait nothing but the break would be seen.
        let frames = stream::iter([Ok(Frame::data(body)), Err(Broken)]).then(|frame| async move {
            if frame.is_err() {
                tokio::time::sleep(BEFORE_BREAK).await;
            }
            frame
        });
        return builder.body(BodyExt::boxed_unsync(StreamBody::new(frames)));
    }
    builder.body(Full::new(body).map_err(|never| match never {}).boxed_unsync())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_loopback_is_bound() {
        assert!(bind("0.0.0.0:0".parse().unwrap()).await.unwrap_err().to_string().contains("not a loopback address"));
        assert!(bind("127.0.0.1:0".parse().unwrap()).await.is_ok());
    }
}
