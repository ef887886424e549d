//! Growth: what a request costs as the policy, the keys or the tokens become many.
//!
//! One Envoy for each size, all of them driven by turns, so that a ratio between sizes is of the same run. The tokens are
//! EdDSA's, whose check is short and always the filter's own: the growth is not lost in it.

use std::time::Duration;

use nexus_tests::{
    envoy::{self, Config},
    http::Request,
    keys::{Algorithm, Key},
    nexusctl,
    tokens::now,
};
use serde_json::{Value, json};

use crate::{
    Options, ROUND_TIME, TOKENS_PER_ROUND, WARM_UP_TIME, charts,
    charts::Line,
    contenders::{Running, direct},
    document::Document,
    driver::{End, Requests},
    machine::Run,
    statistics::Sample,
    table::{Table, figure},
    tokens::{AUDIENCE, ISSUER, Signer, new_key},
};

/// The algorithm of all tokens here.
const ALGORITHM: Algorithm = Algorithm::EdDSA;
/// How many tokens go round for repeated ones.
const REPEATED: usize = 16;
/// How many distinct ones an Envoy sees before the first round.
const WARM_UP: usize = 500;
/// How long the tokens are good for, in seconds.
const VALIDITY: i64 = 86_400;
/// How often an Envoy is started anew where the start is measured.
const STARTS: usize = 3;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Apps,
    Routes,
    Providers,
    Keys,
    Tokens,
}

const AXES: [Axis; 5] = [
    Axis::Apps,
    Axis::Routes,
    Axis::Providers,
    Axis::Keys,
    Axis::Tokens,
];

impl Axis {
    fn name(self) -> &'static str {
        match self {
            Self::Apps => "apps",
            Self::Routes => "routes",
            Self::Providers => "providers",
            Self::Keys => "keys",
            Self::Tokens => "tokens",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Apps => "apps in the policy",
            Self::Routes => "routes in an app",
            Self::Providers => "providers of an app",
            Self::Keys => "keys in a JWK set",
            Self::Tokens => "live tokens that go round",
        }
    }

    /// In a hurry only the ends.
    fn sizes(self, quick: bool) -> Vec<usize> {
        let sizes: &[usize] = match self {
            Self::Apps | Self::Routes => &[10, 100, 1_000, 10_000],
            Self::Providers | Self::Keys => &[1, 10, 100, 1_000],
            Self::Tokens => &[1, 10, 100, 1_000, 10_000, 100_000],
        };
        match sizes {
            [first, .., last] if quick => vec![*first, *last],
            sizes => sizes.to_vec(),
        }
    }

    /// What the last size may cost in proportion to the first; for tokens the memory is what has a limit.
    fn limit(self) -> Option<f64> {
        match self {
            Self::Apps | Self::Routes => Some(1.3),
            Self::Providers => Some(1.2),
            Self::Keys => Some(1.1),
            Self::Tokens => None,
        }
    }
}

/// The longest that a VM may need for a configuration of 10,000 apps, in milliseconds.
const CONFIGURE_LIMIT: f64 = 250.0;

/// The issuer of a token that belongs to provider `number`.
fn issuer(number: usize) -> String {
    format!("https://sso-{number}.example.com")
}

/// What one size needs.
struct Case {
    policy: String,
    path: String,
    distinct: Vec<String>,
    repeated: Vec<String>,
}

