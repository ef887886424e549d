//! A compiled filter, and what it asks of its host.
//!
//! A [`Module`] belongs to no process: it is compiled once and may be started in many of them, from many threads.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wasmtime::{Config, Engine, InstancePre};

use crate::abi::{ENVOY_IMPORTS, WASI_IMPORTS, WASI_MODULES};
use crate::error::LoadError;
use crate::linker;
use crate::state::HostState;

/// How often the engine looks whether a call has run for too long.
pub(crate) const EPOCH: Duration = Duration::from_millis(10);

/// What an import or export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// A function.
    Function,
    /// A linear memory.
    Memory,
    /// A table.
    Table,
    /// A global.
    Global,
    /// An exception tag.
    Tag,
}

/// Something that a module needs from its host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Import {
    /// The module that it is imported from: `env`, `wasi_snapshot_preview1`.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// What it is.
    pub kind: ItemKind,
}

impl Import {
    /// Whether every Envoy since 1.30 offers it.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        let name = self.name.as_str();
        self.kind == ItemKind::Function
            && match self.module.as_str() {
                "env" => ENVOY_IMPORTS.contains(&name),
                module => WASI_MODULES.contains(&module) && WASI_IMPORTS.contains(&name),
            }
    }
}

impl fmt::Display for Import {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.module, self.name)
    }
}

/// Something that a module offers to its host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ItemKind,
}

/// The imports and exports of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// What it needs, in the module's order.
    pub imports: Vec<Import>,
    /// What it offers, in the module's order.
    pub exports: Vec<Export>,
}

impl Interface {
    /// Reads the interface of a module in the binary format, without compiling it.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] if the bytes cannot be read as a module. Function bodies are not looked at.
    pub fn of_wasm(wasm: &[u8]) -> Result<Self, LoadError> {
        use wasmparser::{Parser, Payload};
        let mut interface = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(|error| invalid(&error))? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(|error| invalid(&error))?;
                        interface.imports.push(Import {
                            module: import.module.to_owned(),
                            name: import.name.to_owned(),
                            kind: ItemKind::of_import(import.ty),
                        });
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(|error| invalid(&error))?;
                        interface.exports.push(Export {
                            name: export.name.to_owned(),
                            kind: ItemKind::of_export(export.kind),
                        });
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
    }

    /// The imports that not every Envoy since 1.30 offers: a module with one of them fails to load there.
    #[must_use]
    pub fn unportable_imports(&self) -> Vec<&Import> {
        self.imports
            .iter()
            .filter(|import| !import.is_portable())
            .collect()
    }

    /// Whether there is an export of this name that is a function.
    #[must_use]
    pub fn exports_function(&self, name: &str) -> bool {
        self.exports
            .iter()
            .any(|export| export.name == name && export.kind == ItemKind::Function)
    }

    fn of_compiled(module: &wasmtime::Module) -> Self {
        let imports = module.imports().map(|import| Import {
            module: import.module().to_owned(),
            name: import.name().to_owned(),
            kind: ItemKind::of(&import.ty()),
        });
        let exports = module.exports().map(|export| Export {
            name: export.name().to_owned(),
            kind: ItemKind::of(&export.ty()),
        });
        Self {
            imports: imports.collect(),
            exports: exports.collect(),
        }
    }
}

/// A filter, compiled and checked: its imports exist, its ABI is one that the host speaks. A cheap handle.
#[derive(Clone)]
pub struct Module {
    pub(crate) compiled: Arc<Compiled>,
}

pub(crate) struct Compiled {
    pub(crate) engine: Engine,
    pub(crate) linked: InstancePre<HostState>,
    interface: Interface,
    ticker: OnceLock<()>,
    /// Whether its VMs count instructions.
    pub(crate) counts: bool,
}

impl Module {
    /// Compiles a module in the binary format.
    ///
    /// # Errors
    /// [`LoadError`], all of whose cases but [`LoadError::Precompiled`] can occur.
    pub fn compile(wasm: &[u8]) -> Result<Self, LoadError> {
        Self::compile_with(wasm, false)
    }

    /// The same for a module whose VMs count the WebAssembly instructions that they run, which
    /// [`Vm::instructions`](crate::Vm::instructions) tells: a measure that does not depend on the machine or on what
    /// else it does. They run slower by that.
    ///
    /// # Errors
    /// As [`Module::compile`].
    pub fn compile_counting(wasm: &[u8]) -> Result<Self, LoadError> {
        Self::compile_with(wasm, true)
    }

    fn compile_with(wasm: &[u8], counts: bool) -> Result<Self, LoadError> {
        let engine = engine(counts)?;
        let module =
            wasmtime::Module::from_binary(&engine, wasm).map_err(|error| invalid(&error))?;
        Self::checked(engine, module, counts)
    }

