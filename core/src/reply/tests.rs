//! What clients get, case by case.

use std::string::String;
use std::vec::Vec;

use super::*;
use crate::config::ReplyHeader;

const HTML: (&[u8], &[u8]) = (b"accept", b"text/html,*/*;q=0.8");

fn refusal(reason: Reason) -> Refusal<'static> {
    static TOKEN_PARAMETERS: std::sync::LazyLock<[String; 1]> =
        std::sync::LazyLock::new(|| ["t".into()]);
    Refusal {
        reason,
        app: "orders",
        challenges: ChallengeHeader::of(reason).into_iter().collect(),
        token_parameters: TOKEN_PARAMETERS.as_slice(),
    }
}

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

/// The reply to a `GET` with these headers besides.
fn get<'r>(replies: &'r Replies, reason: Reason, headers: &[(&[u8], &[u8])]) -> Reply<'r> {
    let mut all: Vec<(&[u8], &[u8])> = Vec::from([
        (b":method".as_slice(), b"GET".as_slice()),
        (b":scheme", b"https"),
        (b":authority", b"api.example.com"),
        (b":path", b"/a?b=c&t=secret&access_token=secret"),
    ]);
    all.extend(headers);
    reply(replies, &refusal(reason), &Request::new(&all))
}

/// Headers and body as lines.
fn text(reply: &Reply<'_>) -> String {
    let mut text = format!("{}\n", reply.status);
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push_str(&reply.body);
    text
}

fn with_format(format: ReplyFormat) -> Replies {
    Replies {
        format,
        ..Replies::default()
    }
}

fn with_redirect(location: &str) -> Replies {
    Replies {
        redirect: Some(Redirect {
            location: template(location),
            status: 302,
        }),
        ..Replies::default()
    }
}

#[test]
fn by_default_a_client_hears_what_envoy_says() {
    for reason in Reason::ALL {
        let row = reason.row();
        let reply = get(&NO_REPLIES, *reason, &[HTML]);
        assert_eq!(reply.status, row.status);
        assert_eq!(reply.body, row.body);
        assert_eq!(reply.details, format!("nexus_denied{{{}}}", row.code));
        let challenge: Vec<_> = row.challenge.value().into_iter().collect();
        let headers: Vec<_> = reply
            .headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let expected: Vec<_> = challenge
            .into_iter()
            .map(|value| ("www-authenticate", value))
            .collect();
        assert_eq!(headers, expected);
        let bare = Reply::without_policy(*reason);
        assert_eq!(bare, reply);
    }
}

#[test]
fn problem_details_hold_the_text_and_the_code() {
    let replies = with_format(ReplyFormat::Problem);
    assert_eq!(
        text(&get(&replies, Reason::KeyNotFound, &[])),
        "401\n\
         www-authenticate: Bearer error=\"invalid_token\"\n\
         content-type: application/problem+json\n\
         {\"title\":\"Unauthorized\",\"status\":401,\
         \"detail\":\"Jwks doesn't have key to match kid or alg from Jwt\",\"reason\":\"key_not_found\"}"
    );
    for reason in Reason::ALL {
        let reply = get(&replies, *reason, &[]);
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        let row = reason.row();
        assert_eq!(
            body,
            serde_json::json!({
                "title": status_phrase(row.status),
                "status": row.status,
                "detail": row.body,
                "reason": row.code,
            })
        );
        assert_ne!(body["title"], "Error", "{}", row.status);
    }
}

#[test]
fn an_empty_reply_is_a_status_and_nothing_else() {
    for reason in Reason::ALL {
        let replies = with_format(ReplyFormat::Empty);
        let reply = get(&replies, *reason, &[HTML]);
        assert_eq!(text(&reply), format!("{}\n", reason.row().status));
    }
}

