//! The requests that go through the original and through the import.

use nexus_tests::{
    http::Request,
    keys::{self, Algorithm},
    tokens::{self, Token},
};
use serde_json::json;

use super::originals::{ALGORITHMS, ISSUER, OTHER, key, other_key};

/// A request, the original that it is for, and how Nexus differs, if it does on purpose.
pub(crate) struct Case {
    pub(crate) original: &'static str,
    pub(crate) note: String,
    pub(crate) request: Request,
    /// A row of the table in `docs/migrating.md`.
    pub(crate) difference: Option<&'static str>,
}

/// The cases of one original.
struct Cases {
    original: &'static str,
    all: Vec<Case>,
}

impl Cases {
    fn of(original: &'static str) -> Self {
        Self {
            original,
            all: Vec::new(),
        }
    }

    fn same(mut self, note: &str, request: Request) -> Self {
        self.all.push(Case {
            original: self.original,
            note: note.to_owned(),
            request,
            difference: None,
        });
        self
    }

    fn differs(mut self, difference: &'static str, note: &str, request: Request) -> Self {
        self.all.push(Case {
            original: self.original,
            note: note.to_owned(),
            request,
            difference: Some(difference),
        });
        self
    }
}

fn signed(token: Token) -> String {
    token.sign(&key(), Algorithm::RS256)
}

fn other_signed(token: Token) -> String {
    token.sign(&other_key(), Algorithm::ES256)
}

fn token() -> Token {
    Token::new(ISSUER)
}

fn get() -> Request {
    Request::get("/")
}

fn basic(request: Request, value: &str) -> Request {
    request.header("authorization", value)
}

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    [
        single(),
        malformed(),
        several(),
        bypass("allow-missing"),
        bypass("allow-missing-or-failed"),
        all_of(),
        sources(),
        forward(),
        claims(),
        rules(),
        audiences(),
        limits(),
        algorithms(),
        stripped(),
        remote(),
    ]
    .into_iter()
    .flat_map(|cases| cases.all)
    .collect()
}

