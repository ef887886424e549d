//! The `.wasm` in `nexus-host`, with a fake clock and scripted answers: every callback, host call and
//! byte of the ABI is there, and nothing depends on how fast the machine is.

use std::{fs, sync::OnceLock, time::Duration};

use nexus_host::{
    Answer, FakeClock, LogLevel, Module, Outcome, Proxy, Request, ScriptedCallouts, Stream, Vm,
    VmConfig,
};
use serde_json::Value;

use super::{Arrival, Case, NOW, Observed, Reply, Seen, Setting, by_name};
use crate::{artifacts, proxy_crypto};

/// The longest time that a case may take, by the fake clock: longer than any request may wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// What the filter's debug line starts with.
const EXPLANATION: &str = "nexus.decision ";

/// The module that `NEXUS_WASM` names, compiled once per process.
///
/// # Panics
/// When it cannot be read or compiled.
pub fn module() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(|| {
        let path = artifacts::wasm();
        let bytes = fs::read(&path)
            .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
        Module::compile(&bytes)
            .unwrap_or_else(|error| panic!("cannot compile `{}`: {error}", path.display()))
    })
}

/// A process with a fake clock that starts at [`NOW`], scripted callouts, and the log at `debug`.
#[derive(Debug)]
pub struct Bed {
    /// The process.
    pub proxy: Proxy,
    /// Its clock.
    pub clock: FakeClock,
    /// What answers its fetches.
    pub callouts: ScriptedCallouts,
}

impl Default for Bed {
    fn default() -> Self {
        Self::new()
    }
}

impl Bed {
    /// A process where no cluster exists.
    pub fn new() -> Self {
        Self::with_log_level(LogLevel::Debug)
    }

    /// The same with another level of the log.
    pub fn with_log_level(level: LogLevel) -> Self {
        Self::build(level, false)
    }

    /// The same where the proxy has cryptography of its own.
    pub fn with_cryptography() -> Self {
        Self::build(LogLevel::Debug, true)
    }

    fn build(level: LogLevel, has_cryptography: bool) -> Self {
        let clock = FakeClock::at(Duration::from_secs(NOW.unsigned_abs()));
        let callouts = ScriptedCallouts::new();
        let mut proxy = Proxy::builder()
            .clock(clock.clone())
            .seed(1)
            .callouts(callouts.clone())
            .log_level(level);
        if has_cryptography {
            proxy = proxy.foreign_function(proxy_crypto::NAME, |arguments| {
                Ok(proxy_crypto::verify_signature(arguments))
            });
        }
        Self {
            proxy: proxy.build(),
            clock,
            callouts,
        }
    }

    /// A process where every key set of the setting is served.
    pub fn serving(setting: &Setting) -> Self {
        Self::new().serve(setting)
    }

    fn serve(self, setting: &Setting) -> Self {
        let bed = self;
        for remote in setting.remotes() {
            let answer = setting
                .published(&remote.url)
                .map_or_else(|| Answer::status(404), Answer::json);
            bed.callouts.answer(&remote.cluster, &remote.path, answer);
        }
        bed
    }

    /// Starts a worker's VM with the setting's configuration and environment. No fetch has been made yet.
    ///
    /// # Panics
    /// When the filter does not start.
    pub fn start(&self, setting: &Setting) -> Vm {
        self.proxy
            .start_vm(module(), vm_config(setting))
            .unwrap_or_else(|error| panic!("`{}` does not start: {error}", setting.name()))
    }

    /// Starts a worker's VM and lets it fetch what it needs.
    ///
    /// # Panics
    /// When the filter does not start.
    pub fn start_with_keys(&self, setting: &Setting) -> Vm {
        let vm = self.start(setting);
        self.proxy.advance(Duration::from_millis(10));
        vm
    }

    /// The explanations that the filter has logged since the log was last taken.
    ///
    /// # Panics
    /// When one is not JSON.
    pub fn take_explanations(&self) -> Vec<Value> {
        self.proxy
            .log()
            .take()
            .iter()
            .filter_map(|entry| entry.message.strip_prefix(EXPLANATION))
            .map(|text| serde_json::from_str(text).expect("an explanation is a JSON object"))
            .collect()
    }
}

/// The VM of a setting.
pub fn vm_config(setting: &Setting) -> VmConfig {
    VmConfig {
        root_id: "nexus".to_owned(),
        plugin_name: "nexus".to_owned(),
        plugin_configuration: setting.compiled().as_bytes().to_vec(),
        environment: setting
            .environment()
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        ..VmConfig::default()
    }
}

/// The request as the host takes it.
pub fn request(request: &super::Request) -> Request {
    Request::new(&request.method, &request.host, &request.path).headers(
        request
            .headers
            .iter()
            .map(|(name, value)| (name, value.as_slice())),
    )
}

