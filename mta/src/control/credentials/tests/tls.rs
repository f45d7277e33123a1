//! The way to the service over TLS: which authorities are trusted.

use rcgen::{BasicConstraints, IsCa, Issuer};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority's certificate in PEM form, and a server that has a certificate of it and answers every request with a token.
async fn server() -> (String, SocketAddr, tokio::task::JoinHandle<()>) {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, private).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            assert_ne!(stream.read(&mut request).await.unwrap(), 0);
            let body = Reply::token("first", &["User.Read.All"], 3599).body;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (root, address, task)
}

#[tokio::test]
async fn an_authority_is_trusted_when_the_operator_names_it() {
    let (root, address, task) = server().await;
    let folder = folder();
    let (secret, roots) = (folder.join("secret"), folder.join("roots.pem"));
    fs::write(&secret, SECRET_VALUE).unwrap();
    fs::write(&roots, root).unwrap();
    let with = |name: &str, roots: Vec<PathBuf>| {
        let settings = Settings { roots, ..settings(&format!("https://{name}:{}", address.port()), &secret) };
        Credentials::load(settings, now()).unwrap()
    };
    with("localhost", vec![roots.clone()]).bearer(TENANT, DIRECTORY, now()).await.unwrap();
    for refusing in [with("localhost", vec![]), with("127.0.0.1", vec![roots])] {
        let error = error_of(refusing.bearer(TENANT, DIRECTORY, now()).await);
        assert!(matches!(&error.cause, Cause::Unreachable(reason) if reason.contains("certificate")), "{error}");
    }
    task.abort();
    fs::remove_dir_all(folder).ok();
}

#[test]
fn a_file_without_authorities_is_named() {
    let folder = folder();
    let secret = folder.join("secret");
    fs::write(&secret, SECRET_VALUE).unwrap();
    for path in [secret.clone(), folder.join("absent")] {
        let settings = Settings { roots: vec![path.clone()], ..settings("https://login.microsoftonline.com", &secret) };
        let error = Credentials::load(settings, now()).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("-----BEGIN CERTIFICATE-----"), "{error}");
    }
    fs::remove_dir_all(folder).ok();
}
