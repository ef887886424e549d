//! Requests that arrive before the keys: they wait, whole, and no longer than they should.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use nexus_tests::{
    client::Client,
    envoy::{self, Config, Envoy},
    eventually,
    http::Request,
    jwks_server::{Behaviour, JwksServer},
    keys::{self, Algorithm},
    upstream::Upstream,
};
use serde_json::json;

use crate::scene::{Health, ISSUER, assert_denied, compiled, fetches, good_token, key, token};

fn config(upstream: SocketAddr, jwks: &JwksServer, timeout_ms: u64) -> Config {
    let policy = json!({
        "slug": "app", "gateway_path": "/",
        "default_policy": {"auth": {
            "auth_type": "jwt", "issuer": ISSUER, "audience": "orders",
            "jwks_url": jwks.url(), "jwks_timeout_ms": timeout_ms,
        }},
    });
    Config::new(upstream)
        .filter(compiled(&policy))
        .cluster(&jwks.authority(), jwks.addr())
}

/// One slow answer decides all that came before it; their bodies reach the service as they were sent.
#[test]
fn requests_wait_with_their_bodies_for_one_fetch() {
    const LONG: Duration = Duration::from_secs(30);
    let echo = Echo::start();
    let good = good_token();
    let broken = nexus_tests::tokens::with_broken_signature(&good);
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        jwks.behave(Behaviour::Hold);
        let mut envoy = Envoy::start(version, &config(echo.addr, &jwks, 60_000));
        let health = Health::of(&envoy);
        // Longer than Envoy's buffers of 1 MiB: what does not fit stays with the client.
        let bodies = [0, 1, 70_000, 3 << 20].map(body);
        thread::scope(|scope| {
            for body in &bodies {
                for request in [sized(&good, body), chunked(&good, body)] {
                    let mut client = envoy.client();
                    scope.spawn(move || {
                        let response = client.send_bytes(&request, false).expect("an answer");
                        assert_eq!(
                            response.status,
                            200,
                            "{} bytes: {}",
                            body.len(),
                            response.text()
                        );
                        assert!(
                            response.body == *body,
                            "{} bytes arrive otherwise",
                            body.len()
                        );
                    });
                }
            }
            let mut client = envoy.client();
            let denied = sized(&broken, &bodies[2]);
            scope.spawn(move || {
                let response = client.send_bytes(&denied, false).expect("an answer");
                assert_denied(&response, "signature_invalid", "waits and is denied");
            });
            // Bodies that Envoy reads to their end: of a client whose bytes it does not read it
            // does not learn that it left.
            for body in &bodies[..3] {
                envoy
                    .client()
                    .send_and_leave(&sized(&good, body), Duration::from_millis(100))
                    .expect("the request is sent");
            }
            envoy.wait_for_stats("downstream_rq", LONG, |stats| {
                stats.value("http.ingress.downstream_rq_total") == 12
                    && stats.value("http.ingress.downstream_rq_active") == 9
            });
            jwks.serve(keys::jwks([key().public_jwk()]));
        });
        let stats = envoy.stats();
        let waited = stats.value("wasmcustom.nexus.jwks_cache.miss");
        let vms = stats.value("wasm.envoy.wasm.runtime.v8.active");
        assert!(waited >= 2, "{waited} requests waited");
        assert!(
            jwks.count() as u64 <= vms,
            "{} fetches by {vms} VMs",
            jwks.count()
        );
        // Those who left do not count.
        envoy.assert_allowed(8);
        let later = envoy.client().send_bytes(&sized(&good, &bodies[2]), false);
        assert!(
            later.is_ok_and(|it| it.body == bodies[2]),
            "with the keys there"
        );
        envoy.wait_for_stats("downstream_rq_active", Duration::from_secs(5), |stats| {
            stats.value("http.ingress.downstream_rq_active") == 0
        });
        health.assert_unharmed(&mut envoy);
    });
}