impl Case {
    fn new(axis: Axis, size: usize, distinct: usize) -> Self {
        let middle = size / 2;
        let key = |number: usize| new_key(ALGORITHM).with_kid(&format!("key-{number}"));
        let provider = |issuer: &str, keys: &[Value]| json!({"issuer": issuer, "audience": AUDIENCE, "jwks": {"keys": keys}});
        let auth = |provider: &str| {
            json!({"auth": {
                "auth_type": "jwt",
                "providers": [provider],
                "forward_claims_as_headers": {"sub": "x-user-id"},
            }})
        };
        let mut token_key = key(0);
        let mut token_issuer = ISSUER.to_owned();
        let mut path = "/api/orders/1042?expand=items".to_owned();
        let mut repeated = REPEATED;
        let one = |key: &Key| json!({"sso": provider(ISSUER, &[key.public_jwk()])});
        let app = |slug: &str, path: &str| json!({"slug": slug, "gateway_path": path, "default_policy": auth("sso")});
        let policy = match axis {
            Axis::Apps => {
                path = format!("/app-{middle}/orders/1042?expand=items");
                let apps = (0..size)
                    .map(|number| app(&format!("app-{number}"), &format!("/app-{number}")));
                json!({"providers": one(&token_key), "apps": apps.collect::<Vec<_>>()})
            }
            Axis::Routes => {
                path = format!("/api/v{middle}/orders/1042?expand=items");
                let mut app = app("api", "/api");
                let routes = (0..size)
                    .map(|number| json!({"path": format!("/v{number}/*"), "policy": auth("sso")}));
                app["routes"] = routes.collect();
                json!({"providers": one(&token_key), "apps": [app]})
            }
            Axis::Providers => {
                token_issuer = issuer(middle);
                let mut providers = serde_json::Map::new();
                for number in 0..size {
                    let own = key(number);
                    providers.insert(
                        format!("sso-{number}"),
                        provider(&issuer(number), &[own.public_jwk()]),
                    );
                    if number == middle {
                        token_key = own;
                    }
                }
                let names: Vec<String> = providers.keys().cloned().collect();
                let mut app = app("api", "/api");
                app["default_policy"]["auth"]["providers"] = json!(names);
                json!({"providers": providers, "apps": [app]})
            }
            Axis::Keys => {
                let keys: Vec<Key> = (0..size).map(key).collect();
                token_key = keys[middle].clone();
                let jwks: Vec<Value> = keys.iter().map(Key::public_jwk).collect();
                json!({"providers": {"sso": provider(ISSUER, &jwks)}, "apps": [app("api", "/api")]})
            }
            Axis::Tokens => {
                repeated = size;
                json!({"providers": one(&token_key), "apps": [app("api", "/api")]})
            }
        };
        let signer = Signer::new(&token_key, ALGORITHM);
        let sign = |count| signer.tokens(&token_issuer, count, now() + VALIDITY);
        Self {
            policy: policy.to_string(),
            path,
            distinct: sign(distinct),
            repeated: sign(repeated),
        }
    }
}

/// What one size gave.
#[derive(Debug)]
struct Point {
    size: usize,
    /// Microseconds of the worker's processor time for a request with a repeated token.
    repeated: Sample,
    /// The same for a distinct token; none where the tokens are what grows.
    distinct: Sample,
    /// Milliseconds of the worker's processor time until the first answer, from the start of Envoy: the engine, the
    /// module and the configuration.
    start: Sample,
    /// Bytes of the compiled policy.
    configuration: usize,
    /// Resident bytes after the first answer, and at the end.
    memory_at_start: u64,
    memory: u64,
}

/// Measures, prints and writes.
///
/// # Errors
/// When something is named that there is not.
///
/// # Panics
/// When an Envoy does not start or answers something else than it should.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let axes = chosen(&options.only)?;
    let version = envoy::newest();
    let run = Run::now(&version);
    let measured: Vec<(Axis, Vec<Point>)> = axes
        .into_iter()
        .map(|axis| (axis, measure(axis, options, &version)))
        .collect();
    println!("{}", run.line());
    for (axis, points) in &measured {
        println!("\n{}\n", axis.about());
        print!("{}", table(*axis, points).to_text());
    }
    let goals = goals(&measured);
    println!("\nGoals\n\n{}", goals.to_text());
    let json = json!({
        "run": run.to_json(),
        "rounds": options.rounds(),
        "growth": measured
            .iter()
            .map(|(axis, points)| (axis.name().to_owned(), points_json(points)))
            .collect::<serde_json::Map<_, _>>(),
    });
    let file = options.write("scale.json", &json)?;
    println!("written to {}", file.display());
    if options.write_docs {
        let mut document = Document::open();
        document.replace("scale-run", &format!("{}.\n", run.line()));
        document.replace("scale-goals", &goals.to_markdown());
        for (axis, points) in &measured {
            document.replace(axis.name(), &table(*axis, points).to_markdown());
            document.chart(axis.name(), &chart(*axis, points));
        }
        document.save();
    }
    Ok(())
}

