//! The Nexus filter: it carries events of a proxy-wasm host to the engine, and what the engine says
//! back to the host. What a token means is the engine's affair; no check of one belongs here.
//!
//! A trap costs the proxy the whole VM, so nothing here may panic: host calls go through
//! [`host`], which returns results, and state is borrowed with `try_borrow_mut`.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects
)]

mod host;
mod metrics;
mod plugin;
mod possession;
mod process;
mod reply;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use nexus_core::engine::RequestId;
use plugin::Plugin;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use reply::Progress;

mod entry {
    use super::Root;

    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|context_id| Box::new(Root::new(context_id)));
    }}
}

/// The plugin of a configuration; none before the configuration was accepted.
type Shared = Rc<RefCell<Option<Plugin>>>;

/// The context of a configuration: it is told about time and the answers of fetches.
struct Root {
    context_id: u32,
    plugin: Shared,
}

impl Root {
    fn new(context_id: u32) -> Self {
        Self {
            context_id,
            plugin: Rc::default(),
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        if let Ok(mut plugin) = self.plugin.try_borrow_mut() {
            if let Some(plugin) = plugin.as_mut() {
                plugin.handle_answer(token, headers, body);
            }
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match Plugin::configure(self.context_id, size) {
            Ok(plugin) => match self.plugin.try_borrow_mut() {
                Ok(mut place) => {
                    *place = Some(plugin);
                    true
                }
                Err(_) => false,
            },
            Err(error) => {
                host::log(host::LogLevel::Error, &format!("nexus: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Ok(mut plugin) = self.plugin.try_borrow_mut() {
            if let Some(plugin) = plugin.as_mut() {
                plugin.handle_tick();
            }
        }
    }

    fn on_queue_ready(&mut self, queue: u32) {
        if let Ok(mut plugin) = self.plugin.try_borrow_mut() {
            if let Some(plugin) = plugin.as_mut() {
                plugin.handle_news(queue);
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            id: RequestId(context_id),
            plugin: Rc::clone(&self.plugin),
            progress: Rc::default(),
        }))
    }
}

/// The context of one request.
struct Stream {
    id: RequestId,
    plugin: Shared,
    /// Shared with the plugin while the request waits, which resumes or answers it from the root context.
    progress: Rc<Cell<Progress>>,
}

impl Stream {
    /// Decides the request and carries it out. One that waits is undecided.
    fn decide(&self) -> Progress {
        match self.plugin.try_borrow_mut() {
            Ok(mut plugin) => match plugin.as_mut() {
                Some(plugin) => plugin.handle_request(self.id, &self.progress),
                None => reply::not_configured(),
            },
            Err(_) => reply::internal(),
        }
    }

    /// Whether what comes behind the headers may go on.
    fn action(&self) -> Action {
        match self.progress.get() {
            Progress::Passed => Action::Continue,
            Progress::Undecided | Progress::Answered => Action::Pause,
        }
    }
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        if self.progress.get() == Progress::Undecided {
            if let Ok(mut plugin) = self.plugin.try_borrow_mut() {
                if let Some(plugin) = plugin.as_mut() {
                    plugin.handle_cancelled(self.id);
                }
            }
        }
        true
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        self.progress.set(self.decide());
        self.action()
    }

    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        self.action()
    }

    fn on_http_request_trailers(&mut self, _trailers: usize) -> Action {
        self.action()
    }
}
