//! A flood of tokens that nobody signed, each with another `kid`, beside requests with good ones.
//!
//! Each connection waits for its answer before it sends the next request: Envoy closes one on which there are more
//! requests when it answers one by itself. Connections of each kind are their own, as those of an attacker are, and
//! the kinds keep pace: each is there all the time.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    http::{Request, read_response},
    keys::random_text,
    tokens::{base64url, parts},
};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// By how much of its total one kind may be ahead of another: one in so many.
const PACE: u64 = 50;

/// A maker of tokens that look like a good one and name a key that there is not.
#[derive(Clone, Debug)]
pub struct Forger {
    seed: String,
    payload: String,
    signature: String,
}

impl Forger {
    /// One whose tokens say the same as this one.
    ///
    /// # Panics
    /// When it is no token.
    pub fn like(token: &str) -> Self {
        let [_, payload, _] = parts(token);
        Self {
            seed: random_text(12),
            payload: payload.to_owned(),
            // As long as one of RSA with 2048 bits.
            signature: random_text(256),
        }
    }

    /// The token with this number. No two have the same `kid`.
    pub fn token(&self, number: u64) -> String {
        let kid = format!("{}-{number:x}", self.seed);
        let header = format!(r#"{{"alg":"RS256","kid":"{kid}","typ":"JWT"}}"#);
        [&base64url(header), self.payload.as_str(), &self.signature].join(".")
    }

    /// A request with the token of this number.
    pub fn request(&self, number: u64) -> Vec<u8> {
        Request::get("/").bearer(self.token(number)).to_bytes()
    }
}

/// Requests of one kind.
#[derive(Clone, Copy)]
pub struct Kind<'r> {
    /// How many of them.
    pub total: u64,
    /// The request with a number below that.
    pub request: &'r (dyn Fn(u64) -> Vec<u8> + Sync),
}

/// What became of a [`run`].
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// For each kind: how often it was answered with which status.
    pub by_kind: Vec<BTreeMap<u16, u64>>,
    /// Why connections ended before their time, in words.
    pub failures: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Sends all requests of all kinds, each over so many connections of its own.
pub fn run(addr: SocketAddr, connections: usize, kinds: &[Kind<'_>]) -> Report {
    let progress: Vec<Progress> = kinds.iter().map(|kind| Progress::of(kind.total)).collect();
    let started = Instant::now();
    let mut report = Report {
        by_kind: vec![BTreeMap::new(); kinds.len()],
        ..Report::default()
    };
    thread::scope(|scope| {
        let mut running = Vec::new();
        for (at, kind) in kinds.iter().enumerate() {
            for _ in 0..connections {
                let progress = &progress;
                running.push((at, scope.spawn(move || drive(addr, kind, at, progress))));
            }
        }
        for (at, connection) in running {
            let (counts, end) = connection.join().expect("a connection does not panic");
            for (status, count) in counts {
                *report.by_kind[at].entry(status).or_default() += count;
            }
            report
                .failures
                .extend(end.err().map(|error| error.to_string()));
        }
    });
    report.elapsed = started.elapsed();
    report
}

/// How far a kind is.
struct Progress {
    total: u64,
    begun: AtomicU64,
}

impl Progress {
    fn of(total: u64) -> Self {
        Self {
            total,
            begun: AtomicU64::new(0),
        }
    }

    /// Which part of it has begun, of a million.
    fn share(&self) -> u64 {
        let begun = self.begun.load(Ordering::Relaxed).min(self.total);
        (begun * 1_000_000)
            .checked_div(self.total)
            .unwrap_or(1_000_000)
    }
}

/// One connection's share of a kind.
fn drive(
    addr: SocketAddr,
    kind: &Kind<'_>,
    at: usize,
    progress: &[Progress],
) -> (BTreeMap<u16, u64>, io::Result<()>) {
    let mut counts = BTreeMap::new();
    let end = (|| {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut stream = BufReader::new(stream);
        loop {
            let number = progress[at].begun.fetch_add(1, Ordering::Relaxed);
            if number >= kind.total {
                return Ok(());
            }
            stream.get_mut().write_all(&(kind.request)(number))?;
            let response = read_response(&mut stream, false)?;
            *counts.entry(response.status).or_default() += 1;
            let slowest = progress
                .iter()
                .map(Progress::share)
                .min()
                .unwrap_or_default();
            if progress[at].share() > slowest + 1_000_000 / PACE {
                thread::sleep(Duration::from_micros(500));
            }
        }
    })();
    (counts, end)
}

/// How many fetches an engine may make because of unknown `kid`s within so long, by what `docs/keys.md` says: one at
/// once, and further ones after pauses of 1, 2, 4, 8, 16, 32 and then 60 seconds each.
pub fn most_refetches(within: Duration) -> usize {
    let pauses = [1, 2, 4, 8, 16, 32]
        .into_iter()
        .chain(std::iter::repeat(60));
    let times = pauses.scan(0, |at, pause| {
        *at += pause;
        Some(*at)
    });
    1 + times.take_while(|at| *at <= within.as_secs()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refetches_come_at_the_times_that_the_documentation_says() {
        for (seconds, most) in [
            (0, 1),
            (1, 2),
            (2, 2),
            (3, 3),
            (6, 3),
            (7, 4),
            (63, 7),
            (122, 7),
            (123, 8),
            (183, 9),
        ] {
            assert_eq!(
                most_refetches(Duration::from_secs(seconds)),
                most,
                "{seconds} s"
            );
        }
    }

    #[test]
    fn forged_tokens_differ_in_their_kid_alone() {
        let good = [
            base64url(r#"{"alg":"RS256"}"#),
            base64url("{}"),
            base64url("x"),
        ]
        .join(".");
        let forger = Forger::like(&good);
        let (first, second) = (forger.token(1), forger.token(2));
        let ([kid, payload, signature], [other, same, alike]) = (parts(&first), parts(&second));
        assert_ne!(kid, other);
        assert_eq!((payload, signature), (same, alike));
        assert_eq!(payload, base64url("{}"));
    }
}
