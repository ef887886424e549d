//! What is passed on of a token beside headers, and when the proxy finds its route anew.

use super::*;

/// The edits of a request that passes: the filter state by key, and whether the route is found anew.
fn passed(bed: &mut Bed, path: &str, headers: &[(&str, &str)]) -> (Vec<(String, String)>, bool) {
    let pseudo = [
        (":method", "GET"),
        (":authority", "example.com"),
        (":path", path),
    ];
    let all: Vec<(&[u8], &[u8])> = pseudo
        .iter()
        .chain(headers)
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    let decision = bed
        .engine
        .handle_request(RequestId(1), &Request::new(&all), bed.now)
        .unwrap();
    let Outcome::Allow(edits) = decision.outcome else {
        panic!("{:?}", decision.outcome);
    };
    let text = |value| String::from_utf8(value).unwrap();
    let state = edits.filter_state.into_iter();
    (
        state.map(|(key, value)| (key, text(value))).collect(),
        edits.clear_route_cache,
    )
}

fn policy(clear_route_cache: bool) -> Value {
    let mut policy = config(&inline(&[1]));
    let handling = json!({
        "forward_claims": [
            { "claim": "sub", "to": { "filter_state": "user" } },
            { "claim": "email", "to": { "header": "x-user-email" } },
        ],
        "clear_route_cache": clear_route_cache,
    });
    policy["apps"][0]["auth"]["jwt"]["handling"] = handling.clone();
    policy["apps"][0]["routes"][1]["auth"]["jwt"]["handling"] = handling;
    policy["unmatched"] = json!("allow");
    policy
}

#[test]
fn filter_state_is_set_and_the_route_found_anew_for_what_is_verified() {
    let bearer = std::format!("Bearer {}", good(1));
    let token = ("authorization", bearer.as_str());
    let forged = ("X_User.Email", "admin@example.com");
    let alice = [("user".to_string(), "alice".to_string())];
    for clears in [true, false] {
        let mut bed = Bed::new(policy(clears));
        assert_eq!(bed.engine.filter_state_keys(), ["user"]);
        let cases = [
            ("/app", vec![token], &alice[..], clears),
            ("/app", vec![token, forged], &alice[..], true),
            ("/app/optional", vec![token], &alice[..], clears),
            ("/app/optional", vec![], &[], false),
            ("/app/optional", vec![forged], &[], true),
            ("/app/health", vec![token], &[], false),
            ("/app/health", vec![forged], &[], true),
            ("/elsewhere", vec![token], &[], false),
            ("/elsewhere", vec![forged], &[], true),
        ];
        for (path, headers, state, found_anew) in cases {
            assert_eq!(
                passed(&mut bed, path, &headers),
                (state.to_vec(), found_anew),
                "{path} {headers:?}"
            );
        }
    }
}

#[test]
fn what_is_only_reported_as_denied_is_not_passed_on() {
    let mut policy = policy(true);
    policy["apps"][0]["auth"]["jwt"]["enforcement"] = json!("report");
    let mut bed = Bed::new(policy);
    let good = std::format!("Bearer {}", good(1));
    let (state, found_anew) = passed(&mut bed, "/app", &[("authorization", &good)]);
    assert_eq!((state.len(), found_anew), (1, true));
    let foreign = std::format!("Bearer {}", super::good(2));
    let (state, found_anew) = passed(&mut bed, "/app", &[("authorization", &foreign)]);
    assert_eq!((state.len(), found_anew), (0, false));
}