fn single() -> Cases {
    let orders = || token().audience("orders");
    let good = || signed(orders());
    Cases::of("single")
        .same("a good token", get().bearer(good()))
        .same("no token", get())
        .same("HEAD without a token", Request::new("HEAD", "/"))
        .same(
            "HEAD with a token",
            Request::new("HEAD", "/").bearer(good()),
        )
        .same(
            "POST with a body",
            Request::new("POST", "/x?a=1").bearer(good()).body("text"),
        )
        .same(
            "the default query parameter",
            Request::get(format!("/?access_token={}", good())),
        )
        .same(
            "a query parameter, and others stay",
            Request::get(format!("/x?a=1&access_token={}&b=2", good())),
        )
        .same(
            "a header and a query parameter, both good",
            Request::get(format!("/?access_token={}", good())).bearer(good()),
        )
        .same(
            "a header that is good, and a query parameter that is not",
            Request::get("/?access_token=x").bearer(good()),
        )
        .same(
            "an audience in a list",
            get().bearer(signed(token().audience(json!(["a", "orders"])))),
        )
        .same(
            "another audience",
            get().bearer(signed(token().audience("billing"))),
        )
        .same("no audience", get().bearer(signed(token())))
        .same(
            "an empty list of audiences",
            get().bearer(signed(token().audience(json!([])))),
        )
        .same(
            "an audience that is a URL",
            get().bearer(signed(token().audience("https://api.example.com/"))),
        )
        .same(
            "the same without its slash",
            get().bearer(signed(token().audience("https://api.example.com"))),
        )
        .same(
            "the same with http",
            get().bearer(signed(token().audience("http://api.example.com"))),
        )
        .same(
            "the same without scheme",
            get().bearer(signed(token().audience("api.example.com"))),
        )
        .differs(
            "audience-spelling",
            "a plain audience as a URL",
            get().bearer(signed(token().audience("https://orders/"))),
        )
        .same("expired", get().bearer(signed(orders().expires_in(-300))))
        .same(
            "expired within the leeway",
            get().bearer(signed(orders().expires_in(-30))),
        )
        .same(
            "expired, HEAD",
            Request::new("HEAD", "/").bearer(signed(orders().expires_in(-300))),
        )
        .same(
            "not yet valid",
            get().bearer(signed(orders().valid_in(300))),
        )
        .same(
            "not yet valid within the leeway",
            get().bearer(signed(orders().valid_in(30))),
        )
        .same("without exp", get().bearer(signed(orders().without("exp"))))
        .differs(
            "exp-zero",
            "exp is 0",
            get().bearer(signed(orders().claim("exp", 0))),
        )
        .same(
            "iat in the future",
            get().bearer(signed(orders().claim("iat", tokens::now() + 3000))),
        )
        .same(
            "another issuer",
            get().bearer(signed(Token::new(OTHER).audience("orders"))),
        )
        .same("no issuer", get().bearer(signed(orders().without("iss"))))
        .same(
            "signed by another key",
            get().bearer(orders().sign(&keys::other_rsa().with_kid("key-1"), Algorithm::RS256)),
        )
        .same(
            "a kid that is not there",
            get().bearer(signed(orders().kid("nobody"))),
        )
        .same(
            "no kid",
            get().bearer(orders().sign(&key().without_kid(), Algorithm::RS256)),
        )
        .same(
            "another algorithm of the same key",
            get().bearer(orders().sign(&key(), Algorithm::PS512)),
        )
        .differs(
            "algorithm-refused",
            "an algorithm that no key has",
            get().bearer(orders().sign(keys::for_algorithm(Algorithm::ES256), Algorithm::ES256)),
        )
        .differs(
            "algorithm-refused",
            "the public key as a secret",
            get().bearer(orders().sign(
                &keys::Key::secret(key().public_pem()).with_kid("key-1"),
                Algorithm::HS256,
            )),
        )
        .same(
            "a broken signature",
            get().bearer(tokens::with_broken_signature(&good())),
        )
        .same(
            "a claim header that the client sent",
            get().bearer(good()).header("x-sub", "root"),
        )
        .same(
            "a claim header of an absent claim that the client sent",
            get().bearer(good()).header("X-Group", "admin"),
        )
        .same(
            "a payload header that the client sent",
            get().bearer(good()).header("x-payload", "e30"),
        )
        .differs(
            "folded-headers",
            "a claim header in a spelling that services fold",
            get().bearer(good()).header("x_sub", "root"),
        )
        .same(
            "a nested claim",
            get().bearer(signed(orders().claim("nested", json!({"group": "ops"})))),
        )
        .same("another scheme", basic(get(), "Basic dTpw"))
        .differs("scheme-alone", "a scheme alone", basic(get(), "Bearer"))
        .same("an empty Authorization", basic(get(), ""))
        .differs(
            "scheme-case",
            "the scheme in lower case",
            basic(get(), &format!("bearer {}", good())),
        )
        .differs(
            "prefix-anywhere",
            "something before the scheme",
            basic(get(), &format!("xBearer {}", good())),
        )
        .same(
            "two spaces behind the scheme",
            basic(get(), &format!("Bearer  {}", good())),
        )
        .differs(
            "token-repeated",
            "the same token in two headers",
            get().bearer(good()).bearer(good()),
        )
        .same(
            "claims that only look numeric",
            get().bearer(signed(orders().claim("sub", "00123"))),
        )
        .same(
            "a subject with a space",
            get().bearer(signed(orders().claim("sub", "a b"))),
        )
        .same(
            "a subject in UTF-8",
            get().bearer(signed(orders().claim("sub", "Zoë"))),
        )
        .same(
            "a subject without a value",
            get().bearer(signed(orders().without("sub"))),
        )
        .differs(
            "header-value",
            "a subject with a line break",
            get().bearer(signed(orders().claim("sub", "a\nx-admin: 1"))),
        )
        .differs(
            "crit",
            "a critical extension",
            get().bearer(signed(orders().header("crit", json!(["x"])).header("x", 1))),
        )
        .same(
            "a typ that is not JWT",
            get().bearer(signed(orders().header("typ", "at+jwt"))),
        )
        .same(
            "a key in the token",
            get().bearer(
                orders()
                    .header("jwk", keys::other_rsa().public_jwk())
                    .sign(&keys::other_rsa().with_kid("key-1"), Algorithm::RS256),
            ),
        )
}

