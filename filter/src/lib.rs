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
mod reply;

use std::cell::RefCell;
use std::rc::Rc;

use nexus_core::engine::{Decision, RequestId};
use plugin::Plugin;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

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

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            id: RequestId(context_id),
            plugin: Rc::clone(&self.plugin),
            state: State::New,
        }))
    }
}

/// Where a request is on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its headers have not come.
    New,
    /// It was handed to the engine, which resumes or answers it later. What the host did with that is
    /// the host's to know: a stream that was resumed is not paused any more.
    Waiting,
    /// It goes on.
    Passed,
    /// It was answered.
    Answered,
}

/// The context of one request.
struct Stream {
    id: RequestId,
    plugin: Shared,
    state: State,
}

impl Stream {
    fn decide(&self) -> Option<Decision> {
        match self.plugin.try_borrow_mut() {
            Ok(mut plugin) => match plugin.as_mut() {
                Some(plugin) => plugin.handle_request(self.id),
                None => Some(reply::not_configured()),
            },
            Err(_) => Some(reply::internal()),
        }
    }

    /// Whether the rest of the request may go on.
    fn action(&self) -> Action {
        let still_waits = match self.plugin.try_borrow() {
            Ok(plugin) => plugin
                .as_ref()
                .is_some_and(|plugin| plugin.is_waiting(self.id)),
            Err(_) => true,
        };
        match self.state {
            State::Waiting if still_waits => Action::Pause,
            State::New | State::Answered => Action::Pause,
            State::Waiting | State::Passed => Action::Continue,
        }
    }
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        if self.state == State::Waiting {
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
        self.state = match self.decide() {
            None => State::Waiting,
            Some(decision) => match reply::apply(&decision) {
                reply::Applied::Passed => State::Passed,
                reply::Applied::Answered => State::Answered,
            },
        };
        match self.state {
            State::Passed => Action::Continue,
            _ => Action::Pause,
        }
    }

    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        self.action()
    }

    fn on_http_request_trailers(&mut self, _trailers: usize) -> Action {
        self.action()
    }
}
