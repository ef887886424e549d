//! The functions that the host calls (proxy-wasm ABI 0.2.1), and the contexts that it calls them about.
//!
//! Only those are exported that have something to do: the host skips the others, and each call into the module costs a
//! request time. Those for bodies and trailers are among them although nothing looks at either: a proxy that is set up to
//! stop at the headers alone (`allow_on_headers_stop_iteration`) asks here whether they may go on, and takes a
//! function that is not there for a yes.

#![expect(
    unsafe_code,
    reason = "functions that the host calls by their names, and memory that it fills"
)]

use alloc::alloc::{Layout, alloc};
use alloc::format;
use core::cell::RefCell;
use core::hash::{BuildHasherDefault, Hasher};
use core::ptr::null_mut;

use hashbrown::HashMap;

use nexus_core::engine::RequestId;
use nexus_core::sorted::SortedMap;

use crate::host::{self, LogLevel};
use crate::plugin::Plugin;
use crate::reply::{self, Progress};

/// What the host is told to do with the headers, the body or the trailers of a request.
#[repr(u32)]
enum Action {
    Continue = 0,
    Pause = 1,
}

/// One request.
struct Stream {
    /// The context of its configuration.
    root: u32,
    progress: Progress,
}

/// The requests under way, by their contexts.
pub(crate) struct Streams(HashMap<u32, Stream, BuildHasherDefault<ContextHasher>>);

impl Streams {
    /// Notes what became of a request that waited; `false` when it is gone.
    pub(crate) fn settle(&mut self, id: RequestId, progress: Progress) -> bool {
        match self.0.get_mut(&id.0) {
            Some(stream) => {
                stream.progress = progress;
                true
            }
            None => false,
        }
    }

    /// Whether a request is still there.
    pub(crate) fn has(&self, id: RequestId) -> bool {
        self.0.contains_key(&id.0)
    }

    /// Whether what comes behind the headers of a request may go on.
    fn action(&self, id: u32) -> Action {
        match self.0.get(&id).map(|stream| stream.progress) {
            Some(Progress::Passed) => Action::Continue,
            Some(Progress::Undecided | Progress::Answered) | None => Action::Pause,
        }
    }
}

/// Spreads the numbers of contexts, which the host counts up: nobody else chooses them.
#[derive(Default)]
struct ContextHasher(u64);

impl Hasher for ContextHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        let mixed = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Every context of a VM.
struct Contexts {
    /// The configurations; one has no plugin before it was accepted.
    roots: SortedMap<u32, Option<Plugin>>,
    streams: Streams,
}

impl Contexts {
    fn create(&mut self, id: u32, root: u32) {
        if root == 0 {
            self.roots.insert(id, None);
        } else {
            let progress = Progress::Undecided;
            self.streams.0.insert(id, Stream { root, progress });
        }
    }

    fn configure(&mut self, root: u32, size: usize) -> bool {
        match Plugin::configure(root, size) {
            Ok(plugin) => {
                self.roots.insert(root, Some(plugin));
                true
            }
            Err(error) => {
                host::log(LogLevel::Error, &format!("nexus: {error}"));
                false
            }
        }
    }

    /// Has the plugin of a configuration do something, if there is one.
    fn with_plugin(&mut self, root: u32, event: impl FnOnce(&mut Plugin, &mut Streams)) {
        if let Some(Some(plugin)) = self.roots.get_mut(&root) {
            event(plugin, &mut self.streams);
        }
    }

    /// Decides a request and carries it out. One that waits is undecided.
    fn decide(&mut self, id: u32) -> Action {
        let Some(stream) = self.streams.0.get_mut(&id) else {
            // The host names a request that it did not announce: nobody knows by which policy to judge it.
            reply::internal();
            return Action::Pause;
        };
        stream.progress = match self.roots.get_mut(&stream.root) {
            Some(Some(plugin)) => plugin.handle_request(RequestId(id)),
            _ => reply::not_configured(),
        };
        self.streams.action(id)
    }

    fn delete(&mut self, id: u32) {
        match self.streams.0.remove(&id) {
            Some(Stream {
                root,
                progress: Progress::Undecided,
            }) => self.with_plugin(root, |plugin, _| plugin.handle_cancelled(RequestId(id))),
            Some(_) => {}
            None => {
                if let Some(Some(plugin)) = self.roots.remove(&id) {
                    plugin.handle_end();
                }
            }
        }
    }
}

/// The contexts of this VM.
struct Vm(RefCell<Contexts>);

// SAFETY: a module for proxies has one thread; the target has no others.
unsafe impl Sync for Vm {}

static VM: Vm = Vm(RefCell::new(Contexts {
    roots: SortedMap::new(),
    streams: Streams(HashMap::with_hasher(BuildHasherDefault::new())),
}));

/// Does something with the contexts. The host never calls into the module while it is at work, but for memory; if it did,
/// the second call would get `otherwise`.
fn with_contexts<T>(otherwise: T, event: impl FnOnce(&mut Contexts) -> T) -> T {
    match VM.0.try_borrow_mut() {
        Ok(mut contexts) => event(&mut contexts),
        Err(_) => otherwise,
    }
}

#[cfg(target_os = "wasi")]
unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Prepares the module, before all else.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    #[cfg(target_os = "wasi")]
    // SAFETY: the linker makes this function; the host calls `_initialize` once and first.
    unsafe {
        __wasm_call_ctors();
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for the host to fill, all of it; `host::take` takes it over. Null where there is none: the host then gives up
/// what it wanted it for.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    match Layout::array::<u8>(size) {
        Ok(layout) if size > 0 => {
            // SAFETY: the layout has a size.
            unsafe { alloc(layout) }
        }
        _ => null_mut(),
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    with_contexts((), |contexts| contexts.create(id, root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> bool {
    true
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> bool {
    with_contexts(false, |contexts| contexts.configure(root, size))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    with_contexts((), |contexts| {
        contexts.with_plugin(root, Plugin::handle_tick);
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_queue_ready(root: u32, queue: u32) {
    with_contexts((), |contexts| {
        contexts.with_plugin(root, |plugin, streams| plugin.handle_news(streams, queue));
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    root: u32,
    token: u32,
    headers: usize,
    body_size: usize,
    _trailers: usize,
) {
    with_contexts((), |contexts| {
        contexts.with_plugin(root, |plugin, streams| {
            plugin.handle_answer(streams, token, headers, body_size);
        });
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _headers: usize, _end_of_stream: bool) -> Action {
    with_contexts(Action::Pause, |contexts| contexts.decide(id))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(id: u32, _size: usize, _end_of_stream: bool) -> Action {
    with_contexts(Action::Pause, |contexts| contexts.streams.action(id))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(id: u32, _trailers: usize) -> Action {
    with_contexts(Action::Pause, |contexts| contexts.streams.action(id))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    with_contexts((), |contexts| contexts.delete(id));
}