/// The failure strings of Envoy for what is wrong with a token by itself.
fn malformed() -> Cases {
    let header = json!({"alg": "RS256", "kid": "key-1"}).to_string();
    let payload = |name: &str, value: serde_json::Value| {
        let mut payload = json!({"iss": ISSUER, "aud": "orders", "exp": tokens::now() + 300});
        payload[name] = value;
        payload.to_string()
    };
    let with = |name: &str, value: serde_json::Value| {
        get().bearer(tokens::signed(
            &header,
            payload(name, value),
            &key(),
            Algorithm::RS256,
        ))
    };
    let with_header = |header: serde_json::Value| {
        get().bearer(tokens::signed(
            header.to_string(),
            payload("x", json!(1)),
            &key(),
            Algorithm::RS256,
        ))
    };
    let good = tokens::signed(&header, payload("x", json!(1)), &key(), Algorithm::RS256);
    let [head, body, signature] = tokens::parts(&good);
    let raw = |text: String| get().bearer(text);
    Cases::of("single")
        .same("no token at all", raw("x".to_owned()))
        .same("two parts", raw(format!("{head}.{body}")))
        .differs(
            "dots",
            "four parts, the last empty",
            raw(format!("{good}.")),
        )
        .same("four parts", raw(format!("{good}.x")))
        .same(
            "five parts, as an encrypted token",
            raw(format!("{good}.x.y")),
        )
        .same("very long", raw("c".repeat(10240)))
        .same(
            "a header that is no base64",
            raw(format!("e!!!.{body}.{signature}")),
        )
        .same(
            "a header that is no JSON",
            raw(format!("{}.{body}.{signature}", tokens::base64url("{"))),
        )
        .same(
            "a header that is a list",
            raw(format!("{}.{body}.{signature}", tokens::base64url("[]"))),
        )
        .same("no alg", with_header(json!({"kid": "key-1"})))
        .same("an alg that is a number", with_header(json!({"alg": 1})))
        .same("alg none", with_header(json!({"alg": "none"})))
        .same("alg nOnE", with_header(json!({"alg": "nOnE"})))
        .same("an unknown alg", with_header(json!({"alg": "RS1024"})))
        .same(
            "ES256K",
            with_header(json!({"alg": "ES256K", "kid": "key-1"})),
        )
        .same(
            "a kid that is a number",
            with_header(json!({"alg": "RS256", "kid": 1})),
        )
        .same(
            "a payload that is no base64",
            raw(format!("{head}.!!!.{signature}")),
        )
        .same(
            "a payload that is no JSON",
            get().bearer(tokens::signed(&header, "{", &key(), Algorithm::RS256)),
        )
        .same(
            "a payload that is a list",
            get().bearer(tokens::signed(&header, "[]", &key(), Algorithm::RS256)),
        )
        .same(
            "an empty payload",
            get().bearer(tokens::signed(&header, "", &key(), Algorithm::RS256)),
        )
        .same("iss that is a number", with("iss", json!(1)))
        .same("sub that is a number", with("sub", json!(1)))
        .same("jti that is a number", with("jti", json!(1)))
        .same("iat that is a text", with("iat", json!("1")))
        .same("iat that is negative", with("iat", json!(-1)))
        .same("iat with a fraction", with("iat", json!(1_700_000_000.5)))
        .same("nbf that is a text", with("nbf", json!("1")))
        .same("nbf that is negative", with("nbf", json!(-1)))
        .same("exp that is a text", with("exp", json!("1")))
        .same("exp that is negative", with("exp", json!(-1)))
        .same("exp that is true", with("exp", json!(true)))
        .same("aud that is a number", with("aud", json!(1)))
        .same(
            "aud with a number in the list",
            with("aud", json!(["orders", 1])),
        )
        .same(
            "a signature that is no base64",
            raw(format!("{head}.{body}.!!!")),
        )
        .same("an empty signature", raw(format!("{head}.{body}.")))
        .differs("padding", "base64 with padding", {
            let padded = format!("{head}.{body}.{signature}==");
            raw(padded)
        })
}

