//! Policies that are accepted, and what the filter gets.

use std::collections::BTreeMap;

use nexus_core::config::{
    Auth, CACHE_TTL_VARIABLE, Condition, ConditionTest, Config, PathKind, Provider, RemoteKeys,
    Requirement, RouteOrder, TextMatch, TextMatchKind, TokenSource, Unmatched,
};
use nexus_core::engine::Engine;
use nexus_core::policy::{
    ClusterRequirement, Code, CompileOptions, Compiled, MAX_FINDINGS, MAX_POLICY_BYTES, compile,
};
use nexus_core::time::Timestamp;

use crate::{EC_SET, compiled, read, with_app, with_auth, with_provider, with_route};

const SSO_APP: &str = include_str!("../fixtures/policy/sso-app.json");

fn good(text: &str) -> Compiled {
    compiled(text).unwrap_or_else(|diagnostics| panic!("{text}\n{diagnostics}"))
}

fn provider(members: &str) -> Provider {
    let mut config = good(&with_auth(members)).config;
    assert_eq!(config.providers.len(), 1, "{members}");
    config.providers.remove(0)
}

fn algorithms(members: &str) -> Vec<&'static str> {
    provider(members)
        .algorithms
        .iter()
        .map(|algorithm| algorithm.name())
        .collect()
}

#[test]
fn the_app_document_that_the_project_starts_from_compiles_as_it_stands() {
    let compiled = good(SSO_APP);
    assert_eq!(
        compiled.json,
        concat!(
            r#"{"nexus":3,"providers":[{"name":"my-sso-app/default_policy","#,
            r#""issuer":"https://your-sso-provider.com","audiences":["your-app-client-id"],"#,
            r#""algorithms":["RS256","RS384","RS512","PS256","PS384","PS512","ES256","ES384","ES512","ES256K","EdDSA"],"#,
            r#""clock_skew_secs":60,"require_expiration":true,"#,
            r#""keys":{"remote":[{"url":{"url":"https://your-sso-provider.com/.well-known/jwks.json","#,
            r#""cluster":"your-sso-provider.com","scheme":"https","authority":"your-sso-provider.com","#,
            r#""path":"/.well-known/jwks.json","timeout_ms":5000,"max_stale_secs":86400}}]},"#,
            r#""handling":{"required_claims":["sub","email"],"forward_claims":["#,
            r#"{"claim":"email","to":{"header":"x-user-email"}},{"claim":"sub","to":{"header":"x-user-id"}}]}}],"#,
            r#""apps":[{"slug":"my-sso-app","hosts":["*"],"path":"/my-app","#,
            r#""auth":{"jwt":{"requirement":{"provider":{"index":0}}}}}],"unmatched":"deny"}"#,
            "\n"
        )
    );
    assert_eq!(compiled.warnings, []);
    assert_eq!(
        compiled.requirements.clusters,
        [ClusterRequirement {
            name: "your-sso-provider.com".into(),
            scheme: "https".into(),
            authority: "your-sso-provider.com".into(),
            host: "your-sso-provider.com".into(),
            port: 443,
            used_by: vec!["my-sso-app/default_policy".into()],
        }]
    );
    assert_eq!(compiled.requirements.env, [""; 0]);
    assert_eq!(compiled.requirements.optional_env, [CACHE_TTL_VARIABLE]);
}

