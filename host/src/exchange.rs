//! Moves HTTP streams through a guest: which callback comes next, what its answer means, when a stream is over.

use crate::config::FailurePolicy;
use crate::guest::{Direction, Guest};
use crate::http::Request;
use crate::side::Callback;
use crate::state::ROOT;
use crate::stream_state::{Context, HttpStream};

impl Guest {
    /// Takes a request in as stream `id` and moves it as far as it goes.
    pub(crate) fn begin_stream(&mut self, id: u32, request: Request) {
        let state = self.store.data_mut();
        let stream = HttpStream::new(request, state.process.clock.now());
        state.streams.insert(id, stream);
        if self.create_context(id, ROOT).is_ok()
            && let Some(stream) = self.stream_mut(id)
        {
            stream.context = Context::Alive;
        }
        self.store.data_mut().moving.push_back(id);
        self.settle();
    }

    /// Moves every stream that something has set in motion, until all wait again.
    pub(crate) fn settle(&mut self) {
        while let Some(id) = self.store.data_mut().moving.pop_front() {
            self.move_stream(id);
        }
    }

    /// The client has gone, or has got everything: the stream ends now.
    pub(crate) fn end_stream(&mut self, id: u32) {
        if let Some(stream) = self.stream_mut(id)
            && !stream.is_over()
        {
            stream.reset("downstream_remote_disconnect");
        }
        self.close_context(id);
        self.settle();
    }

    pub(crate) fn stream_mut(&mut self, id: u32) -> Option<&mut HttpStream> {
        self.store.data_mut().streams.get_mut(&id)
    }

    fn move_stream(&mut self, id: u32) {
        while let Some((direction, callback)) = self.due_callback(id) {
            let returned = match self.call_back(direction, id, callback) {
                Ok(returned) => returned,
                Err(()) => {
                    if let Some(stream) = self.stream_mut(id) {
                        stream.fail();
                    }
                    break;
                }
            };
            self.take_answer(id, direction, returned);
        }
        if self.stream_mut(id).is_some_and(|stream| stream.is_over()) {
            self.close_context(id);
        }
    }

    fn due_callback(&mut self, id: u32) -> Option<(Direction, Callback)> {
        let stream = self.stream_mut(id)?;
        let direction = if stream.response.is_some() {
            Direction::Response
        } else {
            Direction::Request
        };
        Some((direction, stream.active_side()?.begin()?))
    }

    /// What the filter says; a filter that has failed says "continue" where the policy is to fail open.
    fn call_back(&mut self, direction: Direction, id: u32, callback: Callback) -> Result<u32, ()> {
        let answer = match callback {
            Callback::Headers {
                count,
                end_of_stream,
            } => self.on_headers(direction, id, count, end_of_stream),
            Callback::Body {
                size,
                end_of_stream,
            } => self.on_body(direction, id, size, end_of_stream),
            Callback::Trailers { count } => self.on_trailers(direction, id, count),
        };
        match answer {
            Ok(returned) => Ok(returned),
            Err(_) if self.store.data().config.failure_policy == FailurePolicy::Open => Ok(0),
            Err(_) => Err(()),
        }
    }

    fn take_answer(&mut self, id: u32, direction: Direction, returned: u32) {
        let state = self.store.data_mut();
        let stop_iteration = state.config.allow_on_headers_stop_iteration;
        let Some(stream) = state.streams.get_mut(&id) else {
            return;
        };
        let side = match direction {
            Direction::Request => Some(&mut stream.request),
            Direction::Response => stream.response.as_mut(),
        };
        if let Some(side) = side {
            side.finish(returned, stop_iteration);
        }
    }

    /// The end of a stream's context, in the order of Envoy's filter: it logs, then is done, then is deleted.
    fn close_context(&mut self, id: u32) {
        let Some(stream) = self.stream_mut(id) else {
            return;
        };
        if stream.context != Context::Alive {
            return;
        }
        stream.context = Context::Logging;
        self.on_log(id);
        if let Some(stream) = self.stream_mut(id) {
            stream.context = Context::Alive;
        }
        self.on_done(id);
        self.on_delete(id);
        if let Some(stream) = self.stream_mut(id) {
            stream.context = Context::Gone;
        }
    }
}
