use super::*;

const DOWN: FetchAnswer<'static> = FetchAnswer::NoResponse;

/// A token that does not expire during a test.
fn lasting(key: u8) -> String {
    token(key, &claims(&json!({ "exp": START + 1_000_000 })))
}

/// A bed whose source has answered with the key 1.
fn warm() -> Bed {
    let mut bed = Bed::new(config(&remote()));
    bed.serve_keys(&[1]);
    bed
}

#[test]
fn keys_are_fetched_before_the_first_request() {
    let mut bed = Bed::new(config(&remote()));
    let fetch = bed.engine.poll_fetch(bed.now).unwrap();
    assert_eq!(fetch.target.authority, "idp.example.com");
    assert_eq!(bed.fetch(), None, "one fetch at a time");
    let body = jwks(&[1]).to_string();
    bed.engine.handle_answer(
        fetch.id,
        FetchAnswer::response(200, body.as_bytes()),
        bed.now,
    );
    assert_eq!(
        bed.events(),
        ["fetched 1 usable keys from https://idp.example.com/jwks"]
    );
    assert!(bed.get(&good(1)).is_allowed());
    assert_eq!(bed.fetch(), None);
}

#[test]
fn requests_before_the_first_answer_wait_and_share_one_fetch() {
    let mut bed = Bed::new(config(&remote()));
    let good = bed.get(&good(1)).waits();
    let expired = bed.get(&token(1, &claims(&json!({ "exp": 1 }))));
    assert_eq!(
        expired,
        Fate::Denied("token_expired"),
        "what needs no key is told at once"
    );
    let other_audience = bed.get(&token(1, &claims(&json!({ "aud": "x" })))).waits();
    assert!(bed.engine.waiting.contains_key(&good));
    bed.advance(2000);
    assert_eq!(bed.fates(), []);
    bed.serve_keys(&[1]);
    let fates = bed.fates();
    assert_eq!(fates.len(), 2);
    assert!(fates[0].0 == good && fates[0].1.is_allowed());
    assert_eq!(
        fates[1],
        (other_audience, Fate::Denied("audience_not_allowed"))
    );
    assert!(!bed.engine.waiting.contains_key(&good));
}

#[test]
fn a_request_waits_no_longer_than_its_bound() {
    let mut bed = Bed::new(config(&remote()));
    let fetch = bed.fetch().unwrap();
    let id = bed.get(&good(1)).waits();
    bed.advance(4999);
    assert_eq!(bed.fates(), []);
    bed.advance(1);
    assert_eq!(bed.fate_of(id), Fate::Denied("jwks_unavailable"));
    // The answer comes too late for the request, and it is not lost for the next one.
    let body = jwks(&[1]).to_string();
    bed.engine
        .handle_answer(fetch, FetchAnswer::response(200, body.as_bytes()), bed.now);
    assert!(bed.get(&good(1)).is_allowed());
}

#[test]
fn a_fetch_without_answer_is_given_up() {
    let mut bed = Bed::new(config(&remote()));
    let lost = bed.fetch().unwrap();
    bed.advance(6000);
    assert!(bed.events()[0].contains("no response"));
    bed.advance(1000);
    let next = bed.fetch().unwrap();
    assert_ne!(lost, next);
    // The answer of the one that was given up changes nothing.
    bed.engine
        .handle_answer(lost, FetchAnswer::response(500, &b""[..]), bed.now);
    assert_eq!(bed.events(), Vec::<String>::new());
}

