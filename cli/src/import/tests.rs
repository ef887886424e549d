//! What each product's documents become, and what is said about them, as whole texts.
//!
//! That the compiler takes them is shown from outside, in `cli/tests` and `tests/tests/import`.

use super::findings::Findings;
use super::{Product, yaml};

/// The policy and the findings that come of documents, as one text.
fn imported(product: Product, text: &str) -> String {
    let documents = yaml::documents(text, 0).unwrap();
    let mut findings = Findings::default();
    let policy = product.import(&documents, &mut findings);
    let policy = policy.map_or_else(
        || "no policy\n".to_owned(),
        |policy| policy.to_json().unwrap(),
    );
    format!("{policy}{}", findings.lines().join("\n"))
}

#[test]
fn a_provider_of_envoy_keeps_every_field() {
    let text = r#"
"@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
providers:
  idp:
    issuer: https://idp.example.com
    audiences: [api, "https://api.example.com/"]
    subjects: {prefix: svc-}
    require_expiration: true
    max_lifetime: 3600s
    clock_skew_seconds: 0
    remote_jwks:
      http_uri: {uri: "https://idp.example.com/jwks", cluster: idp, timeout: 1.5s}
      cache_duration: {seconds: 300}
      async_fetch: {fast_listener: true}
      retry_policy: {num_retries: 3}
    forward: true
    from_headers: [{name: x-jwt, value_prefix: "Token "}]
    from_params: [jwt]
    fromCookies: [session]
    forward_payload_header: x-payload
    pad_forward_payload_header: true
    payload_in_metadata: p
    failed_status_in_metadata: s
    jwt_cache_config: {jwt_cache_size: 10}
    claim_to_headers:
    - {header_name: x-sub, claim_name: sub}
    - {header_name: x-roles, claim_name: realm.roles}
    - header_name: x-url
      claim_path: [{key: "https://example.com/claim"}]
    clear_route_cache: true
  unused: {local_jwks: {inline_string: '{"keys":[]}'}}
rules:
- match: {prefix: /}
  requires: {provider_name: idp}
"#;
    insta::assert_snapshot!(imported(Product::Envoy, text));
}

#[test]
fn requirements_of_envoy_keep_their_tree() {
    let text = r#"
providers:
  a: &p {issuer: a, local_jwks: {inline_string: '{"keys":[{"kty":"oct","k":"AQ"}]}'}}
  b: *p
  c/d: *p
requirement_map:
  both: {requires_all: {requirements: [{provider_name: a}, {provider_name: b}]}}
  nothing: {}
rules:
- {match: {path: /open}}
- {match: {path: /named}, requirement_name: both}
- {match: {path: /nothing}, requirement_name: nothing}
- match: {prefix: /missing}
  requires: {requires_any: {requirements: [{provider_name: a}, {allow_missing: {}}]}}
- match: {prefix: /failed}
  requires: {requires_any: {requirements: [{allow_missing_or_failed: {}}, {allow_missing: {}}, {provider_name: a}, {provider_name: b}]}}
- match: {prefix: /all-missing}
  requires: {allow_missing: {}}
- match: {prefix: /tree}
  requires:
    requires_any:
      requirements:
      - provider_and_audiences: {provider_name: a, audiences: [x]}
      - requires_all:
          requirements:
          - provider_name: b
          - requires_any: {requirements: [{provider_name: c/d}, {allow_missing: {}}]}
- match: {prefix: /}
  requires: {requires_any: {requirements: [{provider_name: a}, {provider_name: b}]}}
bypassCorsPreflight: true
strip_failure_response: true
stat_prefix: x
"#;
    insta::assert_snapshot!(imported(Product::Envoy, text));
}

