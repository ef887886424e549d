//! A raw HTTP/2 client over TCP with prior knowledge (RFC 9113 §3.3): it sends the fields that it is given, in order,
//! and reports each answer, or how the server refused to give one.
//!
//! It says what a well-behaved client would not: no `:authority`, or two; names in upper case; a `cookie` in crumbs
//! (§8.2.3). Fields are sent without compression (RFC 7541 §6.2.3), so that they go over the wire as they are.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use httlib_hpack::Decoder;

use crate::http::{Headers, Response, escape};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What every connection begins with (RFC 9113 §3.4), and behind it settings that are as by default.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The largest frame that every server takes (RFC 9113 §6.5.2).
const MAX_FRAME: usize = 16_384;

// RFC 9113 §6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// A request to send.
#[derive(Clone, Debug)]
pub struct Request {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    /// A request with this method and path to the authority `nexus.test`.
    pub fn new(method: &str, path: &str) -> Self {
        let pseudo = [
            (":method", method),
            (":scheme", "http"),
            (":path", path),
            (":authority", "nexus.test"),
        ];
        Self {
            fields: pseudo
                .map(|(name, value)| (name.into(), value.into()))
                .to_vec(),
            body: Vec::new(),
        }
    }

    /// A GET request.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// Adds a field behind the others; names go out as they are.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.fields
            .push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Adds a field before the others, where pseudo-header fields have to be.
    #[must_use]
    pub fn first(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields
            .insert(0, (name.into(), value.as_ref().to_vec()));
        self
    }

    /// Removes every field of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| known != name.as_bytes());
        self
    }

    /// Sets the authority.
    #[must_use]
    pub fn authority(self, authority: &str) -> Self {
        self.without(":authority").first(":authority", authority)
    }

    /// Adds `authorization: Bearer TOKEN`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sets the body, whose length is told by nothing but its end.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// The frames of this request.
    fn frames(&self, stream: u32) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in &self.fields {
            // A literal that is never indexed, with a new name; no Huffman coding.
            block.push(0x10);
            for text in [name, value] {
                push_length(&mut block, text.len());
                block.extend(text);
            }
        }
        let end = if self.body.is_empty() { END_STREAM } else { 0 };
        let mut frames = Vec::new();
        let parts = block.chunks(MAX_FRAME).count();
        for (at, part) in block.chunks(MAX_FRAME).enumerate() {
            let (kind, mut flags) = if at == 0 {
                (HEADERS, end)
            } else {
                (CONTINUATION, 0)
            };
            if at + 1 == parts {
                flags |= END_HEADERS;
            }
            push_frame(&mut frames, kind, flags, stream, part);
        }
        let parts = self.body.chunks(MAX_FRAME).count();
        for (at, part) in self.body.chunks(MAX_FRAME).enumerate() {
            let flags = if at + 1 == parts { END_STREAM } else { 0 };
            push_frame(&mut frames, DATA, flags, stream, part);
        }
        frames
    }
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn push_length(out: &mut Vec<u8>, length: usize) {
    const PREFIX: usize = 0x7F;
    if length < PREFIX {
        out.push(length as u8);
        return;
    }
    out.push(PREFIX as u8);
    let mut rest = length - PREFIX;
    while rest >= 0x80 {
        out.push((rest % 0x80) as u8 | 0x80);
        rest /= 0x80;
    }
    out.push(rest as u8);
}

fn push_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a frame is short");
    out.extend(&length.to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

/// How a server refuses to answer (RFC 9113 §5.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It ended the stream with this error code.
    StreamReset(u32),
    /// It ended the connection, with this error code if it told one.
    Closed(Option<u32>),
}

/// What comes of a request.
pub type Outcome = Result<Response, Refusal>;

/// A connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
    decoder: Decoder<'static>,
    next_stream: u32,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("stream", &self.stream)
            .field("next_stream", &self.next_stream)
            .finish_non_exhaustive()
    }
}