    /// Compiles a module to bytes that [`Module::from_precompiled`] loads in milliseconds. They are good for the same
    /// version of this crate on the same kind of processor, and for nothing else.
    ///
    /// # Errors
    /// As [`Module::compile`], so that no unusable module gets precompiled.
    pub fn precompile(wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
        let module = Self::compile(wasm)?;
        module
            .compiled
            .linked
            .module()
            .serialize()
            .map_err(|error| invalid(&error))
    }

    /// Loads what [`Module::precompile`] gave.
    ///
    /// # Errors
    /// [`LoadError::Precompiled`] if the bytes were made by another version, with other settings or for another
    /// processor.
    ///
    /// # Safety
    /// The bytes hold machine code that will be run. They must be, unchanged, what [`Module::precompile`] gave, and come
    /// from where the program itself comes from (embedded in it, for instance): never from a user or the network.
    #[expect(
        unsafe_code,
        reason = "precompiled code can only be trusted, not checked"
    )]
    pub unsafe fn from_precompiled(bytes: &[u8]) -> Result<Self, LoadError> {
        let engine = engine(false)?;
        // SAFETY: the caller vouches that `bytes` is what `precompile` made; `deserialize` itself checks that it was
        // made by this version of wasmtime with the settings of `engine`.
        let module = unsafe { wasmtime::Module::deserialize(&engine, bytes) }.map_err(|error| {
            LoadError::Precompiled {
                reason: summary(&error),
            }
        })?;
        Self::checked(engine, module, false)
    }

    /// What the module needs and offers.
    #[must_use]
    pub fn interface(&self) -> &Interface {
        &self.compiled.interface
    }

    fn checked(engine: Engine, module: wasmtime::Module, counts: bool) -> Result<Self, LoadError> {
        let interface = Interface::of_compiled(&module);
        check_abi(&interface)?;
        let linked = linker::link(&engine, &module)?;
        Ok(Self {
            compiled: Arc::new(Compiled {
                engine,
                linked,
                interface,
                ticker: OnceLock::new(),
                counts,
            }),
        })
    }
}

impl Compiled {
    /// Starts the thread that lets calls be interrupted; it ends when the engine is dropped.
    pub(crate) fn start_ticker(&self) {
        self.ticker.get_or_init(|| {
            let engine = self.engine.weak();
            std::thread::spawn(move || {
                while let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(EPOCH);
                }
            });
        });
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Module")
            .field("interface", self.interface())
            .finish_non_exhaustive()
    }
}

/// One configuration for compiling and for loading: they have to agree.
fn engine(counts: bool) -> Result<Engine, LoadError> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.consume_fuel(counts);
    Engine::new(&config).map_err(|error| invalid(&error))
}

fn check_abi(interface: &Interface) -> Result<(), LoadError> {
    const MARKER: &str = "proxy_abi_version_";
    if ["proxy_abi_version_0_2_1", "proxy_abi_version_0_2_0"]
        .iter()
        .any(|name| interface.exports_function(name))
    {
        return Ok(());
    }
    let found = interface
        .exports
        .iter()
        .find(|export| export.name.starts_with(MARKER));
    Err(LoadError::AbiVersion {
        found: found.map(|export| export.name.clone()),
    })
}

pub(crate) fn invalid(error: &dyn fmt::Display) -> LoadError {
    LoadError::Invalid {
        reason: summary(error),
    }
}

/// An engine's error on one line, with its causes.
fn summary(error: &dyn fmt::Display) -> String {
    format!("{error:#}")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

impl ItemKind {
    pub(crate) fn of(item: &wasmtime::ExternType) -> Self {
        use wasmtime::ExternType;
        match item {
            ExternType::Func(_) => Self::Function,
            ExternType::Table(_) => Self::Table,
            ExternType::Memory(_) => Self::Memory,
            ExternType::Global(_) => Self::Global,
            ExternType::Tag(_) => Self::Tag,
        }
    }

    fn of_import(item: wasmparser::TypeRef) -> Self {
        use wasmparser::TypeRef;
        match item {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => Self::Function,
            TypeRef::Table(_) => Self::Table,
            TypeRef::Memory(_) => Self::Memory,
            TypeRef::Global(_) => Self::Global,
            TypeRef::Tag(_) => Self::Tag,
        }
    }

    fn of_export(item: wasmparser::ExternalKind) -> Self {
        use wasmparser::ExternalKind;
        match item {
            ExternalKind::Func | ExternalKind::FuncExact => Self::Function,
            ExternalKind::Table => Self::Table,
            ExternalKind::Memory => Self::Memory,
            ExternalKind::Global => Self::Global,
            ExternalKind::Tag => Self::Tag,
        }
    }
}
