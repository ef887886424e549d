//! Drives one Envoy over a few kept connections, from one thread: as fast as it answers, or at a rate of its own.
//!
//! It does no more for a request than it has to, since on a small machine what the driver needs is missing elsewhere.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Connections to each Envoy; at most as many requests are under way.
pub(crate) const CONNECTIONS: usize = 16;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The requests of a round, which differ in their token only.
#[derive(Clone, Debug)]
pub(crate) struct Requests<'t> {
    path: &'t str,
    tokens: &'t [String],
    next: usize,
}

impl<'t> Requests<'t> {
    /// Requests for a path with these tokens in turn, again and again; without any, requests without a token.
    pub(crate) fn new(path: &'t str, tokens: &'t [String]) -> Self {
        Self {
            path,
            tokens,
            next: 0,
        }
    }

    /// Writes the next request into `bytes`: what a browser sends on behalf of a page.
    fn next(&mut self, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(b"GET ");
        bytes.extend_from_slice(self.path.as_bytes());
        bytes.extend_from_slice(
            b" HTTP/1.1\r\n\
            host: api.example.com\r\n\
            user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
            accept: application/json\r\n\
            accept-language: en-GB,en;q=0.9\r\n\
            accept-encoding: gzip, deflate, br\r\n\
            referer: https://shop.example.com/orders\r\n\
            traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
        );
        if let Some(token) = self.tokens.get(self.next) {
            bytes.extend_from_slice(b"authorization: Bearer ");
            bytes.extend_from_slice(token.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        self.next = (self.next + 1) % self.tokens.len().max(1);
    }
}

/// When a round ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// No request is sent after this.
    pub(crate) after: Duration,
    /// No more requests than this are sent.
    pub(crate) requests: usize,
}

/// What a round gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// How often each status was answered.
    pub(crate) by_status: BTreeMap<u16, u64>,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// For a rate: the nanoseconds from when each request was due until its answer was there, in no order.
    pub(crate) latencies: Vec<u64>,
}

impl Answers {
    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.by_status.values().sum()
    }
}

/// The connections to one Envoy.
#[derive(Debug)]
pub(crate) struct Driver {
    connections: Vec<Connection>,
    request: Vec<u8>,
}

impl Driver {
    /// Connects.
    ///
    /// # Errors
    /// When that fails.
    pub(crate) fn connect(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            connections: (0..CONNECTIONS)
                .map(|_| Connection::open(addr))
                .collect::<io::Result<_>>()?,
            request: Vec::with_capacity(4096),
        })
    }

    /// Sends a request on each connection as soon as the one before is answered, in a closed loop.
    ///
    /// # Errors
    /// When a connection fails, or an answer is none.
    pub(crate) fn saturate(
        &mut self,
        requests: &mut Requests<'_>,
        end: End,
    ) -> io::Result<Answers> {
        let Self {
            connections,
            request,
        } = self;
        let mut answers = Answers::default();
        let started = Instant::now();
        let mut left = end.requests;
        let mut may_send = || {
            let more = left > 0 && started.elapsed() < end.after;
            left = left.saturating_sub(1);
            more
        };
        for connection in &mut *connections {
            connection.wait_for_answers(true)?;
            if may_send() {
                requests.next(request);
                connection.send(request)?;
            }
        }
        // Envoy answers in about the order in which it was asked, so waiting for one connection after the other
        // keeps all of them busy.
        while connections.iter().any(|connection| connection.is_busy) {
            for connection in connections.iter_mut().filter(|one| one.is_busy) {
                let status = connection.answer()?;
                *answers.by_status.entry(status).or_default() += 1;
                if may_send() {
                    requests.next(request);
                    connection.send(request)?;
                }
            }
        }
        answers.elapsed = started.elapsed();
        Ok(answers)
    }

    /// Sends requests at `rate` a second on average, whether or not the ones before are answered, for `time`.
    ///
    /// They come as those of many independent clients do, in a Poisson process, which is the same in each round of the
    /// same `seed`. A latency counts from when its request was due: one that had to wait because all connections
    /// were busy has waited (no coordinated omission). The driver looks all the time, so that no latency is its own.
    ///
    /// # Errors
    /// When a connection fails, or an answer is none.
    pub(crate) fn pace(
        &mut self,
        requests: &mut Requests<'_>,
        rate: f64,
        time: Duration,
        seed: u64,
    ) -> io::Result<Answers> {
        let Self {
            connections,
            request,
        } = self;
        for connection in &mut *connections {
            connection.wait_for_answers(false)?;
        }
        let mut arrivals = Arrivals::new(rate, seed);
        let mut answers = Answers::default();
        let started = Instant::now();
        let mut due = arrivals.next();
        let mut idle: Vec<usize> = (0..connections.len()).collect();
        let mut busy: Vec<(usize, Duration)> = Vec::with_capacity(connections.len());
        loop {
            while due < time && started.elapsed() >= due {
                let Some(number) = idle.pop() else { break };
                requests.next(request);
                connections[number].send(request)?;
                busy.push((number, due));
                due = arrivals.next();
            }
            let mut place = 0;
            while let Some(&(number, due)) = busy.get(place) {
                match connections[number].answer_if_there()? {
                    Some(status) => {
                        let latency = started.elapsed().saturating_sub(due);
                        answers
                            .latencies
                            .push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
                        *answers.by_status.entry(status).or_default() += 1;
                        busy.swap_remove(place);
                        idle.push(number);
                    }
                    None => place += 1,
                }
            }
            if due >= time && busy.is_empty() {
                answers.elapsed = started.elapsed();
                return Ok(answers);
            }
            if started.elapsed() > time + TIMEOUT {
                return Err(ErrorKind::TimedOut.into());
            }
            std::hint::spin_loop();
        }
    }
}