fn several() -> Cases {
    let rest = || {
        Token::new("https://rest.example.com")
            .sign(&keys::other_rsa().with_kid("key-3"), Algorithm::RS256)
    };
    Cases::of("several")
        .same("a token of the first", get().bearer(signed(token())))
        .same(
            "a token of the second",
            get().bearer(other_signed(Token::new(OTHER))),
        )
        .same("no token", get())
        .same(
            "a token of neither",
            get().bearer(signed(Token::new("https://x.example.com"))),
        )
        .differs(
            "algorithm-refused",
            "the first's issuer with the second's key",
            get().bearer(other_signed(token())),
        )
        .differs(
            "algorithm-refused",
            "the second's issuer with the first's key",
            get().bearer(signed(Token::new(OTHER))),
        )
        .same(
            "an expired token of the first",
            get().bearer(signed(token().expires_in(-300))),
        )
        .same(
            "an expired token of the second",
            get().bearer(other_signed(Token::new(OTHER).expires_in(-300))),
        )
        .same("no token that is one", get().bearer("x.y.z"))
        .same(
            "a token of any issuer",
            Request::get("/three").bearer(rest()),
        )
        .same(
            "a token of the first, three providers",
            Request::get("/three").bearer(signed(token())),
        )
        .same(
            "a token of the second, three providers",
            Request::get("/three").bearer(other_signed(Token::new(OTHER))),
        )
        .same("no token, three providers", Request::get("/three"))
        .same(
            "a good token and another's in the query",
            Request::get(format!(
                "/?access_token={}",
                other_signed(Token::new(OTHER).expires_in(-300))
            ))
            .bearer(signed(token())),
        )
}

fn bypass(original: &'static str) -> Cases {
    let cases = Cases::of(original)
        .same("no token", get())
        .same("a good token", get().bearer(signed(token())))
        .same(
            "a claim header that the client sent, and no token",
            get().header("x-sub", "root"),
        )
        .same(
            "a good token and a claim header",
            get().bearer(signed(token())).header("x-sub", "root"),
        )
        .same("another scheme", basic(get(), "Basic dTpw"));
    let bad = [
        ("an expired token", signed(token().expires_in(-300))),
        (
            "a broken signature",
            tokens::with_broken_signature(&signed(token())),
        ),
        ("another issuer", signed(Token::new(OTHER))),
        ("no token that is one", "x".to_owned()),
    ];
    bad.into_iter().fold(cases, |cases, (note, token)| {
        let request = get().bearer(token);
        match original {
            "allow-missing-or-failed" => cases.differs("failed-token", note, request),
            _ => cases.same(note, request),
        }
    })
}

