//! A certificate authority of the test's own, so that a server on the loopback address can be
//! the identity provider whose name stands in a configuration.

use std::{
    fmt,
    io::Write as _,
    path::Path,
    sync::{Arc, OnceLock},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::NamedTempFile;

/// A server's certificate for one name, with the authority that signed it.
pub struct Identity {
    server: Arc<ServerConfig>,
    authority: NamedTempFile,
    authority_pem: String,
}

impl Identity {
    /// Makes an authority and a certificate for `name` that it signed.
    ///
    /// # Panics
    /// When `name` is no DNS name.
    pub fn generate(name: &str) -> Self {
        let authority_key = KeyPair::generate().expect("an authority's key");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters without names");
        authority
            .distinguished_name
            .push(DnType::CommonName, "authority of the Nexus tests");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_pem = authority
            .self_signed(&authority_key)
            .expect("an authority's certificate")
            .pem();
        let key = KeyPair::generate().expect("a server's key");
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .unwrap_or_else(|error| panic!("`{name}` is no name for a certificate: {error}"))
            .signed_by(&key, &Issuer::new(authority, authority_key))
            .expect("a server's certificate");
        let mut file = NamedTempFile::new().expect("a temporary file");
        file.write_all(authority_pem.as_bytes())
            .expect("writing a temporary file");
        Self {
            server: server_config(certificate.der().clone(), key.serialize_der()),
            authority: file,
            authority_pem,
        }
    }

    /// A file with the authority's certificate (PEM); it lives as long as the identity.
    pub fn authority_file(&self) -> &Path {
        self.authority.path()
    }

    /// The authority's certificate (PEM).
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("authority_file", &self.authority_file())
            .finish_non_exhaustive()
    }
}

/// The identity of `idp.example.com`, made once per process.
pub fn idp() -> &'static Identity {
    static IDP: OnceLock<Identity> = OnceLock::new();
    IDP.get_or_init(|| Identity::generate("idp.example.com"))
}

fn server_config(certificate: CertificateDer<'static>, key: Vec<u8>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default protocol versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)),
        )
        .expect("a certificate and its key");
    Arc::new(config)
}