/// Four megabytes of tokens may wait in one VM. What comes on top is answered 503 at once, and the
/// place of a client that leaves is free again.
#[test]
fn waiting_requests_are_bounded_in_number_and_time() {
    const TIMEOUT: Duration = Duration::from_millis(2500);
    const LIMIT: usize = 4 << 20;
    let upstream = Upstream::start();
    let large = token()
        .claim("filler", "a".repeat(42_000))
        .sign(&key(), Algorithm::RS256);
    let fitting = LIMIT / large.len();
    let request = Request::get("/").bearer(&large);
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        jwks.behave(Behaviour::Hang);
        let timeout = u64::try_from(TIMEOUT.as_millis()).expect("milliseconds fit");
        // One worker: what fits is told for one VM.
        let config = config(upstream.addr(), &jwks, timeout).concurrency(1);
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        leave(envoy.addr(), fitting, &request.to_bytes());
        envoy.wait_for_stats("downstream_rq_active", Duration::from_secs(5), |stats| {
            stats.value("http.ingress.downstream_rq_active") == 0
        });

        let surplus = 10;
        let asked = Instant::now();
        let (mut in_time, mut refused) = (0, 0);
        for (response, after) in send_at_once(envoy.addr(), fitting + surplus, &request) {
            match response.status {
                503 => {
                    assert_denied(&response, "waiting_limit", "there is no room");
                    assert!(after < TIMEOUT, "refused after {after:?}, not at once");
                    refused += 1;
                }
                _ => {
                    assert_denied(&response, "jwks_unavailable", "waited in vain");
                    in_time += 1;
                }
            }
        }
        assert!(asked.elapsed() < TIMEOUT * 3, "{:?}", asked.elapsed());
        assert_eq!((in_time, refused), (fitting, surplus));
        let stats = envoy.stats();
        assert_eq!(
            stats.value("wasmcustom.nexus.denied.waiting_limit"),
            surplus as u64
        );
        assert_eq!(fetches(&stats, "success"), 0);
        let log = envoy.wait_for_access_log(fitting + surplus);
        let details = "nexus_denied{waiting_limit}";
        assert_eq!(
            log.iter().filter(|entry| entry.details == details).count(),
            surplus
        );

        jwks.serve(keys::jwks([key().public_jwk()]));
        let mut client = envoy.client();
        let recovered = eventually(Duration::from_secs(15), || {
            client.send(&request).status == 200
        });
        assert!(recovered, "the server is well again");
        health.assert_unharmed(&mut envoy);
    });
}

/// Sends a request on each of so many connections, waits until they are under way, and leaves.
fn leave(addr: SocketAddr, connections: usize, request: &[u8]) {
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let stay = Duration::from_millis(300);
                let sent = Client::new(addr).send_and_leave(request, stay);
                sent.expect("the request is sent");
            });
        }
    });
}

fn send_at_once(
    addr: SocketAddr,
    connections: usize,
    request: &Request,
) -> Vec<(nexus_tests::http::Response, Duration)> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let asked = Instant::now();
                    (Client::new(addr).send(request), asked.elapsed())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the client does not panic"))
            .collect()
    })
}

/// Bytes that show it when a part is missing, doubled or moved.
fn body(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_le_bytes).take(length).collect()
}

fn sized(token: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    Request::new("POST", "/upload")
        .bearer(token)
        .header("content-length", length)
        .body(body)
        .to_bytes()
}

fn chunked(token: &str, body: &[u8]) -> Vec<u8> {
    let mut chunks = Vec::new();
    for chunk in body.chunks(50_000) {
        chunks.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        chunks.extend(chunk);
        chunks.extend(b"\r\n");
    }
    chunks.extend(b"0\r\n\r\n");
    Request::new("POST", "/upload")
        .bearer(token)
        .header("transfer-encoding", "chunked")
        .body(chunks)
        .to_bytes()
}

/// A service that answers with the body that it got, one request for each connection.
struct Echo {
    addr: SocketAddr,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A connection that Envoy gives up is no failure of the service's.
                thread::spawn(move || answer(stream));
            }
        });
        Self { addr }
    }
}

fn answer(stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut length = None;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok(),
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let body = match length {
        Some(length) => read(&mut stream, length)?,
        None => read_chunks(&mut stream)?,
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream
        .get_mut()
        .write_all(&[head.as_bytes(), &body].concat())
}

fn read(stream: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        let chunk = read(stream, size)?;
        stream.read_line(&mut line)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend(chunk);
    }
}
