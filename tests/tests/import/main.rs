//! `nexusctl import` in front of real Envoys: what is imported does what the original does.
//!
//! For Envoy's own filter both run side by side in one Envoy, the original in one listener and the import
//! in another, and every request goes through both. For kgateway the page of its documentation is replayed.

mod differences;
mod kgateway;
mod originals;
mod requests;
mod side_by_side;