#[test]
fn pauses_between_failures_grow_and_requests_wait_while_the_next_try_is_near() {
    let mut bed = Bed::new(config(&remote()));
    let id = bed.get(&good(1)).waits();
    let mut pauses = vec![];
    for _ in 0..9 {
        bed.serve(DOWN);
        let pause = bed.engine.sources[0].next_event().since(bed.now).0;
        pauses.push(pause);
        bed.advance(pause);
    }
    for (pause, full) in pauses.iter().zip([1, 2, 4, 8, 16, 32, 60, 60, 60]) {
        assert!((full * 900..=full * 1000).contains(pause), "{pauses:?}");
    }
    assert_eq!(bed.fate_of(id), Fate::Denied("jwks_unavailable"));
    // Nothing is due soon: the request does not wait in vain.
    bed.serve(DOWN);
    assert_eq!(bed.get(&good(1)), Fate::Denied("jwks_unavailable"));
    // The source comes back.
    bed.advance(60_000);
    bed.serve_keys(&[1]);
    assert!(bed.get(&good(1)).is_allowed());
    assert_eq!(bed.engine.sources[0].failures, 0);
}

#[test]
fn a_request_survives_a_failure_when_the_retry_comes_in_time() {
    let mut bed = Bed::new(config(&remote()));
    let id = bed.get(&good(1)).waits();
    bed.serve(DOWN);
    assert_eq!(bed.fates(), []);
    bed.advance(1000);
    bed.serve_keys(&[1]);
    assert!(bed.fate_of(id).is_allowed());
}

