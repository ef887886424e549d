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
const TIMEOUT: Duration = Duration::from_secs(60);

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

    let without = direct(2);
    let with = direct(2)
        .filter(nexusctl::compile_policy(&policy(&server)))
        .cluster(&server.authority(), server.addr());
    let mut none = Sample(Vec::new());
    let mut nexus = Sample(Vec::new());
    for round in 0..options.rounds() {
        eprintln!("  round {} of {} …", round + 1, options.rounds());
        none.0.push(start(&version, &without, &request));
        nexus.0.push(start(&version, &with, &request));
    }
    let added = Sample(
        nexus
            .0
            .iter()
            .zip(&none.0)
            .map(|(with, without)| with - without - LATENCY.as_secs_f64() * 1e3)
            .collect(),
    );
    let module = fs::metadata(artifacts::wasm()).map_or(0, |file| file.len());
    let table = table(&none, &nexus, &added, module);
    println!("{}\n\n{}", run.line(), table.to_text());
    let json = json!({
        "run": run.to_json(),
        "rounds": options.rounds(),
        "jwks_latency_ms": LATENCY.as_secs_f64() * 1e3,
        "ready_without_ms": none.to_json(),
        "ready_with_ms": nexus.to_json(),
        "added_ms": added.to_json(),
        "limit_ms": LIMIT,
        "module_bytes": module,
    });
    let file = options.write("startup.json", &json)?;
    println!("written to {}", file.display());
    if options.write_docs {
        let mut document = Document::open();
        let text = format!("{}.\n\n{}", run.line(), table.to_markdown());
        document.replace("startup", &text);
        document.save();
    }
    Ok(())
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

fn table(none: &Sample, nexus: &Sample, added: &Sample, module: u64) -> Table {
    let cell =
        |sample: &Sample| format!("{} ±{}", figure(sample.median()), figure(sample.spread()));
    let mut table = Table::new([
        "milliseconds until every connection is answered",
        "",
        "goal",
    ]);
    table.row(["without a filter", &cell(none), ""]);
    table.row(["with the filter and its keys fetched", &cell(nexus), ""]);
    let goal = format!("at most {LIMIT:.0}");
    table.row([
        "what the filter adds, beside the answer of the JWKS server",
        &cell(added),
        &goal,
    ]);
    table.row([
        "bytes of the module",
        &module.to_string(),
        "at most 1500000",
    ]);
    table
}

/// Milliseconds from the start of the process until all connections are answered with 200.
fn start(version: &envoy::Version, config: &Config, request: &Request) -> f64 {
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
            let first = connect(addr, started);
            drop(first);
            let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::new(addr)).collect();
            for client in &mut clients {
                let answer = client.send(request);
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
            started.elapsed()
        });
        let envoy = Envoy::start(version, &config);
        let answered = answered.join().expect("the requests are answered");
        drop(envoy);
        answered.as_secs_f64() * 1e3
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
