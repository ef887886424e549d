//! One direction of an HTTP stream on its way through the filter.
//!
//! A state machine without a guest: [`Side::begin`] says which callback is due, [`Side::finish`] takes what it returned,
//! [`Side::resume`] is `proxy_continue_stream`. It follows Envoy's filter manager and its wasm `Context`.

use std::collections::VecDeque;

use crate::header_map::{HeaderMap, MapKind};

/// The callback that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callback {
    Headers { count: usize, end_of_stream: bool },
    Body { size: usize, end_of_stream: bool },
    Trailers { count: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Headers,
    Body,
    Trailers,
    Finished,
}

/// What the filter lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    /// Nothing passes, but the next part is still shown to the filter (`StopIteration`).
    Held,
    /// Nothing passes and nothing is shown (`StopAllIteration`).
    Stopped,
}

#[derive(Clone, Debug)]
pub(crate) struct Side {
    headers: HeaderMap,
    trailers: Option<HeaderMap>,
    incoming: VecDeque<Vec<u8>>,
    expects_trailers: bool,
    end_of_stream: bool,
    step: Step,
    last_shown: Step,
    flow: Flow,
    /// Whether a callback of this side runs, and whether it has resumed its own side.
    shown: Shown,
    /// The part of the body that a callback is shown, unless it is shown all that is held.
    chunk: Vec<u8>,
    held: Vec<u8>,
    shows_held: bool,
    readable: Readable,
    passed_body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Part,
    PartAndResumed,
}

/// Which parts the filter may read: Envoy keeps a pointer to each while a callback runs or holds the stream.
#[derive(Clone, Copy, Debug, Default)]
struct Readable {
    headers: bool,
    body: bool,
    trailers: bool,
}

impl Side {
    pub(crate) fn new(
        kind: MapKind,
        headers: &HeaderMap,
        body: Vec<Vec<u8>>,
        trailers: Option<&HeaderMap>,
    ) -> Self {
        let trailers = trailers.map(|trailers| MapKind::Trailers.receive(trailers));
        Self {
            headers: kind.receive(headers),
            expects_trailers: trailers.is_some(),
            trailers,
            incoming: body.into(),
            end_of_stream: false,
            step: Step::Headers,
            last_shown: Step::Headers,
            flow: Flow::Open,
            shown: Shown::Nothing,
            chunk: Vec::new(),
            held: Vec::new(),
            shows_held: false,
            readable: Readable::default(),
            passed_body: Vec::new(),
        }
    }

    /// The callback that is due, if the stream moves at all, and makes its part readable.
    pub(crate) fn begin(&mut self) -> Option<Callback> {
        if self.flow == Flow::Stopped {
            return None;
        }
        if self.step == Step::Finished {
            return None;
        }
        self.last_shown = self.step;
        self.shown = Shown::Part;
        match self.step {
            Step::Headers => {
                self.readable.headers = true;
                self.end_of_stream = self.incoming.is_empty() && !self.expects_trailers;
                Some(Callback::Headers {
                    count: self.headers.len(),
                    end_of_stream: self.end_of_stream,
                })
            }
            Step::Body => {
                let chunk = self.incoming.pop_front().unwrap_or_default();
                self.end_of_stream = self.incoming.is_empty() && !self.expects_trailers;
                if self.shows_held {
                    self.held.extend(chunk);
                } else {
                    self.chunk = chunk;
                }
                self.readable.body = true;
                let size = self.body().map_or(0, <[u8]>::len);
                Some(Callback::Body {
                    size,
                    end_of_stream: self.end_of_stream,
                })
            }
            Step::Trailers => {
                self.readable.trailers = true;
                Some(Callback::Trailers {
                    count: self.trailers.as_ref().map_or(0, HeaderMap::len),
                })
            }
            Step::Finished => None,
        }
    }

    /// Takes what the callback returned (0 is "continue"); `stop_iteration` says whether a filter that stops at its
    /// headers is still shown the rest.
    pub(crate) fn finish(&mut self, returned: u32, stop_iteration: bool) {
        let resumed = std::mem::replace(&mut self.shown, Shown::Nothing) == Shown::PartAndResumed;
        match self.step {
            // Headers that are resumed before they are paused go on; what follows them does not.
            Step::Headers if resumed && self.end_of_stream => {
                self.finish_headers(0, stop_iteration)
            }
            Step::Headers => self.finish_headers(returned, stop_iteration),
            Step::Body => self.finish_body(returned),
            Step::Trailers => {
                if returned == 0 {
                    self.readable.trailers = false;
                    self.open();
                } else {
                    self.flow = Flow::Held;
                }
                self.step = Step::Finished;
            }
            Step::Finished => {}
        }
    }

