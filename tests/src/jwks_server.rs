//! A JWKS endpoint whose behaviour can be switched while it runs: answers, delays, hangs, broken
//! connections, and a port that is closed and opened again.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;

use crate::{
    eventually,
    http::{SeenRequest, read_request},
    server::{Listener, Port},
    tls::Identity,
};

/// The path of the JWKS; the server answers every path alike.
pub const PATH: &str = "/.well-known/jwks.json";

/// An answer to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers besides `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long to wait between the request and the answer.
    pub delay: Duration,
}

impl Answer {
    /// Status 200, `content-type: application/json`, at once.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.into(),
            delay: Duration::ZERO,
        }
    }

    /// A status with a short text as its body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            body: format!("status {status}\n").into_bytes(),
            delay: Duration::ZERO,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before answering.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The answer to a request with this `if-none-match`.
    fn unless_known(self, known: Option<&str>) -> Self {
        let etag = self.headers.iter().find(|(name, _)| name == "etag");
        match etag {
            Some((_, etag)) if known == Some(etag) => Self {
                status: 304,
                body: Vec::new(),
                ..self
            },
            _ => self,
        }
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len()));
        head.into_bytes()
    }
}

/// What the server does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers.
    Answer(Answer),
    /// Answers, and says 304 without a body where `if-none-match` is the answer's `etag`.
    Revalidate(Answer),
    /// Never answers; the connection stays open until the client leaves or the server goes down.
    Hang,
    /// Keeps requests until the server is told to behave otherwise, and then does that.
    Hold,
    /// Sends the head and half of the body, then resets the connection.
    ResetMidBody(Answer),
    /// Closes the connection without a byte.
    Close,
    /// Sends the answer for the request's path, and 404 for any other.
    ByPath(BTreeMap<String, Answer>),
}

/// A running JWKS server on a port of 127.0.0.1; dropping it closes the port.
#[derive(Debug)]
pub struct JwksServer {
    port: Port,
    scheme: Scheme,
    state: Arc<State>,
    listener: Mutex<Option<Listener>>,
}

#[derive(Clone, Debug)]
enum Scheme {
    Http,
    Https(Arc<ServerConfig>),
}

#[derive(Debug)]
struct State {
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<SeenRequest>>,
}

impl JwksServer {
    /// Starts a server that serves this JWKS.
    pub fn start(jwks: impl Into<Vec<u8>>) -> Self {
        let server = Self::start_down(jwks);
        server.up();
        server
    }

    /// Starts a server that serves this JWKS over TLS with the identity's certificate.
    pub fn start_tls(jwks: impl Into<Vec<u8>>, identity: &Identity) -> Self {
        let server = Self::new(jwks.into(), Scheme::Https(identity.server()));
        server.up();
        server
    }

    /// Takes a port and listens only from the first [`Self::up`]; until then connections are
    /// refused.
    pub fn start_down(jwks: impl Into<Vec<u8>>) -> Self {
        Self::new(jwks.into(), Scheme::Http)
    }

    fn new(jwks: Vec<u8>, scheme: Scheme) -> Self {
        Self {
            port: Port::reserve(),
            scheme,
            state: Arc::new(State {
                behaviour: Mutex::new(Behaviour::Answer(Answer::ok(jwks))),
                requests: Mutex::default(),
            }),
            listener: Mutex::default(),
        }
    }

    /// The address; the same for the server's whole life.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// `127.0.0.1:PORT`: by default the name of the cluster that the filter calls.
    pub fn authority(&self) -> String {
        self.addr().to_string()
    }