#[test]
fn every_bad_answer_is_named_and_lets_nobody_in() {
    let private = r#"{"keys":[{"kty":"oct","k":"AAAA","kid":"1","alg":"HS256"}]}"#;
    let cases: [(FetchAnswer<'_>, &str, &str); 8] = [
        (FetchAnswer::NotSent, "did not send", "jwks_unavailable"),
        (FetchAnswer::NoResponse, "no response", "jwks_unavailable"),
        (
            FetchAnswer::response(500, &b""[..]),
            "status 500",
            "jwks_unavailable",
        ),
        (
            FetchAnswer::response(302, &b""[..]),
            "status 302",
            "jwks_unavailable",
        ),
        (FetchAnswer::response(200, &b""[..]), "", "jwks_unavailable"),
        (
            FetchAnswer::response(200, &b"<html>"[..]),
            "",
            "jwks_unavailable",
        ),
        (
            FetchAnswer::response(200, &br#"{"keys":[]}"#[..]),
            "no key",
            "jwks_unusable",
        ),
        (
            FetchAnswer::response(200, private.as_bytes()),
            "no key",
            "jwks_unusable",
        ),
    ];
    for (answer, log, reason) in cases {
        let mut bed = Bed::new(config(&remote()));
        let id = bed.get(&good(1)).waits();
        bed.serve(answer.clone());
        let events = bed.events();
        assert!(
            events[0].starts_with("no keys from https://idp.example.com/jwks: "),
            "{events:?}"
        );
        assert!(events[0].contains(log), "{events:?}");
        bed.advance(5000);
        assert_eq!(bed.fate_of(id), Fate::Denied(reason), "{answer:?}");
        // With keys from before, the same answer costs nothing.
        let mut bed = warm();
        bed.advance(280_000);
        bed.serve(answer.clone());
        assert!(bed.get(&good(1)).is_allowed(), "{answer:?}");
    }
}

#[test]
fn keys_are_refreshed_before_they_are_old() {
    let mut bed = warm();
    let due = bed.engine.poll_timeout().unwrap().since(bed.now).0;
    assert!((240_000..=270_000).contains(&due), "{due}");
    bed.advance(due);
    bed.serve_keys(&[2]);
    assert!(bed.get(&good(2)).is_allowed());
    assert_eq!(
        bed.get(&good(1)),
        Fate::Denied("key_not_found"),
        "a withdrawn key is gone"
    );
}

#[test]
fn stale_keys_stay_in_use_for_a_bounded_time_and_it_is_told_once() {
    let mut bed = warm();
    bed.events();
    let far = claims(&json!({ "exp": START + 100_000 }));
    let token = token(1, &far);
    let mut stale = 0;
    while bed.now < Timestamp::from_seconds(START + 300 + 3600) {
        assert!(bed.get(&token).is_allowed());
        bed.advance(10_000);
        if let Some(id) = bed.fetch() {
            bed.engine.handle_answer(id, DOWN, bed.now);
        }
        stale += bed
            .events()
            .iter()
            .filter(|event| event.contains("stay in use"))
            .count();
    }
    assert_eq!(stale, 1);
    bed.advance(10_000);
    if let Some(id) = bed.fetch() {
        bed.engine.handle_answer(id, DOWN, bed.now);
    }
    assert_eq!(bed.get(&token), Fate::Denied("jwks_unavailable"));
}

#[test]
fn an_unknown_kid_causes_one_fetch_and_the_request_that_brought_it_succeeds() {
    let mut bed = warm();
    bed.advance(1_000);
    let id = bed.get(&good(2)).waits();
    let other = bed.get(&good(2)).waits();
    bed.serve_keys(&[1, 2]);
    let fates = bed.fates();
    assert_eq!(fates.len(), 2);
    assert!(fates.iter().all(|(_, fate)| fate.is_allowed()));
    assert_eq!((fates[0].0, fates[1].0), (id, other));
}

#[test]
fn a_key_that_is_newer_than_the_fetch_under_way_is_asked_for_behind_it() {
    let mut bed = warm();
    let due = bed.engine.poll_timeout().unwrap().since(bed.now).0;
    bed.advance(due);
    let refresh = bed.fetch().expect("the keys are due");
    let rotated = bed.get(&good(2)).waits();
    let made_up = bed.get(&good(3)).waits();
    let body = jwks(&[1]).to_string();
    let before = FetchAnswer::response(200, body.as_bytes());
    bed.engine.handle_answer(refresh, before, bed.now);
    assert_eq!(bed.fates(), [], "the key may have been published since");
    bed.serve_keys(&[1, 2]);
    let fates = bed.fates();
    assert!(fates[0].0 == rotated && fates[0].1.is_allowed());
    assert_eq!(fates[1], (made_up, Fate::Denied("key_not_found")));
    assert_eq!(bed.fetch(), None, "once is enough");
}

#[test]
fn made_up_kids_cost_one_fetch_for_each_pause_and_keep_nobody_out() {
    let mut bed = warm();
    bed.advance(1_000);
    let mut fetches = 0;
    for number in 0..100 {
        let made_up = sign(
            9,
            &json!({ "alg": "EdDSA", "kid": number.to_string() + "x" }),
            &claims(&json!({})),
        );
        match bed.get(&made_up) {
            Fate::Waits(_) => {
                fetches += 1;
                bed.serve_keys(&[1]);
                assert_eq!(bed.fates()[0].1, Fate::Denied("key_not_found"));
            }
            fate => assert_eq!(fate, Fate::Denied("key_not_found")),
        }
        assert!(bed.get(&good(1)).is_allowed());
    }
    assert_eq!(fetches, 1);
    // While the source fails its pauses hold, whatever kids come.
    bed.advance(1_000);
    let id = bed.get(&good(2)).waits();
    bed.serve(DOWN);
    assert_eq!(bed.fate_of(id), Fate::Denied("key_not_found"));
    assert_eq!(bed.get(&good(2)), Fate::Denied("key_not_found"));
    assert_eq!(bed.fetch(), None);
}

#[test]
fn a_forged_signature_under_a_known_kid_causes_no_fetch() {
    let mut bed = warm();
    bed.advance(1_000);
    let forged = sign(
        2,
        &json!({ "alg": "EdDSA", "kid": "1" }),
        &claims(&json!({})),
    );
    assert_eq!(bed.get(&forged), Fate::Denied("signature_invalid"));
    assert_eq!(bed.fetch(), None);
}

#[test]
fn requests_that_wait_are_bounded_in_number_and_size() {
    let mut bed = Bed::new(config(&remote()));
    for _ in 0..MAX_WAITING {
        bed.get(&good(1)).waits();
    }
    assert_eq!(bed.get(&good(1)), Fate::Denied("waiting_limit"));
    assert_eq!(bed.get("a.b"), Fate::Denied("token_malformed"));
    bed.serve_keys(&[1]);
    assert!(bed.fates().iter().all(|(_, fate)| fate.is_allowed()));
    assert_eq!(bed.engine.waiting.bytes(), 0);

    let mut bed = Bed::new(config(&remote()));
    let large = token(1, &claims(&json!({ "pad": "x".repeat(45_000) })));
    let room = MAX_WAITING_BYTES / large.len();
    for _ in 0..room {
        bed.get(&large).waits();
    }
    assert_eq!(bed.get(&large), Fate::Denied("waiting_limit"));
}

#[test]
fn a_request_that_is_gone_is_forgotten() {
    let mut bed = Bed::new(config(&remote()));
    let gone = bed.get(&good(1)).waits();
    let stays = bed.get(&good(1)).waits();
    bed.engine.handle_cancelled(gone);
    bed.engine.handle_cancelled(RequestId(999));
    bed.serve_keys(&[1]);
    assert!(bed.fate_of(stays).is_allowed());
    assert_eq!(bed.engine.waiting.bytes(), 0);
}

#[test]
fn providers_with_one_url_share_its_keys() {
    let mut policy = config(&remote());
    let mut second = provider(&remote());
    second["issuer"] = json!("https://second.example.com");
    policy["providers"].as_array_mut().unwrap().push(second);
    policy["apps"][0]["auth"]["jwt"]["requirement"] = any_of(&[0, 1]);
    let mut bed = Bed::new(policy);
    bed.serve_keys(&[1]);
    let second = token(1, &claims(&json!({ "iss": "https://second.example.com" })));
    assert!(bed.get(&second).is_allowed());
    assert!(bed.get(&good(1)).is_allowed());
}

#[test]
fn a_request_waits_for_each_source_that_may_have_its_key() {
    let mut policy = config(&remote());
    let mut second = provider(&remote());
    second["keys"]["remote"][0]["url"]["url"] = json!("https://idp.example.com/other?api_key=1234");
    second["keys"]["remote"][0]["url"]["path"] = json!("/other?api_key=1234");
    policy["providers"].as_array_mut().unwrap().push(second);
    policy["apps"][0]["auth"]["jwt"]["requirement"] = any_of(&[0, 1]);
    let mut bed = Bed::new(policy);
    let serve = |bed: &mut Bed, id, keys: &[u8]| {
        let body = jwks(keys).to_string();
        let answer = FetchAnswer::response(200, body.as_bytes());
        bed.engine.handle_answer(id, answer, bed.now);
    };
    let (first, second) = (bed.fetch().unwrap(), bed.fetch().unwrap());
    serve(&mut bed, first, &[1]);
    serve(&mut bed, second, &[2]);
    let events = bed.events();
    assert_eq!(
        events[1], "fetched 1 usable keys from https://idp.example.com/other",
        "a query is not logged"
    );
    bed.advance(1_000);
    let rotated = bed.get(&good(3)).waits();
    let unknown = bed.get(&good(4)).waits();
    let (first, second) = (bed.fetch().unwrap(), bed.fetch().unwrap());
    serve(&mut bed, first, &[1]);
    assert_eq!(bed.fates(), [], "the other source may have the key");
    serve(&mut bed, second, &[2, 3]);
    let fates = bed.fates();
    assert!(fates[0].0 == rotated && fates[0].1.is_allowed());
    assert_eq!(fates[1], (unknown, Fate::Denied("key_not_found")));

    // A source that hangs does not keep out who needs the other.
    bed.advance(1_000);
    let id = bed.get(&good(5)).waits();
    let (_hangs, second) = (bed.fetch().unwrap(), bed.fetch().unwrap());
    serve(&mut bed, second, &[5]);
    assert!(bed.fate_of(id).is_allowed());
}

#[test]
fn a_clock_that_is_set_back_makes_keys_due_at_once() {
    let mut bed = warm();
    bed.now = Timestamp::from_seconds(START - 1_000_000);
    bed.engine.handle_timeout(bed.now);
    bed.serve_keys(&[2]);
    assert!(bed.get(&good(2)).is_allowed());
    let due = bed.engine.poll_timeout().unwrap().since(bed.now).0;
    assert!((240_000..=270_000).contains(&due), "{due}");
}

#[test]
fn keys_that_may_not_be_used_beyond_their_freshness_are_not_told_to_be() {
    let mut policy = config(&remote());
    policy["providers"][0]["keys"]["remote"][0]["url"]["max_stale_secs"] = json!(0);
    let mut bed = Bed::new(policy);
    bed.serve_keys(&[1]);
    bed.advance(300_001);
    bed.serve(DOWN);
    let told = bed.events();
    assert!(
        told.iter().all(|line| !line.contains("stay in use")),
        "{told:?}"
    );
    bed.get(&lasting(1)).waits();
}

#[test]
fn a_clock_that_is_set_back_during_a_fetch_lets_keys_hold_no_longer_than_from_then_on() {
    let mut policy = config(&remote());
    let url = &mut policy["providers"][0]["keys"]["remote"][0]["url"];
    url["cache_ttl_secs"] = json!(2);
    url["max_stale_secs"] = json!(0);
    let mut bed = Bed::new(policy);
    bed.serve_keys(&[1]);
    bed.advance(1_900);
    let _lost = bed.fetch().unwrap();
    bed.now = Timestamp::from_seconds(START - 1_000);
    bed.advance(0);
    assert!(bed.get(&good(1)).is_allowed());
    bed.advance(2_001);
    bed.get(&good(1)).waits();
}

#[test]
fn calls_at_any_time_are_harmless() {
    let mut bed = Bed::new(config(&remote()));
    bed.engine.handle_answer(FetchId(42), DOWN, bed.now);
    bed.engine.handle_timeout(bed.now);
    bed.engine.handle_timeout(Timestamp::from_millis(0));
    bed.engine.handle_timeout(Timestamp::from_millis(u64::MAX));
    assert_eq!(bed.engine.poll_decision(bed.now), None);
    assert_eq!(bed.engine.poll_event(), None);
    bed.serve_keys(&[1]);
    assert!(bed.get(&good(1)).is_allowed());
    // A clock that jumps back keeps the keys.
    bed.now = Timestamp::from_seconds(START - 500);
    let long = token(1, &claims(&json!({ "exp": START + 100_000 })));
    assert!(bed.get(&long).is_allowed());
}

#[test]
fn the_time_to_live_comes_from_the_policy_then_the_environment_then_the_default() {
    let ttl = |own: Option<u64>, variable: Option<&str>| {
        let mut policy = config(&remote());
        policy["providers"][0]["keys"]["remote"][0]["url"]["cache_ttl_secs"] = json!(own);
        let config = Config::parse(policy.to_string().as_bytes()).unwrap();
        let environment = |name: &str| {
            assert_eq!(name, config::CACHE_TTL_VARIABLE);
            variable.map(|value| value.as_bytes().to_vec())
        };
        Engine::new(config, &environment, 1, Timestamp::from_seconds(START))
            .map(|engine| engine.sources[0].time_to_live().0 / 1000)
            .map_err(|error| error.to_string())
    };
    assert_eq!(ttl(Some(60), Some("120")), Ok(60));
    assert_eq!(ttl(None, Some("120")), Ok(120));
    assert_eq!(ttl(None, None), Ok(300));
    for bad in ["", "0", "-1", "86401", "5m", "1.5"] {
        assert_eq!(
            ttl(None, Some(bad)).unwrap_err(),
            "the environment variable `GATEWAY_JWKS__CACHE_TTL_SECS` is not a whole number of seconds from 1 to 86400",
            "{bad}"
        );
    }
}