fn chosen(only: &[String]) -> Result<Vec<Axis>, String> {
    let named = |name: &str| only.iter().any(|wanted| wanted == name);
    if let Some(unknown) = only
        .iter()
        .find(|name| !AXES.iter().any(|axis| axis.name() == name.as_str()))
    {
        let names = AXES.map(Axis::name).join(" ");
        return Err(format!(
            "nothing that grows is called `{unknown}`\n  there are: {names}"
        ));
    }
    Ok(AXES
        .into_iter()
        .filter(|axis| only.is_empty() || named(axis.name()))
        .collect())
}

/// One size at work.
struct Lane {
    case: Case,
    running: Running,
    point: Point,
}

fn measure(axis: Axis, options: &Options, version: &envoy::Version) -> Vec<Point> {
    let per_round = TOKENS_PER_ROUND / 2;
    let distinct = match axis {
        Axis::Tokens => 0,
        _ => WARM_UP + options.rounds() * per_round,
    };
    eprintln!("  {} …", axis.about());
    let mut lanes: Vec<Lane> = axis
        .sizes(options.quick)
        .into_iter()
        .map(|size| Lane::start(axis, size, distinct, version))
        .collect();
    for lane in &mut lanes {
        lane.warm_up();
    }
    for round in 0..options.rounds() {
        let count = lanes.len();
        for turn in 0..count {
            let lane = &mut lanes[(turn + round) % count];
            let (repeated, _) = lane.drive(false, 0, ROUND_TIME, usize::MAX);
            lane.point.repeated.0.push(repeated);
            if distinct > 0 {
                let first = WARM_UP + round * per_round;
                let (cold, _) = lane.drive(true, first, ROUND_TIME, per_round);
                lane.point.distinct.0.push(cold);
            }
        }
    }
    lanes
        .into_iter()
        .map(|lane| Point {
            memory: lane.running.envoy.resident_bytes(),
            ..lane.point
        })
        .collect()
}

impl Lane {
    fn start(axis: Axis, size: usize, distinct: usize, version: &envoy::Version) -> Self {
        let case = Case::new(axis, size, distinct);
        let configuration = nexusctl::compile_policy(&case.policy);
        let config = direct(1).filter(configuration.clone());
        let starts = if axis == Axis::Apps { STARTS } else { 1 };
        let mut start = Sample(Vec::new());
        let mut running = None;
        for _ in 0..starts {
            drop(running.take());
            let (envoy, used) = start_once(version, &config, &case.path);
            start.0.push(used.as_secs_f64() * 1e3);
            running = Some(envoy);
        }
        let running = running.expect("it was started at least once");
        Self {
            point: Point {
                size,
                repeated: Sample(Vec::new()),
                distinct: Sample(Vec::new()),
                start,
                configuration: configuration.len(),
                memory_at_start: running.envoy.resident_bytes(),
                memory: 0,
            },
            case,
            running,
        }
    }

    /// Every token once, so that a repeated one is one that was seen, and enough distinct ones.
    fn warm_up(&mut self) {
        let all = self.case.repeated.len().max(WARM_UP);
        self.drive(false, 0, Duration::from_secs(600), all);
        self.drive(false, 0, WARM_UP_TIME, usize::MAX);
        if !self.case.distinct.is_empty() {
            self.drive(true, 0, ROUND_TIME, WARM_UP);
        }
    }

    /// Microseconds of processor time for a request, and how many there were.
    fn drive(
        &mut self,
        distinct: bool,
        first: usize,
        after: Duration,
        requests: usize,
    ) -> (f64, u64) {
        let tokens = match distinct {
            true => &self.case.distinct[first..first + requests],
            false => &self.case.repeated[..],
        };
        let sent = Requests::new(&self.case.path, tokens);
        let (answers, used) = self.running.saturate(sent, End { after, requests });
        assert!(
            answers.by_status.keys().all(|status| *status == 200),
            "{:?}\n{}",
            answers.by_status,
            self.running.envoy.log_end()
        );
        let count = answers.count();
        (used.worker.as_secs_f64() * 1e6 / count as f64, count)
    }
}

