//! What a flood of made-up tokens does to good ones: processor time of Envoy for each request.
//!
//! Each round measures three things, one after the other, in one Envoy with one worker: good requests alone, the flood
//! alone, and both at once. What the flood takes alone is subtracted from what both take; what is left is what the
//! good requests take in the flood. Rounds go forwards and backwards by turns, so that a machine which gets slower or
//! faster favours nobody, and the median of the rounds counts.

use std::{collections::BTreeMap, time::Duration};

use nexus_tests::{
    envoy::{self, Config, Envoy},
    flood::{self, Forger, Kind},
    http::Request,
    jwks_server::JwksServer,
    keys::{self, Algorithm, Key},
    nexusctl,
    tokens::Token,
    upstream::Upstream,
};
use serde_json::json;

use crate::Options;

const ISSUER: &str = "https://idp.example.com";

/// Connections of each kind.
const CONNECTIONS: usize = 8;

/// How many good tokens there are.
const TOKENS: u32 = 64;

/// Measures, and prints what came of it.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let (rounds, requests) = (options.rounds(), if options.quick { 1_000 } else { 5_000 });
    let version = envoy::newest();
    println!(
        "Envoy {version}, one worker; {rounds} rounds of {requests} good and {} made-up tokens",
        2 * requests
    );
    println!("median of the rounds, with the lower and the upper quartile\n");
    // A flood that is refused before anybody looks for a key shows what a flood does to Envoy itself.
    for flood in [Made::UnknownKid, Made::Expired] {
        Measurement::start(&version, flood, rounds, requests).tell();
    }
    Ok(())
}

/// What the flood is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    UnknownKid,
    Expired,
}

/// Processor time for each request of the rounds, in microseconds.
struct Measurement {
    flood: Made,
    alone: Vec<f64>,
    flood_alone: Vec<f64>,
    in_flood: Vec<f64>,
    /// In the same round, what a good request takes in the flood, by what it takes alone.
    ratio: Vec<f64>,
    fetches: usize,
    most_fetches: usize,
}

impl Measurement {
    fn start(version: &envoy::Version, flood: Made, rounds: usize, count: u64) -> Self {
        let key = keys::rsa().with_kid("key");
        let jwks = JwksServer::start(keys::jwks([key.public_jwk()]));
        let upstream = Upstream::start();
        let envoy = Envoy::start(version, &config(&upstream, &jwks));
        let requests = Requests::new(&key, flood);
        let mut measurement = Self {
            flood,
            alone: Vec::new(),
            flood_alone: Vec::new(),
            in_flood: Vec::new(),
            ratio: Vec::new(),
            fetches: 0,
            most_fetches: 0,
        };
        let began = std::time::Instant::now();
        // Warm: the keys are there, and V8 has compiled what is hot.
        requests.send(&envoy, count, 2 * count);
        for round in 0..rounds {
            measurement.round(&envoy, &requests, count, round % 2 == 1);
        }
        measurement.fetches = jwks.count();
        measurement.most_fetches = 1 + flood::most_refetches(began.elapsed());
        measurement
    }

    fn round(&mut self, envoy: &Envoy, requests: &Requests, count: u64, is_backwards: bool) {
        let mut parts = [(count, 0), (0, 2 * count), (count, 2 * count)];
        if is_backwards {
            parts.reverse();
        }
        let mut taken = BTreeMap::new();
        for (good, bad) in parts {
            taken.insert((good > 0, bad > 0), requests.send(envoy, good, bad));
        }
        let seconds = |good, bad| taken[&(good, bad)].as_secs_f64();
        let each = |seconds: f64, count: u64| seconds * 1e6 / count as f64;
        let (alone, flood) = (seconds(true, false), seconds(false, true));
        let in_flood = seconds(true, true) - flood;
        self.alone.push(each(alone, count));
        self.flood_alone.push(each(flood, 2 * count));
        self.in_flood.push(each(in_flood, count));
        self.ratio.push(in_flood / alone);
    }