/// Times at which requests are due.
struct Arrivals {
    mean: f64,
    at: f64,
    state: u64,
}

impl Arrivals {
    fn new(rate: f64, seed: u64) -> Self {
        Self {
            mean: 1.0 / rate,
            at: 0.0,
            state: seed,
        }
    }

    fn next(&mut self) -> Duration {
        // SplitMix64, which is enough for times.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        // In (0, 1], so that the logarithm is finite.
        let uniform = ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        self.at -= self.mean * uniform.ln();
        Duration::from_secs_f64(self.at)
    }
}

/// A kept connection with at most one request under way.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    is_busy: bool,
}

impl Connection {
    fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self {
            stream,
            buffer: vec![0; 16 * 1024],
            filled: 0,
            is_busy: false,
        })
    }

    fn wait_for_answers(&self, wait: bool) -> io::Result<()> {
        self.stream.set_nonblocking(!wait)
    }

    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)?;
        self.is_busy = true;
        Ok(())
    }

    /// The status of the answer, once it is there as a whole.
    fn answer(&mut self) -> io::Result<u16> {
        loop {
            if let Some(status) = self.answer_if_there()? {
                return Ok(status);
            }
        }
    }

    /// The status of the answer if it is there as a whole after one more read.
    fn answer_if_there(&mut self) -> io::Result<Option<u16>> {
        let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
        match self.stream.read(free) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(None),
            Err(error) => return Err(error),
        }
        let bytes = &self.buffer[..self.filled];
        let Some((status, length)) = parse(bytes)? else {
            return Ok(None);
        };
        if length < bytes.len() {
            return Err(invalid("there is more than the answer"));
        }
        if length > bytes.len() {
            return Ok(None);
        }
        self.filled = 0;
        self.is_busy = false;
        Ok(Some(status))
    }
}

/// Status and length, head and body, of an answer whose head is there as a whole.
fn parse(bytes: &[u8]) -> io::Result<Option<(u16, usize)>> {
    const NAME: &[u8] = b"content-length:";
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let mut lines = bytes[..head].split(|byte| *byte == b'\n');
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix(b"HTTP/1.1 "))
        .and_then(|line| number(line.get(..3)?))
        .ok_or_else(|| invalid("the answer is not HTTP/1.1"))?;
    let length = lines
        .find_map(|line| {
            let (name, value) = line.split_at_checked(NAME.len())?;
            name.eq_ignore_ascii_case(NAME).then(|| number(value))?
        })
        .ok_or_else(|| invalid("the answer does not tell its length"))?;
    let status = u16::try_from(status).map_err(io::Error::other)?;
    Ok(Some((status, head + 4 + length)))
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::{Arrivals, Requests, parse};

    #[test]
    fn answer_is_whole_when_its_body_is() {
        let answer =
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 14\r\nx: y\r\n\r\nJwt is missing";
        assert_eq!(parse(answer).unwrap(), Some((401, answer.len())));
        assert_eq!(parse(&answer[..60]).unwrap(), Some((401, answer.len())));
        assert_eq!(parse(&answer[..40]).unwrap(), None);
    }

    #[test]
    fn what_is_no_answer_with_a_length_is_an_error() {
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"HTTP/2 200\r\ncontent-length: 0\r\n\r\n").is_err());
    }

    #[test]
    fn tokens_go_round_in_their_order() {
        let tokens = ["one".to_owned(), "two".to_owned()];
        let mut requests = Requests::new("/api", &tokens);
        let mut bytes = Vec::new();
        let mut seen = Vec::new();
        for _ in 0..3 {
            requests.next(&mut bytes);
            let text = String::from_utf8(bytes.clone()).unwrap();
            let (_, token) = text.split_once("authorization: Bearer ").unwrap();
            seen.push(token.trim_end().to_owned());
        }
        assert_eq!(seen, ["one", "two", "one"]);
    }

    #[test]
    fn requests_without_tokens_have_no_such_header() {
        let mut bytes = Vec::new();
        Requests::new("/api", &[]).next(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("GET /api HTTP/1.1\r\nhost: "), "{text}");
        assert!(
            text.ends_with("-01\r\n\r\n") && !text.contains("authorization"),
            "{text}"
        );
    }

    #[test]
    fn arrivals_have_the_rate_that_was_asked_for_and_are_the_same_again() {
        let times = |seed| {
            let mut arrivals = Arrivals::new(10_000.0, seed);
            (0..10_000).map(|_| arrivals.next()).collect::<Vec<_>>()
        };
        let last = times(7)[9_999].as_secs_f64();
        assert!((0.95..1.05).contains(&last), "{last}");
        assert!(times(7).is_sorted());
        assert_eq!(times(7), times(7));
        assert_ne!(times(7), times(8));
    }
}
