//! A raw HTTP/1.1 client over TCP: it sends the bytes that it is given and reports the answer
//! with all its headers.
//!
//! It never retries and never follows: what Envoy did with one request is what the test sees.

use std::{
    io::{self, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::http::{Request, Response, read_response};

/// How long one answer may take unless the client says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A client with at most one connection, kept open between requests.
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    timeout: Duration,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client of the server at `addr`; it connects on its first request.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            timeout: DEFAULT_TIMEOUT,
            connection: None,
        }
    }

    /// Bounds the wait for each answer; 30 s by default.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends a request and reads its answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn send(&mut self, request: &Request) -> Response {
        self.try_send(request)
            .unwrap_or_else(|error| panic!("no answer from {}: {error}", self.addr))
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When the connection fails, ends early or times out, or the answer is not HTTP/1.1.
    pub fn try_send(&mut self, request: &Request) -> io::Result<Response> {
        self.send_bytes(&request.to_bytes(), request.is_head())
    }

    /// Sends bytes as they are and reads one answer; `head` says that it has no body.
    ///
    /// # Errors
    /// As [`Self::try_send`].
    pub fn send_bytes(&mut self, bytes: &[u8], head: bool) -> io::Result<Response> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(connect(self.addr, self.timeout)?),
        };
        connection.get_mut().write_all(bytes)?;
        let response = read_response(&mut connection, head)?;
        let closes = response
            .headers
            .text("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !closes {
            self.connection = Some(connection);
        }
        Ok(response)
    }

    /// Sends bytes and leaves without reading an answer, as a client that gives up does.
    ///
    /// # Errors
    /// When the bytes cannot be sent.
    pub fn send_and_leave(&mut self, bytes: &[u8], stay: Duration) -> io::Result<()> {
        let mut stream = match self.connection.take() {
            Some(connection) => connection.into_inner(),
            None => connect(self.addr, self.timeout)?,
        };
        stream.write_all(bytes)?;
        std::thread::sleep(stay);
        Ok(())
    }
}

/// Sends one request on a connection of its own.
///
/// # Panics
/// When there is no answer.
pub fn send(addr: SocketAddr, request: &Request) -> Response {
    Client::new(addr).send(request)
}

fn connect(addr: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, timeout)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}
