//! The service behind the proxy: it answers every request with a report of what it saw.

use std::{
    collections::VecDeque,
    io::{self, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    http::{SeenRequest, read_request},
    server::{Listener, Port},
};

/// The response header that marks an answer as the upstream's.
pub const MARK: &str = "x-nexus-upstream";

/// How many of the latest requests are kept; all are counted.
const KEPT: usize = 1024;

/// A running upstream on a port of 127.0.0.1; dropping it closes the port.
///
/// It answers 200 with [`SeenRequest::to_json`] as the body, on kept connections.
#[derive(Debug)]
pub struct Upstream {
    port: Port,
    state: Arc<Mutex<State>>,
    _listener: Listener,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    latest: VecDeque<SeenRequest>,
}

impl Upstream {
    /// Starts it.
    pub fn start() -> Self {
        let port = Port::reserve();
        let state: Arc<Mutex<State>> = Arc::default();
        let listener = port.serve({
            let state = Arc::clone(&state);
            move |stream| {
                // A client that leaves early is no failure of the server's.
                let _ = connection(stream, &state);
            }
        });
        Self {
            port,
            state,
            _listener: listener,
        }
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// How many requests have come in since the start or [`Self::clear`].
    pub fn count(&self) -> u64 {
        self.state().count
    }

    /// The latest requests, at most 1024, oldest first.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.state().latest.iter().cloned().collect()
    }

    /// The latest request.
    pub fn last(&self) -> Option<SeenRequest> {
        self.state().latest.back().cloned()
    }

    /// Forgets what came in, and starts counting from 0.
    pub fn clear(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no panic while recording")
}

fn connection(stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream)? {
        let report = request.to_json().to_string();
        let body = if request.method == "HEAD" {
            ""
        } else {
            &report
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{MARK}: 1\r\n\
             content-length: {}\r\n\r\n{body}",
            report.len()
        );
        {
            let mut state = lock(state);
            state.count += 1;
            if state.latest.len() == KEPT {
                state.latest.pop_front();
            }
            state.latest.push_back(request);
        }
        stream.get_mut().write_all(answer.as_bytes())?;
    }
    Ok(())
}