#[test]
fn the_filter_is_found_wherever_it_stands() {
    let filter = |depth: usize| {
        let indent = " ".repeat(depth);
        [
            "\"@type\": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers: {a: {local_jwks: {inline_string: '{\"kty\":\"oct\",\"k\":\"AQ\"}'}}}",
            "rules: [{match: {prefix: /}, requires: {provider_name: a}}]",
        ]
        .map(|line| format!("{indent}{line}\n"))
        .concat()
    };
    let alone = imported(Product::Envoy, &filter(0));
    assert!(alone.contains(r#""providers": ["a"]"#), "{alone}");
    let listener = format!(
        "static_resources:\n  listeners:\n  - filter_chains:\n    - filters:\n      - typed_config:\n          http_filters:\n          - name: jwt\n            typed_config:\n{}          - name: router\n",
        filter(14)
    );
    assert_eq!(imported(Product::Envoy, &listener), alone);
    let twice = format!("{listener}---\n{}", filter(0));
    assert_eq!(imported(Product::Envoy, &twice), alone);
    let typed_struct = format!(
        "typed_config:\n  \"@type\": type.googleapis.com/xds.type.v3.TypedStruct\n  type_url: type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication\n  value:\n{}",
        filter(4)
            .lines()
            .skip(1)
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    );
    assert_eq!(imported(Product::Envoy, &typed_struct), alone);
}

#[test]
fn what_routes_say_to_the_filter_becomes_routes_of_the_policy() {
    let text = r#"
http_filters:
- typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers: {a: &p {local_jwks: {inline_string: '{"kty":"oct","k":"AQ"}'}}, b: *p}
    requirement_map: {b: {provider_name: b}}
    rules:
    - {match: {path: /health}}
    - {match: {prefix: /}, requires: {provider_name: a}}
route_config:
  virtual_hosts:
  - domains: [Shop.example.com, "*.shop.example.com"]
    routes:
    - match: {prefix: /static}
      typed_per_filter_config:
        jwt: {"@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig, disabled: true}
    - match: {path_separated_prefix: /admin, headers: [{name: ":method", exact_match: POST}]}
      typed_per_filter_config:
        jwt: {"@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig, requirement_name: b}
    - match: {prefix: /api}
    - match: {prefix: /off}
      typed_per_filter_config:
        envoy.filters.http.jwt_authn: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}
    - match: {prefix: /}
  - domains: ["*"]
    typed_per_filter_config:
      jwt: {"@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig, requirement_name: b}
    routes: [{match: {prefix: /}}]
"#;
    insta::assert_snapshot!(imported(Product::Envoy, text));
}

#[test]
fn what_envoy_has_and_a_policy_cannot_is_refused() {
    let keys = "local_jwks: {inline_string: '{\"kty\":\"oct\",\"k\":\"AQ\"}'}";
    for (text, expected) in [
        (
            "a: 1".to_owned(),
            "no policy\n1: refused: there is no configuration of `jwt_authn` in the file",
        ),
        (
            format!("providers: {{a: {{{keys}}}}}\nrules:\n- match: {{prefix: /}}\n  requires: {{extract_only_without_validation: {{}}}}"),
            "4: refused: `extract_only_without_validation` cannot be carried over: claims of tokens that nobody has checked are never handed on",
        ),
        (
            "rules:\n- match: {prefix: /}\n  requires: {provider_name: x}".to_owned(),
            "3: refused: there is no provider `x`",
        ),
        (
            "rules:\n- match: {prefix: /}\n  requirement_name: x".to_owned(),
            "3: refused: there is no requirement `x`",
        ),
        (
            "rules: []\nfilter_state_rules:\n  name: x".to_owned(),
            "2: refused: `filter_state_rules` cannot be carried over: without them, requests would pass unchecked",
        ),
        (
            "providers:\n  a:\n    local_jwks: {environment_variable: X}\nrules: [{match: {prefix: /}, requires: {provider_name: a}}]".to_owned(),
            "3: refused: a key set from an environment variable cannot be carried over",
        ),
        (
            "rules: []\ntyped_per_filter_config:\n  a:\n    \"@type\": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig\n    requirement_name: x".to_owned(),
            "4: refused: the route configuration around it is not in the file",
        ),
        (
            "rule: [{match: {prefix: /}, requires: {provider_name: a}}]\nproviders: {}".to_owned(),
            "1: refused: `rule` is not known here: without it, more requests may pass",
        ),
        (
            "rules:\n- match: {prefix: /}\n  requirs: {provider_name: a}".to_owned(),
            "3: refused: `requirs` is not known here: without it, more requests may pass",
        ),
        (
            "rules:\n- match: {prefix: /}\n  requires: {provider_nam: a}".to_owned(),
            "3: refused: `provider_nam` is not known here: without it, more requests may pass",
        ),
        (
            "rules:\n- match: {prefix: /}\n  require: {provider_name: a}".to_owned(),
            "3: refused: `require` is not known here: without it, more requests may pass",
        ),
        (
            format!("providers:\n  a: {{{keys}, audience: [x]}}\nrules: [{{match: {{prefix: /}}, requires: {{provider_name: a}}}}]"),
            "2: refused: `audience` is not known here: without it, more requests may pass",
        ),
    ] {
        let found = imported(Product::Envoy, &text);
        assert!(found.ends_with(expected), "{text}\n{found}");
    }
}

#[test]
fn authorization_of_envoy_gateway_becomes_requirements() {
    let text = r#"
apiVersion: v1
kind: List
items:
- apiVersion: gateway.envoyproxy.io/v1alpha1
  kind: SecurityPolicy
  metadata: {name: jwt-example, namespace: shop}
  spec:
    targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: backend}]
    cors: {allowOrigins: ["*"]}
    jwt:
      providers:
      - name: example
        issuer: https://idp.example.com
        audiences: [shop]
        remoteJWKS: {uri: "https://idp.example.com/jwks", cacheDuration: 10m}
        claimToHeaders: [{header: x-sub, claim: sub}]
        recomputeRoute: true
        extractFrom: {headers: [{name: x-jwt, valuePrefix: "Bearer "}], params: [jwt], cookies: [session]}
      - name: local
        localJWKS: {type: ValueRef, valueRef: {group: "", kind: ConfigMap, name: keys}}
    authorization:
      defaultAction: Deny
      rules:
      - name: admins
        action: Allow
        principal:
          jwt:
            provider: example
            scopes: [read, write]
            claims:
            - {name: user.name, values: [John Doe]}
            - {name: user.roles, valueType: StringArray, values: [admin, owner]}
      - action: Allow
        operation: {methods: [GET, HEAD]}
        principal: {jwt: {provider: local, claims: [{name: tier, values: [gold, silver]}]}}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: keys, namespace: shop}
  data:
    jwks: |
      {"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]}
- apiVersion: v1
  kind: Service
  metadata: {name: backend}
"#;
    insta::assert_snapshot!(imported(Product::EnvoyGateway, text));
}

#[test]
fn what_envoy_gateway_has_and_a_policy_cannot_is_refused() {
    let policy = |more: &str| {
        format!(
            "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {{name: x}}\nspec:\n  jwt:\n    providers: [{{name: p, localJWKS: {{inline: '{{\"kty\":\"oct\",\"k\":\"AQ\"}}'}}}}]\n  authorization:\n{more}"
        )
    };
    for (more, expected) in [
        (
            "    defaultAction: Allow\n    rules: [{action: Allow, principal: {jwt: {provider: p, scopes: [a]}}}]",
            "8: refused: `defaultAction: Allow` cannot be carried over: a policy says who may pass",
        ),
        (
            "    rules:\n    - {action: Deny, principal: {jwt: {provider: p, scopes: [a]}}}",
            "9: refused: a rule with `action: Deny` cannot be carried over: a policy says who may pass",
        ),
        (
            "    rules:\n    - {action: Allow, principal: {clientCIDRs: [10.0.0.0/8], jwt: {provider: p, scopes: [a]}}}",
            "9: refused: `clientCIDRs` beside claims cannot be carried over: without it, more requests would pass",
        ),
        (
            "    rules:\n    - {action: Allow, principal: {jwt: {provider: q, scopes: [a]}}}",
            "9: refused: there is no provider `q`",
        ),
        (
            "    rules:\n    - {action: Allow, operation: {methods: [GET]}}",
            "9: refused: a rule without `principal` cannot be carried over: it is not about a JWT",
        ),
        (
            "    rules:\n    - {action: Allow, principal: {jwt: {provider: p, scope: [a]}}}",
            "9: refused: `scope` is not known here: without it, more requests may pass",
        ),
        (
            "    rules:\n    - {action: Allow, principal: {jwt: {provider: p, scopes: []}}}",
            "9: refused: `jwt` of a principal needs `claims` or `scopes`",
        ),
        (
            "    rules:\n    - {action: Allow, operation: {methods: [GET], pathz: [/x]}, principal: {jwt: {provider: p, scopes: [a]}}}",
            "9: refused: `pathz` is not known here: without it, more requests may pass",
        ),
        (
            "    rules:\n    - {action: Allow, principal: {futureCIDRs: [10.0.0.0/8], jwt: {provider: p, scopes: [a]}}}",
            "9: refused: `futureCIDRs` is not known here: without it, more requests may pass",
        ),
        (
            "    rules: [{action: Allow, principal: {jwt: {provider: p, scopes: [a]}}}]\n  authorizaton: {}",
            "9: refused: `authorizaton` is not known here: without it, more requests may pass",
        ),
    ] {
        let found = imported(Product::EnvoyGateway, &policy(more));
        assert!(found.contains(expected), "{more}\n{found}");
    }
}

const ISTIO: &str = r#"
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: shop}
spec:
  selector: {matchLabels: {app: shop}}
  jwtRules:
  - issuer: https://idp.example.com
    audiences: [shop]
    jwksUri: https://idp.example.com/jwks
    fromHeaders: [{name: x-jwt, prefix: "Bearer "}]
    fromParams: [jwt]
    outputPayloadToHeader: x-payload
    outputClaimToHeaders: [{header: x-group, claim: nested.group}]
    forwardOriginalToken: true
    timeout: 2s
    spaceDelimitedClaims: [scope, groups]
  - issuer: https://other.example.com/
---
"#;

fn istio(spec: &str) -> String {
    let policy = format!(
        "{ISTIO}apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a, namespace: shop}}\nspec:\n  selector: {{matchLabels: {{app: shop}}}}\n{spec}"
    );
    imported(Product::Istio, &policy)
}

#[test]
fn request_authentication_alone_asks_for_no_token() {
    insta::assert_snapshot!(imported(Product::Istio, ISTIO));
}

#[test]
fn authorization_policies_of_istio_become_routes() {
    insta::assert_snapshot!(istio(
        r#"  action: ALLOW
  rules:
  - to: [{operation: {methods: [GET], paths: ["/public/*", "/health"]}}]
  - from: [{source: {requestPrincipals: ["https://idp.example.com/*"]}}]
    to: [{operation: {paths: ["/shop*"]}}]
  - from: [{source: {requestPrincipals: ["https://idp.example.com/alice", "*/bob"]}}]
    when:
    - {key: "request.auth.claims[groups]", values: [admin]}
    - {key: "request.auth.audiences", values: [admin-console]}
    to: [{operation: {paths: ["/shop/admin"], methods: [GET, POST]}}]
  - when: [{key: "request.auth.claims[realm][scope]", values: ["*"]}, {key: "request.auth.claims[scope]", values: [a, b]}]
    to: [{operation: {hosts: ["Admin.example.com", "admin.example.com:*"]}}]
"#
    ));
}

#[test]
fn denying_requests_without_a_principal_asks_for_a_token() {
    insta::assert_snapshot!(istio(
        r#"  action: DENY
  rules:
  - from: [{source: {notRequestPrincipals: ["*"]}}]
    to: [{operation: {paths: ["/api*"]}}]
"#
    ));
}

#[test]
fn a_prefix_that_is_a_word_ends_with_a_space() {
    let text = |prefix: &str| {
        format!(
            "providers:\n  a: {{from_headers: [{{name: x-jwt, value_prefix: '{prefix}'}}], local_jwks: {{inline_string: '{{\"kty\":\"oct\",\"k\":\"AQ\"}}'}}}}\nrules: [{{match: {{prefix: /}}, requires: {{provider_name: a}}}}]"
        )
    };
    for (prefix, expected) in [
        ("Bearer", "Bearer "),
        ("Bearer ", "Bearer "),
        ("jwt=", "jwt="),
    ] {
        let found = imported(Product::Envoy, &text(prefix));
        assert!(
            found.contains(&format!("\"prefix\": \"{expected}\"")),
            "{found}"
        );
    }
}

#[test]
fn a_star_among_methods_or_hosts_is_every_one() {
    let deny = |operation: &str| {
        istio(&format!(
            "  action: DENY\n  rules:\n  - from: [{{source: {{notRequestPrincipals: ['*']}}}}]\n    to: [{{operation: {operation}}}]\n"
        ))
    };
    let every = deny("{paths: ['*']}");
    assert!(!every.contains("allow_missing"), "{every}");
    assert_eq!(deny("{methods: [GET, '*']}"), every);
    assert_eq!(deny("{hosts: [a.example.com, '*']}"), every);
}

#[test]
fn what_istio_has_and_a_policy_cannot_is_refused() {
    for (spec, expected) in [
        (
            "  rules:\n  - from: [{source: {principals: [a], requestPrincipals: [\"*\"]}}]",
            "refused: `principals` cannot be carried over: without it, more requests would pass",
        ),
        (
            "  rules:\n  - to: [{operation: {notPaths: [/x]}}]",
            "refused: `notPaths` cannot be carried over: a policy says which requests, not which not",
        ),
        (
            "  rules:\n  - when: [{key: source.ip, values: [a]}]",
            "refused: the condition on `source.ip` cannot be carried over: without it, more requests would pass",
        ),
        (
            "  rules:\n  - when: [{key: 'request.auth.claims[a]', notValues: [a]}]",
            "refused: `notValues` cannot be carried over: a policy says who may pass",
        ),
        (
            "  action: DENY\n  rules:\n  - when: [{key: 'request.auth.claims[a]', values: [a]}]",
            "refused: this `DENY` rule cannot be carried over: a policy says who may pass",
        ),
        (
            "  rules:\n  - to: [{operation: {paths: ['/a/{*}']}}]",
            "refused: the path template `/a/{*}` cannot be carried over",
        ),
        (
            "  rules:\n  - to: [{operation: {paths: ['/a*']}}]\n  - to: [{operation: {paths: ['*/b']}}]",
            "refused: the rules for `any method /a*` and `any method */b` are for some of the same requests",
        ),
        (
            "  rules:\n  - form: [{source: {requestPrincipals: [a]}}]",
            "refused: `form` is not known here: without it, more requests may pass",
        ),
        (
            "  rules:\n  - from: [{source: {requestPrincipal: [a]}}]",
            "refused: `requestPrincipal` is not known here: without it, more requests may pass",
        ),
        (
            "  rules:\n  - from: [{source: {requestPrincipals: []}}]",
            "refused: `from` without anything in `source` is not valid",
        ),
        (
            "  rules:\n  - from: [{}]",
            "refused: `from` without anything in `source` is not valid",
        ),
        (
            "  rules:\n  - to: [{operaton: {paths: [/x]}}]",
            "refused: `operaton` is not known here: without it, more requests may pass",
        ),
        (
            "  rules:\n  - to: [{operation: {paths: }}]",
            "refused: `to` without anything in `operation` is not valid",
        ),
        (
            "  rules:\n  - to: [{operation: {path: [/x]}}]",
            "refused: `path` is not known here: without it, more requests may pass",
        ),
        (
            "  rules:\n  - wen: [{key: 'request.auth.claims[a]', values: [b]}]",
            "refused: `wen` is not known here: without it, more requests may pass",
        ),
        (
            "  rules:\n  - when: [{key: 'request.auth.claims[a]', value: [b]}]",
            "refused: `value` is not known here: without it, more requests may pass",
        ),
        (
            "  acton: DENY\n  rules:\n  - from: [{source: {notRequestPrincipals: ['*']}}]",
            "refused: `acton` is not known here: without it, more requests may pass",
        ),
        (
            "rules:\n- from: [{source: {requestPrincipals: ['*']}}]",
            "refused: `rules` is not known here: without it, more requests may pass",
        ),
        (
            "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolcy\nmetadata: {name: b, namespace: shop}\nspec: {}",
            "refused: the kind `AuthorizationPolcy` is not known here: without it, more requests may pass",
        ),
        (
            "---\napiVersion: security.istio.i/v1\nkind: AuthorizationPolicy\nmetadata: {name: b, namespace: shop}\nspec: {}",
            "refused: the AuthorizationPolicy `shop/b` is of the group `security.istio.i`, not of `security.istio.io`",
        ),
        (
            "  action: deny\n  rules:\n  - from: [{source: {notRequestPrincipals: ['*']}}]",
            "refused: `action` `deny` is not known here",
        ),
    ] {
        let found = istio(spec);
        assert!(found.contains(expected), "{spec}\n{found}");
    }
}

#[test]
fn resources_for_other_workloads_are_not_mixed() {
    let text = format!(
        "{ISTIO}apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a, namespace: other}}\nspec: {{}}\n"
    );
    let found = imported(Product::Istio, &text);
    assert!(
        found.contains("refused: the AuthorizationPolicy `other/a` is for other workloads than the RequestAuthentication `shop/jwt`"),
        "{found}"
    );
}

const KGATEWAY: &str = r#"
apiVersion: gateway.kgateway.dev/v1alpha1
kind: GatewayExtension
metadata: {name: jwt, namespace: kg}
spec:
  jwt:
    validationMode: AllowMissing
    providers:
    - name: one
      issuer: https://one.example.com
      tokenSource: {queryParameter: token}
      jwks:
        remote:
          url: https://one.example.com/jwks
          backendRef: {name: one, kind: Backend, group: gateway.kgateway.dev}
    - name: two
      claimsToHeaders: [{name: a.b, header: x-ab}]
      jwks: {local: {configMapRef: {name: keys}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: keys, namespace: kg}
data: {jwks: '{"kty":"oct","k":"AQ"}'}
---
"#;

fn kgateway(spec: &str) -> String {
    let policy = format!(
        "{KGATEWAY}apiVersion: gateway.kgateway.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{name: t, namespace: kg}}\nspec:\n  targetRefs: [{{kind: HTTPRoute, name: route}}]\n  jwtAuth: {{extensionRef: {{name: jwt}}}}\n{spec}"
    );
    imported(Product::Kgateway, &policy)
}

#[test]
fn providers_of_kgateway_are_alternatives() {
    insta::assert_snapshot!(kgateway(""));
}

#[test]
fn rules_of_kgateway_about_claims_become_requirements() {
    insta::assert_snapshot!(kgateway(
        r#"  rbac:
    policy:
      matchExpressions:
      - "metadata.filter_metadata['envoy.filters.http.jwt_authn']['payload']['team'] == 'dev'"
      - "'gold' in metadata.filter_metadata['envoy.filters.http.jwt_authn'].payload.tiers"
"#
    ));
}

#[test]
fn what_kgateway_has_and_a_policy_cannot_is_refused() {
    for (spec, expected) in [
        (
            "  rbac: {action: Deny, policy: {matchExpressions: [\"true\"]}}",
            "`rbac` with `action: Deny` cannot be carried over: a policy says who may pass",
        ),
        (
            "  rbac: {policy: {matchExpressions: [\"request.path == '/x'\"]}}",
            "the expression `request.path == '/x'` cannot be carried over",
        ),
        (
            "  rbac: {policy: {allowedCIDRs: [10.0.0.0/8]}}",
            "`allowedCIDRs` cannot be carried over: a policy knows no addresses",
        ),
        (
            "---\napiVersion: gateway.kgateway.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: u, namespace: kg}\nspec:\n  jwtAuth: {disable: {}}\n  rbac: {policy: {matchExpressions: [\"metadata.filter_metadata['envoy.filters.http.jwt_authn']['payload']['a'] == 'x'\"]}}",
            "`rbac` without `extensionRef`: which tokens its rules are about is not said",
        ),
        (
            "  rbca: {policy: {matchExpressions: [\"false\"]}}",
            "`rbca` is not known here: without it, more requests may pass",
        ),
        (
            "  bogusField: 1",
            "`bogusField` is not known here: without it, more requests may pass",
        ),
        (
            "---\napiVersion: gateway.kgateway.dev/v1alpha1\nkind: GatewayExtension\nmetadata: {name: jwt, namespace: kg}\nspec:\n  jwt: {}",
            "there is another GatewayExtension `kg/jwt`, in line 2",
        ),
    ] {
        let found = kgateway(spec);
        assert!(
            found.contains(&format!("refused: {expected}")),
            "{spec}\n{found}"
        );
    }
    let misspelt = KGATEWAY.replace("spec:\n  jwt:", "spec:\n  type: JWT\n  jwtt: {}\n  jwt:");
    let found = imported(Product::Kgateway, &misspelt);
    let expected = "refused: `jwtt` is not known here: without it, more requests may pass";
    assert!(found.contains(expected), "{found}");
}

#[test]
fn the_rest_of_a_resource_stays_with_kgateway() {
    let found = kgateway("  rateLimit: {local: {}}\n  cors: {}\n");
    let plain = kgateway("");
    let said: Vec<&str> = found
        .lines()
        .filter(|line| !plain.lines().any(|other| other == *line))
        .collect();
    assert_eq!(
        said,
        [
            "31: note: `rateLimit` stays with kgateway: it says nothing about JWTs",
            "32: note: `cors` stays with kgateway: it says nothing about JWTs",
        ]
    );
}

#[test]
fn the_mode_of_an_issuer_of_istio_is_not_lost() {
    let with = |mode: &str| {
        let rule = format!("failureMode: {mode}\n    timeout: 2s");
        imported(Product::Istio, &ISTIO.replace("timeout: 2s", &rule))
    };
    let plain = imported(Product::Istio, ISTIO);
    let (policy, _) = plain.split_once("\n6: ").unwrap();
    assert!(with("PERMISSIVE").starts_with(policy));
    assert!(with("IGNORE").contains("not carried: `failureMode: IGNORE` is not carried over"));
    for mode in ["STRICT", "strict", "{}"] {
        assert!(
            with(mode).contains("refused: this `failureMode` cannot be carried over"),
            "{mode}"
        );
    }
}

/// A route configuration around what its virtual host says.
fn routed(configuration: &str, host: &str) -> String {
    let text = format!(
        r#"
http_filters:
- typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers: {{a: {{local_jwks: {{inline_string: '{{"kty":"oct","k":"AQ"}}'}}}}}}
    requirement_map: {{a: {{provider_name: a}}}}
route_config:
  {configuration}
  virtual_hosts:
  - name: v
    {host}
    routes: [{{match: {{prefix: /}}, route: {{cluster: c}}}}]
"#
    );
    imported(Product::Envoy, &text)
}

const PER_ROUTE: &str = r#"{"@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig, requirement_name: a}"#;

#[test]
fn what_a_virtual_host_says_and_is_not_read_is_refused() {
    let said = format!("typed_per_filter_config: {{envoy.filters.http.jwt_authn: {PER_ROUTE}}}");
    let plain = routed("name: r", &format!("domains: [a.test]\n    {said}"));
    assert!(plain.contains(r#""providers": ["a"]"#), "{plain}");
    // Said for all virtual hosts.
    assert_eq!(
        routed(&said, "domains: [a.test]"),
        plain.replace("14:", "8:")
    );
    for (configuration, host, expected) in [
        (
            said.as_str(),
            "domain: [a.test]",
            "refused: `domain` is not known here: without it, more requests may pass",
        ),
        (
            said.as_str(),
            "matcher: {}\n    domains: [a.test]",
            "refused: a virtual host with `matcher` cannot be carried over",
        ),
        (
            said.as_str(),
            &said.replace("typed_per_filter", "typed_per_filtr"),
            "refused: this `PerRouteConfig` stands where nothing reads it",
        ),
        (
            "name: r",
            &said.replace(PER_ROUTE, &format!("{{\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, confg: {PER_ROUTE}}}")),
            "refused: `confg` is not known here: without it, more requests may pass",
        ),
    ] {
        let found = routed(configuration, host);
        assert!(found.contains(expected), "{configuration} {host}\n{found}");
    }
}

#[test]
fn a_port_of_a_host_that_stands_without_it_too_is_covered() {
    let said = format!("typed_per_filter_config: {{envoy.filters.http.jwt_authn: {PER_ROUTE}}}");
    let with = |domains: &str| routed(&said, &format!("domains: {domains}"));
    let plain = with("[api.acme.test]");
    for domains in [
        "[api.acme.test, \"api.acme.test:8443\"]",
        "[\"API.acme.test:8443\", api.acme.test]",
    ] {
        assert_eq!(
            with(domains),
            format!("{plain}\n11: note: `api.acme.test:8443` is covered by the same host without a port, which is for every port")
                .replace("}\n\n", "}\n"),
            "{domains}"
        );
    }
    for domains in [
        "[\"api.acme.test:8443\"]",
        "[api.acme.test, \"www.acme.test:8443\"]",
        "[\"*.acme.test\", \"api.acme.test:8443\"]",
        "[api.acme.test, \"api.acme.test:x\"]",
        "[\"[::1]\", \"[::1]:80\"]",
    ] {
        assert!(with(domains).contains("refused: the domain `"), "{domains}");
    }
}
