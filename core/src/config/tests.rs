//! What is written is read back as it was, whatever a configuration may have.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use std::fmt::Debug;
use std::vec;

use super::*;
use crate::reply::Substitution;

fn assert_kept<T: Read + Serialize + PartialEq + Debug>(value: &T) -> String {
    let written = serde_json::to_string(value).unwrap();
    let read: T =
        crate::read::read_text(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(read, *value, "{written}");
    written
}

fn assert_all_kept<T: Read + Serialize + PartialEq + Debug>(values: &[T]) {
    for value in values {
        assert_kept(value);
    }
}

#[test]
fn every_word_is_kept() {
    use SignatureVerification as By;
    assert_all_kept(&[By::Auto, By::Host, By::Module]);
    assert_all_kept(&[Unmatched::Deny, Unmatched::Allow]);
    assert_all_kept(&[Profile::Rfc9068]);
    assert_all_kept(&Algorithm::ALL);
    assert_all_kept(&[
        PathKind::Exact,
        PathKind::Below,
        PathKind::Prefix,
        PathKind::Regex,
    ]);
    assert_all_kept(&[RouteOrder::MostSpecific, RouteOrder::FirstMatch]);
    assert_all_kept(&[
        TextMatchKind::Exact,
        TextMatchKind::Prefix,
        TextMatchKind::Suffix,
        TextMatchKind::Contains,
        TextMatchKind::Regex,
    ]);
    assert_all_kept(&[Enforcement::Deny, Enforcement::Report]);
    assert_all_kept(&[
        ClaimFormat::Text,
        ClaimFormat::Comma,
        ClaimFormat::Base64,
        ClaimFormat::Percent,
    ]);
    assert_all_kept(&[Binding::Off, Binding::Allowed, Binding::Required]);
    assert_all_kept(&[ReplyFormat::Text, ReplyFormat::Problem, ReplyFormat::Empty]);
    assert_all_kept(&[RevokedBy::Jti, RevokedBy::Sub, RevokedBy::Kid]);
    assert_all_kept(&Substitution::ALL);
}

fn text_match() -> TextMatch {
    TextMatch {
        kind: TextMatchKind::Suffix,
        text: "end".into(),
        ignore_case: true,
    }
}

fn scalars() -> [Scalar; 3] {
    ["\"a\"", "1.50", "true"].map(|json| {
        let value = crate::json::parse(json.as_bytes()).unwrap();
        Scalar::of(&value).unwrap()
    })
}

fn remote() -> Remote {
    Remote {
        url: "https://sso.example.com/jwks".into(),
        cluster: "sso".into(),
        scheme: "https".into(),
        authority: "sso.example.com".into(),
        path: "/jwks".into(),
        timeout_ms: u64::MAX,
        cache_ttl_secs: Some(60),
        max_stale_secs: 0,
    }
}

fn discovery() -> Discovery {
    Discovery {
        issuer: "https://sso.example.com".into(),
        paths: vec!["/.well-known/openid-configuration".into()],
        hosts: vec![DiscoveryHost {
            scheme: "https".into(),
            authority: "sso.example.com".into(),
            cluster: "sso".into(),
        }],
        timeout_ms: 1,
        cache_ttl_secs: Some(2),
        max_stale_secs: 3,
    }
}

fn template() -> crate::reply::Template {
    crate::read::read_text(r#"[{"text":"a \"b\""},{"value":"return_to"}]"#).unwrap()
}

fn replies() -> Replies {
    Replies {
        format: ReplyFormat::Problem,
        realm: Some("realm".into()),
        resource_metadata: Some("https://api.example.com/metadata".into()),
        by_status: vec![StatusReply {
            status: 403,
            body: Some(template()),
            content_type: Some("text/html".into()),
            headers: vec![ReplyHeader {
                name: "x-help".into(),
                value: template(),
            }],
        }],
        redirect: Some(Redirect {
            location: template(),
            status: 302,
        }),
    }
}

fn handling() -> Handling {
    let path = || ClaimPath::new(vec!["a".into(), "b".into()]).unwrap();
    let test = |test| {
        RequiredClaim::Condition(ClaimCondition {
            claim: path(),
            test,
        })
    };
    let [text, number, truth] = scalars();
    Handling {
        token_sources: vec![
            TokenSource::bearer(),
            TokenSource::Header(TokenHeader {
                name: "x-token".into(),
                prefix: String::new(),
            }),
            TokenSource::Query("token".into()),
            TokenSource::Cookie("token".into()),
        ],
        required_claims: vec![
            RequiredClaim::Present(ClaimPath::top("sub")),
            RequiredClaim::Present(path()),
            test(ClaimTest::Equals(text.clone())),
            test(ClaimTest::OneOf(vec![number, truth])),
            test(ClaimTest::Contains(text)),
            test(ClaimTest::Matches(text_match())),
        ],
        required_scopes: vec!["read".into()],
        any_scope: vec![vec!["a".into(), "b".into()]],
        forward_claims: vec![
            ForwardedClaim {
                claim: ClaimPath::top("sub"),
                to: ForwardTarget::Header("x-user".into()),
                format: ClaimFormat::Percent,
            },
            ForwardedClaim {
                claim: path(),
                to: ForwardTarget::FilterState("user".into()),
                format: ClaimFormat::Text,
            },
        ],
        forward_token: Some(false),
        forward_payload: Some(ForwardedPayload {
            to: ForwardTarget::Header("x-payload".into()),
            padding: true,
        }),
        clear_route_cache: Some(true),
    }
}

fn provider() -> Provider {
    Provider {
        name: "sso".into(),
        issuer: Some("https://sso.example.com".into()),
        issuers: vec!["https://one.example.com".into()],
        issuer_pattern: Some(IssuerPattern::new("https://*.example.com").unwrap()),
        subjects: vec![text_match()],
        token_types: vec!["application/at+jwt".into()],
        profile: Some(Profile::Rfc9068),
        max_lifetime_secs: Some(3600),
        audiences: vec!["orders".into()],
        algorithms: Algorithm::ALL.to_vec(),
        clock_skew_secs: 60,
        require_expiration: true,
        keys: Keys {
            fixed: Some(FixedKeys::Jwks(Document::written(
                r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#.into(),
            ))),
            remote: vec![
                RemoteKeys::Url(remote()),
                RemoteKeys::Discovery(discovery()),
            ],
            pinned: vec!["thumbprint".into()],
        },
        revocation: Revocation {
            entries: vec![RevokedEntry {
                by: RevokedBy::Kid,
                value: "k1".into(),
                issued_before: Some(7),
            }],
            remote: Some(remote()),
        },
        possession: Possession {
            mtls_bound: Binding::Allowed,
            dpop: Binding::Required,
            dpop_max_age_secs: 61,
        },
        handling: handling(),
    }
}

fn requirement() -> Requirement {
    let provider = |audiences| Requirement::Provider {
        index: 0,
        audiences,
    };
    Requirement::AllOf(vec![
        provider(vec![]),
        Requirement::AnyOf(vec![provider(vec!["orders".into()])]),
        Requirement::AllowMissing(Box::new(provider(vec![]))),
        Requirement::AllowMissingOrFailed(Box::new(provider(vec![]))),
    ])
}

fn app() -> App {
    App {
        slug: "orders".into(),
        hosts: vec!["*".into(), "api.example.com".into()],
        path: "/orders".into(),
        auth: Auth::Jwt(Box::new(JwtAuth {
            enforcement: Enforcement::Report,
            requirement: requirement(),
            handling: handling(),
        })),
        bypass_cors_preflight: true,
        route_order: RouteOrder::FirstMatch,
        routes: vec![Route {
            path: "/health".into(),
            path_kind: PathKind::Below,
            methods: vec!["GET".into()],
            headers: vec![
                condition(ConditionTest::Present),
                condition(ConditionTest::Absent),
                condition(ConditionTest::Matches(text_match())),
            ],
            query: vec![condition(ConditionTest::Differs(text_match()))],
            auth: Auth::None,
        }],
        replies: Some(replies()),
    }
}

fn condition(test: ConditionTest) -> Condition {
    Condition {
        name: "x-version".into(),
        test,
    }
}

fn config() -> Config {
    Config {
        nexus: FORMAT_VERSION,
        providers: vec![provider()],
        apps: vec![app()],
        unmatched: Unmatched::Allow,
        jwt_cache_size: 7,
        signature_verification: SignatureVerification::Host,
        replies: Some(replies()),
    }
}

#[test]
fn all_that_may_be_there_is_kept() {
    assert_kept(&config());
    assert_all_kept(&[
        FixedKeys::SecretEnv("SECRET".into()),
        FixedKeys::PublicKeyEnv("KEY".into()),
    ]);
    assert_all_kept(&scalars());
}

#[test]
fn nothing_is_written_that_is_as_usual() {
    let least = Config {
        providers: vec![Provider {
            issuer: None,
            issuers: vec![],
            issuer_pattern: None,
            subjects: vec![],
            token_types: vec![],
            profile: None,
            max_lifetime_secs: None,
            audiences: vec![],
            keys: Keys::default(),
            revocation: Revocation::default(),
            possession: Possession::default(),
            handling: Handling::default(),
            algorithms: vec![Algorithm::Es256],
            ..provider()
        }],
        apps: vec![],
        unmatched: Unmatched::Deny,
        jwt_cache_size: DEFAULT_JWT_CACHE_SIZE,
        signature_verification: SignatureVerification::Auto,
        replies: None,
        ..config()
    };
    let expected = format!(
        r#"{{"nexus":{FORMAT_VERSION},"providers":[{{"name":"sso","algorithms":["ES256"],"clock_skew_secs":60,"require_expiration":true,"keys":{{}}}}],"apps":[],"unmatched":"deny"}}"#
    );
    assert_eq!(assert_kept(&least), expected);
}

#[test]
fn a_document_is_kept_as_it_is() {
    let text = r#"{"b":[1,null,true,-0.5,18446744073709551615],"a":"\"\\é"}"#;
    let written = assert_kept(&Document::written(text.into()));
    assert_eq!(written, text);
    let spaced = crate::read::read_text::<Document>(" { \"a\" : [ 1e400 ] } ").unwrap();
    assert_eq!(spaced.as_str(), r#"{"a":[1e400]}"#);
}

#[test]
fn what_has_to_be_there_has_to_be_there() {
    let written = serde_json::to_value(config()).unwrap();
    let missing = |pointer: &str, name: &str| {
        let mut config = written.clone();
        let object = config
            .pointer_mut(pointer)
            .unwrap()
            .as_object_mut()
            .unwrap();
        assert!(object.remove(name).is_some(), "{pointer}/{name}");
        crate::read::read_text::<Config>(&config.to_string()).map_err(|error| error.to_string())
    };
    for (pointer, names) in [
        ("", &["nexus", "providers", "apps", "unmatched"][..]),
        (
            "/providers/0",
            &[
                "name",
                "algorithms",
                "clock_skew_secs",
                "require_expiration",
                "keys",
            ],
        ),
        ("/providers/0/possession", &["dpop_max_age_secs"]),
        ("/apps/0", &["slug", "hosts", "path", "auth"]),
        ("/apps/0/auth/jwt", &["requirement"]),
        ("/apps/0/routes/0", &["path", "auth"]),
    ] {
        for name in names {
            let error = missing(pointer, name).unwrap_err();
            assert!(error.ends_with(&format!(": no field `{name}`")), "{error}");
        }
    }
}
