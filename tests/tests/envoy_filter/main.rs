//! The filter in real Envoy, the oldest and the newest: with two workers, a JWKS server and an upstream
//! that reports what it saw.
//!
//! Here belongs what only Envoy can show: what it hands to a filter, what it does with the filter's
//! answers, and that no request brings the filter's VM down. One program holds all of it, so that it is
//! linked once, and one Envoy serves for as many cases as its configuration allows.

mod algorithms;
mod configuration;
mod denials;
mod discovery;
mod environment;
mod envoy_status;
mod flood;
mod forwarding;
mod headers;
mod hostile;
mod hot_restart;
mod http2;
mod key_sources;
mod memory;
mod paths;
mod possession;
mod revocation;
mod rotation;
mod scene;
mod sharing;
mod token_sources;
mod waiting;
