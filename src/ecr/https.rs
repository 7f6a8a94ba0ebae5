//! The HTTP client: with the certificates and the proxy that the environment names.
//!
//! The SDK's own client knows nothing of `AWS_CA_BUNDLE`, and a client that takes its place must be told of proxies again.

use std::env;
use std::fs;

use aws_sdk_ecr::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};

use super::problem::{CHECK_NETWORK, Problem};

/// What a certificate begins with in PEM.
const PEM_BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// For AWS itself: through `HTTPS_PROXY` unless `NO_PROXY` excepts it.
pub fn proxied() -> Result<SharedHttpClient, Problem> {
    client(ProxyConfig::from_env())
}

/// For what is on this machine's own link, the metadata services: a proxy would answer for its own machine.
pub fn direct() -> Result<SharedHttpClient, Problem> {
    client(ProxyConfig::disabled())
}

fn client(proxy: ProxyConfig) -> Result<SharedHttpClient, Problem> {
    let tls = TlsContext::builder().with_trust_store(trust_store()?).build();
    let tls = tls.map_err(|error| Problem::new(format!("no TLS: {error}"), CHECK_NETWORK))?;
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone()).build()
    }))
}

/// The system's certificates, or those of `AWS_CA_BUNDLE` in their place, as the AWS CLI has it.
fn trust_store() -> Result<TrustStore, Problem> {
    let Some(bundle) = env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) else {
        return Ok(TrustStore::default());
    };
    let unreadable = |why: String| {
        let what = format!("AWS_CA_BUNDLE names {}: {why}", bundle.display());
        Problem::new(what, "name a PEM file of CA certificates, or unset it")
    };
    let pem = fs::read(&bundle).map_err(|error| unreadable(error.to_string()))?;
    // The client panics over a bundle without a certificate.
    if !pem.windows(PEM_BEGIN.len()).any(|line| line == PEM_BEGIN) {
        return Err(unreadable("it holds no certificate".into()));
    }
    Ok(TrustStore::empty().with_pem_certificate(pem))
}
