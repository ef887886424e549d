//! Handles to a worker's VM and to its streams: what a test or a command holds in its hands.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{StartError, StreamError};
use crate::filter_state::PropertyType;
use crate::header_map::HeaderMap;
use crate::http::{Outcome, Request, Response};
use crate::process::{Process, lock};
use crate::stream_state::HttpStream;
use crate::worker::Worker;

/// A worker's VM. A cheap handle; the VM lives as long as a handle or a [`Stream`] of it.
#[derive(Clone)]
pub struct Vm {
    process: Arc<Process>,
    worker: Arc<Mutex<Worker>>,
}

impl Vm {
    pub(crate) fn new(process: Arc<Process>, worker: Arc<Mutex<Worker>>) -> Self {
        Self { process, worker }
    }

    /// Sends a request through the filter, as far as it goes without anything else happening.
    #[must_use = "dropping the stream is the client going away"]
    pub fn request(&self, request: Request) -> Stream {
        let id = lock(&self.worker).request(request);
        Stream {
            vm: self.clone(),
            id,
        }
    }

    /// Why the VM has failed, if it has: it answers `503`, or as its failure policy says.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        lock(&self.worker).guest.failure().map(str::to_owned)
    }

    /// Puts a fresh VM in the place of this one, as Envoy does with a new configuration. Streams that the old one held
    /// stay held for ever; answers that it waited for are lost.
    ///
    /// # Errors
    /// [`StartError`] if the new VM does not start; the old one stays.
    pub fn reload(&self) -> Result<(), StartError> {
        lock(&self.worker).reload()
    }

    /// The period of the root context's timer, if it runs.
    #[must_use]
    pub fn tick_period(&self) -> Option<Duration> {
        lock(&self.worker)
            .guest
            .store
            .data()
            .tick
            .map(|tick| tick.period)
    }

    /// The size of the guest's memory, in bytes. It never shrinks.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        lock(&self.worker).guest.memory_bytes()
    }

    /// How many WebAssembly instructions the guest has run since its start, the start included. `None` unless the module
    /// was compiled by [`Module::compile_counting`](crate::Module::compile_counting).
    #[must_use]
    pub fn instructions(&self) -> Option<u64> {
        lock(&self.worker).guest.instructions()
    }

    /// How many callouts wait for an answer.
    #[must_use]
    pub fn pending_callouts(&self) -> usize {
        lock(&self.worker).guest.store.data().calls.len()
    }

    /// How many stream contexts exist in the guest.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        lock(&self.worker)
            .guest
            .store
            .data()
            .streams
            .values()
            .filter(|stream| stream.is_live())
            .count()
    }

    /// Ends the root context: `proxy_on_done`, then `proxy_on_delete`. Says whether it is gone; if not, the filter wants
    /// to finish something first, and drives it by events until it calls `proxy_done`. Calling again only asks.
    pub fn shut_down(&self) -> bool {
        lock(&self.worker).shut_down()
    }
}

impl fmt::Debug for Vm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Vm")
            .field("failure", &self.failure())
            .finish_non_exhaustive()
    }
}

/// A request on its way, and its response. Dropping it while it is open is the client going away.
pub struct Stream {
    vm: Vm,
    id: u32,
}

impl Stream {
    /// The id of the stream's context in the guest.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What has become of the request so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.look(HttpStream::outcome).unwrap_or(Outcome::Reset)
    }

    /// Drives the whole process until the request is decided, or so much time of the proxy's clock has passed.
    #[must_use]
    pub fn wait(&self, most: Duration) -> Outcome {
        let decided = || !matches!(self.outcome(), Outcome::Paused(_));
        self.vm.process.drive(most, &decided);
        self.outcome()
    }

    /// Gives the upstream's response to a request that was forwarded.
    ///
    /// # Errors
    /// [`StreamError`] if the request was not forwarded, has a response, or is over.
    pub fn respond(&self, response: Response) -> Result<(), StreamError> {
        lock(&self.vm.worker).respond(self.id, response)
    }

    /// What the client has got, once it has got all of it: the upstream's response as the filter left it, the filter's
    /// own, or the host's `503`.
    #[must_use]
    pub fn client_response(&self) -> Option<Response> {
        self.look(HttpStream::client_response).flatten()
    }

    /// The request's headers as the filter first saw them, to compare with [`HeaderMap::changes_from`].
    #[must_use]
    pub fn original_headers(&self) -> HeaderMap {
        self.look(|stream| stream.original.clone())
            .unwrap_or_default()
    }

    /// What the filter stored under this name with `proxy_set_property`.
    #[must_use]
    pub fn property(&self, name: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        self.look(|stream| stream.filter_state.value(name.as_ref()).map(<[u8]>::to_vec))
            .flatten()
    }

    /// All that the filter stored with `proxy_set_property`, by name.
    #[must_use]
    pub fn properties(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.look(|stream| stream.filter_state.values())
            .unwrap_or_default()
    }

    /// The type of what the filter stored under this name, as others see it in the filter state.
    #[must_use]
    pub fn property_type(&self, name: impl AsRef<[u8]>) -> Option<PropertyType> {
        self.look(|stream| stream.filter_state.kind(name.as_ref()))
            .flatten()
    }

    /// How often the filter called `clear_route_cache`, so that Envoy finds the request's route anew.
    #[must_use]
    pub fn route_cache_clears(&self) -> usize {
        self.look(|stream| stream.route_cache_clears)
            .unwrap_or_default()
    }

    /// The response code details, once there are any.
    #[must_use]
    pub fn details(&self) -> Option<String> {
        self.look(|stream| stream.details.clone()).flatten()
    }

    /// The client goes away, or has what it wants: the stream's context is logged, done and deleted. Does nothing to a
    /// stream that is over.
    pub fn cancel(&self) {
        lock(&self.vm.worker).guest.end_stream(self.id);
    }

    fn look<T>(&self, act: impl FnOnce(&HttpStream) -> T) -> Option<T> {
        lock(&self.vm.worker)
            .guest
            .stream_mut(self.id)
            .map(|stream| act(stream))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut worker = lock(&self.vm.worker);
        worker.guest.end_stream(self.id);
        worker.guest.store.data_mut().streams.remove(&self.id);
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stream")
            .field("id", &self.id)
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}