    fn finish_headers(&mut self, returned: u32, stop_iteration: bool) {
        match returned {
            // 2 is "continue and end the stream", which Envoy's wasm filter reads as "continue".
            0 | 2 => {
                self.readable.headers = false;
                self.open();
            }
            1 if stop_iteration => self.flow = Flow::Held,
            _ => self.flow = Flow::Stopped,
        }
        self.step = self.after_headers_or_body();
    }

    fn finish_body(&mut self, returned: u32) {
        let chunk = std::mem::take(&mut self.chunk);
        match returned {
            0 => {
                self.held.extend(chunk);
                self.readable.body = false;
                self.shows_held = false;
                self.open();
            }
            1 => {
                self.held.extend(chunk);
                self.shows_held = true;
                self.flow = Flow::Held;
            }
            2 => {
                self.held.extend(chunk);
                self.shows_held = false;
                self.flow = Flow::Held;
            }
            // "Stop, do not buffer": what was shown is lost.
            _ => {
                self.shows_held = false;
                self.flow = Flow::Held;
            }
        }
        self.step = self.after_headers_or_body();
    }

    fn after_headers_or_body(&self) -> Step {
        if !self.incoming.is_empty() {
            Step::Body
        } else if self.expects_trailers {
            Step::Trailers
        } else {
            Step::Finished
        }
    }

    fn open(&mut self) {
        self.flow = Flow::Open;
        self.passed_body.append(&mut self.held);
    }

    /// Lets everything go that is held; says whether anything was.
    pub(crate) fn resume(&mut self) -> bool {
        if self.flow == Flow::Open {
            if self.shown == Shown::Part {
                self.shown = Shown::PartAndResumed;
            }
            return false;
        }
        self.shows_held = false;
        self.open();
        true
    }

    /// Ends the filter's access to everything, as `continueStream` does.
    pub(crate) fn forget(&mut self) {
        self.readable = Readable::default();
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.step == Step::Finished && self.flow == Flow::Open
    }

    pub(crate) fn paused_in(&self) -> Step {
        self.last_shown
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    pub(crate) fn passed_body(&self) -> &[u8] {
        &self.passed_body
    }

    pub(crate) fn readable_headers(&self) -> Option<&HeaderMap> {
        self.readable.headers.then_some(&self.headers)
    }

    pub(crate) fn writable_headers(&mut self) -> Option<&mut HeaderMap> {
        self.readable.headers.then_some(&mut self.headers)
    }

    pub(crate) fn readable_trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref().filter(|_| self.readable.trailers)
    }

    /// The trailers to edit; at the end of a body that has none, new ones.
    pub(crate) fn writable_trailers(&mut self) -> Option<&mut HeaderMap> {
        if self.readable.body && self.end_of_stream && self.trailers.is_none() {
            self.trailers = Some(HeaderMap::new());
            self.readable.trailers = true;
        }
        self.trailers.as_mut().filter(|_| self.readable.trailers)
    }

    /// The body that the filter is shown.
    pub(crate) fn body(&self) -> Option<&[u8]> {
        let shown = if self.shows_held {
            &self.held
        } else {
            &self.chunk
        };
        self.readable.body.then_some(shown.as_slice())
    }

