//! The HTTP client: with the certificates and the proxy that the environment names.
//!
//! The SDK's own client knows nothing of `AWS_CA_BUNDLE`, and a client that takes its place must be told of proxies again.

use std::path::Path;

use aws_sdk_ecr::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::problem::{CHECK_NETWORK, Problem};
use crate::error::Error;
use crate::files::{self, Privacy};
use crate::settings;

/// The longest reply that is read, in bytes. One with a token has about 4,000, and none has many more.
const MAX_REPLY: usize = 1 << 20;

/// A bundle of certificates that is longer is none: the system's has some 200 KiB.
const MAX_BUNDLE: u64 = 16 << 20;

/// One client for each way out. Made once a mint: reading the certificates takes longer than asking.
pub struct Clients {
    /// For AWS itself: through `HTTPS_PROXY` unless `NO_PROXY` excepts it.
    pub proxied: SharedHttpClient,
    /// For what is on this machine's own link: a proxy would answer for its own machine.
    pub direct: SharedHttpClient,
    /// For the instance metadata service, which speaks plain HTTP and needs no certificates.
    pub plain: SharedHttpClient,
}

impl Clients {
    /// Reads the certificates; opens no connection.
    pub fn new() -> Result<Self, Problem> {
        let trusted = trust_store()?;
        Ok(Self {
            proxied: client(ProxyConfig::from_env(), trusted.clone())?,
            direct: client(ProxyConfig::disabled(), trusted)?,
            plain: client(ProxyConfig::disabled(), TrustStore::empty())?,
        })
    }
}

fn client(proxy: ProxyConfig, trusted: TrustStore) -> Result<SharedHttpClient, Problem> {
    let tls = TlsContext::builder().with_trust_store(trusted).build();
    let tls = tls.map_err(|error| Problem::new(format!("no TLS: {error}"), CHECK_NETWORK))?;
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone()).build()
    });
    Ok(http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Bounded(client.http_connector(settings, components)))
    }))
}

/// Reads no more of a reply than [`MAX_REPLY`]. The SDK would read, and keep, whatever comes until time is up.
#[derive(Debug)]
struct Bounded(SharedHttpConnector);

impl HttpConnector for Bounded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let reply = self.0.call(request);
        let bounded = |body| SdkBody::from_body_1_x(Limited::new(body, MAX_REPLY));
        HttpConnectorFuture::new(async move { reply.await.map(|reply| reply.map(bounded)) })
    }
}

/// The system's certificates, or those of `AWS_CA_BUNDLE` in their place, as the AWS CLI has it.
fn trust_store() -> Result<TrustStore, Problem> {
    let Some(bundle) = settings::variable("AWS_CA_BUNDLE") else {
        return Ok(TrustStore::default());
    };
    let unreadable = |why: String| {
        let what = format!("AWS_CA_BUNDLE names {}: {why}", bundle.display());
        Problem::new(what, "name a PEM file of CA certificates, or unset it")
    };
    let pem = files::read(Path::new(&bundle), MAX_BUNDLE, Privacy::Any).map_err(|error| match error {
        Error::File { source, .. } => unreadable(source.to_string()),
        Error::BadFile { problem, .. } => unreadable(format!("it {problem}")),
        other => unreadable(other.to_string()),
    })?;
    let pem = pem.ok_or_else(|| unreadable("it does not exist".into()))?;
    check(&pem).map_err(|why| unreadable(why.into()))?;
    Ok(TrustStore::empty().with_pem_certificate(pem.to_vec()))
}

/// That there is a certificate, and that each can be read: the client panics over one that cannot.
fn check(pem: &[u8]) -> Result<(), &'static str> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "it is not PEM")?;
        roots.add(certificate).map_err(|_| "it holds a certificate that cannot be read")?;
    }
    if roots.is_empty() { Err("it holds no certificate") } else { Ok(()) }
}
