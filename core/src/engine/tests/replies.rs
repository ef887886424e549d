//! Which replies a refusal gets, and what the engine cannot send.

use super::*;
use crate::reply::Reply;

fn with_replies(policy: &Value, app: &Value) -> Engine {
    let mut config = config(&remote());
    config["replies"] = policy.clone();
    config["apps"][0]["replies"] = app.clone();
    config["providers"][0]["handling"]["token_sources"] = json!([{ "query": "t" }]);
    Bed::new(config).engine
}

/// The decision about a `GET` for a path and the reply to it.
fn reply_to<'e>(engine: &'e mut Engine, path: &[u8]) -> (Decision, Reply<'e>) {
    let headers = [
        (b":method".as_slice(), b"GET".as_slice()),
        (b":scheme", b"https"),
        (b":authority", b"example.com"),
        (b":path", path),
        (b"accept", b"text/html"),
    ];
    let request = Request::new(&headers);
    let now = Timestamp::from_seconds(START);
    let decision = engine
        .handle_request(RequestId(1), &request, now)
        .expect("it does not wait");
    let reply = engine.reply(&decision, &request);
    (decision, reply)
}

#[test]
fn the_replies_of_an_app_replace_those_of_the_policy_as_a_whole() {
    let policy = json!({ "format": "problem", "realm": "policy" });
    let mut engine = with_replies(&policy, &json!({ "realm": "app" }));
    let (_, of_app) = reply_to(&mut engine, b"/app");
    assert_eq!((of_app.status, &*of_app.body), (401, "Jwt is missing"));
    assert_eq!(of_app.headers[0].1, "Bearer realm=\"app\"");
    let (_, of_policy) = reply_to(&mut engine, b"/elsewhere");
    assert_eq!(of_policy.status, 404);
    assert!(of_policy.body.starts_with("{\"title\":\"Not Found\""));
    let mut engine = with_replies(&policy, &Value::Null);
    let (_, of_policy) = reply_to(&mut engine, b"/app");
    assert_eq!(of_policy.headers[0].1, "Bearer realm=\"policy\"");
}

#[test]
fn the_parameters_that_tokens_are_taken_from_are_not_carried_along() {
    let redirect = json!({ "redirect": {
        "location": [{ "text": "https://login.test/?" }, { "value": "return_to" }], "status": 302,
    } });
    let mut engine = with_replies(&redirect, &Value::Null);
    let (decision, reply) = reply_to(&mut engine, b"/app?access_token=x&a=b");
    assert!(matches!(decision.outcome, Outcome::Deny(_)));
    assert_eq!(reply.status, 302);
    assert_eq!(
        reply.headers[1].1,
        "https://login.test/?https%3A%2F%2Fexample.com%2Fapp%3Fa%3Db"
    );
    assert_eq!(engine.token_parameters, ["t"]);
}

/// A proxy that cannot carry out what was decided answers the request.
#[test]
fn a_request_that_may_pass_and_cannot_is_answered() {
    let mut config = config(&remote());
    config["apps"][0]["auth"] = json!("none");
    config["replies"] = json!({ "format": "problem" });
    let mut engine = Bed::new(config).engine;
    let (decision, reply) = reply_to(&mut engine, b"/app");
    assert!(matches!(decision.outcome, Outcome::Allow(_)));
    assert_eq!(reply.status, 500);
    assert_eq!(reply.details, "nexus_denied{internal}");
}

#[test]
fn replies_that_cannot_be_sent_give_no_engine() {
    let header = |name: &str, value: &str| {
        json!({ "by_status": [{
            "status": 401, "headers": [{ "name": name, "value": [{ "text": value }] }],
        }] })
    };
    let redirect = |location: Value, status: u16| json!({ "redirect": { "location": location, "status": status } });
    let not_sendable = "has a reply with a header that cannot be sent";
    let no_url = "has a redirect to something other than a URL with a fixed host";
    for (replies, problem) in [
        (header("x-a", "b\r\nset-cookie: c"), not_sendable),
        (header("X-A", "b"), not_sendable),
        (header("", "b"), not_sendable),
        (header(":status", "200"), not_sendable),
        (header("content-length", "1"), not_sendable),
        (header("transfer-encoding", "chunked"), not_sendable),
        (
            json!({ "by_status": [{
                "status": 401, "body": [{ "text": "x" }], "content_type": "text/html\n",
            }] }),
            not_sendable,
        ),
        (
            json!({ "by_status": [{ "status": 401, "body": [{ "text": "x" }] }] }),
            "has a reply with a body and no content type, or the other way round",
        ),
        (
            json!({ "realm": "a\nb" }),
            "has a challenge with a text that cannot be sent",
        ),
        (
            redirect(json!([{ "text": "https://a.test/" }]), 301),
            "has a redirect with a status other than 302, 303 and 307",
        ),
        (redirect(json!([]), 302), no_url),
        (redirect(json!([{ "value": "return_to" }]), 302), no_url),
        (redirect(json!([{ "text": "/login" }]), 302), no_url),
        (
            redirect(json!([{ "text": "javascript://x/" }]), 302),
            no_url,
        ),
        (
            redirect(json!([{ "text": "https://a.test/\n" }]), 302),
            no_url,
        ),
        (
            redirect(json!([{ "text": "https://a" }, { "value": "app" }]), 302),
            no_url,
        ),
    ] {
        for place in ["", "/apps/0"] {
            let mut config = config(&remote());
            config.pointer_mut(place).unwrap()["replies"] = replies.clone();
            let config = Config::parse(config.to_string().as_bytes()).unwrap();
            let error = Engine::new(config, &environment, 1, Timestamp::from_seconds(START))
                .expect_err("the configuration is refused");
            let name = if place.is_empty() { "replies" } else { "app" };
            assert_eq!(error.to_string(), std::format!("`{name}` {problem}"));
        }
    }
}
