//! Tokens for the load: many distinct ones of each algorithm, signed beforehand and kept in a file between runs, since
//! signing takes longer than what is measured.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process, thread,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use nexus_tests::{
    keys::{self, Algorithm, Key},
    tokens::{base64url, now, with_broken_signature},
};
use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use serde_json::{Value, json};

/// The issuer of all tokens.
pub(crate) const ISSUER: &str = "https://sso.example.com/realms/staff";
/// The audience of all tokens.
pub(crate) const AUDIENCE: &str = "orders-api";
/// The algorithms that are measured.
pub(crate) const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::RS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
    Algorithm::HS256,
];

/// How many tokens go round where tokens are repeated: a few users who are at work.
const REPEATED: usize = 16;

/// How long tokens are good for, in seconds, and for how long they have to be when a run begins: a kept file is of
/// use for a month.
const VALIDITY: i64 = 60 * 86_400;
const LEAST_VALIDITY: i64 = 30 * 86_400;

/// Tokens of one algorithm, all of one key.
#[derive(Debug)]
pub(crate) struct Pool {
    /// The key as a JWK set has it; for HS256 the secret.
    pub(crate) jwk: Value,
    /// Good tokens, no two alike.
    pub(crate) distinct: Vec<String>,
    /// A few more good ones.
    pub(crate) repeated: Vec<String>,
    /// Well signed, and expired an hour before they were made.
    pub(crate) expired: Vec<String>,
}

impl Pool {
    /// At least `count` distinct tokens: those kept in `folder`, or new ones, which are then kept there.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub(crate) fn load_or_mint(folder: &Path, algorithm: Algorithm, count: usize) -> Self {
        let file = folder.join(format!("tokens-{}.txt", algorithm.name()));
        let kept = fs::read_to_string(&file).ok().and_then(|text| parse(&text));
        if let Some(pool) = kept.filter(|pool| pool.distinct.len() >= count) {
            return pool;
        }
        eprintln!("  signing {count} {} tokens …", algorithm.name());
        let pool = Self::mint(algorithm, count);
        write(&file, &pool.to_text());
        pool
    }

    /// New tokens of a new key.
    pub(crate) fn mint(algorithm: Algorithm, count: usize) -> Self {
        let key = new_key(algorithm).with_kid(&format!("{}-1", algorithm.name().to_lowercase()));
        let signer = Signer::new(&key, algorithm);
        let exp = now() + VALIDITY;
        let sign = |count: usize, exp: i64| signer.tokens(ISSUER, count, exp);
        Self {
            jwk: key.public_jwk_with(&json!({"alg": algorithm.name(), "use": "sig"})),
            distinct: in_parallel(count, |count| sign(count, exp)),
            repeated: sign(REPEATED, exp),
            expired: sign(REPEATED, now() - 3_600),
        }
    }

    /// The repeated ones with their signatures broken.
    pub(crate) fn wrongly_signed(&self) -> Vec<String> {
        self.repeated
            .iter()
            .map(|token| with_broken_signature(token))
            .collect()
    }

    fn to_text(&self) -> String {
        let head = json!({
            "jwk": self.jwk,
            "exp": now() + VALIDITY,
            "repeated": self.repeated,
            "expired": self.expired,
        });
        let mut text = format!("{head}\n");
        for token in &self.distinct {
            text.push_str(token);
            text.push('\n');
        }
        text
    }
}

/// What was kept, unless it is of no use any more.
fn parse(text: &str) -> Option<Pool> {
    let mut lines = text.lines();
    let head: Value = serde_json::from_str(lines.next()?).ok()?;
    let list = |name: &str| {
        let values = head[name].as_array()?.iter();
        values
            .map(|value| value.as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>()
    };
    (head["exp"].as_i64()? > now() + LEAST_VALIDITY).then_some(())?;
    Some(Pool {
        jwk: head["jwk"].clone(),
        repeated: list("repeated")?,
        expired: list("expired")?,
        distinct: lines.map(str::to_owned).collect(),
    })
}

/// Writes beside the file and renames, so that another run never reads half of it.
fn write(file: &Path, text: &str) {
    let partial: PathBuf = file.with_extension(process::id().to_string());
    fs::write(&partial, text)
        .and_then(|()| fs::rename(&partial, file))
        .unwrap_or_else(|error| panic!("cannot write `{}`: {error}", file.display()));
}

fn in_parallel(count: usize, mint: impl Fn(usize) -> Vec<String> + Sync) -> Vec<String> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(threads);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| mint(share))).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("signing does not panic"))
            .take(count)
            .collect()
    })
}

