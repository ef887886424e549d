//! A filter that does nothing: what a WebAssembly filter costs before it has a purpose, for `cargo xtask bench`.
//!
//! It is the usual filter of the SDK, with all of the SDK's callbacks exported and none of them overridden.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

mod entry {
    use super::Root;

    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| Box::new(Root));
    }}
}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream))
    }
}

/// The context of one request.
struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {}