#[test]
fn what_is_left_out_has_its_default_and_what_is_said_holds() {
    let defaults = provider(r#""jwks_url":"https://example.com""#);
    assert_eq!(defaults.issuer, None);
    assert_eq!(defaults.audiences, [""; 0]);
    assert_eq!(defaults.clock_skew_secs, 60);
    assert!(defaults.require_expiration);
    let [RemoteKeys::Url(remote)] = &defaults.keys.remote[..] else {
        panic!("{defaults:?}");
    };
    assert_eq!(
        (
            remote.timeout_ms,
            remote.cache_ttl_secs,
            remote.max_stale_secs
        ),
        (5000, None, 86_400)
    );
    assert_eq!(
        (remote.authority.as_str(), remote.path.as_str()),
        ("example.com", "/")
    );

    let said = provider(
        r#""jwks_url":"HTTPS://IdP.Example.com:8443/keys?v=1&f=%C3%A9", "issuer":"i", "audiences":["b","a"],
           "clock_skew_secs":0, "require_expiration":false, "jwks_timeout_ms":60000, "jwks_cache_ttl_secs":1,
           "jwks_max_stale_secs":0, "jwks_cluster":"idp", "algorithms":["ES256","RS256"]"#,
    );
    assert_eq!(said.issuer.as_deref(), Some("i"));
    assert_eq!(said.audiences, ["b", "a"]);
    assert_eq!(said.clock_skew_secs, 0);
    assert!(!said.require_expiration);
    assert_eq!(
        said.algorithms.iter().map(|a| a.name()).collect::<Vec<_>>(),
        ["ES256", "RS256"]
    );
    let [RemoteKeys::Url(remote)] = &said.keys.remote[..] else {
        panic!("{said:?}");
    };
    assert_eq!(
        (
            remote.timeout_ms,
            remote.cache_ttl_secs,
            remote.max_stale_secs
        ),
        (60_000, Some(1), 0)
    );
    assert_eq!(remote.cluster, "idp");
    assert_eq!(remote.scheme, "https");
    assert_eq!(remote.authority, "idp.example.com:8443");
    assert_eq!(remote.path, "/keys?v=1&f=%C3%A9");
}

#[test]
fn presets_know_the_urls_and_the_issuers_of_their_providers() {
    let guid = "0F9E35DB-544F-4F60-BDCC-5EA416E6DC70";
    for (members, url, issuer) in [
        (
            r#""preset":"auth0","tenant":"acme.eu""#,
            "https://acme.eu.auth0.com/.well-known/jwks.json",
            "https://acme.eu.auth0.com/",
        ),
        (
            r#""preset":"keycloak","host":"sso.example.com:8443","realm":"my-realm""#,
            "https://sso.example.com:8443/realms/my-realm/protocol/openid-connect/certs",
            "https://sso.example.com:8443/realms/my-realm",
        ),
        (
            r#""preset":"okta","tenant":"dev-123456""#,
            "https://dev-123456.okta.com/oauth2/default/v1/keys",
            "https://dev-123456.okta.com/oauth2/default",
        ),
        (
            &format!(r#""preset":"azure_ad","tenant":"{guid}""#),
            &format!("https://login.microsoftonline.com/{guid}/discovery/v2.0/keys"),
            "https://login.microsoftonline.com/0f9e35db-544f-4f60-bdcc-5ea416e6dc70/v2.0",
        ),
        (
            r#""preset":"azure_ad","tenant":"contoso.onmicrosoft.com","issuer":"https://sts.example.com/""#,
            "https://login.microsoftonline.com/contoso.onmicrosoft.com/discovery/v2.0/keys",
            "https://sts.example.com/",
        ),
        (
            r#""preset":"google""#,
            "https://www.googleapis.com/oauth2/v3/certs",
            "https://accounts.google.com",
        ),
        (
            r#""preset":"google","issuer":"accounts.google.com""#,
            "https://www.googleapis.com/oauth2/v3/certs",
            "accounts.google.com",
        ),
    ] {
        let provider = provider(&format!("{members}, \"audience\":\"a\""));
        assert_eq!(provider.issuer.as_deref(), Some(issuer), "{members}");
        let [RemoteKeys::Url(remote)] = &provider.keys.remote[..] else {
            panic!("{members}");
        };
        assert_eq!(remote.url, url, "{members}");
        assert_eq!(
            url,
            format!("https://{}{}", remote.authority, remote.path),
            "{members}"
        );
    }
}

#[test]
fn algorithms_follow_from_the_keys() {
    let asymmetric = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K",
        "EdDSA",
    ];
    let secret = r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}"#;
    let with_secret = EC_SET.replace("]}", &format!(",{secret}]}}"));
    for (members, expected) in [
        (r#""jwks_url":"https://example.com""#, &asymmetric[..]),
        (r#""preset":"google""#, &asymmetric),
        (r#""jwt_secret_env":"S""#, &["HS256"]),
        (
            r#""jwt_public_key_env":"K""#,
            &["RS256", "ES256", "ES384", "ES512", "ES256K", "EdDSA"],
        ),
        (r#""public_key_file":"rsa.pem""#, &["RS256"]),
        (r#""public_key_file":"p256.pem""#, &["ES256"]),
        (r#""public_key_file":"p384.pem""#, &["ES384"]),
        (r#""public_key_file":"p521.pem""#, &["ES512"]),
        (r#""public_key_file":"k256.pem""#, &["ES256K"]),
        (r#""public_key_file":"ed25519.pem""#, &["EdDSA"]),
        (r#""jwks_file":"ec.json""#, &["ES256"]),
        (&format!("\"jwks\":{EC_SET}"), &["ES256"]),
        (&format!("\"jwks\":{with_secret}"), &["ES256", "HS256"]),
        (
            r#""public_key_file":"rsa.pem","algorithms":["PS512","RS256"]"#,
            &["PS512", "RS256"],
        ),
        (r#""jwt_secret_env":"S","algorithms":["HS512"]"#, &["HS512"]),
    ] {
        assert_eq!(algorithms(members), expected, "{members}");
    }
}

#[test]
fn one_key_from_any_local_source_gives_one_configuration() {
    let pem = String::from_utf8(read("p256.pem").unwrap()).unwrap();
    let named = EC_SET.replace(r#""kid":"ec","#, "");
    let extra = named.replace(r#""kty""#, r#""x5t":"t", "iat":1e400, "kty""#);
    let mut sources = [
        r#""public_key_file":"p256.pem""#.to_owned(),
        format!("\"public_key\":{pem:?}"),
        format!("\"jwks\":{named}"),
        format!("\"jwks\":{extra}"),
    ]
    .map(|members| good(&with_auth(&members)).json);
    sources.sort();
    assert_eq!(sources.first(), sources.last());
    assert!(
        sources[0].contains(r#""keys":{"fixed":{"jwks":{"keys":[{"crv":"P-256","kty":"EC","x":"#),
        "{}",
        sources[0]
    );
}

#[test]
fn paths_and_hosts_are_brought_into_the_form_of_the_filter() {
    for (written, path) in [
        ("/", "/"),
        ("/my-app/", "/my-app"),
        ("/a/b", "/a/b"),
        ("/caf%C3%A9", "/caf%C3%A9"),
    ] {
        let config = good(&with_app(&format!(
            "\"slug\":\"a\",\"gateway_path\":\"{written}\""
        )))
        .config;
        assert_eq!(config.apps[0].path, path, "{written}");
        assert_eq!(config.apps[0].hosts, ["*"]);
        assert_eq!(config.apps[0].auth, Auth::None);
    }
    let config = good(&with_app(
        r#""slug":"a","gateway_path":"/","hosts":["API.Example.com","*.Example.com","10.0.0.1","[::1]","a_b.test","*"]"#,
    ))
    .config;
    assert_eq!(
        config.apps[0].hosts,
        [
            "api.example.com",
            "*.example.com",
            "10.0.0.1",
            "[::1]",
            "a_b.test",
            "*"
        ]
    );
    for (written, path, kind) in [
        ("/health", "/health", PathKind::Exact),
        ("/health/", "/health", PathKind::Exact),
        ("/files/*", "/files", PathKind::Below),
        ("/files*", "/files", PathKind::Prefix),
        ("/*", "/", PathKind::Below),
        ("/", "/", PathKind::Exact),
    ] {
        let route = good(&with_route(&format!(
            r#""path":"{written}","methods":["PUT","GET"],"policy":{{"auth":{{"auth_type":"none"}}}}"#
        )))
        .config
        .apps
        .remove(0)
        .routes
        .remove(0);
        assert_eq!(
            (route.path.as_str(), route.path_kind),
            (path, kind),
            "{written}"
        );
        assert_eq!(route.methods, ["PUT", "GET"]);
    }
}

#[test]
fn a_route_may_have_an_expression_and_conditions() {
    let route = good(&with_route(
        r#""path_regex":"/users/[0-9]+","policy":{"auth":{"auth_type":"none"}},
           "headers":[{"name":"X-Env","prefix":"prod-","ignore_case":true},{"name":"x-debug","present":false}],
           "query":[{"name":"V","regex":"[12]","invert":true},{"name":"full","present":true},
                    {"name":"a","exact":"b"},{"name":"c","suffix":"d"},{"name":"e","contains":"f"}]"#,
    ))
    .config
    .apps
    .remove(0)
    .routes
    .remove(0);
    assert_eq!(
        (route.path.as_str(), route.path_kind),
        ("/users/[0-9]+", PathKind::Regex)
    );
    let condition = |name: &str, test| Condition {
        name: name.into(),
        test,
    };
    let text = |kind, text: &str| TextMatch {
        kind,
        text: text.into(),
        ignore_case: false,
    };
    let prod = TextMatch {
        ignore_case: true,
        ..text(TextMatchKind::Prefix, "prod-")
    };
    assert_eq!(
        route.headers,
        [
            condition("x-debug", ConditionTest::Absent),
            condition("x-env", ConditionTest::Matches(prod)),
        ]
    );
    let matches = ConditionTest::Matches;
    assert_eq!(
        route.query,
        [
            condition(
                "V",
                ConditionTest::Differs(text(TextMatchKind::Regex, "[12]"))
            ),
            condition("a", matches(text(TextMatchKind::Exact, "b"))),
            condition("c", matches(text(TextMatchKind::Suffix, "d"))),
            condition("e", matches(text(TextMatchKind::Contains, "f"))),
            condition("full", ConditionTest::Present),
        ]
    );
}

#[test]
fn excluded_paths_are_open_routes_before_all_others() {
    let app = good(&with_app(
        r#""slug":"a","gateway_path":"/a","route_order":"first_match","bypass_cors_preflight":true,
           "excluded_paths":["/health","/public/*","/v*"],
           "routes":[{"path":"/x","policy":{"auth":{"auth_type":"none"}}}]"#,
    ))
    .config
    .apps
    .remove(0);
    assert_eq!(app.route_order, RouteOrder::FirstMatch);
    assert!(app.bypass_cors_preflight);
    let paths: Vec<_> = app
        .routes
        .iter()
        .map(|route| (route.path.as_str(), route.path_kind))
        .collect();
    assert_eq!(
        paths,
        [
            ("/health", PathKind::Exact),
            ("/public", PathKind::Below),
            ("/v", PathKind::Prefix),
            ("/x", PathKind::Exact)
        ]
    );
    assert!(app.routes.iter().all(|route| route.auth == Auth::None));
}

#[test]
fn routes_with_methods_and_one_without_share_a_path() {
    let config = good(&with_app(
        r#""slug":"a","gateway_path":"/","routes":[
            {"path":"/x","policy":{"auth":{"auth_type":"none"}}},
            {"path":"/x","methods":["PUT"],"policy":{"auth":{"auth_type":"none"}}},
            {"path":"/x","methods":["GET"],"policy":{"auth":{"auth_type":"none"}}},
            {"path":"/x/*","methods":["GET"],"policy":{"auth":{"auth_type":"none"}}}]"#,
    ))
    .config;
    assert_eq!(config.apps[0].routes.len(), 4);
}

const TWO_PROVIDERS: &str = r#"{
    "unmatched": "allow",
    "providers": {
        "zitadel": {"issuer": "https://z.example.com", "jwks_url": "https://z.example.com/keys", "audience": "z"},
        "keycloak": {"jwks_url": "https://k.example.com/certs", "audiences": ["k"], "jwks_cache_ttl_secs": 60},
        "unused": {"jwt_secret_env": "UNUSED"}
    },
    "apps": [
        {"slug": "one", "gateway_path": "/one", "default_policy": {"auth": {
            "auth_type": "jwt", "providers": ["zitadel", "keycloak"], "required": false, "audiences": ["one"],
            "forward_token": true, "forward_claims_as_headers": {"b": "X_B", "a": "X-A"}}},
         "routes": [{"path": "/secret", "policy": {"auth": {"auth_type": "jwt", "jwt_secret_env": "JWT_SECRET"}}}]},
        {"slug": "two", "gateway_path": "/two", "default_policy": {"auth": {
            "auth_type": "jwt", "providers": ["keycloak"]}}}
    ]
}"#;

#[test]
fn named_providers_are_shared_and_only_used_ones_are_kept() {
    let compiled = good(TWO_PROVIDERS);
    let config = compiled.config;
    assert_eq!(config.unmatched, Unmatched::Allow);
    let names: Vec<_> = config
        .providers
        .iter()
        .map(|provider| provider.name.as_str())
        .collect();
    assert_eq!(names, ["zitadel", "keycloak", "one/routes[0]"]);
    let jwt = |auth: &Auth| match auth {
        Auth::Jwt(jwt) => jwt.clone(),
        Auth::None => panic!("open"),
    };
    let one = jwt(&config.apps[0].auth);
    let asks = |index, audience: &str| Requirement::Provider {
        index,
        audiences: match audience {
            "" => vec![],
            audience => vec![audience.into()],
        },
    };
    let either = Requirement::AnyOf(vec![asks(0, "one"), asks(1, "one")]);
    assert_eq!(one.requirement, Requirement::AllowMissing(Box::new(either)));
    assert_eq!(one.handling.forward_token, Some(true));
    let headers: Vec<_> = one
        .handling
        .forward_claims
        .iter()
        .map(|entry| format!("{} to {}", entry.claim, entry.to))
        .collect();
    assert_eq!(headers, ["a to the header `x-a`", "b to the header `x_b`"]);
    assert_eq!(jwt(&config.apps[0].routes[0].auth).requirement, asks(2, ""));
    assert_eq!(jwt(&config.apps[1].auth).requirement, asks(1, ""));

    let warnings: Vec<_> = compiled
        .warnings
        .iter()
        .map(|warning| warning.message.as_str())
        .collect();
    assert_eq!(warnings, ["the provider `unused` is not used"]);
    let requirements = compiled.requirements;
    assert_eq!(requirements.env, ["JWT_SECRET"]);
    assert_eq!(requirements.optional_env, [CACHE_TTL_VARIABLE]);
    let clusters: Vec<_> = requirements
        .clusters
        .iter()
        .map(|cluster| (cluster.name.as_str(), cluster.used_by.as_slice()))
        .collect();
    assert_eq!(
        clusters,
        [
            ("k.example.com", &["keycloak".to_owned()][..]),
            ("z.example.com", &["zitadel".to_owned()])
        ]
    );
}

#[test]
fn the_cache_ttl_variable_is_read_only_where_a_provider_does_not_say() {
    let requirements = good(&with_auth(
        r#""jwks_url":"https://example.com","audience":"a","jwks_cache_ttl_secs":60"#,
    ))
    .requirements;
    assert_eq!(requirements.optional_env, [""; 0]);
}

#[test]
fn clusters_are_named_by_the_policy_then_by_the_options_then_by_the_authority() {
    let mapped = CompileOptions {
        clusters: BTreeMap::from([("idp.example.com:8443".into(), "idp".into())]),
        istio: true,
    };
    let istio = CompileOptions {
        istio: true,
        ..CompileOptions::default()
    };
    let plain = CompileOptions::default();
    for (members, options, expected) in [
        (
            r#""jwks_url":"https://IDP.example.com:8443/k""#,
            &plain,
            "idp.example.com:8443",
        ),
        (
            r#""jwks_url":"https://IDP.example.com:8443/k""#,
            &istio,
            "outbound|8443||idp.example.com",
        ),
        (
            r#""jwks_url":"https://idp.example.com/k""#,
            &istio,
            "outbound|443||idp.example.com",
        ),
        (
            r#""jwks_url":"http://localhost/k""#,
            &istio,
            "outbound|80||localhost",
        ),
        (
            r#""jwks_url":"https://IDP.example.com:8443/k""#,
            &mapped,
            "idp",
        ),
        (
            r#""jwks_url":"https://idp.example.com/k""#,
            &mapped,
            "outbound|443||idp.example.com",
        ),
        (
            r#""jwks_url":"https://idp.example.com:8443/k","jwks_cluster":"own""#,
            &mapped,
            "own",
        ),
    ] {
        let text = with_auth(&format!("{members},\"audience\":\"a\""));
        let compiled = compile(text.as_bytes(), options, &mut read).unwrap();
        let [RemoteKeys::Url(remote)] = &compiled.config.providers[0].keys.remote[..] else {
            panic!("{members}");
        };
        assert_eq!(remote.cluster, expected, "{members}");
        assert_eq!(
            compiled.requirements.clusters[0].name, expected,
            "{members}"
        );
    }
}

#[test]
fn keys_over_plain_http_are_warned_of_unless_they_come_from_this_machine() {
    for (url, warns) in [
        ("http://example.com/k", true),
        ("http://10.0.0.1/k", true),
        ("http://127.0.0.1:8080/k", false),
        ("http://[::1]/k", false),
        ("http://idp.localhost/k", false),
        ("https://example.com/k", false),
    ] {
        let warnings = good(&with_auth(&format!(
            "\"jwks_url\":\"{url}\",\"audience\":\"a\""
        )))
        .warnings;
        assert_eq!(
            warnings
                .iter()
                .any(|warning| warning.code == Code::Insecure),
            warns,
            "{url}"
        );
    }
}

#[test]
fn the_same_policy_gives_the_same_bytes_whatever_the_order_of_its_members() {
    let reordered = r#"{
    "apps": [
        {"default_policy": {"auth": {
            "forward_claims_as_headers": {"a": "X-A", "b": "X_B"}, "audiences": ["one"], "forward_token": true,
            "required": false, "providers": ["zitadel", "keycloak"], "auth_type": "jwt"}},
         "routes": [{"policy": {"auth": {"jwt_secret_env": "JWT_SECRET", "auth_type": "jwt"}}, "path": "/secret"}],
         "gateway_path": "/one", "slug": "one"},
        {"gateway_path": "/two", "slug": "two", "default_policy": {"auth": {
            "providers": ["keycloak"], "auth_type": "jwt"}}}
    ],
    "providers": {
        "unused": {"jwt_secret_env": "UNUSED"},
        "keycloak": {"jwks_cache_ttl_secs": 60, "audiences": ["k"], "jwks_url": "https://k.example.com/certs"},
        "zitadel": {"audience": "z", "jwks_url": "https://z.example.com/keys", "issuer": "https://z.example.com"}
    },
    "unmatched": "allow"
}"#;
    let json = good(TWO_PROVIDERS).json;
    assert_eq!(good(TWO_PROVIDERS).json, json);
    assert_eq!(good(reordered).json, json);
    assert_eq!(
        good(reordered).requirements,
        good(TWO_PROVIDERS).requirements
    );
    assert_eq!(json.matches('\n').count(), 1);
    assert!(json.ends_with('\n'));
}

#[test]
fn the_filter_takes_what_was_compiled() {
    let environment = |name: &str| match name {
        "JWT_SECRET" => Some(vec![7; 32]),
        "K" => read("p256.pem").ok(),
        _ => None,
    };
    for text in [
        SSO_APP.to_owned(),
        TWO_PROVIDERS.to_owned(),
        with_auth(r#""jwt_public_key_env":"K""#),
        with_auth(r#""jwks_file":"ec.json""#),
        with_provider(r#""preset":"google","audience":"a""#),
    ] {
        let compiled = good(&text);
        let config = Config::parse(compiled.json.as_bytes()).unwrap();
        assert_eq!(config, compiled.config);
        Engine::new(config, &environment, 1, Timestamp::from_seconds(0)).unwrap();
    }
}

#[test]
fn a_schema_may_be_named_for_editors() {
    let text = SSO_APP.replacen('{', "{\"$schema\": \"./policy.schema.json\",", 1);
    assert_eq!(good(&text).json, good(SSO_APP).json);
}

#[test]
fn size_and_depth_and_the_number_of_findings_are_bounded() {
    let code = |text: &str| {
        let diagnostics = compiled(text).unwrap_err();
        assert_eq!(diagnostics.errors.len(), 1);
        (
            diagnostics.errors[0].code,
            diagnostics.errors[0].message.clone(),
        )
    };
    let large = " ".repeat(MAX_POLICY_BYTES);
    assert_eq!(
        code(&format!("{large}{{}}")),
        (
            Code::TooLarge,
            "the policy has 8388610 bytes, the limit is 8388608".into()
        )
    );
    assert_eq!(
        code(&"[".repeat(1_000_000)),
        (
            Code::Syntax,
            "arrays and objects nested deeper than 64".into()
        )
    );
    let unknown: Vec<String> = (0..100_000)
        .map(|index| format!("\"isuer{index}\":0"))
        .collect();
    let diagnostics = compiled(&format!("{{\"apps\":[],{}}}", unknown.join(","))).unwrap_err();
    assert_eq!(diagnostics.errors.len(), MAX_FINDINGS);
    assert_eq!(diagnostics.omitted, 100_000 - MAX_FINDINGS);
}

#[test]
fn token_sources_keep_their_order_and_replace_those_of_the_providers() {
    let config = |sources: &str| {
        let policy = with_auth(&format!(
            r#""jwt_secret_env": "S", "audience": "a", "token_sources": [{sources}]"#
        ));
        let compiled = good(&policy);
        assert_eq!(compiled.warnings, [], "{sources}");
        serde_json::to_string(&compiled.config.providers[0].handling.token_sources).unwrap()
    };
    for (sources, expected) in [
        (
            r#"{"cookie": "__Host-session"}, {"header": "X-Jwt"}, {"query": "access_token"}"#,
            r#"[{"cookie":"__Host-session"},{"header":{"name":"x-jwt"}},{"query":"access_token"}]"#,
        ),
        (
            r#"{"header": "Authorization", "prefix": "bearer "}"#,
            r#"[{"header":{"name":"authorization","prefix":"bearer "}}]"#,
        ),
        // In `Authorization` stands a scheme, and a space behind it.
        (
            r#"{"header": "Authorization", "prefix": "JWT"}"#,
            r#"[{"header":{"name":"authorization","prefix":"JWT "}}]"#,
        ),
        (
            r#"{"header": "Authorization", "prefix": "Token jwt="}"#,
            r#"[{"header":{"name":"authorization","prefix":"Token jwt="}}]"#,
        ),
        (
            r#"{"header": "Proxy-Authorization", "prefix": "Bearer "}"#,
            r#"[{"header":{"name":"proxy-authorization","prefix":"Bearer "}}]"#,
        ),
        (
            r#"{"header": "X-Key", "prefix": "key="}, {"header": "x_key", "prefix": "id="}"#,
            r#"[{"header":{"name":"x-key","prefix":"key="}},{"header":{"name":"x_key","prefix":"id="}}]"#,
        ),
        (
            r#"{"query": "t"}, {"cookie": "t"}, {"header": "t"}"#,
            r#"[{"query":"t"},{"cookie":"t"},{"header":{"name":"t"}}]"#,
        ),
    ] {
        assert_eq!(config(sources), expected);
    }
    let policy = r#"{
        "providers": {"idp": {"jwt_secret_env": "S", "token_sources": [{"query": "t"}]}},
        "apps": [{"slug": "a", "gateway_path": "/a", "default_policy": {"auth": {
            "auth_type": "jwt", "providers": ["idp"], "token_sources": [{"cookie": "c"}]
        }}}]
    }"#;
    let config = good(policy).config;
    let Auth::Jwt(auth) = &config.apps[0].auth else {
        panic!("{config:?}");
    };
    assert_eq!(
        auth.handling.token_sources,
        [TokenSource::Cookie("c".into())]
    );
    assert_eq!(
        config.providers[0].handling.token_sources,
        [TokenSource::Query("t".into())]
    );
}

#[test]
fn discovery_asks_the_issuer_and_names_every_host_that_keys_may_be_on() {
    let options = CompileOptions {
        clusters: BTreeMap::from([("keys.example.com:8443".into(), "keys".into())]),
        istio: true,
    };
    let text = with_auth(
        r#""issuer":"https://IDP.example.com/tenant/","oidc_discovery":true,"audience":"a",
        "discovery_hosts":["Keys.example.com:8443","cdn.example.com"],"jwks_timeout_ms":100,
        "jwks_max_stale_secs":0"#,
    );
    let compiled = compile(text.as_bytes(), &options, &mut read).unwrap();
    assert_eq!(compiled.warnings, []);
    assert!(
        compiled.json.contains(concat!(
            r#""keys":{"remote":[{"discovery":{"issuer":"https://IDP.example.com/tenant/","#,
            r#""paths":["/tenant/.well-known/openid-configuration","#,
            r#""/.well-known/oauth-authorization-server/tenant"],"#,
            r#""hosts":[{"scheme":"https","authority":"idp.example.com","cluster":"outbound|443||idp.example.com"},"#,
            r#"{"scheme":"https","authority":"keys.example.com:8443","cluster":"keys"},"#,
            r#"{"scheme":"https","authority":"cdn.example.com","cluster":"outbound|443||cdn.example.com"}],"#,
            r#""timeout_ms":100,"max_stale_secs":0}}]}"#,
        )),
        "{}",
        compiled.json
    );
    let clusters: Vec<_> = compiled
        .requirements
        .clusters
        .iter()
        .map(|cluster| (cluster.name.as_str(), cluster.port))
        .collect();
    assert_eq!(
        clusters,
        [
            ("keys", 8443),
            ("outbound|443||cdn.example.com", 443),
            ("outbound|443||idp.example.com", 443)
        ]
    );
    assert_eq!(compiled.requirements.optional_env, [CACHE_TTL_VARIABLE]);
    assert_eq!(compiled.config.providers[0].algorithms.len(), 11);
}

#[test]
fn discovery_on_this_machine_may_do_without_tls() {
    let provider = provider(
        r#""issuer":"http://127.0.0.1:8080","oidc_discovery":true,"jwks_cluster":"idp",
        "discovery_hosts":["localhost:9090","keys.example.com"],"jwks_cache_ttl_secs":60"#,
    );
    let [RemoteKeys::Discovery(discovery)] = &provider.keys.remote[..] else {
        panic!("{provider:?}");
    };
    let hosts: Vec<_> = discovery
        .hosts
        .iter()
        .map(|host| {
            (
                host.scheme.as_str(),
                host.authority.as_str(),
                host.cluster.as_str(),
            )
        })
        .collect();
    assert_eq!(
        hosts,
        [
            ("http", "127.0.0.1:8080", "idp"),
            ("http", "localhost:9090", "localhost:9090"),
            ("https", "keys.example.com", "keys.example.com")
        ]
    );
    assert_eq!(discovery.cache_ttl_secs, Some(60));
}

#[test]
fn what_is_revoked_goes_into_the_configuration() {
    let compiled = good(&with_auth(
        r#""jwt_secret_env":"S","revoked":{"kid":["k"],"jti":["a","b"],"sub":["c",{"sub":"d"},{"sub":"e","issued_before":7}]},
        "revocation_url":"https://example.com/revoked.bin?key=1","revocation_cluster":"lists""#,
    ));
    assert!(
        compiled.json.contains(concat!(
            r#""revocation":{"entries":[{"by":"jti","value":"a"},{"by":"jti","value":"b"},{"by":"sub","value":"c"},"#,
            r#"{"by":"sub","value":"d"},{"by":"sub","value":"e","issued_before":7},{"by":"kid","value":"k"}],"#,
            r#""remote":{"url":"https://example.com/revoked.bin?key=1","cluster":"lists","scheme":"https","#,
            r#""authority":"example.com","path":"/revoked.bin?key=1","timeout_ms":5000,"#,
            r#""cache_ttl_secs":300,"max_stale_secs":3600}}"#,
        )),
        "{}",
        compiled.json
    );
    assert_eq!(
        compiled.requirements.clusters,
        [ClusterRequirement {
            name: "lists".into(),
            scheme: "https".into(),
            authority: "example.com".into(),
            host: "example.com".into(),
            port: 443,
            used_by: vec!["a/default_policy".into()],
        }]
    );
    assert_eq!(compiled.requirements.optional_env, [""; 0]);
}

#[test]
fn what_is_asked_of_tokens_is_spelt_out_for_the_filter() {
    let config = good(&with_auth(
        r#""jwt_secret_env": "S", "issuer_pattern": "https://*.example.com", "max_lifetime_secs": 3600,
        "subjects": ["alice", {"prefix": "SVC-", "ignore_case": true}], "token_types": ["JWT", "Application/AT+jwt", "a/b"],
        "required_claims": ["https://example.com/email", {"claim": "sub"}, {"claim": ["a"]}, {"claim": ["a", "b.c"]},
            {"claim": "n", "equals": 9007199254740993.10}, {"claim": "ok", "equals": false},
            {"claim": "plan", "one_of": ["gold", 1, "1", true]}, {"claim": ["realm_access", "roles"], "contains": "admin"},
            {"claim": "mail", "matches": {"suffix": "@example.com"}}],
        "required_scopes": ["orders:read", "b"], "any_scope": ["c"]"#,
    ))
    .config;
    let written = serde_json::to_value(&config.providers[0]).unwrap();
    for (member, expected) in [
        ("issuer_pattern", r#""https://*.example.com""#),
        ("max_lifetime_secs", "3600"),
        (
            "subjects",
            r#"[{"kind":"exact","text":"alice"},{"kind":"prefix","text":"SVC-","ignore_case":true}]"#,
        ),
        (
            "token_types",
            r#"["application/jwt","application/at+jwt","a/b"]"#,
        ),
    ] {
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(written[member], expected, "{member}");
    }
    assert_eq!(
        serde_json::to_string(&config.providers[0].handling).unwrap(),
        concat!(
            r#"{"required_claims":["https://example.com/email","sub","a",["a","b.c"],"#,
            r#"{"claim":"n","test":{"equals":{"number":"9007199254740993.10"}}},"#,
            r#"{"claim":"ok","test":{"equals":{"boolean":false}}},"#,
            r#"{"claim":"plan","test":{"one_of":[{"string":"gold"},{"number":"1"},{"string":"1"},{"boolean":true}]}},"#,
            r#"{"claim":["realm_access","roles"],"test":{"contains":{"string":"admin"}}},"#,
            r#"{"claim":"mail","test":{"matches":{"kind":"suffix","text":"@example.com"}}}],"#,
            r#""required_scopes":["orders:read","b"],"any_scope":[["c"]]}"#
        )
    );
    let issuers = r#""jwt_secret_env": "S", "issuers": ["https://a.test", "https://b.test"]"#;
    assert_eq!(
        provider(issuers).issuers,
        ["https://a.test", "https://b.test"]
    );
    assert_eq!(provider(issuers).issuer, None);
}

#[test]
fn an_issuer_of_the_policy_replaces_that_of_a_preset_in_each_form() {
    let azure = |more: &str| {
        provider(&format!(
            r#""preset": "azure_ad", "tenant": "common", "audience": "a", {more}"#
        ))
    };
    let pattern = azure(r#""issuer_pattern": "https://login.microsoftonline.com/*/v2.0""#);
    assert_eq!(pattern.issuer, None);
    assert!(pattern.issuer_pattern.is_some());
    let list = azure(r#""issuers": ["https://sts.windows.net/a/", "https://sts.windows.net/b/"]"#);
    assert_eq!((list.issuer, list.issuers.len()), (None, 2));
}

#[test]
fn a_profile_takes_its_issuer_from_a_preset_and_its_audience_from_the_rule() {
    let config = good(
        r#"{"providers": {"g": {"preset": "google", "profile": "rfc9068"}}, "apps": [{"slug": "a", "gateway_path": "/a",
        "default_policy": {"auth": {"auth_type": "jwt", "providers": ["g"], "audience": "a"}}}]}"#,
    )
    .config;
    assert!(config.providers[0].profile.is_some());
    assert!(config.providers[0].token_types.is_empty());
}

#[test]
fn several_urls_a_floor_and_pins_go_into_the_configuration() {
    let options = CompileOptions {
        clusters: [("new.example.com".into(), "new".into())].into(),
        ..CompileOptions::default()
    };
    let text = with_auth(
        r#""jwks":{"keys":[
            {"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]},
        "jwks_urls":["https://old.example.com/jwks","https://new.example.com:443/jwks?v=2","https://New.example.com"],
        "jwks_timeout_ms":100,"jwks_max_stale_secs":0,"audience":"a","algorithms":["EdDSA"],
        "pinned_keys":["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"]"#,
    );
    let compiled = compile(text.as_bytes(), &options, &mut read).unwrap();
    assert_eq!(compiled.warnings, []);
    assert!(
        compiled.json.contains(concat!(
            r#""keys":{"fixed":{"jwks":{"keys":[{"crv":"Ed25519","kid":"ed","kty":"OKP","#,
            r#""x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}},"#,
            r#""remote":[{"url":{"url":"https://old.example.com/jwks","cluster":"old.example.com","scheme":"https","#,
            r#""authority":"old.example.com","path":"/jwks","timeout_ms":100,"max_stale_secs":0}},"#,
            r#"{"url":{"url":"https://new.example.com:443/jwks?v=2","cluster":"new.example.com:443","scheme":"https","#,
            r#""authority":"new.example.com:443","path":"/jwks?v=2","timeout_ms":100,"max_stale_secs":0}},"#,
            r#"{"url":{"url":"https://New.example.com","cluster":"new","scheme":"https","#,
            r#""authority":"new.example.com","path":"/","timeout_ms":100,"max_stale_secs":0}}],"#,
            r#""pinned":["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"]}"#,
        )),
        "{}",
        compiled.json
    );
    let clusters: Vec<_> = compiled
        .requirements
        .clusters
        .iter()
        .map(|cluster| cluster.name.as_str())
        .collect();
    assert_eq!(clusters, ["new", "new.example.com:443", "old.example.com"]);
    assert_eq!(compiled.requirements.optional_env, [CACHE_TTL_VARIABLE]);
}

#[test]
fn keys_of_the_policy_may_stand_below_everything_that_is_fetched() {
    for source in [
        r#""jwks_url":"https://example.com/jwks""#,
        r#""preset":"google""#,
        r#""oidc_discovery":true,"issuer":"https://idp.example.com""#,
    ] {
        for members in [
            format!(r#"{source},"jwks_file":"ec.json""#),
            format!(r#""jwks_file":"ec.json",{source}"#),
        ] {
            let provider = provider(&format!("{members},\"audience\":\"a\""));
            assert!(provider.keys.fixed.is_some(), "{members}");
            assert_eq!(provider.keys.remote.len(), 1, "{members}");
            assert_eq!(provider.algorithms.len(), 11, "{members}");
        }
    }
}

/// What is in the environment is looked at by the filter, where pins are good for public keys as anywhere else.
#[test]
fn a_key_in_the_environment_may_be_pinned() {
    let provider = provider(
        r#""jwt_public_key_env":"K","pinned_keys":["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]"#,
    );
    assert_eq!(
        provider.keys.pinned,
        ["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]
    );
}
