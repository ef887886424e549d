//! Where tokens stand: several places, several providers, and what is left of the request.

use super::*;

/// A policy whose one provider has its tokens in these places.
fn policy(sources: Value) -> Value {
    let mut policy = config(&inline(&[1]));
    policy["providers"][0]["handling"] = json!({ "token_sources": sources });
    policy
}

fn bed(sources: Value) -> Bed {
    Bed::new(policy(sources))
}

fn everywhere() -> Value {
    json!([
        { "header": { "name": "authorization", "prefix": "Bearer " } },
        { "header": { "name": "x-jwt" } },
        { "query": "t" },
        { "cookie": "s" },
    ])
}

fn send(bed: &mut Bed, path: &str, headers: &[(&str, &str)]) -> Fate {
    let mut all = vec![
        (":method", "GET"),
        (":authority", "example.com"),
        (":path", path),
    ];
    all.extend_from_slice(headers);
    bed.send(&all)
}

/// What is set besides claims, and what is removed.
fn edits(fate: Fate) -> (Vec<(String, String)>, Vec<String>) {
    let Fate::Allowed { mut added, removed } = fate else {
        panic!("{fate:?}");
    };
    added.retain(|(name, _)| !name.starts_with("x-user-"));
    (added, removed)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

#[test]
fn verified_tokens_leave_the_request_from_every_place_at_once() {
    let mut bed = bed(everywhere());
    let good = good(1);
    let path = std::format!("/app/x?a=%26&t={good}&b=1");
    let cookie = std::format!("a=1; s={good}");
    let bearer = std::format!("Bearer {good}");
    let fate = send(
        &mut bed,
        &path,
        &[
            ("authorization", &bearer),
            ("x_jwt", &good),
            ("cookie", &cookie),
            ("x-other", "kept"),
        ],
    );
    let (set, removed) = edits(fate);
    assert_eq!(
        set,
        pairs(&[(":path", "/app/x?a=%26&b=1"), ("cookie", "a=1")])
    );
    assert_eq!(removed, ["authorization", "x_jwt"]);
}

#[test]
fn a_rule_replaces_the_places_of_its_providers() {
    let mut policy = policy(everywhere());
    policy["apps"][0]["auth"]["jwt"]["handling"]["token_sources"] = json!([{ "query": "own" }]);
    let mut bed = Bed::new(policy);
    let path = std::format!("/app?own={}&t=x", good(1));
    let (set, removed) = edits(send(&mut bed, &path, &[("x-jwt", "x")]));
    assert_eq!(set, pairs(&[(":path", "/app?t=x")]));
    assert_eq!(removed, [""; 0]);
    assert_eq!(bed.get(&good(1)), Fate::Denied("token_missing"));
}

/// A place that two providers spell in two ways holds one token, which one of them has to accept.
#[test]
fn one_place_is_one_place_however_it_is_spelt() {
    for (first, second) in [
        (json!({ "query": "my.t" }), json!({ "query": "My_T" })),
        (json!({ "cookie": "my.t" }), json!({ "cookie": "MY_T" })),
        (
            json!({ "header": { "name": "x-jwt", "prefix": "Token " } }),
            json!({ "header": { "name": "x_jwt", "prefix": "TOKEN " } }),
        ),
    ] {
        let mut policy = policy(json!([first]));
        let mut other = provider(&inline(&[2]));
        other["issuer"] = json!("https://other.example.com");
        other["handling"] = json!({ "token_sources": [second] });
        policy["providers"] = json!([policy["providers"][0], other]);
        policy["apps"][0]["auth"]["jwt"]["requirement"] = any_of(&[0, 1]);
        let mut bed = Bed::new(policy);
        let other = token(2, &claims(&json!({ "iss": "https://other.example.com" })));
        for token in [good(1), other] {
            let path = std::format!("/app?my_t={token}");
            let cookie = std::format!("my_t={token}");
            let header = std::format!("token {token}");
            let fate = match (first.get("query"), first.get("cookie")) {
                (Some(_), _) => send(&mut bed, &path, &[]),
                (_, Some(_)) => send(&mut bed, "/app", &[("cookie", &cookie)]),
                _ => send(&mut bed, "/app", &[("x-jwt", &header)]),
            };
            assert!(fate.is_allowed(), "{first}: {fate:?}");
        }
    }
}

/// A place is the provider's whose it is: a good token of another provider is not good there.
#[test]
fn a_token_has_to_stand_where_its_provider_has_them() {
    let mut policy = policy(json!([{ "query": "t" }]));
    let mut other = provider(&inline(&[2]));
    other["issuer"] = json!("https://other.example.com");
    other["handling"] = json!({ "token_sources": [{ "cookie": "s" }] });
    policy["providers"] = json!([policy["providers"][0], other]);
    policy["apps"][0]["auth"]["jwt"]["requirement"] = any_of(&[0, 1]);
    let mut bed = Bed::new(policy);
    let query = |token: &str| std::format!("/app?t={token}");
    let cookie = |token: &str| std::format!("s={token}");
    let other = token(2, &claims(&json!({ "iss": "https://other.example.com" })));
    assert!(send(&mut bed, &query(&good(1)), &[]).is_allowed());
    assert!(send(&mut bed, "/app", &[("cookie", &cookie(&other))]).is_allowed());
    let both = send(&mut bed, &query(&good(1)), &[("cookie", &cookie(&other))]);
    assert!(both.is_allowed(), "{both:?}");
    for fate in [
        send(&mut bed, &query(&other), &[]),
        send(&mut bed, "/app", &[("cookie", &cookie(&good(1)))]),
        send(&mut bed, &query(&good(1)), &[("cookie", &cookie(&good(1)))]),
    ] {
        assert_eq!(fate, Fate::Denied("token_issuer_unknown"));
    }
}

/// Where a failed token counts as none, the service does not get it either; and what cannot be taken apart is
/// refused even there.
#[test]
fn a_token_that_fails_and_is_tolerated_does_not_reach_the_service() {
    let mut policy = policy(everywhere());
    policy["apps"][0]["auth"]["jwt"]["requirement"] =
        json!({ "allow_missing_or_failed": { "provider": { "index": 0 } } });
    let mut bed = Bed::new(policy.clone());
    let forged = [
        ("authorization", "Bearer x"),
        ("x-jwt", ""),
        ("cookie", "s=; a=1"),
    ];
    let fate = send(&mut bed, "/app?t=x&a=1", &forged);
    let (set, removed) = edits(fate);
    assert_eq!(set, pairs(&[(":path", "/app?a=1"), ("cookie", "a=1")]));
    assert_eq!(removed, ["authorization", "x-jwt"]);
    let good = good(1);
    for (path, header) in [
        ("/app?t=x&T=y", ("x", "")),
        ("/app?a=1;t=x", ("x", "")),
        ("/app", ("cookie", "a=1, s=x")),
        ("/app", ("x-jwt", "x,y")),
    ] {
        let bearer = std::format!("Bearer {good}");
        let fate = send(&mut bed, path, &[("authorization", &bearer), header]);
        assert_eq!(fate, Fate::Denied("token_repeated"), "{path} {header:?}");
    }
    let fate = send(&mut bed, "/app?a#?t=x", &[]);
    assert_eq!(fate, Fate::Denied("request_malformed"));

    policy["providers"][0]["handling"]["forward_token"] = json!(true);
    let fate = send(&mut Bed::new(policy), "/app?t=x", &forged);
    assert_eq!(edits(fate), (vec![], vec![]), "forwarded");
}

#[test]
fn a_request_that_waited_loses_its_token_too() {
    let mut policy = policy(everywhere());
    policy["providers"][0]["keys"] = remote();
    let mut bed = Bed::new(policy);
    let path = std::format!("/app?a=1&t={}", good(1));
    let id = send(&mut bed, &path, &[]).waits();
    bed.serve_keys(&[1]);
    let (set, removed) = edits(bed.fate_of(id));
    assert_eq!(set, pairs(&[(":path", "/app?a=1")]));
    assert_eq!(removed, [""; 0]);
}
