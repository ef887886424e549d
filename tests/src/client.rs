//! A raw HTTP/1.1 client over TCP or TLS: it sends the bytes that it is given and reports the answer
//! with all its headers.
//!
//! It never retries and never follows: what Envoy did with one request is what the test sees.

use std::{
    fmt,
    io::{self, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::http::{Request, Response, read_response};
use crate::tls::{ClientCertificate, Identity, TlsClient};

/// How long one answer may take unless the client says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A client with at most one connection, kept open between requests.
pub struct Client {
    addr: SocketAddr,
    timeout: Duration,
    tls: Option<TlsClient>,
    connection: Option<BufReader<Box<dyn Stream>>>,
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("addr", &self.addr)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at `addr`; it connects on its first request.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            timeout: DEFAULT_TIMEOUT,
            tls: None,
            connection: None,
        }
    }

    /// A client that speaks TLS with the server at `addr`, which has to be `server`, and shows a certificate if it
    /// has one.
    pub fn over_tls(
        addr: SocketAddr,
        server: &Identity,
        certificate: Option<&ClientCertificate>,
    ) -> Self {
        Self {
            addr,
            timeout: DEFAULT_TIMEOUT,
            tls: Some(server.client(certificate)),
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
            None => BufReader::new(self.connect()?),
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
            None => self.connect()?,
        };
        stream.write_all(bytes)?;
        std::thread::sleep(stay);
        Ok(())
    }

    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = connect(self.addr, self.timeout)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(stream)),
        })
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
