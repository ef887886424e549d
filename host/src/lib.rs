//! A proxy-wasm host as a library: it runs any proxy-wasm HTTP filter in-process, as Envoy would, so that the filter can be
//! tested, or used to decide, without a proxy.
//!
//! It speaks ABI 0.2.1 whole, and is faithful where filters get hurt: maps that can be read only in their phase, getters
//! that give the first value only, resumes and replies that wait until the guest has returned, callouts that fail with 0
//! headers, a trap that fails the VM for good. Time can be real or fake, randomness the system's or fixed by a seed,
//! callouts scripted or (feature `live`) really made. There are no globals: any number of processes run side by side.
//!
//! It knows nothing of what filters decide.
//!
//! # A filter that adds a header
//! ```
//! use std::time::Duration;
//! use nexus_host::{FakeClock, Module, Outcome, Proxy, Request, VmConfig};
//!
//! let wasm = wat::parse_str(r#"(module
//!   (import "env" "proxy_add_header_map_value"
//!     (func $add (param i32 i32 i32 i32 i32) (result i32)))
//!   (memory (export "memory") 1)
//!   (data (i32.const 0) "x-seen-by")
//!   (data (i32.const 16) "filter")
//!   (func (export "proxy_abi_version_0_2_1"))
//!   (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
//!   (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
//!     (drop (call $add (i32.const 0) (i32.const 0) (i32.const 9) (i32.const 16) (i32.const 6)))
//!     (i32.const 0)))"#)?;
//!
//! let proxy = Proxy::builder().clock(FakeClock::at(Duration::from_secs(1_700_000_000))).build();
//! let vm = proxy.start_vm(&Module::compile(&wasm)?, VmConfig::default())?;
//! let stream = vm.request(Request::get("example.com", "/orders"));
//! let Outcome::Forwarded(forwarded) = stream.wait(Duration::from_secs(5)) else { panic!("the filter lets all pass") };
//! let changes = forwarded.headers.changes_from(&stream.original_headers());
//! assert_eq!(changes.added.first("x-seen-by"), Some(&b"filter"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//! TCP filters, gRPC calls (they fail as in an Envoy that cannot send them) and HTTP metadata. Header names and values are
//! not checked the way an HTTP codec checks them.

mod abi;
mod call;
mod callouts;
mod clock;
mod config;
mod error;
mod exchange;
mod exports;
mod filter_state;
mod guest;
mod header_map;
mod hostcalls;
mod http;
mod inbox;
mod linker;
mod log;
mod metrics;
mod module;
mod process;
mod properties;
mod protobuf;
mod random;
mod shared;
mod side;
mod state;
mod stream_state;
mod vm;
mod wasi;
mod worker;

pub use abi::{
    ENVOY_IMPORTS, LATER_WASI_IMPORTS, MAX_PAIRS, MAX_PAIRS_BYTES, MAX_RANDOM_BYTES, Status,
    WASI_IMPORTS,
};
pub use callouts::{
    Answer, Callout, CalloutOutcome, CalloutReply, Callouts, Dispatch, ReplyHandle,
    ScriptedCallouts,
};
#[cfg(feature = "live")]
pub use callouts::{LiveCallouts, LiveOptions};
pub use clock::{Clock, FakeClock, SystemClock};
pub use config::{FailurePolicy, VmConfig};
pub use error::{LoadError, StartError, StreamError};
pub use filter_state::PropertyType;
pub use header_map::{HeaderChanges, HeaderMap};
pub use http::{Forwarded, LocalReply, Outcome, Phase, Request, Response};
pub use log::{Log, LogEntry, LogLevel, LogSource};
pub use metrics::{MetricValue, Metrics};
pub use module::{Export, Import, Interface, ItemKind, Module};
pub use process::{Proxy, ProxyBuilder};
pub use shared::SharedData;
pub use vm::{Stream, Vm};
