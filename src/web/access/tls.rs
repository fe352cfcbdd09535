//! TLS as Prometheus' `tls_server_config` describes it, spoken by rustls.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::clients::{Any, Named};

/// What clients are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nothing.
    #[default]
    No,
    /// A certificate, which need not come.
    Request,
    /// Any certificate.
    RequireAny,
    /// A certificate that, if it comes, one of the authorities has signed.
    VerifyIfGiven,
    /// A certificate that one of the authorities has signed.
    RequireAndVerify,
}

impl ClientCertificates {
    /// By the name that Prometheus' configuration gives it.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "" | "NoClientCert" => Self::No,
            "RequestClientCert" => Self::Request,
            "RequireAnyClientCert" | "RequireClientCert" => Self::RequireAny,
            "VerifyClientCertIfGiven" => Self::VerifyIfGiven,
            "RequireAndVerifyClientCert" => Self::RequireAndVerify,
            _ => return None,
        })
    }
}

/// What the configuration says; certificates and keys as PEM text.
#[derive(Clone, Default)]
pub struct Choices {
    /// Certificate chain.
    pub certificate: Vec<u8>,
    /// Private key.
    pub key: Vec<u8>,
    /// What clients are asked for.
    pub clients: ClientCertificates,
    /// Authorities of the clients.
    pub client_authorities: Option<Vec<u8>>,
    /// Names of which a client's certificate must have one; empty allows all.
    pub client_names: Vec<String>,
    /// Oldest version: 2 or 3.
    pub minor_min: u8,
    /// Newest version: 2 or 3.
    pub minor_max: u8,
    /// Cipher suites of TLS 1.2; empty allows all that are safe.
    pub cipher_suites: Vec<String>,
    /// Curves; empty allows all.
    pub curves: Vec<String>,
}

/// The server's side of TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// For the handshakes.
    pub config: Arc<ServerConfig>,
    /// Nobody gets in without a certificate that an authority signed.
    pub demands_trusted_client: bool,
}

/// The server's side of TLS, or why it cannot be.
pub fn build(choices: &Choices) -> Result<Tls, String> {
    let chain = certificates(&choices.certificate, "cert_file")?;
    let key = PrivateKeyDer::from_pem_slice(&choices.key).map_err(|error| format!("key_file: {error}"))?;
    let provider = Arc::new(provider(choices)?);
    let versions = versions(choices)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| format!("min_version, max_version, cipher_suites: {error}"))?;
    let builder = match choices.clients {
        ClientCertificates::No => builder.with_no_client_auth(),
        ClientCertificates::Request => builder.with_client_cert_verifier(Arc::new(Any::new(false, provider))),
        ClientCertificates::RequireAny => {
            builder.with_client_cert_verifier(Arc::new(Any::new(true, provider)))
        }
        ClientCertificates::VerifyIfGiven | ClientCertificates::RequireAndVerify => {
            builder.with_client_cert_verifier(Arc::new(verified(choices, provider)?))
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("cert_file and key_file do not go together: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if choices.clients != ClientCertificates::No {
        // A session that was taken up again would not show its certificate, nor be asked for it after a reload.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Tls {
        config: Arc::new(config),
        demands_trusted_client: choices.clients == ClientCertificates::RequireAndVerify,
    })
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(format!("{what}: holds no certificate in PEM form")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

fn versions(choices: &Choices) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let known = [(2, &version::TLS12), (3, &version::TLS13)];
    let wanted = choices.minor_min..=choices.minor_max;
    let versions: Vec<_> =
        known.into_iter().filter(|(minor, _)| wanted.contains(minor)).map(|(_, version)| version).collect();
    if versions.is_empty() { Err("min_version is above max_version".to_owned()) } else { Ok(versions) }
}

/// The suites and curves that were asked for. Prometheus, too, lets only those of TLS 1.2 be chosen.
fn provider(choices: &Choices) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if !choices.cipher_suites.is_empty() {
        let named = |name: &str| choices.cipher_suites.iter().any(|wanted| wanted == name);
        provider.cipher_suites.retain(|suite| {
            let name = format!("{:?}", suite.suite());
            // Go leaves the hash out of the names of two suites.
            suite.tls13().is_some() || named(&name) || named(name.trim_end_matches("_SHA256"))
        });
        if choices.minor_max < 3 && provider.cipher_suites.iter().all(|suite| suite.tls13().is_some()) {
            return Err("cipher_suites: none of these is spoken here".to_owned());
        }
    }
    if !choices.curves.is_empty() {
        let spoken = |name: &str| match name {
            "CurveP256" => "secp256r1",
            "CurveP384" => "secp384r1",
            "X25519" => "X25519",
            _ => "",
        };
        let wanted: Vec<_> = choices.curves.iter().map(|name| spoken(name)).collect();
        provider.kx_groups.retain(|group| wanted.contains(&format!("{:?}", group.name()).as_str()));
        if provider.kx_groups.is_empty() {
            return Err("curve_preferences: none of these is spoken here".to_owned());
        }
    }
    Ok(provider)
}

fn verified(choices: &Choices, provider: Arc<CryptoProvider>) -> Result<Named, String> {
    let Some(pem) = &choices.client_authorities else {
        return Err("client_auth_type asks for signed certificates, which needs client_ca_file".to_owned());
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "client_ca_file")? {
        roots.add(certificate).map_err(|error| format!("client_ca_file: {error}"))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match choices.clients {
        ClientCertificates::VerifyIfGiven => builder.allow_unauthenticated(),
        _ => builder,
    };
    let inner = builder.build().map_err(|error| format!("client_ca_file: {error}"))?;
    Ok(Named { inner, names: choices.client_names.clone() })
}
