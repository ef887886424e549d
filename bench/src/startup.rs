//! Start-up: how long an Envoy with two workers takes until both answer a request with a good token, with its keys
//! fetched from a server of known latency, in proportion to the same Envoy without the filter.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use nexus_tests::{
    artifacts,
    client::Client,
    envoy::{self, Config, Envoy},
    http::Request,
    jwks_server::{Answer, JwksServer},
    keys::{self, Algorithm},
    nexusctl,
    tokens::now,
};
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::{
    Options,
    contenders::direct,
    cpu::Clock,
    document::Document,
    machine::Run,
    statistics::Sample,
    table::{Table, figure},
    tokens::{AUDIENCE, ISSUER, Signer, new_key},
};

/// How long the JWKS server takes for an answer.
const LATENCY: Duration = Duration::from_millis(50);
/// What the filter may add to that, in milliseconds.
const LIMIT: f64 = 150.0;
/// Connections that are opened one after the other: the kernel spreads them over both workers.
const CONNECTIONS: usize = 8;
const PATH: &str = "/api/orders/1042";
const TIMEOUT: Duration = Duration::from_secs(180);

/// Measures, prints and writes.
///
/// # Errors
/// When the results cannot be written.
///
/// # Panics
/// When Envoy does not start or answers something else than it should.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    if let Some(name) = options.only.first() {
        return Err(format!("there is nothing to choose from: `{name}`"));
    }
    let version = envoy::newest();
    let run = Run::now(&version);
    let key = new_key(Algorithm::ES256).with_kid("es256-1");
    let answer = Answer::ok(keys::jwks([key.public_jwk()])).after(LATENCY);
    let server = JwksServer::start("");
    server.answer(answer);
    let token = Signer::new(&key, Algorithm::ES256)
        .tokens(ISSUER, 1, now() + 3_600)
        .swap_remove(0);
    let request = Request::get(PATH).bearer(&token);

    let nexus = direct(2)
        .filter(nexusctl::compile_policy(&policy(&server)))
        .cluster(&server.authority(), server.addr());
    let empty = direct(2).filter("").module(artifacts::empty_filter());
    let mut contenders = [
        Contender::new("none", direct(2), Duration::ZERO),
        Contender::new("empty", empty, Duration::ZERO),
        Contender::new("nexus", nexus, LATENCY),
    ];
    for round in 0..options.rounds() {
        eprintln!("  round {} of {} …", round + 1, options.rounds());
        for contender in &mut contenders {
            contender.start(&version, &request);
        }
    }
    let module = fs::metadata(artifacts::wasm()).map_or(0, |file| file.len());
    let table = table(&contenders);
    let goal = goal(&contenders, module);
    println!("{}\n\n{}\n{}", run.line(), table.to_text(), goal.to_text());
    let json = json!({
        "run": run.to_json(),
        "rounds": options.rounds(),
        "jwks_latency_ms": millis(LATENCY),
        "contenders": contenders.iter().map(|contender| json!({
            "contender": contender.name,
            "ready_ms": contender.ready.to_json(),
            "process_cpu_ms": contender.cpu.to_json(),
            "added_ms": contender.added(&contenders[0]).to_json(),
        })).collect::<Vec<_>>(),
        "limit_ms": LIMIT,
        "module_bytes": module,
    });
    let file = options.write("startup.json", &json)?;
    println!("written to {}", file.display());
    if options.write_docs {
        let mut document = Document::open();
        let text = format!(
            "{}.\n\n{}\n{}",
            run.line(),
            table.to_markdown(),
            goal.to_markdown()
        );
        document.replace("startup", &text);
        document.save();
    }
    Ok(())
}

/// An Envoy to start, and what its starts took.
struct Contender {
    name: &'static str,
    config: Config,
    /// What of the time is others' answers.
    waits: Duration,
    /// Milliseconds from the start of the process until all connections are answered.
    ready: Sample,
    /// Milliseconds of processor time of all its threads until then.
    cpu: Sample,
}

impl Contender {
    fn new(name: &'static str, config: Config, waits: Duration) -> Self {
        Self {
            name,
            config,
            waits,
            ready: Sample(Vec::new()),
            cpu: Sample(Vec::new()),
        }
    }

    fn start(&mut self, version: &envoy::Version, request: &Request) {
        let (ready, cpu) = start(version, &self.config, request);
        self.ready.0.push(millis(ready));
        self.cpu.0.push(millis(cpu));
    }

    /// How much longer it takes than another, beside what it waits for others.
    fn added(&self, other: &Self) -> Sample {
        let rounds = self.ready.0.iter().zip(&other.ready.0);
        Sample(
            rounds
                .map(|(own, other)| own - other - millis(self.waits))
                .collect(),
        )
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn policy(server: &JwksServer) -> String {
    json!({"apps": [{
        "slug": "orders",
        "gateway_path": "/api",
        "default_policy": {"auth": {
            "auth_type": "jwt",
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "jwks_url": server.url(),
            "forward_claims_as_headers": {"sub": "x-user-id"},
        }},
    }]})
    .to_string()
}

fn table(contenders: &[Contender]) -> Table {
    let cell =
        |sample: &Sample| format!("{} ±{}", figure(sample.median()), figure(sample.spread()));
    let mut table = Table::new(["", "ready, ms", "CPU of all threads, ms"]);
    for contender in contenders {
        table.row([
            contender.name.to_owned(),
            cell(&contender.ready),
            cell(&contender.cpu),
        ]);
    }
    table
}

fn goal(contenders: &[Contender], module: u64) -> Table {
    let mut table = Table::new(["goal", "at most", "measured", ""]);
    if let [none, .., nexus] = contenders {
        let added = nexus.added(none).median();
        table.row([
            "what Nexus adds beside the answer of the JWKS server, ms",
            &figure(LIMIT),
            &figure(added),
            if added <= LIMIT { "reached" } else { "missed" },
        ]);
    }
    table.row([
        "bytes of the module, which the build holds to its budget",
        "",
        &module.to_string(),
        "",
    ]);
    table
}

/// The time from the start of the process until all connections are answered with 200, and the processor time of
/// all its threads until then.
fn start(version: &envoy::Version, config: &Config, request: &Request) -> (Duration, Duration) {
    // Bound and not listening: the port stays ours until Envoy, which shares its ports, listens on it.
    let port = reserve();
    let addr = port
        .local_addr()
        .ok()
        .and_then(|addr| addr.as_socket())
        .expect("a bound socket has an address");
    let config = config.clone().edit(move |bootstrap| {
        bootstrap["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] =
            json!(addr.port());
    });
    let started = Instant::now();
    thread::scope(|scope| {
        let answered = scope.spawn(move || {
            drop(connect(addr, started));
            let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::new(addr)).collect();
            for client in &mut clients {
                let answer = client.send(request);
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
            started.elapsed()
        });
        let envoy = Envoy::start(version, &config);
        let answered = answered.join().expect("the requests are answered");
        (answered, Clock::of(envoy.pid()).read().process)
    })
}

/// Waits until there is somebody who accepts.
fn connect(addr: SocketAddr, started: Instant) -> TcpStream {
    loop {
        match TcpStream::connect(addr) {
            Ok(stream) => return stream,
            Err(error) => assert!(started.elapsed() < TIMEOUT, "nobody listens: {error}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn reserve() -> Socket {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket.set_reuse_port(true).expect("SO_REUSEPORT");
    socket.bind(&addr.into()).expect("binding a loopback port");
    socket
}
