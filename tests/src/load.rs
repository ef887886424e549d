//! Many requests over a few kept connections, counted by status.
//!
//! It is there to find growth, crashes and answers that differ between the first and the
//! hundred-thousandth request; it is no benchmark.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{client::Client, http::Request};

/// What a run of [`run`] gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// For each prepared request, in order: how often it was answered with which status.
    pub by_request: Vec<BTreeMap<u16, u64>>,
    /// Requests without an answer, with the first few reasons in `failures`.
    pub failed: u64,
    /// The first failures of each connection, in words.
    pub failures: Vec<String>,
    /// How long the whole run took.
    pub elapsed: Duration,
}

impl Report {
    /// How often each status was answered, over all requests.
    pub fn by_status(&self) -> BTreeMap<u16, u64> {
        let mut sum = BTreeMap::new();
        for (status, count) in self.by_request.iter().flatten() {
            *sum.entry(*status).or_default() += count;
        }
        sum
    }

    /// The number of answered requests.
    pub fn answered(&self) -> u64 {
        self.by_status().values().sum()
    }
}

/// Sends `total` requests, taking the prepared ones in turn, over `connections` connections that
/// are kept open; each connection waits for its answer before it sends the next request.
pub fn run(addr: SocketAddr, connections: usize, requests: &[Request], total: u64) -> Report {
    let prepared: Vec<(Vec<u8>, bool)> = requests
        .iter()
        .map(|request| (request.to_bytes(), request.is_head()))
        .collect();
    let next = AtomicU64::new(0);
    let started = Instant::now();
    let mut report = Report {
        by_request: vec![BTreeMap::new(); prepared.len()],
        ..Report::default()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| drive(addr, &prepared, &next, total)))
            .collect();
        for worker in workers {
            let part = worker.join().expect("a load connection does not panic");
            for (sum, counts) in report.by_request.iter_mut().zip(part.by_request) {
                for (status, count) in counts {
                    *sum.entry(status).or_default() += count;
                }
            }
            report.failed += part.failed;
            report.failures.extend(part.failures);
        }
    });
    report.elapsed = started.elapsed();
    report
}

/// One connection's share: takes the next number until `total` is reached.
fn drive(addr: SocketAddr, prepared: &[(Vec<u8>, bool)], next: &AtomicU64, total: u64) -> Report {
    const FAILURES_KEPT: usize = 3;
    let mut client = Client::new(addr);
    let mut report = Report {
        by_request: vec![BTreeMap::new(); prepared.len()],
        ..Report::default()
    };
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= total {
            return report;
        }
        let index = usize::try_from(number % prepared.len() as u64).expect("an index fits");
        let (bytes, head) = &prepared[index];
        match client.send_bytes(bytes, *head) {
            Ok(answer) => *report.by_request[index].entry(answer.status).or_default() += 1,
            Err(error) => {
                report.failed += 1;
                if report.failures.len() < FAILURES_KEPT {
                    report.failures.push(format!("request {number}: {error}"));
                }
            }
        }
    }
}
