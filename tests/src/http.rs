//! HTTP/1.1 messages as bytes: what was sent is what is reported, in order and unchanged.
//!
//! A ready-made HTTP library would refuse or tidy up exactly what the tests are about (header
//! bytes that are not UTF-8, duplicates, odd request lines), so messages are read and written
//! here. Only what Envoy, `nexusctl` and the tests send is understood.

use std::{
    fmt::Write as _,
    io::{self, BufRead, Read},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// The longest line of a message's head that is read, in bytes.
const MAX_LINE: u64 = 4 << 20;

/// The headers of a message, in the order in which they came, values byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Vec<u8>)>);

impl Headers {
    /// The values of a header, in order; names are compared without regard to case.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.0
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
            .collect()
    }

    /// The first value of a header.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.all(name).first().copied()
    }

    /// The first value of a header as text, with `\xNN` for bytes that are not UTF-8.
    pub fn text(&self, name: &str) -> Option<String> {
        self.first(name).map(escape)
    }

    /// Whether the header is there at all.
    pub fn contains(&self, name: &str) -> bool {
        self.first(name).is_some()
    }
}

/// A request to send: every part is bytes that go out as they are.
#[derive(Clone, Debug)]
pub struct Request {
    method: Vec<u8>,
    target: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    /// A request with any method and target; `host: nexus.test` unless a host is set.
    pub fn new(method: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.as_ref().to_vec(),
            target: target.as_ref().to_vec(),
            headers: vec![(b"host".to_vec(), b"nexus.test".to_vec())],
            body: Vec::new(),
        }
    }

    /// A GET request.
    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    /// Adds a header; duplicates stay, in order.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Replaces the `host` header.
    #[must_use]
    pub fn host(mut self, host: impl AsRef<[u8]>) -> Self {
        self.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case(b"host"));
        self.headers
            .insert(0, (b"host".to_vec(), host.as_ref().to_vec()));
        self
    }

    /// Adds `authorization: Bearer TOKEN`.
    #[must_use]
    pub fn bearer(self, token: impl AsRef<[u8]>) -> Self {
        let value = [b"Bearer ", token.as_ref()].concat();
        self.header("authorization", value)
    }

    /// Sets the body; `content-length` is added unless the request already has one.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// The request as it goes over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = [
            &self.method,
            b" ".as_slice(),
            &self.target,
            b" HTTP/1.1\r\n",
        ]
        .concat();
        for (name, value) in &self.headers {
            out.extend([name, b": ".as_slice(), value, b"\r\n"].concat());
        }
        let framed = self.headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case(b"content-length")
                || name.eq_ignore_ascii_case(b"transfer-encoding")
        });
        if !self.body.is_empty() && !framed {
            out.extend(format!("content-length: {}\r\n", self.body.len()).into_bytes());
        }
        out.extend(b"\r\n");
        out.extend(&self.body);
        out
    }

    /// Whether the answer has no body whatever its headers say (RFC 9110 §9.3.2).
    pub fn is_head(&self) -> bool {
        self.method == b"HEAD"
    }
}

/// A request as a server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRequest {
    /// The method, with `\xNN` for bytes that are not UTF-8.
    pub method: String,
    /// The request target, with `\xNN` for bytes that are not UTF-8.
    pub path: String,
    /// All headers in order.
    pub headers: Headers,
    /// The length of the body in bytes, after any transfer coding was removed.
    pub body_length: usize,
}

impl SeenRequest {
    /// The report as JSON: `headers` is an array of `[name, value]`; a value that is not UTF-8
    /// is `{"base64": "…"}`.
    pub fn to_json(&self) -> Value {
        let headers: Vec<Value> = self
            .headers
            .0
            .iter()
            .map(|(name, value)| match std::str::from_utf8(value) {
                Ok(text) => json!([name, text]),
                Err(_) => json!([name, {"base64": STANDARD.encode(value)}]),
            })
            .collect();
        json!({
            "method": self.method,
            "path": self.path,
            "headers": headers,
            "body_length": self.body_length,
        })
    }

    /// Reads what [`Self::to_json`] wrote; `None` when it is something else.
    pub fn from_json(report: &Value) -> Option<Self> {
        let mut headers = Vec::new();
        for pair in report["headers"].as_array()? {
            let value = match &pair[1] {
                Value::String(text) => text.clone().into_bytes(),
                other => STANDARD.decode(other["base64"].as_str()?).ok()?,
            };
            headers.push((pair[0].as_str()?.to_owned(), value));
        }
        Some(Self {
            method: report["method"].as_str()?.to_owned(),
            path: report["path"].as_str()?.to_owned(),
            headers: Headers(headers),
            body_length: usize::try_from(report["body_length"].as_u64()?).ok()?,
        })
    }
}