    pub(crate) fn body_mut(&mut self) -> Option<&mut Vec<u8>> {
        let shown = if self.shows_held {
            &mut self.held
        } else {
            &mut self.chunk
        };
        self.readable.body.then_some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(chunks: &[&str], trailers: bool) -> Side {
        let headers = HeaderMap::from_pairs([(":method", "POST")]);
        let body = chunks
            .iter()
            .map(|chunk| chunk.as_bytes().to_vec())
            .collect();
        let map = HeaderMap::from_pairs([("t", "1")]);
        Side::new(
            MapKind::RequestHeaders,
            &headers,
            body,
            trailers.then_some(&map),
        )
    }

    /// Runs callbacks that return the given values, until the side waits or the values are used up.
    fn run(side: &mut Side, returned: &[u32], stop_iteration: bool) -> Vec<Callback> {
        let mut callbacks = Vec::new();
        for value in returned {
            let Some(callback) = side.begin() else { break };
            callbacks.push(callback);
            side.finish(*value, stop_iteration);
        }
        callbacks
    }

    #[test]
    fn headers_alone_end_the_stream() {
        let mut side = side(&[], false);
        assert_eq!(
            run(&mut side, &[0, 0], false),
            [Callback::Headers {
                count: 1,
                end_of_stream: true
            }]
        );
        assert!(side.is_complete());
        assert!(side.readable_headers().is_none());
    }

    #[test]
    fn paused_headers_hold_the_body_back_until_resumed() {
        let mut side = side(&["ab", "c"], true);
        assert_eq!(
            run(&mut side, &[1, 0], false),
            [Callback::Headers {
                count: 1,
                end_of_stream: false
            }]
        );
        assert!(!side.is_complete());
        assert!(side.readable_headers().is_some());
        assert!(side.resume());
        let rest = run(&mut side, &[0, 0, 0, 0], false);
        assert_eq!(
            rest,
            [
                Callback::Body {
                    size: 2,
                    end_of_stream: false
                },
                Callback::Body {
                    size: 1,
                    end_of_stream: false
                },
                Callback::Trailers { count: 1 },
            ]
        );
        assert!(side.is_complete());
        assert_eq!(side.passed_body(), b"abc");
    }

    #[test]
    fn with_the_option_a_body_is_shown_while_headers_are_held() {
        let mut side = side(&["ab"], false);
        run(&mut side, &[1], true);
        assert_eq!(
            side.begin(),
            Some(Callback::Body {
                size: 2,
                end_of_stream: true
            })
        );
        assert!(side.readable_headers().is_some());
        side.finish(0, true);
        assert!(side.is_complete());
    }

    #[test]
    fn a_buffered_body_is_shown_whole() {
        let mut side = side(&["ab", "c"], false);
        let callbacks = run(&mut side, &[0, 1, 1], false);
        assert_eq!(
            callbacks[2],
            Callback::Body {
                size: 3,
                end_of_stream: true
            }
        );
        assert_eq!(side.body(), Some(&b"abc"[..]));
        assert_eq!(side.passed_body(), b"");
        assert!(!side.is_complete());
        assert!(side.resume());
        assert!(side.is_complete());
        assert_eq!(side.passed_body(), b"abc");
    }

    #[test]
    fn an_unbuffered_stop_loses_the_chunk() {
        let mut side = side(&["ab", "c"], false);
        run(&mut side, &[0, 3, 0], false);
        assert_eq!(side.passed_body(), b"c");
    }

    #[test]
    fn a_replaced_body_goes_on_replaced() {
        let mut side = side(&["ab"], false);
        run(&mut side, &[0], false);
        side.begin();
        *side.body_mut().expect("a body is shown") = b"other".to_vec();
        side.finish(0, false);
        assert_eq!(side.passed_body(), b"other");
    }

    #[test]
    fn trailers_can_be_added_at_the_end_of_a_body_only() {
        let mut side = side(&["a", "b"], false);
        run(&mut side, &[0], false);
        side.begin();
        assert!(side.writable_trailers().is_none());
        side.finish(0, false);
        side.begin();
        side.writable_trailers()
            .expect("the body ends here")
            .push("t", "1");
        side.finish(0, false);
        assert!(side.is_complete());
        assert_eq!(side.trailers().map(HeaderMap::len), Some(1));
    }

    #[test]
    fn headers_resumed_before_the_pause_go_on_alone() {
        let mut alone = side(&[], false);
        alone.begin();
        assert!(!alone.resume());
        alone.finish(1, false);
        assert!(alone.is_complete());
        let mut with_body = side(&["a"], false);
        with_body.begin();
        with_body.resume();
        with_body.finish(1, false);
        assert_eq!(with_body.begin(), None);
        assert!(!with_body.is_complete());
    }

    #[test]
    fn resuming_what_is_not_held_does_nothing() {
        let mut side = side(&["a"], false);
        assert!(!side.resume());
        side.begin();
        side.finish(1, false);
        assert!(side.resume());
        assert!(!side.resume());
    }
}