fn all_of() -> Cases {
    let user =
        |request: Request, token: String| request.header("x-user", format!("Bearer {token}"));
    let device = |request: Request, token: String| request.header("x-device", token);
    let both = || {
        device(
            user(get(), signed(token())),
            other_signed(Token::new(OTHER)),
        )
    };
    Cases::of("all-of")
        .same("both tokens", both())
        .same("no token", get())
        .same("the first alone", user(get(), signed(token())))
        .same(
            "the second alone",
            device(get(), other_signed(Token::new(OTHER))),
        )
        .same(
            "the second is expired",
            device(
                user(get(), signed(token())),
                other_signed(Token::new(OTHER).expires_in(-300)),
            ),
        )
        .same(
            "the first is expired",
            device(
                user(get(), signed(token().expires_in(-300))),
                other_signed(Token::new(OTHER)),
            ),
        )
        .same(
            "they are swapped",
            device(
                user(get(), other_signed(Token::new(OTHER))),
                signed(token()),
            ),
        )
        .same("a token in Authorization, too", both().bearer("x"))
}

fn sources() -> Cases {
    let good = || signed(token());
    Cases::of("sources")
        .same("the header as it is", get().header("x-jwt", good()))
        .same("another prefix", basic(get(), &format!("Token {}", good())))
        .same("Bearer is no source", get().bearer(good()))
        .same(
            "the first parameter",
            Request::get(format!("/?jwt={}", good())),
        )
        .same(
            "the second parameter",
            Request::get(format!("/a?x=1&access_token={}", good())),
        )
        .same(
            "the parameter first, others behind",
            Request::get(format!("/?jwt={}&b=2", good())),
        )
        .differs(
            "query-bytes",
            "the rest of the query in unusual spelling",
            Request::get(format!("/?q=%7e+%41&jwt={}", good())),
        )
        .differs(
            "cookie-removed",
            "a cookie",
            get().header("cookie", format!("session={}", good())),
        )
        .differs(
            "cookie-removed",
            "a cookie among others",
            get().header("cookie", format!("a=1; session={}; b=2", good())),
        )
        .same(
            "a cookie of another name",
            get().header("cookie", format!("sessions={}", good())),
        )
        .same("nothing", get())
        .same("an empty parameter", Request::get("/?jwt="))
        .same(
            "a good header and a bad parameter",
            Request::get("/?jwt=x").header("x-jwt", good()),
        )
        .same(
            "a bad cookie beside a good header",
            get().header("x-jwt", good()).header("cookie", "session=x"),
        )
        .same(
            "an expired cookie",
            get().header(
                "cookie",
                format!("session={}", signed(token().expires_in(-300))),
            ),
        )
        .same(
            "a header with a space before it",
            get().header("x-jwt", format!(" {}", good())),
        )
}

fn forward() -> Cases {
    let good = || signed(token());
    Cases::of("forward")
        .same("the header stays", get().bearer(good()))
        .same(
            "the parameter stays",
            Request::get(format!("/?a=1&jwt={}&b=2", good())),
        )
        .same(
            "a payload of two bytes more",
            get().bearer(signed(token().claim("x", "a"))),
        )
        .same(
            "a payload of one byte more",
            get().bearer(signed(token().claim("x", "ab"))),
        )
        .same(
            "access_token is no source here",
            Request::get(format!("/?access_token={}", good())),
        )
        .same("no token", get().header("x-payload", "forged"))
}

