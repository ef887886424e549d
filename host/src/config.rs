//! How a VM is set up: what Envoy's `WasmConfig` and `VmConfig` say.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What happens to requests once a VM has trapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Each is answered `503`, until somebody reloads the VM (`FAIL_CLOSED`, Envoy's default).
    #[default]
    Closed,
    /// Each passes, unfiltered (`FAIL_OPEN`).
    Open,
    /// The VM is reloaded when the next request comes, at most once in `backoff`; until then as `Closed`
    /// (`FAIL_RELOAD`, Envoy 1.33 and later, whose default `backoff` is one second).
    Reload {
        /// The least time between two starts of the VM.
        backoff: Duration,
    },
}

/// How a VM is set up.
#[derive(Clone)]
pub struct VmConfig {
    /// Separates shared data and queues (`vm_id`).
    pub vm_id: String,
    /// Which of a module's root contexts is meant (`root_id`).
    pub root_id: String,
    /// The plugin's name.
    pub plugin_name: String,
    /// What `proxy_on_vm_start` may read.
    pub vm_configuration: Vec<u8>,
    /// What `proxy_on_configure` may read.
    pub plugin_configuration: Vec<u8>,
    /// The environment variables that the guest sees, in this order.
    pub environment: Vec<(String, String)>,
    /// Properties that any context may read: the path, then the bytes. A stream's own go first.
    pub properties: BTreeMap<Vec<String>, Vec<u8>>,
    /// Most bytes of the guest's memory.
    pub memory_limit: usize,
    /// Longest time that one call into the guest may take, to the nearest 10 ms above; longer is a trap. Real time,
    /// whatever the clock is.
    pub call_deadline: Option<Duration>,
    /// What happens to requests once the VM has trapped.
    pub failure_policy: FailurePolicy,
    /// Whether a filter that pauses on headers still gets the body (Envoy 1.35 and later, where it is an option).
    pub allow_on_headers_stop_iteration: bool,
}

impl Default for VmConfig {
    fn default() -> Self {
        Self {
            vm_id: String::new(),
            root_id: String::new(),
            plugin_name: String::new(),
            vm_configuration: Vec::new(),
            plugin_configuration: Vec::new(),
            environment: Vec::new(),
            properties: BTreeMap::new(),
            memory_limit: 1 << 30,
            call_deadline: Some(Duration::from_secs(10)),
            failure_policy: FailurePolicy::default(),
            allow_on_headers_stop_iteration: false,
        }
    }
}

impl fmt::Debug for VmConfig {
    /// Leaves out configurations and the values of environment variables: they hold secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .environment
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        formatter
            .debug_struct("VmConfig")
            .field("vm_id", &self.vm_id)
            .field("root_id", &self.root_id)
            .field("plugin_name", &self.plugin_name)
            .field("vm_configuration_bytes", &self.vm_configuration.len())
            .field(
                "plugin_configuration_bytes",
                &self.plugin_configuration.len(),
            )
            .field("environment_names", &names)
            .field("memory_limit", &self.memory_limit)
            .field("call_deadline", &self.call_deadline)
            .field("failure_policy", &self.failure_policy)
            .field(
                "allow_on_headers_stop_iteration",
                &self.allow_on_headers_stop_iteration,
            )
            .finish_non_exhaustive()
    }
}
