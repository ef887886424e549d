//! What a flood of made-up tokens does to good ones: processor time of Envoy's worker for each request.
//!
//! Each round measures three things, one after the other, in one Envoy with one worker: good requests alone, the flood
//! alone, and both at once. What the flood takes alone is subtracted from what both take; what is left is what the
//! good requests take in the flood. As many requests are under way in each of the three, since Envoy takes less for a
//! request the more it finds when it looks. Rounds go forwards and backwards by turns, so that a machine which gets
//! slower or faster favours nobody, and the median of the rounds counts.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nexus_tests::{
    envoy,
    flood::{self, Forger},
    jwks_server::JwksServer,
    keys::{self, Algorithm, Key},
    nexusctl,
    tokens::Token,
};
use serde_json::json;

use crate::{
    Options,
    contenders::{PATH, PREFIX, Running, direct},
    driver::{End, Requests},
    statistics::Sample,
    tokens::{AUDIENCE, ISSUER},
};

/// How many good tokens there are.
const TOKENS: usize = 64;

/// How many requests with good tokens a part has: few, so that what disturbs one part meets the next ones too.
const GOOD: usize = 250;

/// How many rounds there are for each of those that are asked for.
const ROUNDS: usize = 7;

/// How many made-up ones there are for each good one.
const FLOOD: usize = 2;

/// How long a part may take; it ends with its last request.
const LONGEST: Duration = Duration::from_secs(60);

/// Measures, and prints what came of it.
///
/// # Panics
/// When Envoy does not start or answers something else than it should.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let rounds = ROUNDS * options.rounds();
    let version = envoy::newest();
    println!(
        "Envoy {version}, one worker; {rounds} rounds of {GOOD} good and {} made-up tokens",
        FLOOD * GOOD
    );
    println!("median of the rounds, with the lower and the upper quartile\n");
    // A flood that is refused before anybody looks for a key shows what a flood does to Envoy itself.
    for flood in [Made::UnknownKid, Made::Expired] {
        Measurement::of(&version, flood, rounds).tell();
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
    alone: Sample,
    flood_alone: Sample,
    in_flood: Sample,
    fetches: usize,
    most_fetches: usize,
}

impl Measurement {
    fn of(version: &envoy::Version, flood: Made, rounds: usize) -> Self {
        let began = Instant::now();
        let mut door = Door::open(version, flood);
        let none = || Sample(Vec::new());
        let (mut alone, mut flood_alone, mut in_flood) = (none(), none(), none());
        // Warm: the keys are there, and V8 has compiled what is hot.
        door.measure(Part::Both);
        for round in 0..rounds {
            let mut parts = [Part::Good, Part::Flood, Part::Both];
            if round % 2 == 1 {
                parts.reverse();
            }
            let taken: BTreeMap<_, _> = parts.map(|part| (part, door.measure(part))).into();
            let each = |micros: f64, count: usize| micros / count as f64;
            alone.0.push(each(taken[&Part::Good], GOOD));
            flood_alone.0.push(each(taken[&Part::Flood], FLOOD * GOOD));
            let more = taken[&Part::Both] - taken[&Part::Flood];
            in_flood.0.push(each(more, GOOD));
        }
        Self {
            flood,
            alone,
            flood_alone,
            in_flood,
            fetches: door.jwks.count(),
            most_fetches: 1 + flood::most_refetches(began.elapsed()),
        }
    }

    fn tell(&self) {
        let flood = match self.flood {
            Made::UnknownKid => "tokens with random `kid`s",
            Made::Expired => "for comparison, expired tokens",
        };
        println!("flood of {flood}");
        let with_quartiles = |sample: &Sample, unit: &str| {
            let [low, median, high] = [0.25, 0.5, 0.75].map(|part| sample.quantile(part));
            format!("{median:>7.2}{unit} ({low:.2} to {high:.2})")
        };
        for (name, sample) in [
            ("good token, alone", &self.alone),
            ("token of the flood, alone", &self.flood_alone),
            ("good token, in the flood", &self.in_flood),
        ] {
            let taken = with_quartiles(sample, " µs of processor time");
            println!("  {name:<28}{taken}");
        }
        let ratio = with_quartiles(&self.in_flood.ratio(&self.alone), "");
        println!("  {:<28}{ratio}", "in the flood / alone");
        println!(
            "  {:<28}{:>7} (at most {})\n",
            "fetches of keys", self.fetches, self.most_fetches
        );
    }
}

/// What is sent at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Good,
    Flood,
    Both,
}

/// An Envoy that fetches its keys, and what it is sent.
struct Door {
    running: Running,
    jwks: JwksServer,
    good: Vec<String>,
    expired: Vec<String>,
    forger: Forger,
    flood: Made,
    /// How many were made up.
    made_up: u64,
}

impl Door {
    fn open(version: &envoy::Version, flood: Made) -> Self {
        let key = keys::rsa().with_kid("key");
        let jwks = JwksServer::start(keys::jwks([key.public_jwk()]));
        let policy = json!({
            "slug": "orders", "gateway_path": PREFIX,
            "default_policy": {"auth": {
                "auth_type": "jwt", "issuer": ISSUER, "audience": AUDIENCE, "jwks_url": jwks.url(),
                "jwks_cache_ttl_secs": 86_400,
                "forward_claims_as_headers": {"sub": "x-user-id"},
            }},
        });
        let config = direct(1)
            .filter(nexusctl::compile_policy(&policy.to_string()))
            .cluster(&jwks.authority(), jwks.addr());
        let good = tokens(&key, 7_200);
        Self {
            running: Running::start(version, &config),
            jwks,
            forger: Forger::like(&good[0]),
            good,
            expired: tokens(&key, -7_200),
            flood,
            made_up: 0,
        }
    }

    /// Sends a part; gives the processor time that Envoy's worker took, in microseconds.
    fn measure(&mut self, part: Part) -> f64 {
        let tokens: Vec<String> = (0..GOOD)
            .flat_map(|number| self.turn(part, number))
            .collect();
        let end = End {
            after: LONGEST,
            requests: tokens.len(),
        };
        let (answers, used) = self.running.saturate(Requests::new(PATH, &tokens), end);
        let (good, bad) = match part {
            Part::Good => (GOOD, 0),
            Part::Flood => (0, FLOOD * GOOD),
            Part::Both => (GOOD, FLOOD * GOOD),
        };
        let expected = [(200, good as u64), (401, bad as u64)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(
            answers.by_status, expected,
            "good tokens pass and no others"
        );
        used.worker.as_secs_f64() * 1e6
    }

    /// The tokens that a part has in one turn: a good one, and those that were made up for it.
    fn turn(&mut self, part: Part, number: usize) -> Vec<String> {
        let pick = |from: &[String]| from[number % from.len()].clone();
        let mut tokens = Vec::new();
        if part != Part::Flood {
            tokens.push(pick(&self.good));
        }
        if part != Part::Good {
            for _ in 0..FLOOD {
                self.made_up += 1;
                tokens.push(match self.flood {
                    Made::UnknownKid => self.forger.token(self.made_up),
                    Made::Expired => pick(&self.expired),
                });
            }
        }
        tokens
    }
}

/// Tokens that end in so many seconds.
fn tokens(key: &Key, seconds: i64) -> Vec<String> {
    let token = |number: usize| {
        Token::new(ISSUER)
            .audience(AUDIENCE)
            .claim("jti", number.to_string())
            .expires_in(seconds)
            .sign(key, Algorithm::RS256)
    };
    (0..TOKENS).map(token).collect()
}