/// What has come of an answer so far.
#[derive(Default)]
struct Partial {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens.
    pub fn open(addr: SocketAddr) -> Self {
        let connect = || {
            let mut stream = TcpStream::connect_timeout(&addr, TIMEOUT)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            stream.write_all(PREFACE)?;
            Ok::<_, io::Error>(stream)
        };
        let stream = connect().unwrap_or_else(|error| panic!("no connection to {addr}: {error}"));
        Self {
            stream: BufReader::new(stream),
            decoder: Decoder::default(),
            next_stream: 1,
        }
    }

    /// Sends a request and reads its answer.
    ///
    /// # Panics
    /// When the server answers in time neither with a response nor with a refusal, or with what is not HTTP/2.
    pub fn send(&mut self, request: &Request) -> Outcome {
        self.send_all(std::slice::from_ref(request)).remove(0)
    }

    /// Sends requests at once, each on a stream of its own; the outcomes are in the order of the requests.
    ///
    /// # Panics
    /// As [`Self::send`].
    pub fn send_all(&mut self, requests: &[Request]) -> Vec<Outcome> {
        let first = self.next_stream;
        let mut frames = Vec::new();
        let mut streams = Vec::new();
        for request in requests {
            frames.extend(request.frames(self.next_stream));
            streams.push(self.next_stream);
            self.next_stream += 2;
        }
        let mut outcomes = BTreeMap::new();
        let mut partial: BTreeMap<u32, Partial> = BTreeMap::new();
        let mut end = None;
        // A server that has closed the connection says why to whoever reads.
        let sent = self.stream.get_mut().write_all(&frames);
        while outcomes.len() < streams.len() && end.is_none() {
            match self.read_event() {
                Ok(Event::Fields(stream, fields, is_last)) => {
                    let status = fields.iter().find(|(name, _)| name == b":status");
                    let is_interim = status.is_some_and(|(_, value)| value.starts_with(b"1"));
                    let answer = partial.entry(stream).or_default();
                    // Trailers come behind the header section, and are not asked for here.
                    if !is_interim && answer.fields.is_empty() {
                        answer.fields = fields;
                    }
                    if is_last {
                        outcomes.insert(stream, Ok(answer.finish()));
                    }
                }
                Ok(Event::Data(stream, data, is_last)) => {
                    let answer = partial.entry(stream).or_default();
                    answer.body.extend(data);
                    if is_last {
                        outcomes.insert(stream, Ok(answer.finish()));
                    }
                }
                Ok(Event::Reset(stream, code)) => {
                    // A stream that has been answered may be reset nevertheless.
                    outcomes
                        .entry(stream)
                        .or_insert(Err(Refusal::StreamReset(code)));
                }
                Ok(Event::GoAway(0)) => {}
                Ok(Event::GoAway(code)) => end = Some(Some(code)),
                Err(error) if is_end(&error) => end = Some(None),
                Err(error) => panic!("no answer to a request over HTTP/2 ({sent:?}): {error}"),
            }
            outcomes.retain(|stream, _| *stream >= first);
        }
        let closed = || Err(Refusal::Closed(end.flatten()));
        streams
            .iter()
            .map(|stream| outcomes.remove(stream).unwrap_or_else(closed))
            .collect()
    }

    /// The next thing that concerns a request.
    fn read_event(&mut self) -> io::Result<Event> {
        loop {
            let (kind, flags, stream, payload) = self.read_frame()?;
            let is_last = flags & END_STREAM != 0;
            match kind {
                HEADERS => {
                    let mut block = unpadded(flags, payload)?;
                    if flags & PRIORITY != 0 {
                        block.drain(..5.min(block.len()));
                    }
                    let mut flags = flags;
                    while flags & END_HEADERS == 0 {
                        let (kind, more, same, payload) = self.read_frame()?;
                        if kind != CONTINUATION || same != stream {
                            return Err(invalid("a header block is interrupted"));
                        }
                        flags |= more & END_HEADERS;
                        block.extend(payload);
                    }
                    return Ok(Event::Fields(stream, self.decode(block)?, is_last));
                }
                DATA => {
                    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
                    if length > 0 {
                        // The window of the connection, for the next answers.
                        self.write_frame(WINDOW_UPDATE, 0, 0, &length.to_be_bytes())?;
                    }
                    return Ok(Event::Data(stream, unpadded(flags, payload)?, is_last));
                }
                RST_STREAM => return Ok(Event::Reset(stream, code(&payload, 0)?)),
                GOAWAY => return Ok(Event::GoAway(code(&payload, 4)?)),
                SETTINGS if flags & ACK == 0 => self.write_frame(SETTINGS, ACK, 0, &[])?,
                PING if flags & ACK == 0 => self.write_frame(PING, ACK, 0, &payload)?,
                _ => {}
            }
        }
    }

