//! Guests in the text format, and a process with a fake clock to run them in.

use std::time::Duration;

use nexus_host::{
    FakeClock, HeaderMap, LogSource, Module, Outcome, Proxy, ScriptedCallouts, Stream, Vm, VmConfig,
};

/// 2023-11-14T22:13:20Z, when every fake clock starts.
pub(crate) const START: Duration = Duration::from_secs(1_700_000_000);

/// The bytes of a module: the prelude, and `body`, in which `@"text"` stands for two constants, the address and the
/// length of the text. In a text, `\0` is a NUL, `\n` the end of a line and `\x1f` that byte.
pub(crate) fn wasm(body: &str) -> Vec<u8> {
    let mut code = String::new();
    let mut data = String::new();
    let mut address = 16384;
    let mut rest = body;
    while let Some((before, text)) = rest.split_once("@\"") {
        let (text, after) = text.split_once('"').expect("a text ends");
        let length = text.len() - text.matches('\\').count() - 2 * text.matches("\\x").count();
        code.push_str(&format!(
            "{before}(i32.const {address}) (i32.const {length})"
        ));
        data.push_str(&format!(
            "(data (i32.const {address}) \"{}\")",
            text.replace("\\0", "\\00").replace("\\x", "\\")
        ));
        address += length;
        rest = after;
    }
    code.push_str(rest);
    let text = format!("(module\n{}\n{data}\n{code})", include_str!("prelude.wat"));
    wat::parse_str(text).expect("the test's module is well formed")
}

pub(crate) fn module(body: &str) -> Module {
    Module::compile(&wasm(body)).expect("the host offers all that the prelude imports")
}

/// A map as a guest gives it to the host.
pub(crate) fn serialized(pairs: &[(&str, &str)]) -> Vec<u8> {
    let word = |length: usize| u32::try_from(length).expect("a short text").to_le_bytes();
    let mut bytes = word(pairs.len()).to_vec();
    for (name, value) in pairs {
        bytes.extend(word(name.len()));
        bytes.extend(word(value.len()));
    }
    for (name, value) in pairs {
        bytes.extend(format!("{name}\0{value}\0").bytes());
    }
    bytes
}

/// Such a map as a data segment at 32768, and where it is.
pub(crate) fn map_data(pairs: &[(&str, &str)]) -> (String, String) {
    let bytes = serialized(pairs);
    let text: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    (
        format!("(data (i32.const 32768) \"{text}\")"),
        format!("(i32.const 32768) (i32.const {})", bytes.len()),
    )
}

/// A process with a fake clock and scripted callouts.
pub(crate) struct Bench {
    pub(crate) proxy: Proxy,
    pub(crate) clock: FakeClock,
    pub(crate) callouts: ScriptedCallouts,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let clock = FakeClock::at(START);
        let callouts = ScriptedCallouts::new();
        let proxy = Proxy::builder()
            .clock(clock.clone())
            .callouts(callouts.clone())
            .seed(1)
            .build();
        Self {
            proxy,
            clock,
            callouts,
        }
    }

    pub(crate) fn start(&self, body: &str) -> Vm {
        self.start_with(body, VmConfig::default())
    }

    pub(crate) fn start_with(&self, body: &str, config: VmConfig) -> Vm {
        self.proxy
            .start_vm(&module(body), config)
            .expect("the guest starts")
    }

    /// What guests have logged since the last call.
    pub(crate) fn lines(&self) -> Vec<String> {
        let entries = self.proxy.log().take();
        entries
            .into_iter()
            .filter(|entry| entry.source != LogSource::Host)
            .map(|entry| entry.message)
            .collect()
    }
}

pub(crate) fn forwarded(stream: &Stream) -> HeaderMap {
    match stream.outcome() {
        Outcome::Forwarded(forwarded) => forwarded.headers,
        other => panic!("not forwarded: {other:?}"),
    }
}

/// The status and the body of a local reply.
pub(crate) fn replied(stream: &Stream) -> (u32, String) {
    match stream.outcome() {
        Outcome::Replied(reply) => (
            reply.status,
            String::from_utf8_lossy(&reply.body).into_owned(),
        ),
        other => panic!("not replied: {other:?}"),
    }
}

pub(crate) fn is_paused(stream: &Stream) -> bool {
    matches!(stream.outcome(), Outcome::Paused(_))
}
