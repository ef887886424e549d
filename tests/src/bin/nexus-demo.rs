//! Shows the filter at work in a real Envoy: a JWKS server, a service, requests and their answers.
//!
//! `cargo xtask demo` builds what it needs, names it in the environment and runs it. Every answer
//! is compared with what it should be, so that the demo fails rather than show something else.

use std::{env, process::ExitCode};

use nexus_tests::{
    envoy::{self, Config, Envoy},
    http::{Request, Response},
    jwks_server::JwksServer,
    keys::{self, Algorithm, Key},
    nexusctl,
    tokens::Token,
    upstream::Upstream,
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

const USAGE: &str = "\
Usage: nexus-demo [--keep]

Shows the Nexus filter at work in a real Envoy.

Options:
  --keep  stay up until Ctrl-C, with commands to try it out";

/// The policy that `envoy-config/envoy.yaml` has as well; its keys are fetched from the demo's server.
const POLICY: &str = include_str!("../../../envoy-config/policy.json");
const POLICY_JWKS_URL: &str = "https://idp.example.com/.well-known/jwks.json";
const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "your-app-client-id";

/// How long the tokens are good for, in seconds: a demo may be kept up for a while.
const VALIDITY: i64 = 24 * 3_600;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let keep = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--keep"] => true,
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("error: unknown arguments `{}`\n\n{USAGE}", args.join(" "));
            return ExitCode::from(2);
        }
    };
    let demo = Demo::start();
    demo.introduce();
    let as_expected = demo.steps().iter().all(|step| demo.show(step));
    if !as_expected {
        eprintln!("error: the filter did not do what it should");
        return ExitCode::FAILURE;
    }
    if keep {
        let mut signals = Signals::new([SIGINT, SIGTERM]).expect("signals can be waited for");
        demo.invite();
        signals.forever().next();
        println!();
    }
    ExitCode::SUCCESS
}

/// Everything that runs.
struct Demo {
    key: Key,
    policy: String,
    version: envoy::Version,
    jwks: JwksServer,
    upstream: Upstream,
    envoy: Envoy,
}

/// A request to show, and what should come of it.
struct Step {
    title: &'static str,
    token: Option<String>,
    forged_user: Option<&'static str>,
    status: u16,
    /// The body of a denial; `None` when the service answers.
    body: Option<&'static str>,
}

impl Demo {
    fn start() -> Self {
        let key = keys::rsa().with_kid("demo-key");
        let jwks = JwksServer::start(keys::jwks([key.public_jwk()]));
        let upstream = Upstream::start();
        let policy = POLICY.replace(POLICY_JWKS_URL, &jwks.url());
        let config = Config::new(upstream.addr())
            .filter(nexusctl::compile_policy(&policy))
            .cluster(&jwks.authority(), jwks.addr());
        let version = envoy::newest();
        let envoy = Envoy::start(&version, &config);
        Self {
            key,
            policy,
            version,
            jwks,
            upstream,
            envoy,
        }
    }

    fn introduce(&self) {
        println!(
            "Envoy {} with the Nexus filter: {}",
            self.version,
            self.url()
        );
        println!(
            "the service behind it:          http://{}",
            self.upstream.addr()
        );
        println!("the identity provider's keys:   {}", self.jwks.url());
        println!("\nThe policy:\n\n{}", self.policy);
    }