    fn tell(&self) {
        let flood = match self.flood {
            Made::UnknownKid => "tokens with random `kid`s",
            Made::Expired => "for comparison, expired tokens",
        };
        println!("flood of {flood}");
        for (name, values) in [
            ("good token, alone", &self.alone),
            ("token of the flood, alone", &self.flood_alone),
            ("good token, in the flood", &self.in_flood),
        ] {
            let [low, median, high] = quartiles(values);
            println!("  {name:<28}{median:>7.1} µs of processor time ({low:.1} to {high:.1})");
        }
        let [low, median, high] = quartiles(&self.ratio);
        println!(
            "  {:<28}{median:>7.2} ({low:.2} to {high:.2})",
            "in the flood / alone"
        );
        println!(
            "  {:<28}{:>7} (at most {})\n",
            "fetches of keys", self.fetches, self.most_fetches
        );
    }
}

fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

fn config(upstream: &Upstream, jwks: &JwksServer) -> Config {
    let policy = json!({
        "slug": "app", "gateway_path": "/",
        "default_policy": {"auth": {
            "auth_type": "jwt", "issuer": ISSUER, "audience": "orders", "jwks_url": jwks.url(),
            "jwks_cache_ttl_secs": 86_400,
            "forward_claims_as_headers": {"sub": "X-User-Id"},
        }},
    });
    Config::new(upstream.addr())
        .filter(nexusctl::compile_policy(&policy.to_string()))
        .cluster(&jwks.authority(), jwks.addr())
        .concurrency(1)
        .log_level("warn", "warn")
        .edit_connection_manager(|manager| {
            // Writing the log is nobody's affair here.
            manager["access_log"] = json!([]);
        })
}

/// What is sent.
struct Requests {
    good: Vec<Vec<u8>>,
    expired: Vec<Vec<u8>>,
    forger: Forger,
    flood: Made,
    sent: std::cell::Cell<u64>,
}

impl Requests {
    fn new(key: &Key, flood: Made) -> Self {
        let token = |number: u32, seconds: i64| {
            Token::new(ISSUER)
                .audience("orders")
                .claim("jti", format!("{number}"))
                .expires_in(seconds)
                .sign(key, Algorithm::RS256)
        };
        let requests = |seconds: i64| {
            (0..TOKENS)
                .map(|number| Request::get("/").bearer(token(number, seconds)).to_bytes())
                .collect()
        };
        Self {
            good: requests(7_200),
            expired: requests(-7_200),
            forger: Forger::like(&token(0, 7_200)),
            flood,
            sent: std::cell::Cell::new(0),
        }
    }

    /// Sends so many of each; gives the processor time that Envoy took.
    fn send(&self, envoy: &Envoy, good: u64, bad: u64) -> Duration {
        let first = self.sent.replace(self.sent.get() + bad);
        let pick = |from: &[Vec<u8>], number: u64| from[number as usize % from.len()].clone();
        let (forger, expired, flood) = (&self.forger, &self.expired, self.flood);
        let good_tokens = &self.good;
        let good_request = |number: u64| pick(good_tokens, number);
        let bad_request = |number: u64| match flood {
            Made::UnknownKid => forger.request(first + number),
            Made::Expired => pick(expired, number),
        };
        let good = (good, 200, &good_request as &(dyn Fn(u64) -> Vec<u8> + Sync));
        let bad = (bad, 401, &bad_request as &(dyn Fn(u64) -> Vec<u8> + Sync));
        let sent: Vec<_> = [good, bad]
            .into_iter()
            .filter(|(total, ..)| *total > 0)
            .collect();
        let kinds: Vec<Kind<'_>> = sent
            .iter()
            .map(|(total, _, request)| Kind {
                total: *total,
                request: *request,
            })
            .collect();
        let before = envoy.cpu_time();
        let report = flood::run(envoy.addr(), CONNECTIONS, &kinds);
        let taken = envoy.cpu_time() - before;
        assert_eq!(report.failures, [""; 0]);
        let expected: Vec<_> = sent
            .iter()
            .map(|(total, status, _)| BTreeMap::from([(*status, *total)]))
            .collect();
        assert_eq!(report.by_kind, expected, "good tokens pass and no others");
        taken
    }
}