fn claims() -> Cases {
    let with =
        |name: &str, value: serde_json::Value| get().bearer(signed(token().claim(name, value)));
    Cases::of("claims")
        .same("a text", with("text", json!("plain")))
        .same(
            "a text with quotation marks",
            with("text", json!("a\"b\\c,d;e")),
        )
        .same("true", with("yes", json!(true)))
        .same("false", with("yes", json!(false)))
        .same("a number", with("number", json!(42)))
        .same("zero", with("number", json!(0)))
        .differs("numbers", "a negative number", with("negative", json!(-7)))
        .differs("numbers", "a fraction", with("fraction", json!(1.5)))
        .differs(
            "large-numbers",
            "a number beyond 2^53",
            with("number", json!(9_007_199_254_740_993_u64)),
        )
        .same("a list of texts", with("list", json!(["a", "b"])))
        .same(
            "a list of everything",
            with("list", json!([1, true, null, "x", {"a": []}])),
        )
        .same("an empty list", with("list", json!([])))
        .same(
            "an object",
            with("object", json!({"a": 1, "b": {"c": "d"}})),
        )
        .same(
            "a nested claim",
            with("nested", json!({"deep": {"value": "v"}})),
        )
        .same(
            "a nested claim that is not there",
            with("nested", json!({"deep": 1})),
        )
        .same("an empty text", with("empty", json!("")))
        .same("null", with("nothing", json!(null)))
        .same("nothing", get().bearer(signed(token())))
        .same("every header forged", {
            [
                "x-text",
                "x-yes",
                "x-number",
                "x-list",
                "x-absent",
                "x-nested-deep-value",
            ]
            .iter()
            .fold(get().bearer(signed(token())), |request, name| {
                request.header(name, "forged")
            })
        })
}

fn rules() -> Cases {
    let good = || signed(token());
    let preflight = || {
        Request::new("OPTIONS", "/exact")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "GET")
    };
    let paths = [
        "/",
        "/open",
        "/open/",
        "/open/x",
        "/exact",
        "/exactly",
        "/exact?a=1",
        "/below",
        "/below/",
        "/below/x",
        "/belows",
        "/case",
        "/CASE/x",
        "/v1/x",
        "/v12/",
        "/v/x",
        "/v1",
        "/get",
        "/getter",
        "/env",
        "/present",
        "/query",
        "/query?v=2",
        "/query?v=3",
        "/first",
        "/first/inner",
        "/first/inner/x",
        "/first/outer",
        "/slash/",
        "/slash/x",
        "/other",
    ];
    let cases = paths.into_iter().fold(Cases::of("rules"), |cases, path| {
        cases.same(&format!("{path} without a token"), Request::get(path))
    });
    let slashes = ["/exact/", "/slash"]
        .into_iter()
        .fold(cases, |cases, path| {
            let note = format!("{path} without a token");
            cases.differs("trailing-slash", &note, Request::get(path))
        });
    let cases = slashes.differs(
        "query-repeated",
        "/query?v=2&v=3 without a token",
        Request::get("/query?v=2&v=3"),
    );
    cases
        .same(
            "an exact path with a token",
            Request::get("/exact").bearer(good()),
        )
        .same(
            "a path below with a token",
            Request::get("/below/x").bearer(good()),
        )
        .same(
            "a regular expression with a token",
            Request::get("/v1/x").bearer(good()),
        )
        .same(
            "a path without a rule, and a bad token",
            Request::get("/other").bearer("x"),
        )
        .same("POST where GET needs a token", Request::new("POST", "/get"))
        .same(
            "a header that matches",
            Request::get("/env").header("x-env", "production"),
        )
        .same(
            "a header that does not",
            Request::get("/env").header("x-env", "test"),
        )
        .same(
            "a header that is there",
            Request::get("/present").header("x-env", "any"),
        )
        .same("a true preflight", preflight())
        .same(
            "a preflight without a method",
            Request::new("OPTIONS", "/exact").header("origin", "https://a.example.com"),
        )
        .same(
            "a preflight without an origin",
            Request::new("OPTIONS", "/exact").header("access-control-request-method", "GET"),
        )
        .same("OPTIONS", Request::new("OPTIONS", "/exact"))
        .differs(
            "path-ambiguous",
            "a path that services read in two ways",
            Request::get("/open%2f..%2fexact"),
        )
        .differs(
            "path-normal",
            "a path with a dot segment",
            Request::get("/x/../exact"),
        )
        .differs(
            "path-normal",
            "a path with two slashes",
            Request::get("//exact"),
        )
}