    fn read_frame(&mut self) -> io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, d, e, f, g] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([d & 0x7F, e, f, g]);
        Ok((kind, flags, stream, payload))
    }

    /// A server that has left need not be told.
    fn write_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let mut frame = Vec::new();
        push_frame(&mut frame, kind, flags, stream, payload);
        match self.stream.get_mut().write_all(&frame) {
            Err(error) if !is_end(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn decode(&mut self, mut block: Vec<u8>) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut fields = Vec::new();
        while !block.is_empty() {
            self.decoder
                .decode(&mut block, &mut fields)
                .map_err(|error| invalid(&format!("a header block: {error:?}")))?;
        }
        let fields = fields.into_iter().map(|(name, value, _)| (name, value));
        // An update of the table's size is no field.
        Ok(fields.filter(|(name, _)| !name.is_empty()).collect())
    }
}

impl Partial {
    fn finish(&mut self) -> Response {
        let Self { fields, body } = std::mem::take(self);
        let status = fields
            .iter()
            .find(|(name, _)| name == b":status")
            .and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok())
            .expect("an answer has a status");
        let headers = fields
            .into_iter()
            .filter(|(name, _)| !name.starts_with(b":"))
            .map(|(name, value)| (escape(&name), value));
        Response {
            status,
            headers: Headers(headers.collect()),
            body,
        }
    }
}

enum Event {
    Fields(u32, Vec<(Vec<u8>, Vec<u8>)>, bool),
    Data(u32, Vec<u8>, bool),
    Reset(u32, u32),
    GoAway(u32),
}

/// Removes padding (RFC 9113 §6.1).
fn unpadded(flags: u8, mut payload: Vec<u8>) -> io::Result<Vec<u8>> {
    if flags & PADDED != 0 {
        let padding = payload.first().copied().map(usize::from);
        let kept = padding.and_then(|padding| payload.len().checked_sub(padding));
        payload.truncate(kept.ok_or_else(|| invalid("a frame is all padding"))?);
        payload.drain(..1.min(payload.len()));
    }
    Ok(payload)
}

fn code(payload: &[u8], at: usize) -> io::Result<u32> {
    let bytes = payload.get(at..at + 4).and_then(|it| it.try_into().ok());
    bytes
        .map(u32::from_be_bytes)
        .ok_or_else(|| invalid("an error code is cut"))
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541 C.1 has a prefix of five bits; this one has seven.
    #[test]
    fn lengths_are_written_with_a_prefix_of_seven_bits() {
        for (length, bytes) in [
            (0, vec![0]),
            (126, vec![126]),
            (127, vec![127, 0]),
            (128, vec![127, 1]),
            (254, vec![127, 127]),
            (255, vec![127, 0x80, 1]),
            (1337, vec![127, 0xBA, 9]),
        ] {
            let mut out = Vec::new();
            push_length(&mut out, length);
            assert_eq!(out, bytes, "{length}");
        }
    }

    #[test]
    fn a_long_header_block_is_continued() {
        let request = Request::get("/").header("x", "a".repeat(40_000));
        let frames = request.frames(1);
        let mut rest = frames.as_slice();
        let mut seen = Vec::new();
        while let [a, b, c, kind, flags, _, _, _, _, after @ ..] = rest {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            seen.push((*kind, *flags, length));
            rest = &after[length..];
        }
        let last = seen.pop().expect("frames");
        assert_eq!((last.0, last.1), (CONTINUATION, END_HEADERS));
        assert_eq!(
            seen,
            [
                (HEADERS, END_STREAM, MAX_FRAME),
                (CONTINUATION, 0, MAX_FRAME)
            ]
        );
    }
}
