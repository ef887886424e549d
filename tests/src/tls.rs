//! A certificate authority of the test's own, so that a server on the loopback address can be
//! the identity provider whose name stands in a configuration, and a client can show a certificate.

use std::{
    fmt,
    io::{Read, Write},
    path::Path,
    sync::{Arc, OnceLock},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tempfile::NamedTempFile;

/// A server's certificate for one name, with the authority that signed it.
pub struct Identity {
    name: String,
    server: Arc<ServerConfig>,
    authority: NamedTempFile,
    authority_pem: String,
    authority_der: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A client's certificate with its key.
#[derive(Clone)]
pub struct ClientCertificate {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
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
        let certificate = authority
            .self_signed(&authority_key)
            .expect("an authority's certificate");
        let (authority_pem, authority_der) = (certificate.pem(), certificate.der().clone());
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().expect("a server's key");
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .unwrap_or_else(|error| panic!("`{name}` is no name for a certificate: {error}"))
            .signed_by(&key, &issuer)
            .expect("a server's certificate");
        let mut file = NamedTempFile::new().expect("a temporary file");
        file.write_all(authority_pem.as_bytes())
            .expect("writing a temporary file");
        Self {
            name: name.to_owned(),
            server: server_config(certificate.der().clone(), key.serialize_der()),
            authority: file,
            authority_pem,
            authority_der,
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            issuer,
        }
    }

    /// A certificate for a client, by the same authority. Each has a key of its own.
    ///
    /// # Panics
    /// When `name` is no DNS name.
    pub fn client_certificate(&self, name: &str) -> ClientCertificate {
        let key = KeyPair::generate().expect("a client's key");
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .unwrap_or_else(|error| panic!("`{name}` is no name for a certificate: {error}"))
            .signed_by(&key, &self.issuer)
            .expect("a client's certificate");
        ClientCertificate {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    /// The certificate (PEM).
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The key of the certificate (PEM).
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// A file with the authority's certificate (PEM); it lives as long as the identity.
    pub fn authority_file(&self) -> &Path {
        self.authority.path()
    }

    /// The authority's certificate (PEM).
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// How to connect to a server with this identity.
    pub(crate) fn client(&self, client: Option<&ClientCertificate>) -> TlsClient {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.authority_der.clone())
            .expect("an authority's certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the default protocol versions")
            .with_root_certificates(roots);
        let config = match client {
            None => config.with_no_client_auth(),
            Some(ClientCertificate { certificate, key }) => config
                .with_client_auth_cert(
                    vec![certificate.clone()],
                    PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.clone())),
                )
                .expect("a certificate and its key"),
        };
        TlsClient {
            config: Arc::new(config),
            name: ServerName::try_from(self.name.clone()).expect("a server's name"),
        }
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}

/// What a client knows of the server that it speaks TLS with.
#[derive(Clone, Debug)]
pub(crate) struct TlsClient {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TlsClient {
    /// A connection, to be driven over `stream`.
    pub(crate) fn connect<S: Read + Write>(&self, stream: S) -> StreamOwned<ClientConnection, S> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .expect("a client of the server");
        StreamOwned::new(connection, stream)
    }
}

impl ClientCertificate {
    /// The certificate (DER).
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
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