    /// The JWKS URL, `http://127.0.0.1:PORT/.well-known/jwks.json` or with `https`.
    pub fn url(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https(_) => "https",
        };
        format!("{scheme}://{}{PATH}", self.addr())
    }

    /// From now on serves this JWKS.
    pub fn serve(&self, jwks: impl Into<Vec<u8>>) {
        self.behave(Behaviour::Answer(Answer::ok(jwks)));
    }

    /// From now on answers like this.
    pub fn answer(&self, answer: Answer) {
        self.behave(Behaviour::Answer(answer));
    }

    /// From the next request on behaves like this; requests under way keep their behaviour, but
    /// for those on hold.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.state.behaviour() = behaviour;
    }

    /// Closes the port and every connection; new ones are refused. The port stays reserved.
    pub fn down(&self) {
        drop(self.listener().take());
    }

    /// Opens the port (again); nothing happens when it is open.
    pub fn up(&self) {
        let mut listener = self.listener();
        if listener.is_none() {
            let state = Arc::clone(&self.state);
            let scheme = self.scheme.clone();
            *listener = Some(self.port.serve(move |stream| {
                // A client that leaves early is no failure of the server's.
                let _ = state.connection(stream, &scheme);
            }));
        }
    }

    /// From now on answers each of these paths so, and any other with 404.
    pub fn answer_paths<'p>(&self, answers: impl IntoIterator<Item = (&'p str, Answer)>) {
        let answers = answers.into_iter();
        self.behave(Behaviour::ByPath(
            answers
                .map(|(path, answer)| (path.to_owned(), answer))
                .collect(),
        ));
    }

    /// How many requests have come in.
    pub fn count(&self) -> usize {
        self.state.requests().len()
    }

    /// The requests that have come in, oldest first.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.state.requests().clone()
    }

    /// Waits until at least `count` requests have come in; says whether they have.
    pub fn wait_for_requests(&self, count: usize, timeout: Duration) -> bool {
        eventually(timeout, || self.count() >= count)
    }

    fn listener(&self) -> MutexGuard<'_, Option<Listener>> {
        self.listener.lock().expect("no panic while switching")
    }
}

impl State {
    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().expect("no panic while switching")
    }

    /// The behaviour, once it is another than to hold.
    fn released(&self) -> Behaviour {
        loop {
            match self.behaviour().clone() {
                Behaviour::Hold => thread::sleep(Duration::from_millis(2)),
                behaviour => return behaviour,
            }
        }
    }

    fn requests(&self) -> MutexGuard<'_, Vec<SeenRequest>> {
        self.requests.lock().expect("no panic while recording")
    }

    fn connection(&self, stream: TcpStream, scheme: &Scheme) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = stream.try_clone()?;
        match scheme {
            Scheme::Http => self.answer_all(BufReader::new(stream), &socket),
            Scheme::Https(config) => {
                let session =
                    ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                self.answer_all(BufReader::new(StreamOwned::new(session, stream)), &socket)
            }
        }
    }

    fn answer_all(
        &self,
        mut stream: BufReader<impl Read + Write>,
        socket: &TcpStream,
    ) -> io::Result<()> {
        while let Some(request) = read_request(&mut stream)? {
            let is_head = request.method == "HEAD";
            let path = request.path.clone();
            let known = request.headers.text("if-none-match");
            self.requests().push(request);
            let behaviour = match self.released() {
                Behaviour::ByPath(answers) => {
                    let answer = answers.get(&path).cloned();
                    Behaviour::Answer(answer.unwrap_or_else(|| Answer::status(404)))
                }
                Behaviour::Revalidate(answer) => {
                    Behaviour::Answer(answer.unless_known(known.as_deref()))
                }
                behaviour => behaviour,
            };
            match behaviour {
                Behaviour::Answer(answer) => {
                    thread::sleep(answer.delay);
                    let mut bytes = answer.head();
                    if !is_head {
                        bytes.extend(&answer.body);
                    }
                    stream.get_mut().write_all(&bytes)?;
                    stream.get_mut().flush()?;
                }
                Behaviour::Hang => {
                    let mut rest = Vec::new();
                    stream.read_to_end(&mut rest)?;
                }
                Behaviour::ResetMidBody(answer) => {
                    thread::sleep(answer.delay);
                    let half = answer.body.get(..answer.body.len() / 2);
                    let bytes = [answer.head().as_slice(), half.unwrap_or_default()].concat();
                    stream.get_mut().write_all(&bytes)?;
                    stream.get_mut().flush()?;
                    // Lets the client read what was sent before the reset discards it.
                    thread::sleep(Duration::from_millis(50));
                    return SockRef::from(socket).set_linger(Some(Duration::ZERO));
                }
                Behaviour::Close
                | Behaviour::Hold
                | Behaviour::ByPath(_)
                | Behaviour::Revalidate(_) => return Ok(()),
            }
        }
        Ok(())
    }
}