/// A new key for the algorithm.
///
/// # Panics
/// For an algorithm that is not measured.
pub(crate) fn new_key(algorithm: Algorithm) -> Key {
    match algorithm {
        Algorithm::RS256 => Key::generate_rsa(2048),
        Algorithm::ES256 => Key::generate_p256(),
        Algorithm::EdDSA => Key::generate_ed25519(),
        Algorithm::HS256 => Key::secret(keys::random_text(32)),
        other => panic!("{} is not measured", other.name()),
    }
}

/// Signs quickly: by another library than the tests', which reads its key anew for each token.
pub(crate) struct Signer {
    key: Private,
    header: String,
    random: SystemRandom,
}

enum Private {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(hmac::Key),
}

impl Signer {
    /// # Panics
    /// When the key is not one for the algorithm, or has no `kid`.
    pub(crate) fn new(key: &Key, algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        let private = match algorithm {
            Algorithm::RS256 => {
                Private::Rsa(RsaKeyPair::from_pkcs8(&pkcs8(key)).expect("an RSA key"))
            }
            Algorithm::ES256 => Private::P256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8(key), &random)
                    .expect("a key on P-256"),
            ),
            Algorithm::EdDSA => Private::Ed25519(
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8(key)).expect("an Ed25519 key"),
            ),
            Algorithm::HS256 => {
                let secret = key.secret_text();
                Private::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
            }
            other => panic!("{} is not measured", other.name()),
        };
        let kid = key.kid().expect("the key has a `kid`");
        let header = json!({"alg": algorithm.name(), "typ": "JWT", "kid": kid}).to_string();
        Self {
            key: private,
            header: base64url(header),
            random,
        }
    }

    /// Tokens of as many users.
    pub(crate) fn tokens(&self, issuer: &str, count: usize, exp: i64) -> Vec<String> {
        (0..count)
            .map(|number| self.sign(&self.claims(issuer, number, exp)))
            .collect()
    }

    /// The claims that access tokens of a usual identity provider have.
    fn claims(&self, issuer: &str, number: usize, exp: i64) -> String {
        format!(
            r#"{{"iss":"{issuer}","sub":"{sub}","aud":"{AUDIENCE}","exp":{exp},"iat":{iat},"jti":"{jti}","azp":"web-shop","scope":"openid profile email orders:read","email":"user-{number}@example.com","name":"Alex Example"}}"#,
            sub = self.uuid(),
            jti = self.uuid(),
            iat = exp - VALIDITY,
        )
    }

    fn sign(&self, claims: &str) -> String {
        let mut token = format!("{}.{}", self.header, base64url(claims));
        let signature = self.signature(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Private::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
                    .expect("an RSA key signs");
                signature
            }
            Private::P256(key) => {
                let signature = key.sign(&self.random, message);
                signature.expect("a key on P-256 signs").as_ref().to_vec()
            }
            Private::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Private::Secret(key) => hmac::sign(key, message).as_ref().to_vec(),
        }
    }

    /// Random, in the form of a UUID.
    fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes).expect("there is randomness");
        let mut text = String::with_capacity(36);
        for (place, byte) in bytes.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            write!(text, "{byte:02x}").expect("a string takes all");
        }
        text
    }
}

/// The private key as PKCS #8, out of its PEM form.
fn pkcs8(key: &Key) -> Vec<u8> {
    let pem = key.private_pem();
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    STANDARD.decode(body).expect("PEM holds base64")
}

#[cfg(test)]
mod tests {
    use nexus_tests::keys::Algorithm;

    use super::{ALGORITHMS, Pool};

    #[test]
    fn tokens_are_distinct_of_usual_size_and_survive_the_file() {
        for algorithm in ALGORITHMS {
            let folder = tempfile::tempdir().unwrap();
            let minted = Pool::load_or_mint(folder.path(), algorithm, 20);
            let mut distinct = minted.distinct.clone();
            distinct.sort();
            distinct.dedup();
            assert_eq!(distinct.len(), 20);
            let length = minted.distinct[0].len();
            let usual = match algorithm {
                Algorithm::RS256 => 700..900,
                _ => 450..700,
            };
            assert!(usual.contains(&length), "{}: {length}", algorithm.name());

            let kept = Pool::load_or_mint(folder.path(), algorithm, 15);
            assert_eq!(kept.distinct, minted.distinct);
            assert_eq!(kept.repeated, minted.repeated);
            assert_eq!(kept.expired, minted.expired);
            assert_eq!(kept.jwk, minted.jwk);

            let more = Pool::load_or_mint(folder.path(), algorithm, 21);
            assert_eq!(more.distinct.len(), 21);
        }
    }
}