/// Starts Envoy and waits until its filter has answered, which it can once it has its configuration.
fn start_once(version: &envoy::Version, config: &Config, path: &str) -> (Running, Duration) {
    let running = Running::start(version, config);
    let answer = running.envoy.client().send(&Request::get(path));
    assert_eq!(answer.status, 401, "{}", running.envoy.log_end());
    let used = running.clock.read_settled().worker;
    (running, used)
}

fn table(axis: Axis, points: &[Point]) -> Table {
    let mebibytes = |bytes: u64| figure(bytes as f64 / f64::from(1 << 20));
    let with_ratio = |sample: &Sample, first: &Sample| {
        if sample.0.is_empty() {
            return String::new();
        }
        format!(
            "{} ±{} ({})",
            figure(sample.median()),
            figure(sample.spread()),
            figure(sample.ratio(first).median())
        )
    };
    let mut table = Table::new([
        axis.name(),
        "repeated token, µs",
        "distinct token, µs",
        "worker until ready, ms",
        "configuration, KiB",
        "memory when ready, MiB",
        "at the end, MiB",
    ]);
    let Some(first) = points.first() else {
        return table;
    };
    for point in points {
        table.row([
            point.size.to_string(),
            with_ratio(&point.repeated, &first.repeated),
            with_ratio(&point.distinct, &first.distinct),
            figure(point.start.median()),
            figure(point.configuration as f64 / 1024.0),
            mebibytes(point.memory_at_start),
            mebibytes(point.memory),
        ]);
    }
    table
}

fn points_json(points: &[Point]) -> Value {
    let points = points.iter().map(|point| {
        let distinct = (!point.distinct.0.is_empty()).then(|| point.distinct.to_json());
        json!({
            "size": point.size,
            "repeated_us": point.repeated.to_json(),
            "distinct_us": distinct,
            "worker_until_ready_ms": point.start.to_json(),
            "configuration_bytes": point.configuration,
            "resident_bytes_when_ready": point.memory_at_start,
            "resident_bytes": point.memory,
        })
    });
    points.collect()
}

fn goals(measured: &[(Axis, Vec<Point>)]) -> Table {
    let mut table = Table::new(["goal", "at most", "measured", ""]);
    for (axis, points) in measured {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            continue;
        };
        let ends = format!("{} → {} {}", first.size, last.size, axis.name());
        let mut judge = |what: String, limit: f64, value: f64| {
            let word = if value <= limit { "reached" } else { "missed" };
            table.row([what, figure(limit), figure(value), word.to_owned()]);
        };
        if let Some(limit) = axis.limit() {
            let repeated = last.repeated.ratio(&first.repeated).median();
            judge(format!("{ends}, repeated token"), limit, repeated);
            let distinct = last.distinct.ratio(&first.distinct).median();
            judge(format!("{ends}, distinct token"), limit, distinct);
        }
        if *axis == Axis::Apps {
            let what = format!("worker until ready with {} apps, ms", last.size);
            judge(what, CONFIGURE_LIMIT, last.start.median());
        }
    }
    table
}

fn chart(axis: Axis, points: &[Point]) -> String {
    let line = |name: &str, colour, pick: fn(&Point) -> &Sample| Line {
        name: name.to_owned(),
        colour,
        points: points
            .iter()
            .filter(|point| !pick(point).0.is_empty())
            .map(|point| (point.size as f64, pick(point).median()))
            .collect(),
    };
    let mut lines = vec![line("repeated token", "#1a73e8", |point| &point.repeated)];
    let distinct = line("distinct token", "#e8710a", |point| &point.distinct);
    if !distinct.points.is_empty() {
        lines.push(distinct);
    }
    let title = format!("CPU per request, microseconds, by {}", axis.about());
    charts::growth(&title, axis.about(), &lines)
}