/// What the filter is told beside the policy, and the proxy offers: it may make no difference to any decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// What comes by itself: tokens are remembered, the module checks signatures as there is nobody else.
    AsCompiled,
    /// No token is remembered, and the module checks signatures although the proxy could.
    Alone,
    /// One token is remembered, and the proxy checks the signatures that it can.
    WithProxy,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AsCompiled, Self::Alone, Self::WithProxy];

    /// What to call a side.
    pub(super) const fn note(self) -> &'static str {
        match self {
            Self::AsCompiled => "",
            Self::Alone => ", no cache, own cryptography",
            Self::WithProxy => ", cache of one, the proxy's cryptography",
        }
    }

    /// The VM of a setting.
    ///
    /// # Panics
    /// When the configuration is not JSON.
    pub fn vm_config(self, setting: &Setting) -> VmConfig {
        let mut config = vm_config(setting);
        let (size, verification) = match self {
            Self::AsCompiled => return config,
            Self::Alone => (0, "module"),
            Self::WithProxy => (1, "host"),
        };
        let mut told: Value = serde_json::from_str(setting.compiled()).expect("JSON");
        told["jwt_cache_size"] = size.into();
        told["signature_verification"] = verification.into();
        config.plugin_configuration = told.to_string().into_bytes();
        config
    }
}

/// Decides every case; where the keys are there before, each twice in a row, by which what is remembered comes to bear.
pub(super) fn observe(
    setting: &Setting,
    cases: &[Case],
    arrival: Arrival,
    variant: Variant,
) -> Vec<Observed> {
    let bed = || {
        let bed = match variant {
            Variant::AsCompiled => Bed::new(),
            Variant::Alone | Variant::WithProxy => Bed::with_cryptography(),
        };
        bed.serve(setting)
    };
    let start = |bed: &Bed| {
        let vm = bed.proxy.start_vm(module(), variant.vm_config(setting));
        vm.unwrap_or_else(|error| panic!("`{}` does not start: {error}", setting.name()))
    };
    let shared = bed();
    let shared_vm = match arrival {
        Arrival::AfterKeys => {
            let vm = start(&shared);
            shared.proxy.advance(Duration::from_millis(10));
            Some(vm)
        }
        Arrival::BeforeKeys => None,
    };
    let mut all = Vec::new();
    for case in cases {
        all.push(match &shared_vm {
            Some(vm) => {
                let observed = decide(&shared, vm, case);
                if !has_proof(case) {
                    let again = decide(&shared, vm, case);
                    assert_eq!(
                        again,
                        observed,
                        "`{}`, asked again{}",
                        case.name,
                        variant.note()
                    );
                }
                observed
            }
            None => {
                let bed = bed();
                let vm = start(&bed);
                decide(&bed, &vm, case)
            }
        });
    }
    all
}

/// Whether a case has a proof that is used up.
fn has_proof(case: &Case) -> bool {
    let mut headers = case.request.headers.iter();
    headers.any(|(name, _)| name.eq_ignore_ascii_case("dpop"))
}

fn decide(bed: &Bed, vm: &Vm, case: &Case) -> Observed {
    drop(bed.proxy.log().take());
    let stream = vm.request(request(&case.request));
    assert_eq!(vm.failure(), None, "`{}`", case.name);
    observed(bed, &stream)
}

/// What comes of a request whose explanation is the first in the log; drives the process until it is decided.
///
/// # Panics
/// When it is never decided, or explained more or less than once.
pub fn observed(bed: &Bed, stream: &Stream) -> Observed {
    let outcome = stream.wait(LONGEST_WAIT);
    let explanations = bed.take_explanations();
    let [explanation] = &explanations[..] else {
        panic!("{stream:?} has the explanations {explanations:?}");
    };
    let seen = match outcome {
        Outcome::Forwarded(forwarded) => Seen::Upstream(by_name(forwarded.headers.iter())),
        Outcome::Replied(reply) => {
            let code = explanation["reason"].as_str().unwrap_or_default();
            assert_eq!(
                reply.details,
                format!("nexus_denied{{{code}}}"),
                "the response code details name the reason"
            );
            Seen::Reply(what_the_client_gets(stream))
        }
        other => panic!("it is never decided: {other:?}"),
    };
    Observed::new(seen, explanation)
}

fn what_the_client_gets(stream: &Stream) -> Reply {
    let response = stream.client_response().expect("a reply is complete");
    let status = response
        .status()
        .and_then(|status| u16::try_from(status).ok())
        .expect("a status");
    Reply::new(status, response.whole_body(), response.headers.iter())
}
