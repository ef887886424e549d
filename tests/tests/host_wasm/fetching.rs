//! When keys are fetched, and what becomes of requests meanwhile.

use std::time::Duration;

use nexus_host::Answer;
use nexus_tests::cases::{Setting, wasm::Bed};
use serde_json::json;

use crate::{
    CLUSTER, FULL, ISSUER, NOT_FOUND, PATH, SIGNATURE, UNAVAILABLE, bed, bed_with_keys, fate, jwks,
    key, next_key, request, send, setting, setting_with_ttl, token_by,
};

const MOMENT: Duration = Duration::from_millis(10);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets time pass until the next fetch; how long that took. Panics when none comes in an hour.
fn time_to_next_fetch(bed: &Bed) -> Duration {
    let (before, calls) = (bed.proxy.now(), bed.callouts.call_count());
    let came = bed
        .proxy
        .advance_until(seconds(3600), || bed.callouts.call_count() > calls);
    assert!(came, "no fetch in an hour");
    bed.proxy.now() - before
}

#[test]
fn keys_are_fetched_at_the_start_and_not_by_a_request() {
    let bed = bed_with_keys(&[&key()]);
    let vm = bed.start(&setting());
    assert_eq!(
        bed.callouts.call_count(),
        0,
        "while a proxy configures its filters its clusters may not be there"
    );
    bed.proxy.advance(MOMENT);
    let calls = bed.callouts.calls();
    let [call] = &calls[..] else {
        panic!("one fetch, not {calls:?}");
    };
    assert_eq!(call.cluster, CLUSTER);
    assert_eq!(
        call.headers.to_strings(),
        [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "idp.example.com"),
            (":path", PATH),
            ("accept", "application/jwk-set+json, application/json"),
            ("user-agent", concat!("nexus/", env!("CARGO_PKG_VERSION"))),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(call.timeout, Some(seconds(5)));
    assert!(call.body.is_empty());
    assert_eq!(fate(&send(&vm, &token_by(&key()))), "allow", "at once");
    assert_eq!(bed.callouts.call_count(), 1);
}

#[test]
fn requests_that_come_first_wait_for_one_fetch_and_are_then_decided() {
    let bed = bed(Answer::held());
    let vm = bed.start(&setting());
    let good = [0, 1, 2].map(|_| send(&vm, &token_by(&key())));
    let bad = send(&vm, &token_by(&next_key().with_kid("key-1")));
    bed.proxy.advance(seconds(1));
    for stream in good.iter().chain([&bad]) {
        assert_eq!(fate(stream), "wait");
    }
    assert_eq!(bed.callouts.call_count(), 1, "all wait for the same fetch");
    assert!(bed.callouts.reply(0, Answer::json(jwks(&[&key()]))));
    bed.proxy.run_until_idle();
    for stream in &good {
        assert_eq!(fate(stream), "allow");
    }
    assert_eq!(fate(&bad), SIGNATURE);
    assert_eq!(vm.failure(), None);
}

#[test]
fn a_request_waits_no_longer_than_a_fetch_may_take() {
    let bed = bed(Answer::held());
    let vm = bed.start_with_keys(&setting());
    let stream = send(&vm, &token_by(&key()));
    bed.proxy.advance(Duration::from_millis(4_900));
    assert_eq!(fate(&stream), "wait");
    bed.proxy.advance(Duration::from_millis(200));
    assert_eq!(fate(&stream), UNAVAILABLE);
}

#[test]
fn so_many_requests_wait_and_no_more() {
    let bed = bed(Answer::held());
    let vm = bed.start_with_keys(&setting());
    let token = token_by(&key());
    let waiting: Vec<_> = (0..1024).map(|_| send(&vm, &token)).collect();
    assert!(waiting.iter().all(|stream| fate(stream) == "wait"));
    assert_eq!(fate(&send(&vm, &token)), FULL);
    // One that leaves makes room for another.
    let mut waiting = waiting;
    drop(waiting.pop());
    let late = send(&vm, &token);
    assert_eq!(fate(&late), "wait");
    assert!(bed.callouts.reply(0, Answer::json(jwks(&[&key()]))));
    // A few at a time.
    bed.proxy.advance(Duration::from_secs(1));
    assert!(
        waiting
            .iter()
            .chain([&late])
            .all(|stream| fate(stream) == "allow")
    );
}

#[test]
fn so_many_bytes_of_tokens_wait_and_no_more() {
    let bed = bed(Answer::held());
    let vm = bed.start_with_keys(&setting());
    let large = nexus_tests::tokens::Token::empty()
        .claim("iss", crate::ISSUER)
        .claim("exp", nexus_tests::cases::NOW + 1_000)
        .claim("padding", "a".repeat(40_000))
        .sign(&key(), nexus_tests::keys::Algorithm::EdDSA);
    let fit = 4 * 1024 * 1024 / large.len();
    let waiting: Vec<_> = (0..fit).map(|_| send(&vm, &large)).collect();
    assert!(waiting.iter().all(|stream| fate(stream) == "wait"));
    assert_eq!(fate(&send(&vm, &large)), FULL);
    let small = send(&vm, &token_by(&key()));
    assert_eq!(fate(&small), "wait", "there is room for a small one");
}

#[test]
fn nothing_waits_that_is_refused_without_a_key() {
    let bed = bed(Answer::held());
    let vm = bed.start_with_keys(&setting());
    let expired = nexus_tests::tokens::Token::empty()
        .claim("iss", crate::ISSUER)
        .claim("exp", nexus_tests::cases::NOW - 3600)
        .sign(&key(), nexus_tests::keys::Algorithm::EdDSA);
    for (token, code) in [
        (expired.as_str(), "token_expired"),
        ("a.b", "token_malformed"),
    ] {
        let stream = send(&vm, token);
        assert_eq!(fate(&stream), format!("401 nexus_denied{{{code}}}"));
    }
}

#[test]
fn fetches_that_fail_are_tried_again_after_pauses_that_grow() {
    for (answer, note) in [
        (Answer::status(500), "an error"),
        (Answer::reset(), "no response"),
        (Answer::refused(), "not sent"),
        (Answer::json("{}"), "no key set"),
        (Answer::json(r#"{"keys": []}"#), "no key"),
    ] {
        let bed = bed(answer);
        let vm = bed.start_with_keys(&setting());
        assert_eq!(bed.callouts.call_count(), 1, "{note}");
        for longest in [1, 2, 4, 8, 16, 32, 60, 60, 60_u64] {
            let pause = time_to_next_fetch(&bed);
            let (least, most) = (seconds(longest) * 9 / 10, seconds(longest) + MOMENT);
            assert!(
                (least - MOMENT..=most).contains(&pause),
                "{note}: {pause:?} is not about {longest} s"
            );
        }
        // It comes back by itself.
        bed.callouts
            .answer(CLUSTER, PATH, Answer::json(jwks(&[&key()])));
        time_to_next_fetch(&bed);
        bed.proxy.run_until_idle();
        assert_eq!(fate(&send(&vm, &token_by(&key()))), "allow", "{note}");
        // And the pauses start anew.
        let refresh = time_to_next_fetch(&bed);
        assert!(
            (seconds(240)..seconds(271)).contains(&refresh),
            "{refresh:?}"
        );
    }
}

#[test]
fn a_cluster_that_does_not_exist_is_a_fetch_that_fails() {
    let bed = Bed::new();
    let vm = bed.start_with_keys(&setting());
    let stream = send(&vm, &token_by(&key()));
    assert_eq!(fate(&stream), "wait", "the next try comes in time");
    bed.proxy.advance(seconds(6));
    assert_eq!(fate(&stream), UNAVAILABLE);
    assert!(bed.proxy.log().contains("is the cluster configured?"));
    bed.callouts
        .answer(CLUSTER, PATH, Answer::json(jwks(&[&key()])));
    bed.proxy.advance(seconds(60));
    assert_eq!(fate(&send(&vm, &token_by(&key()))), "allow");
}

#[test]
fn a_request_does_not_wait_when_the_next_try_comes_too_late() {
    let bed = bed(Answer::status(500));
    let vm = bed.start_with_keys(&setting());
    bed.proxy.advance(seconds(20));
    let stream = send(&vm, &token_by(&key()));
    assert_eq!(
        fate(&stream),
        UNAVAILABLE,
        "the next try is more than 5 s away"
    );
}

#[test]
fn good_keys_stay_in_use_while_their_source_fails_for_a_bounded_time() {
    let bed = bed_with_keys(&[&key()]);
    let vm = bed.start_with_keys(&setting());
    bed.callouts.answer(CLUSTER, PATH, Answer::status(503));
    let token = token_by(&key());
    for minute in 1..=64 {
        bed.proxy.advance(seconds(60));
        assert_eq!(fate(&send(&vm, &token)), "allow", "minute {minute}");
    }
    // 300 s fresh and 3600 s stale: 65 minutes in all.
    bed.proxy.advance(seconds(61));
    let stream = send(&vm, &token);
    bed.proxy.advance(seconds(6));
    assert_eq!(fate(&stream), UNAVAILABLE);
    let log = bed.proxy.log().entries();
    let told = log.iter().filter(|entry| {
        entry
            .message
            .contains("stay in use while fetching them fails")
    });
    assert_eq!(told.count(), 1, "an outage is told once");
}

#[test]
fn a_key_that_was_just_published_is_found() {
    let bed = bed_with_keys(&[&key()]);
    let vm = bed.start_with_keys(&setting());
    bed.callouts.answer(
        CLUSTER,
        PATH,
        Answer::json(jwks(&[&key(), &next_key()])).after(seconds(1)),
    );
    bed.proxy.advance(seconds(10));
    let streams = [0, 1].map(|_| send(&vm, &token_by(&next_key())));
    assert_eq!(
        fate(&streams[0]),
        "wait",
        "keys are fetched because of its kid"
    );
    assert_eq!(
        fate(&send(&vm, &token_by(&key()))),
        "allow",
        "others do not wait"
    );
    bed.proxy.advance(seconds(2));
    for stream in &streams {
        assert_eq!(fate(stream), "allow");
    }
    assert_eq!(bed.callouts.call_count(), 2);
}

#[test]
fn a_key_that_was_withdrawn_is_refused_after_the_refresh() {
    let bed = bed_with_keys(&[&key(), &next_key()]);
    let vm = bed.start_with_keys(&setting());
    let token = token_by(&key());
    assert_eq!(fate(&send(&vm, &token)), "allow");
    bed.callouts
        .answer(CLUSTER, PATH, Answer::json(jwks(&[&next_key()])));
    bed.proxy.advance(seconds(271));
    assert_eq!(fate(&send(&vm, &token_by(&next_key()))), "allow");
    let stream = send(&vm, &token);
    bed.proxy.advance(seconds(6));
    assert_eq!(fate(&stream), NOT_FOUND);
}

#[test]
fn made_up_kids_do_not_make_the_filter_hammer_the_source() {
    let bed = bed_with_keys(&[&key()]);
    let vm = bed.start_with_keys(&setting());
    for second in 0..60 {
        for number in 0..10 {
            let kid = format!("made-up-{second}-{number}");
            let stream = send(&vm, &token_by(&key().with_kid(&kid)));
            // Only what asks for a fetch waits, until it has come.
            let _ = stream.wait(seconds(1));
            assert_eq!(fate(&stream), NOT_FOUND, "{kid}");
        }
        bed.proxy.advance(seconds(1));
    }
    let fetches = bed.callouts.call_count();
    assert!(
        (2..=13).contains(&fetches),
        "{fetches} fetches in a minute: at most one in 5 s besides the first"
    );
}

#[test]
fn clients_that_leave_while_they_wait_are_forgotten() {
    let bed = bed(Answer::held());
    let vm = bed.start_with_keys(&setting());
    let streams = [0, 1, 2].map(|_| send(&vm, &token_by(&key())));
    let [first, second, third] = streams;
    first.cancel();
    drop(second);
    assert!(bed.callouts.reply(0, Answer::json(jwks(&[&key()]))));
    bed.proxy.run_until_idle();
    assert_eq!(fate(&third), "allow");
    assert_eq!(vm.failure(), None);
    assert_eq!(vm.open_streams(), 1);
    bed.proxy.advance(Duration::from_secs(1));
    assert_eq!(bed.proxy.metrics().counter("nexus.allowed"), Some(1));
}

#[test]
fn the_body_of_a_request_that_waits_is_held_with_it() {
    let bed = bed(Answer::held());
    let vm = bed.start_with_keys(&setting());
    let stream = vm.request(request(&token_by(&key())).body("one, ").body("two"));
    assert_eq!(fate(&stream), "wait");
    assert!(bed.callouts.reply(0, Answer::json(jwks(&[&key()]))));
    bed.proxy.run_until_idle();
    let nexus_host::Outcome::Forwarded(forwarded) = stream.outcome() else {
        panic!("it has to pass: {stream:?}");
    };
    assert_eq!(forwarded.body, b"one, two");
    assert_eq!(
        forwarded.headers.all("x-user-id").collect::<Vec<_>>(),
        [b"alice".as_slice()]
    );
}

#[test]
fn an_answer_that_comes_too_late_counts_as_none() {
    let bed = bed(Answer::json(jwks(&[&key()])).after(seconds(30)));
    let vm = bed.start_with_keys(&setting());
    let stream = send(&vm, &token_by(&key()));
    bed.proxy.advance(seconds(6));
    assert_eq!(fate(&stream), UNAVAILABLE);
    assert_eq!(vm.failure(), None);
}

#[test]
fn one_vm_fetches_for_all() {
    let bed = bed(Answer::held());
    let setting = setting();
    let vms = [0; 8].map(|_| bed.start_with_keys(&setting));
    let streams = vms.each_ref().map(|vm| send(vm, &token_by(&key())));
    bed.proxy.advance(seconds(1));
    assert!(streams.iter().all(|stream| fate(stream) == "wait"));
    assert_eq!(bed.callouts.call_count(), 1);
    assert!(bed.callouts.reply(0, Answer::json(jwks(&[&key()]))));
    bed.proxy.run_until_idle();
    assert!(streams.iter().all(|stream| fate(stream) == "allow"));
    // Keys that change later are asked for by one of them as well.
    bed.callouts
        .answer(CLUSTER, PATH, Answer::json(jwks(&[&next_key()])));
    time_to_next_fetch(&bed);
    bed.proxy.run_until_idle();
    for vm in &vms {
        assert_eq!(fate(&send(vm, &token_by(&next_key()))), "allow");
    }
    assert_eq!(bed.callouts.call_count(), 2);
    assert_eq!(
        bed.proxy.metrics().counter("nexus.jwks_fetch.success"),
        Some(2),
        "counters are the process's"
    );
}

#[test]
fn a_vm_that_goes_while_it_fetches_is_replaced() {
    let bed = bed(Answer::held());
    let setting = setting();
    let vms = [0; 3].map(|_| bed.start_with_keys(&setting));
    assert_eq!(bed.callouts.call_count(), 1);
    bed.callouts
        .answer(CLUSTER, PATH, Answer::json(jwks(&[&key()])));
    vms[0].reload().expect("the configuration is as it was");
    let early = send(&vms[1], &token_by(&key()));
    bed.proxy.advance(Duration::from_millis(5_500));
    assert_eq!(fate(&early), UNAVAILABLE, "it waits as long as it may");
    let late = send(&vms[2], &token_by(&key()));
    bed.proxy.advance(seconds(1));
    assert_eq!(fate(&late), "allow", "the lease is over");
    assert_eq!(bed.callouts.call_count(), 2);
    // A VM that is loaded anew finds what the others have.
    vms[1].reload().expect("the configuration is as it was");
    bed.proxy.advance(MOMENT);
    for vm in &vms {
        assert_eq!(fate(&send(vm, &token_by(&key()))), "allow");
    }
    assert_eq!(bed.callouts.call_count(), 2);
}

#[test]
fn a_configuration_update_keeps_the_keys_and_drops_those_no_longer_named() {
    let bed = bed_with_keys(&[&key()]);
    let old = bed.start_with_keys(&setting());
    assert_eq!(fate(&send(&old, &token_by(&key()))), "allow");
    let updated = bed.start_with_keys(&setting_with_ttl(60));
    old.shut_down();
    assert_eq!(fate(&send(&updated, &token_by(&key()))), "allow");
    assert_eq!(bed.callouts.call_count(), 1, "the source did not change");
}

#[test]
fn refreshes_of_many_vms_are_one() {
    let bed = bed_with_keys(&[&key()]);
    let setting = setting();
    let vms = [0; 8].map(|_| bed.start_with_keys(&setting));
    bed.proxy.advance(seconds(3600));
    let calls = bed.callouts.call_count();
    // One every 240 to 270 s.
    assert!((14..=16).contains(&calls), "{calls} in an hour");
    for vm in &vms {
        assert_eq!(vm.failure(), None);
    }
}

#[test]
fn a_source_that_did_not_change_is_not_sent_again() {
    let first = Answer::json(jwks(&[&key()])).header("etag", "\"one\"");
    let bed = bed(first);
    let vm = bed.start_with_keys(&setting());
    bed.callouts.answer(CLUSTER, PATH, Answer::status(304));
    time_to_next_fetch(&bed);
    bed.proxy.run_until_idle();
    let calls = bed.callouts.calls();
    let asked = calls[1].headers.to_strings();
    assert!(asked.contains(&("if-none-match".into(), "\"one\"".into())));
    assert_eq!(fate(&send(&vm, &token_by(&key()))), "allow");
    let pause = time_to_next_fetch(&bed);
    assert!((seconds(240)..=seconds(270)).contains(&pause), "{pause:?}");
    bed.proxy.run_until_idle();
    let metrics = bed.proxy.metrics();
    assert_eq!(metrics.counter("nexus.jwks_fetch.unchanged"), Some(2));
}

/// A thousand requests that waited do not hold up a worker for as long as deciding all of them takes.
#[test]
fn requests_that_waited_are_decided_a_few_at_a_time() {
    let bed = bed(Answer::held());
    let vm = bed.start_with_keys(&setting());
    let streams: Vec<_> = (0..200).map(|_| send(&vm, &token_by(&key()))).collect();
    assert!(bed.callouts.reply(0, Answer::json(jwks(&[&key()]))));
    bed.proxy.run_until_idle();
    bed.proxy.advance(seconds(1));
    assert!(streams.iter().all(|stream| fate(stream) == "allow"));
}

#[test]
fn a_worker_that_is_idle_looks_at_the_clock_once_a_minute() {
    let bed = bed_with_keys(&[&key()]);
    let vm = bed.start_with_keys(&setting());
    // The tick that would have given up the fetch comes yet.
    bed.proxy.advance(seconds(10));
    assert_eq!(vm.tick_period(), Some(seconds(60)));
    bed.proxy.advance(seconds(300));
    assert!(vm.tick_period() <= Some(seconds(60)));
    let keys = json!({ "keys": [key().public_jwk()] });
    let policy = json!({
        "slug": "app", "gateway_path": "/app",
        "default_policy": {"auth": {
            "auth_type": "jwt", "issuer": ISSUER, "audience": "client", "jwks": keys,
        }},
    });
    let vm = bed.start_with_keys(&Setting::new("fixed", &policy.to_string()));
    assert_eq!(vm.tick_period(), None, "it never has anything to do");
}

/// Sets the wall clock forward; ticks come as they would have.
fn set_forward(bed: &Bed, by: Duration) {
    bed.clock.set(bed.proxy.now() + by);
}

#[test]
fn a_clock_that_is_set_forward_is_noticed_by_the_next_request_and_without_one_in_a_minute() {
    for (has_request, time) in [(true, MOMENT), (false, seconds(60))] {
        let bed = bed_with_keys(&[&key()]);
        let vm = bed.start_with_keys(&setting());
        bed.proxy.advance(seconds(1));
        bed.callouts
            .answer(CLUSTER, PATH, Answer::json(jwks(&[&next_key()])));
        set_forward(&bed, seconds(1_000));
        if has_request {
            let stream = send(&vm, &token_by(&key()));
            assert_eq!(fate(&stream), "allow", "what is stale may be used");
        }
        bed.proxy.advance(time);
        assert_eq!(bed.callouts.call_count(), 2, "a request: {has_request}");
        assert_eq!(fate(&send(&vm, &token_by(&next_key()))), "allow");
    }
}

#[test]
fn who_comes_behind_a_clock_that_was_set_forward_waits_no_longer_than_others() {
    let bed = bed_with_keys(&[&key()]);
    let vm = bed.start_with_keys(&setting());
    // Beyond what may be used while the source fails.
    set_forward(&bed, seconds(100_000));
    let stream = send(&vm, &token_by(&key()));
    assert_eq!(fate(&stream), "wait");
    bed.proxy.advance(MOMENT);
    assert_eq!(fate(&stream), "allow");
    // And whoever waits while it is set has its decision in time.
    set_forward(&bed, seconds(100_000));
    bed.callouts.answer(CLUSTER, PATH, Answer::held());
    let stream = send(&vm, &token_by(&key()));
    bed.proxy.advance(seconds(1));
    set_forward(&bed, seconds(100_000));
    bed.proxy.advance(seconds(5));
    assert_eq!(fate(&stream), UNAVAILABLE);
    assert_eq!(vm.failure(), None);
}

#[test]
fn what_no_configuration_names_any_more_is_emptied_in_the_shared_data() {
    const OTHER: &str = "https://new.example.com/jwks";
    let bed = bed_with_keys(&[&key()]);
    let other = json!({
        "slug": "app", "gateway_path": "/app",
        "default_policy": {"auth": {
            "auth_type": "jwt", "issuer": ISSUER, "audience": "client", "jwks_url": OTHER,
        }},
    });
    let other = Setting::new("other", &other.to_string()).key_set(OTHER, &jwks(&[&key()]));
    bed.callouts
        .answer("new.example.com", PATH, Answer::json(jwks(&[&key()])));
    let old = [0, 1].map(|_| bed.start_with_keys(&setting()));
    let new = [0, 1].map(|_| bed.start_with_keys(&other));
    let contents = || {
        let data = bed.proxy.shared_data();
        let keys = data.keys("").into_iter();
        let contents = keys.filter(|key| key.starts_with(b"nexus.content."));
        let full = contents.filter(|key| data.value("", key).is_some_and(|it| !it.0.is_empty()));
        full.count()
    };
    assert_eq!(contents(), 2);
    for vm in &old {
        vm.shut_down();
    }
    bed.proxy.advance(seconds(3_500));
    assert_eq!(contents(), 2);
    bed.proxy.advance(seconds(2_500));
    assert_eq!(contents(), 1);
    for vm in &new {
        assert_eq!(fate(&send(vm, &token_by(&key()))), "allow");
    }
    // Whoever names it again fetches.
    let calls = bed.callouts.call_count();
    let again = bed.start_with_keys(&setting());
    assert_eq!(fate(&send(&again, &token_by(&key()))), "allow");
    assert_eq!(bed.callouts.call_count(), calls + 1);
    assert_eq!(contents(), 2);
}
