//! What can go wrong with a module or a VM, told apart.

use crate::log::LogEntry;
use crate::module::Import;

/// Why bytes are not a module that this host, or Envoy, could run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Not WebAssembly, or WebAssembly that uses what the host does not have.
    #[error("not a valid WebAssembly module: {reason}")]
    Invalid {
        /// What the parser or compiler said.
        reason: String,
    },
    /// Bytes that are not a precompiled module, or one of another version, other settings or another processor.
    #[error("not a module precompiled by this version of the host for this machine: {reason}")]
    Precompiled {
        /// What the loader said.
        reason: String,
    },
    /// The module wants functions that the host does not have.
    #[error("the module imports what the host does not offer: {}", list(.imports))]
    UnknownImports {
        /// Those functions, in the module's order.
        imports: Vec<Import>,
    },
    /// The module wants a function of the host with other parameters or results than it has.
    #[error("the module imports a function with another signature than it has: {reason}")]
    ImportSignature {
        /// Which function, and what differs.
        reason: String,
    },
    /// The module says nothing of the Proxy-Wasm ABI, or names one that is not 0.2.0 or 0.2.1.
    #[error("the module exports no `proxy_abi_version_0_2_1` or `proxy_abi_version_0_2_0`")]
    AbiVersion {
        /// The marker that it has instead, if any.
        found: Option<String>,
    },
    /// An export that every filter needs is missing or of another type.
    #[error("the module has no usable export `{name}`")]
    MissingExport {
        /// Its name.
        name: &'static str,
    },
}

/// Why a VM did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The module cannot be run at all.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The guest trapped.
    #[error("the filter trapped in `{during}`: {message}")]
    Trap {
        /// The callback that was running.
        during: String,
        /// What the engine said, without the backtrace.
        message: String,
        /// What was logged during the start.
        logs: Vec<LogEntry>,
    },
    /// `proxy_on_vm_start` said no.
    #[error("the filter refused to start (`proxy_on_vm_start` returned false)")]
    VmStartRefused {
        /// What was logged during the start.
        logs: Vec<LogEntry>,
    },
    /// `proxy_on_configure` said no.
    #[error("the filter refused its configuration (`proxy_on_configure` returned false)")]
    ConfigureRefused {
        /// What was logged during the start: where filters tell why.
        logs: Vec<LogEntry>,
    },
}

impl StartError {
    /// What was logged during the start, oldest first.
    #[must_use]
    pub fn logs(&self) -> &[LogEntry] {
        match self {
            Self::Load(_) => &[],
            Self::Trap { logs, .. }
            | Self::VmStartRefused { logs }
            | Self::ConfigureRefused { logs } => logs,
        }
    }
}

/// Why a stream cannot do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// A response was given to a stream whose request has not gone to the upstream.
    #[error("the request has not gone to the upstream")]
    NotForwarded,
    /// A second response was given.
    #[error("the upstream has answered already")]
    AlreadyAnswered,
    /// The stream is over.
    #[error("the stream is over")]
    Closed,
}

fn list(imports: &[Import]) -> String {
    imports
        .iter()
        .map(|import| format!("`{import}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
