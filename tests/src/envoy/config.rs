//! Envoy configurations for tests: one listener, the filter, the router, and clusters on the
//! loopback address.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};

use crate::artifacts;

/// How an Envoy process is started, whatever its configuration.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Worker threads; each has a VM of its own.
    pub concurrency: u32,
    /// The level of the whole log.
    pub log_level: String,
    /// Levels of components, as `--component-log-level` takes them; the filter logs as `wasm`.
    pub component_log_level: String,
    /// Environment variables of the process.
    pub variables: Vec<(String, String)>,
    /// How long it may take until Envoy is ready.
    pub ready_within: Duration,
    /// How it gives way to another Envoy: [`Envoy::restart`](super::Envoy::restart). `None` when it never does.
    pub hot_restart: Option<HotRestart>,
}

/// How long an Envoy goes on once another one takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HotRestart {
    /// Within how many seconds it asks all its clients to leave (`--drain-time-s`).
    pub drain_secs: u32,
    /// After how many seconds it ends, whoever is left (`--parent-shutdown-time-s`).
    pub shutdown_secs: u32,
}

impl Default for Launch {
    /// Two workers, the log at `info` and the filter's at `debug`, ready within 30 s, no hot restart.
    fn default() -> Self {
        Self {
            concurrency: 2,
            log_level: "info".to_owned(),
            component_log_level: "wasm:debug".to_owned(),
            variables: Vec::new(),
            ready_within: Duration::from_secs(30),
            hot_restart: None,
        }
    }
}

type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// A configuration to be built. Without [`Self::filter`] it proxies everything.
#[derive(Clone)]
pub struct Config {
    upstream: SocketAddr,
    clusters: Vec<Value>,
    filter: Option<Filter>,
    before: Vec<Value>,
    after: Vec<Value>,
    edits: Vec<Edit>,
    launch: Launch,
}

#[derive(Clone, Debug)]
struct Filter {
    configuration: String,
    module: Option<PathBuf>,
    failure_policy: String,
    host_env_keys: Vec<String>,
    key_values: Vec<(String, String)>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("upstream", &self.upstream)
            .field("clusters", &self.clusters)
            .field("filter", &self.filter)
            .field("launch", &self.launch)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// A listener on a free port, all requests to the cluster `upstream` at this address.
    pub fn new(upstream: SocketAddr) -> Self {
        Self {
            upstream,
            clusters: Vec::new(),
            filter: None,
            before: Vec::new(),
            after: Vec::new(),
            edits: Vec::new(),
            launch: Launch::default(),
        }
    }

    /// Puts the filter in, with what `nexusctl compile-policy` gave as its configuration, the
    /// module that `NEXUS_WASM` names, and `FAIL_RELOAD`.
    #[must_use]
    pub fn filter(mut self, configuration: impl Into<String>) -> Self {
        self.filter = Some(Filter {
            configuration: configuration.into(),
            module: None,
            failure_policy: "FAIL_RELOAD".to_owned(),
            host_env_keys: Vec::new(),
            key_values: Vec::new(),
        });
        self
    }

    /// Loads another module than the one that `NEXUS_WASM` names.
    #[must_use]
    pub fn module(mut self, module: impl Into<PathBuf>) -> Self {
        self.the_filter().module = Some(module.into());
        self
    }

    /// Sets the filter's `failure_policy`: `FAIL_RELOAD` (the default here), `FAIL_CLOSED` or
    /// `FAIL_OPEN`.
    #[must_use]
    pub fn failure_policy(mut self, policy: &str) -> Self {
        policy.clone_into(&mut self.the_filter().failure_policy);
        self
    }