    fn steps(&self) -> Vec<Step> {
        let good = self.token();
        let sign = |token: Token| Some(token.sign(&self.key, Algorithm::RS256));
        vec![
            Step {
                title: "A request without a token is denied",
                token: None,
                forged_user: None,
                status: 401,
                body: Some("Jwt is missing"),
            },
            Step {
                title: "With a good token it is allowed, and the service is told who it is",
                token: sign(good.clone()),
                forged_user: None,
                status: 200,
                body: None,
            },
            Step {
                title: "A client cannot say itself who it is: its own header never gets through",
                token: sign(good.clone()),
                forged_user: Some("admin"),
                status: 200,
                body: None,
            },
            Step {
                title: "A token that has expired is denied",
                token: sign(good.clone().expires_in(-3_600)),
                forged_user: None,
                status: 401,
                body: Some("Jwt is expired"),
            },
            Step {
                title: "A token that somebody else signed is denied",
                token: Some(
                    good.clone()
                        .kid("demo-key")
                        .sign(keys::other_rsa(), Algorithm::RS256),
                ),
                forged_user: None,
                status: 401,
                body: Some("Jwt verification fails"),
            },
            Step {
                title: "A good token that is meant for another service is denied",
                token: sign(good.audience("another-service")),
                forged_user: None,
                status: 403,
                body: Some("Audiences in Jwt are not allowed"),
            },
        ]
    }

    /// Sends the request, prints it with its answer, and says whether the answer is the right one.
    fn show(&self, step: &Step) -> bool {
        let mut request = Request::get("/my-app/hello").host(self.envoy.addr().to_string());
        if let Some(token) = &step.token {
            request = request.bearer(token);
        }
        if let Some(user) = step.forged_user {
            request = request.header("X-User-Id", user);
        }
        let answer = self.envoy.client().send(&request);
        println!("# {}", step.title);
        println!("{}", self.curl(step, shortened));
        print_answer(&answer);
        let right = match step.body {
            Some(body) => answer.status == step.status && answer.text() == body,
            None => {
                answer.status == step.status
                    && answer.seen().headers.all("x-user-id") == [b"alice".as_slice()]
            }
        };
        if !right {
            eprintln!("expected status {} and {:?}", step.status, step.body);
            eprintln!("{}", self.envoy.log_end());
        }
        right
    }

    fn invite(&self) {
        println!(
            "Try it; the tokens are good for {} hours. Ctrl-C ends it.\n",
            VALIDITY / 3_600
        );
        for step in self.steps() {
            println!("# {}\n{}\n", step.title, self.curl(&step, str::to_owned));
        }
        println!("# What the filter counts");
        println!(
            "curl -s 'http://{}/stats?usedonly&filter=nexus'",
            self.envoy.admin_addr()
        );
    }

    fn curl(&self, step: &Step, show_token: impl Fn(&str) -> String) -> String {
        let mut command = format!("curl -i {}/my-app/hello", self.url());
        if let Some(token) = &step.token {
            command += &format!(" \\\n  -H 'Authorization: Bearer {}'", show_token(token));
        }
        if let Some(user) = step.forged_user {
            command += &format!(" \\\n  -H 'X-User-Id: {user}'");
        }
        command
    }

    fn url(&self) -> String {
        format!("http://{}", self.envoy.addr())
    }

    fn token(&self) -> Token {
        Token::new(ISSUER)
            .audience(AUDIENCE)
            .claim("sub", "alice")
            .claim("email", "alice@example.com")
            .expires_in(VALIDITY)
    }
}

/// The answer as `curl -i` would show it, without what Envoy adds to every answer; for the
/// service's, the headers that it saw about the user.
fn print_answer(answer: &Response) {
    println!("HTTP/1.1 {}", answer.status);
    if let Some(challenge) = answer.headers.text("www-authenticate") {
        println!("www-authenticate: {challenge}");
    }
    println!();
    if answer.status == 200 {
        let seen = answer.seen();
        println!("the service saw: {} {}", seen.method, seen.path);
        for name in ["x-user-id", "x-user-email"] {
            for value in seen.headers.all(name) {
                println!("  {name}: {}", nexus_tests::http::escape(value));
            }
        }
    } else {
        println!("{}", answer.text());
    }
    println!();
}

/// The head of a token: enough to tell one from another.
fn shortened(token: &str) -> String {
    let head: String = token.chars().take(24).collect();
    format!("{head}…")
}
