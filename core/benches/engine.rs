//! What a decision costs as a policy grows, and what it takes to read one.
//!
//! `cargo bench -p nexus-core --bench engine`. The growth is what matters: from 10 to 10,000 apps and routes, from one
//! to 1,000 providers, from one to 1,000 keys.

mod policies;

use divan::Bencher;
use nexus_core::engine::Outcome;
use policies::Case;

fn main() {
    divan::main();
}

fn decide(bencher: Bencher<'_, '_>, case: Case) {
    let mut running = case.run();
    assert!(matches!(running.decide().outcome, Outcome::Allow(_)));
    bencher.bench_local(|| running.decide());
}

#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn decision_by_apps(bencher: Bencher<'_, '_>, apps: usize) {
    decide(bencher, Case::of_apps(apps));
}

#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn decision_by_routes(bencher: Bencher<'_, '_>, routes: usize) {
    decide(bencher, Case::of_routes(routes));
}

#[divan::bench(args = [1, 10, 100, 1_000])]
fn decision_by_providers(bencher: Bencher<'_, '_>, providers: usize) {
    decide(bencher, Case::of_providers(providers));
}

#[divan::bench(args = [1, 10, 100, 1_000])]
fn decision_by_keys(bencher: Bencher<'_, '_>, keys: usize) {
    decide(bencher, Case::of_keys(keys));
}

/// Without its token a request is refused before anything is verified: what is left is finding the rule.
#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn refusal_by_apps(bencher: Bencher<'_, '_>, apps: usize) {
    let mut running = Case::of_apps(apps).run();
    running.strip();
    assert!(matches!(running.decide().outcome, Outcome::Deny(_)));
    bencher.bench_local(|| running.decide());
}

/// A token that is not genuine.
#[divan::bench(args = [1, 10, 100, 1_000])]
fn forgery_by_providers(bencher: Bencher<'_, '_>, providers: usize) {
    let mut running = Case::of_providers(providers).run();
    running.forge();
    assert!(matches!(running.decide().outcome, Outcome::Deny(_)));
    bencher.bench_local(|| running.decide());
}

#[divan::bench(args = [10, 100, 1_000, 10_000], sample_count = 10)]
fn configuration_by_apps(bencher: Bencher<'_, '_>, apps: usize) {
    let case = Case::of_apps(apps);
    bencher.bench_local(|| case.engine());
}

/// From the first fetch to the answer of the last source.
#[divan::bench(args = [1, 10, 100, 1_000], sample_count = 10)]
fn start_by_sources(bencher: Bencher<'_, '_>, sources: usize) {
    let case = Case::of_sources(sources);
    bencher
        .with_inputs(|| case.engine())
        .bench_local_values(|mut engine| {
            policies::start(&mut engine);
            engine
        });
}