    /// Sets a variable in Envoy's environment and lists it in the VM's `host_env_keys`, as a
    /// secret reaches the filter.
    #[must_use]
    pub fn host_env(mut self, name: &str, value: &str) -> Self {
        self.the_filter().host_env_keys.push(name.to_owned());
        self.launch
            .variables
            .push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lists a variable in the VM's `host_env_keys` that Envoy's environment does not have.
    #[must_use]
    pub fn missing_host_env(mut self, name: &str) -> Self {
        self.the_filter().host_env_keys.push(name.to_owned());
        self
    }

    /// Sets a variable in the VM's environment by the configuration (`key_values`).
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.the_filter()
            .key_values
            .push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a cluster with one endpoint, for a JWKS server by its
    /// [`authority`](crate::jwks_server::JwksServer::authority).
    #[must_use]
    pub fn cluster(mut self, name: &str, addr: SocketAddr) -> Self {
        self.clusters.push(cluster(name, addr));
        self
    }

    /// Adds a cluster whose endpoint speaks TLS as the server `name`, with a certificate that
    /// the authority in `authority_file` (PEM) signed.
    #[must_use]
    pub fn tls_cluster(
        mut self,
        cluster_name: &str,
        addr: SocketAddr,
        name: &str,
        authority_file: &Path,
    ) -> Self {
        let mut cluster = cluster(cluster_name, addr);
        cluster["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": name,
                "common_tls_context": {"validation_context": {
                    "trusted_ca": {"filename": authority_file},
                    "match_typed_subject_alt_names": [
                        {"san_type": "DNS", "matcher": {"exact": name}},
                    ],
                }},
            },
        });
        self.clusters.push(cluster);
        self
    }

    /// Adds an HTTP filter before the filter.
    #[must_use]
    pub fn http_filter_before(mut self, filter: Value) -> Self {
        self.before.push(filter);
        self
    }

    /// Adds an HTTP filter between the filter and the router; for a configuration without
    /// [`Self::filter`] this is where another one, such as `jwt_authn`, goes.
    #[must_use]
    pub fn http_filter_after(mut self, filter: Value) -> Self {
        self.after.push(filter);
        self
    }

    /// Changes the finished bootstrap in any way. See [`Self::bootstrap`] for its shape.
    #[must_use]
    pub fn edit(mut self, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.edits.push(Arc::new(edit));
        self
    }

    /// Changes the connection manager's settings.
    #[must_use]
    pub fn edit_connection_manager(
        self,
        edit: impl Fn(&mut Value) + Send + Sync + 'static,
    ) -> Self {
        self.edit(move |bootstrap| {
            edit(
                &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
                    [0]["typed_config"],
            );
        })
    }

    /// Starts Envoy with this many workers instead of two.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.launch.concurrency = workers;
        self
    }

    /// Sets the level of the whole log and of the filter's: `trace` to `critical`, or `off`.
    #[must_use]
    pub fn log_level(mut self, all: &str, filter: &str) -> Self {
        all.clone_into(&mut self.launch.log_level);
        self.launch.component_log_level = format!("wasm:{filter}");
        self
    }

    /// Gives Envoy this long to become ready instead of 30 s.
    #[must_use]
    pub fn ready_within(mut self, time: Duration) -> Self {
        self.launch.ready_within = time;
        self
    }

    /// Starts Envoy so that another one can take over from it while it runs.
    #[must_use]
    pub fn hot_restart(mut self, times: HotRestart) -> Self {
        self.launch.hot_restart = Some(times);
        self
    }

    /// How the process is started.
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// The bootstrap: listener `main` on a free port of 127.0.0.1, one filter chain with the
    /// connection manager `ingress`, its HTTP filters, and the clusters. The access log goes to
    /// `access_log` as JSON lines.
    ///
    /// # Panics
    /// When the filter is in and `NEXUS_WASM` is needed and unset.
    pub fn bootstrap(&self, access_log: &Path) -> Value {
        let mut clusters = vec![cluster("upstream", self.upstream)];
        clusters.extend(self.clusters.iter().cloned());
        let mut bootstrap = json!({
            "admin": {"address": address("127.0.0.1", 0)},
            "static_resources": {
                "listeners": [{
                    "name": "main",
                    "address": address("127.0.0.1", 0),
                    "filter_chains": [{"filters": [{
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": self.connection_manager(access_log),
                    }]}],
                }],
                "clusters": clusters,
            },
        });
        for edit in &self.edits {
            edit(&mut bootstrap);
        }
        bootstrap
    }

    fn connection_manager(&self, access_log: &Path) -> Value {
        let mut filters = self.before.clone();
        filters.extend(self.filter.as_ref().map(Filter::http_filter));
        filters.extend(self.after.iter().cloned());
        filters.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            },
        }));
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "ingress",
            "route_config": {"virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
            }]},
            "access_log": [{
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": access_log,
                    "log_format": {"json_format": {
                        "method": "%REQ(:METHOD)%",
                        "path": "%REQ(:PATH)%",
                        "status": "%RESPONSE_CODE%",
                        "details": "%RESPONSE_CODE_DETAILS%",
                        "flags": "%RESPONSE_FLAGS%",
                    }},
                },
            }],
            "http_filters": filters,
        })
    }

    fn the_filter(&mut self) -> &mut Filter {
        self.filter
            .as_mut()
            .expect("`Config::filter` comes before what is set about the filter")
    }
}

impl Filter {
    fn http_filter(&self) -> Value {
        let module = self.module.clone().unwrap_or_else(artifacts::wasm);
        let key_values: serde_json::Map<String, Value> = self
            .key_values
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({
            "name": "envoy.filters.http.wasm",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": "nexus",
                    "root_id": "nexus",
                    "failure_policy": self.failure_policy,
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": self.configuration,
                    },
                    "vm_config": {
                        "vm_id": "nexus",
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": module}},
                        "environment_variables": {
                            "host_env_keys": self.host_env_keys,
                            "key_values": key_values,
                        },
                    },
                },
            },
        })
    }
}

fn cluster(name: &str, addr: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {
                "address": address(&addr.ip().to_string(), addr.port()),
            }}]}],
        },
    })
}

fn address(ip: &str, port: u16) -> Value {
    json!({"socket_address": {"address": ip, "port_value": port}})
}
