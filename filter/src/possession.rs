//! What the host knows about the sender of a request.

use nexus_core::jose::Sha256Digest;

use crate::host;

/// The digest of the client's certificate, as the host's TLS has seen it: 64 hexadecimal digits. `None` when
/// there is no certificate, and when the host says nothing that can be understood: a token that is bound
/// to one is then refused.
pub(crate) fn certificate() -> Option<Sha256Digest> {
    let digest = host::property(&["connection", "sha256_peer_certificate_digest"]);
    Sha256Digest::from_hex(&digest.ok()??)
}