fn audiences() -> Cases {
    let with = |path: &str, audience: serde_json::Value| {
        Request::get(path).bearer(signed(token().audience(audience)))
    };
    Cases::of("audiences")
        .same("the provider's audience", with("/", json!("orders")))
        .same("another audience", with("/", json!("admin")))
        .same("the rule's audience", with("/admin", json!("admin")))
        .same(
            "the provider's audience under a rule with its own",
            with("/admin", json!("orders")),
        )
        .same("both", with("/admin", json!(["admin", "orders"])))
        .same("a URL", with("/url", json!("https://api.example.com")))
        .same(
            "the URL with a slash",
            with("/url", json!("https://api.example.com/")),
        )
        .same(
            "no audience",
            Request::get("/admin").bearer(signed(token())),
        )
        .same("no token", Request::get("/admin"))
}

fn limits() -> Cases {
    let at = |path: &str, token: Token| Request::get(path).bearer(signed(token));
    Cases::of("limits")
        .same("exp is required and there", at("/expires", token()))
        .same(
            "exp is required and not there",
            at("/expires", token().without("exp")),
        )
        .same(
            "within the lifetime",
            at("/lifetime", token().expires_in(500)),
        )
        .same(
            "beyond the lifetime",
            at("/lifetime", token().expires_in(900)),
        )
        .same(
            "a lifetime, and no exp",
            at("/lifetime", token().without("exp")),
        )
        .same(
            "a subject that fits",
            at("/subject", token().claim("sub", "svc-a")),
        )
        .same(
            "a subject that does not",
            at("/subject", token().claim("sub", "alice")),
        )
        .same("no subject", at("/subject", token().without("sub")))
        .same(
            "expired within a leeway of two minutes",
            at("/skew", token().expires_in(-100)),
        )
        .same("expired beyond it", at("/skew", token().expires_in(-200)))
        .same(
            "a leeway of zero is one of sixty",
            at("/", token().expires_in(-30)),
        )
        .same("expired beyond sixty", at("/", token().expires_in(-100)))
        .same("not yet valid beyond sixty", at("/", token().valid_in(100)))
}

fn algorithms() -> Cases {
    let cases = ALGORITHMS
        .into_iter()
        .fold(Cases::of("algorithms"), |cases, algorithm| {
            let key = keys::for_algorithm(algorithm).with_kid(algorithm.name());
            let good = token().sign(&key, algorithm);
            let broken = tokens::with_broken_signature(&good);
            cases.same(algorithm.name(), get().bearer(good)).same(
                &format!("{} broken", algorithm.name()),
                get().bearer(broken),
            )
        });
    let ed = keys::for_algorithm(Algorithm::EdDSA).with_kid("EdDSA");
    let good = token().sign(&ed, Algorithm::EdDSA);
    let [head, body, _] = tokens::parts(&good);
    cases.same(
        "a short EdDSA signature",
        get().bearer(format!("{head}.{body}.{}", tokens::base64url([1; 63]))),
    )
}

fn stripped() -> Cases {
    Cases::of("stripped")
        .same("no token", get())
        .same(
            "an expired token",
            get().bearer(signed(token().audience("orders").expires_in(-300))),
        )
        .same(
            "another audience",
            get().bearer(signed(token().audience("x"))),
        )
        .same(
            "a good token",
            get().bearer(signed(token().audience("orders"))),
        )
}

fn remote() -> Cases {
    let mut cases = Cases::of("remote")
        .same("a good token", get().bearer(signed(token())))
        .same("no token", get())
        .same(
            "a broken signature",
            get().bearer(tokens::with_broken_signature(&signed(token()))),
        )
        .same(
            "a kid that is not there",
            get().bearer(signed(token().kid("nobody"))),
        );
    let failing = Cases::of("remote-failing")
        .same("a good token", get().bearer(signed(token())))
        .same("no token", get())
        .same(
            "an expired token",
            get().bearer(signed(token().expires_in(-300))),
        );
    cases.all.extend(failing.all);
    cases
}