/// An answer as the client got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// All headers in order.
    pub headers: Headers,
    /// The body, after any transfer coding was removed.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text, with `\xNN` for bytes that are not UTF-8.
    pub fn text(&self) -> String {
        escape(&self.body)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is not JSON ({error}): {}", self.text()))
    }

    /// What the upstream reported to have seen.
    ///
    /// # Panics
    /// When the answer is not the upstream's, for example because the request was denied.
    pub fn seen(&self) -> SeenRequest {
        assert!(
            self.headers.contains(crate::upstream::MARK),
            "the answer is not the upstream's: {} {}",
            self.status,
            self.text()
        );
        SeenRequest::from_json(&self.json()).expect("the upstream's report is complete")
    }
}

/// Text with `\xNN` in place of bytes that are not UTF-8.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02X}").expect("writing to a string");
        }
    }
    out
}

/// Reads one request; `None` when the connection ended before its first byte.
pub(crate) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<SeenRequest>> {
    let Some((first, headers)) = read_head(reader)? else {
        return Ok(None);
    };
    let mut parts = first.splitn(2, |byte| *byte == b' ');
    let method = parts.next().unwrap_or_default();
    let rest = parts.next().unwrap_or_default();
    let path = rest.strip_suffix(b" HTTP/1.1").unwrap_or(rest);
    let body = match framing(&headers)? {
        Framing::Length(length) => read_exactly(reader, length)?,
        Framing::Chunked => read_chunks(reader)?,
        Framing::None => Vec::new(),
    };
    Ok(Some(SeenRequest {
        method: escape(method),
        path: escape(path),
        headers,
        body_length: body.len(),
    }))
}

/// Reads one answer; interim ones (1xx) are skipped. `head` says that no body follows.
pub(crate) fn read_response(reader: &mut impl BufRead, head: bool) -> io::Result<Response> {
    loop {
        let Some((first, headers)) = read_head(reader)? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let status = first
            .get(9..12)
            .and_then(|code| std::str::from_utf8(code).ok()?.parse::<u16>().ok())
            .ok_or_else(|| invalid(format!("bad status line `{}`", escape(&first))))?;
        if (100..200).contains(&status) {
            continue;
        }
        let body = if head || status == 204 || status == 304 {
            Vec::new()
        } else {
            match framing(&headers)? {
                Framing::Length(length) => read_exactly(reader, length)?,
                Framing::Chunked => read_chunks(reader)?,
                Framing::None => {
                    let mut body = Vec::new();
                    reader.read_to_end(&mut body)?;
                    body
                }
            }
        };
        return Ok(Response {
            status,
            headers,
            body,
        });
    }
}

/// How long a message's body is (RFC 9112 §6.3).
enum Framing {
    Length(u64),
    Chunked,
    None,
}

fn framing(headers: &Headers) -> io::Result<Framing> {
    if headers.contains("transfer-encoding") {
        return Ok(Framing::Chunked);
    }
    match headers.text("content-length") {
        Some(length) => length
            .parse()
            .map(Framing::Length)
            .map_err(|_| invalid(format!("bad content-length `{length}`"))),
        None => Ok(Framing::None),
    }
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<(Vec<u8>, Headers)>> {
    let Some(first) = read_line(reader)? else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(Some((first, Headers(headers))));
        }
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .ok_or_else(|| invalid(format!("bad header line `{}`", escape(&line))))?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        headers.push((escape(name), trim(value).to_vec()));
    }
}

/// A line without its end; `None` at the end of the connection.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(line))
}

fn read_exactly(reader: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    if body.len() as u64 == length {
        Ok(body)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let text = escape(&line);
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16)
            .map_err(|_| invalid(format!("bad chunk size `{text}`")))?;
        if size == 0 {
            // Trailers, then the empty line that ends the message.
            while !read_line(reader)?
                .ok_or(io::ErrorKind::UnexpectedEof)?
                .is_empty()
            {}
            return Ok(body);
        }
        body.extend(read_exactly(reader, size)?);
        read_line(reader)?;
    }
}

fn trim(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().take_while(|byte| is_space(byte)).count();
    let value = value.get(start..).unwrap_or_default();
    let end = value.iter().rev().take_while(|byte| is_space(byte)).count();
    value.get(..value.len() - end).unwrap_or_default()
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