#[test]
fn realm_and_metadata_stand_in_every_challenge_and_nowhere_else() {
    let replies = Replies {
        realm: Some("the \"api\"".into()),
        resource_metadata: Some(
            "https://api.example.com/.well-known/oauth-protected-resource".into(),
        ),
        ..Replies::default()
    };
    for reason in Reason::ALL {
        let row = reason.row();
        let reply = get(&replies, *reason, &[]);
        let challenges: Vec<_> = reply
            .headers
            .iter()
            .filter(|(name, _)| *name == "www-authenticate")
            .collect();
        assert_eq!(
            challenges.len(),
            usize::from(row.challenge.value().is_some())
        );
        for (_, value) in challenges {
            let scheme = row.challenge.scheme().name();
            let start = format!("{scheme} realm=\"the \\\"api\\\"\", ");
            assert!(value.starts_with(&start), "{value}");
            assert!(
                value.ends_with(
                    ", resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\""
                ) || row.challenge.error().is_none(),
                "{value}"
            );
        }
    }
    assert_eq!(
        get(&replies, Reason::TokenExpired, &[]).headers[0].1,
        "Bearer realm=\"the \\\"api\\\"\", error=\"invalid_token\", \
         resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\""
    );
}

#[test]
fn several_challenges_are_several_headers() {
    let scope = [String::from("orders:read")];
    let refusal = Refusal {
        challenges: Vec::from([
            ChallengeHeader {
                error: Some("insufficient_scope"),
                scope: &scope,
                ..ChallengeHeader::new(Scheme::Bearer)
            },
            ChallengeHeader {
                algs: &["ES256"],
                ..ChallengeHeader::new(Scheme::Dpop)
            },
        ]),
        ..refusal(Reason::ClaimMissing)
    };
    let replies = Replies {
        realm: Some("r".into()),
        ..Replies::default()
    };
    assert_eq!(
        reply(&replies, &refusal, &Request::new(&[])).headers,
        [
            (
                "www-authenticate",
                "Bearer realm=\"r\", error=\"insufficient_scope\", scope=\"orders:read\"".into()
            ),
            (
                "www-authenticate",
                "DPoP realm=\"r\", algs=\"ES256\"".into()
            ),
        ] as [(&str, Cow<'_, str>); 2]
    );
}

#[test]
fn a_status_has_its_own_body_and_headers() {
    let replies = Replies {
        format: ReplyFormat::Problem,
        by_status: Vec::from([
            StatusReply {
                status: 401,
                body: Some(template("<p>${message} (${reason}, ${status}, ${app})</p>")),
                content_type: Some("text/html; charset=utf-8".into()),
                headers: Vec::from([ReplyHeader {
                    name: "x-reason".into(),
                    value: template("${reason}; ${message}"),
                }]),
            },
            StatusReply {
                status: 403,
                body: None,
                content_type: None,
                headers: Vec::from([ReplyHeader {
                    name: "x-a".into(),
                    value: template("b"),
                }]),
            },
        ]),
        ..Replies::default()
    };
    assert_eq!(
        text(&get(&replies, Reason::KeyNotFound, &[])),
        "401\n\
         www-authenticate: Bearer error=\"invalid_token\"\n\
         content-type: text/html; charset=utf-8\n\
         x-reason: key_not_found; Jwks doesn't have key to match kid or alg from Jwt\n\
         <p>Jwks doesn&#39;t have key to match kid or alg from Jwt (key_not_found, 401, orders)</p>"
    );
    assert_eq!(
        text(&get(&replies, Reason::AudienceNotAllowed, &[])),
        "403\n\
         www-authenticate: Bearer error=\"invalid_token\"\n\
         content-type: application/problem+json\n\
         x-a: b\n\
         {\"title\":\"Forbidden\",\"status\":403,\"detail\":\"Audiences in Jwt are not allowed\",\
         \"reason\":\"audience_not_allowed\"}"
    );
    let not_found = get(&replies, Reason::NoAppMatched, &[]);
    assert!(not_found.body.contains("\"Not Found\""));
    assert_eq!(not_found.headers.len(), 1);
}

#[test]
fn an_own_body_may_stand_where_the_others_are_empty() {
    let replies = Replies {
        format: ReplyFormat::Empty,
        by_status: Vec::from([StatusReply {
            status: 401,
            body: Some(template("no")),
            content_type: Some("text/plain".into()),
            headers: Vec::new(),
        }]),
        ..Replies::default()
    };
    assert_eq!(
        text(&get(&replies, Reason::TokenMissing, &[])),
        "401\ncontent-type: text/plain\nno"
    );
}

#[test]
fn a_client_of_grpc_gets_the_plain_text() {
    let replies = Replies {
        format: ReplyFormat::Problem,
        by_status: Vec::from([StatusReply {
            status: 401,
            body: Some(template("<p>")),
            content_type: Some("text/html".into()),
            headers: Vec::new(),
        }]),
        ..Replies::default()
    };
    for content_type in [b"application/grpc".as_slice(), b"application/grpc+proto"] {
        assert_eq!(
            text(&get(
                &replies,
                Reason::TokenMissing,
                &[(b"Content-Type", content_type)]
            )),
            "401\nwww-authenticate: Bearer\nJwt is missing"
        );
    }
    let other = get(
        &replies,
        Reason::TokenMissing,
        &[(b"content-type", b"application/grpcx")],
    );
    assert_eq!(other.body, "<p>");
}

#[test]
fn a_browser_without_a_good_token_is_sent_to_log_in() {
    let replies = with_redirect(
        "https://login.example.com/?return_to=${return_to}&why=${reason}&x=${message}",
    );
    assert_eq!(
        text(&get(&replies, Reason::TokenExpired, &[HTML])),
        "302\n\
         vary: accept\n\
         location: https://login.example.com/?return_to=https%3A%2F%2Fapi.example.com%2Fa%3Fb%3Dc\
         &why=token_expired&x=Jwt%20is%20expired\n\
         cache-control: no-store\n"
    );
    let details = get(&replies, Reason::TokenExpired, &[HTML]).details;
    assert_eq!(details, "nexus_denied{token_expired}");
}

#[test]
fn only_what_a_login_cures_is_redirected() {
    let replies = with_redirect("https://login.example.com/");
    for reason in Reason::ALL {
        let row = reason.row();
        let sent = get(&replies, *reason, &[HTML]);
        let cured =
            row.status == 401 && !matches!(reason, Reason::JwksUnavailable | Reason::JwksUnusable);
        assert_eq!(
            sent.status,
            if cured { 302 } else { row.status },
            "{}",
            row.code
        );
        // Everybody else gets the plain refusal, and caches know that there are two.
        let plain = get(&replies, *reason, &[]);
        assert_eq!((plain.status, &*plain.body), (row.status, row.body));
        let vary = plain
            .headers
            .iter()
            .any(|(name, value)| *name == "vary" && value == "accept");
        assert_eq!(vary, cured, "{}", row.code);
    }
}

#[test]
fn nothing_of_a_request_is_echoed() {
    let marker = b"m4rk3r\r\n\xff<>\"";
    let request: [(&[u8], &[u8]); 6] = [
        (b":method", b"GET"),
        (b":scheme", marker),
        (b":authority", marker),
        (b":path", marker),
        (b"authorization", marker),
        (b"m4rk3r", marker),
    ];
    let loud = Replies {
        realm: Some("r".into()),
        by_status: Vec::from([StatusReply {
            status: 401,
            body: Some(template("${reason}${status}${message}${app}")),
            content_type: Some("text/plain".into()),
            headers: Vec::from([ReplyHeader {
                name: "x-a".into(),
                value: template("${reason}${status}${message}${app}"),
            }]),
        }]),
        redirect: with_redirect("https://a.test/${return_to}").redirect,
        ..Replies::default()
    };
    for replies in [
        loud,
        with_format(ReplyFormat::Problem),
        with_format(ReplyFormat::Text),
    ] {
        for reason in Reason::ALL {
            let reply = reply(&replies, &refusal(*reason), &Request::new(&request));
            assert!(!text(&reply).contains("m4rk3r"), "{reply:?}");
        }
    }
}

#[test]
fn an_own_vary_is_joined_with_that_of_the_redirect() {
    let replies = Replies {
        by_status: Vec::from([StatusReply {
            status: 401,
            body: None,
            content_type: None,
            headers: Vec::from([ReplyHeader {
                name: "vary".into(),
                value: template("origin"),
            }]),
        }]),
        ..with_redirect("https://login.example.com/")
    };
    assert_eq!(
        text(&get(&replies, Reason::TokenMissing, &[])),
        "401\nvary: accept, origin\nwww-authenticate: Bearer\nJwt is missing"
    );
}
