//! The functions of WASI preview 1 that Envoy has, with the error numbers that Envoy gives.
//!
//! There are no files, no arguments and no sockets; standard output and standard error go to the log.

use wasmtime::{Caller, Linker};

use crate::abi::{MAX_RANDOM_BYTES, Status};
use crate::call::Access::{self, Always, Started};
use crate::call::{Call, Fault};
use crate::hostcalls::nanoseconds;
use crate::log::{LogLevel, LogSource};
use crate::state::HostState;

/// `errno` of WASI preview 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
enum Errno {
    Badf = 8,
    Fault = 21,
    Inval = 28,
    Noent = 44,
    Nosys = 52,
    Notsup = 58,
}

enum Failure {
    Errno(Errno),
    Trap(wasmtime::Error),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Trap(error) => Self::Trap(error),
            // A host function of WASI only fails to reach the guest's memory.
            Fault::Status(_) => Self::Errno(Errno::Fault),
        }
    }
}

type Outcome = Result<(), Failure>;

fn errno_word(outcome: Outcome) -> wasmtime::Result<i32> {
    match outcome {
        Ok(()) => Ok(0),
        Err(Failure::Errno(errno)) => Ok(errno as i32),
        Err(Failure::Trap(error)) => Err(error),
    }
}

macro_rules! wasi_functions {
    ($linker:expr, $module:expr, $access:expr => {
        $($name:literal = $function:ident($($argument:ident: $type:ty),*);)*
    }) => {
        $($linker.func_wrap(
            $module,
            $name,
            |caller: Caller<'_, HostState>, $($argument: $type),*| -> wasmtime::Result<i32> {
                let access: Access = $access;
                let mut call = Call::enter(caller, $name, access)?;
                errno_word($function(&mut call, $($argument),*))
            },
        )?;)*
    };
}

pub(crate) fn register(linker: &mut Linker<HostState>, module: &str) -> wasmtime::Result<()> {
    wasi_functions!(linker, module, Always => {
        "fd_write" = fd_write(fd: u32, vectors: u32, count: u32, written_at: u32);
        "args_sizes_get" = args_sizes_get(count_at: u32, size_at: u32);
        "args_get" = args_get(arguments_at: u32, buffer: u32);
        "environ_sizes_get" = environ_sizes_get(count_at: u32, size_at: u32);
        "environ_get" = environ_get(variables_at: u32, buffer: u32);
        "clock_time_get" = clock_time_get(clock: u32, precision: u64, time_at: u32);
        "random_get" = random_get(buffer: u32, length: u32);
        "fd_prestat_get" = fd_prestat_get(fd: u32, prestat_at: u32);
        "fd_prestat_dir_name" = fd_prestat_dir_name(fd: u32, path: u32, length: u32);
    });
    wasi_functions!(linker, module, Started => {
        "fd_read" = fd_read(fd: u32, vectors: u32, count: u32, read_at: u32);
        "fd_seek" = fd_seek(fd: u32, offset: i64, whence: u32, position_at: u32);
        "fd_close" = fd_close(fd: u32);
        "fd_fdstat_get" = fd_fdstat_get(fd: u32, stat_at: u32);
        "fd_fdstat_set_flags" = fd_fdstat_set_flags(fd: u32, flags: u32);
        "path_open" = path_open(
            fd: u32, directory_flags: u32, path: u32, length: u32, open_flags: u32, rights: u64, inherited: u64,
            descriptor_flags: u32, opened_at: u32);
        "sched_yield" = sched_yield();
        "poll_oneoff" = poll_oneoff(subscriptions: u32, events: u32, count: u32, events_at: u32);
    });
    linker.func_wrap(
        module,
        "proc_exit",
        |_caller: Caller<'_, HostState>, code: u32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::msg(format!(
                "the guest ended itself with code {code} (`proc_exit`)"
            )))
        },
    )?;
    Ok(())
}

fn fd_write(call: &mut Call<'_>, fd: u32, vectors: u32, count: u32, written_at: u32) -> Outcome {
    let level = match fd {
        1 => LogLevel::Info,
        2 => LogLevel::Error,
        _ => return Err(Errno::Badf.into()),
    };
    let mut text = Vec::new();
    for index in 0..count {
        let vector = index
            .checked_mul(8)
            .and_then(|offset| vectors.checked_add(offset))
            .ok_or(Errno::Fault)?;
        let pointer = call.read_u32(vector)?;
        let length = call.read_u32(vector.checked_add(4).ok_or(Errno::Fault)?)?;
        text.extend(call.read(pointer, length)?);
    }
    let written = text.len();
    if written > 0 {
        let line = text.strip_suffix(b"\n").unwrap_or(&text);
        call.state().log(
            level,
            LogSource::Wasi,
            String::from_utf8_lossy(line).into_owned(),
        );
    }
    Ok(call.write_length(written_at, written)?)
}

fn fd_read(_call: &mut Call<'_>, _fd: u32, _vectors: u32, _count: u32, _read_at: u32) -> Outcome {
    Err(Errno::Nosys.into())
}

/// Envoy says that it sought, and does nothing.
fn fd_seek(
    _call: &mut Call<'_>,
    _fd: u32,
    _offset: i64,
    _whence: u32,
    _position_at: u32,
) -> Outcome {
    Ok(())
}

/// Envoy says that it closed, and does nothing.
fn fd_close(_call: &mut Call<'_>, _fd: u32) -> Outcome {
    Ok(())
}

fn fd_fdstat_get(call: &mut Call<'_>, fd: u32, stat_at: u32) -> Outcome {
    if !matches!(fd, 1 | 2) {
        return Err(Errno::Badf.into());
    }
    // No type, no flags, the one right to write (`fd_write`), nothing inherited.
    call.write_u64(stat_at, 0)?;
    call.write_u64(stat_at.checked_add(8).ok_or(Errno::Fault)?, 1 << 6)?;
    Ok(call.write_u64(stat_at.checked_add(16).ok_or(Errno::Fault)?, 0)?)
}

fn fd_fdstat_set_flags(_call: &mut Call<'_>, fd: u32, _flags: u32) -> Outcome {
    // Flags of standard output and standard error make no difference.
    if matches!(fd, 1 | 2) {
        Ok(())
    } else {
        Err(Errno::Badf.into())
    }
}

fn fd_prestat_get(_call: &mut Call<'_>, _fd: u32, _prestat_at: u32) -> Outcome {
    // "No such descriptor" is what ends a guest's search for directories.
    Err(Errno::Badf.into())
}

fn fd_prestat_dir_name(_call: &mut Call<'_>, _fd: u32, _path: u32, _length: u32) -> Outcome {
    Err(Errno::Nosys.into())
}

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
fn path_open(
    _call: &mut Call<'_>,
    _fd: u32,
    _directory_flags: u32,
    _path: u32,
    _length: u32,
    _open_flags: u32,
    _rights: u64,
    _inherited: u64,
    _descriptor_flags: u32,
    _opened_at: u32,
) -> Outcome {
    Err(Errno::Noent.into())
}

fn args_sizes_get(call: &mut Call<'_>, count_at: u32, size_at: u32) -> Outcome {
    call.write_u32(count_at, 0)?;
    Ok(call.write_u32(size_at, 0)?)
}

fn args_get(_call: &mut Call<'_>, _arguments_at: u32, _buffer: u32) -> Outcome {
    Ok(())
}

fn environ_sizes_get(call: &mut Call<'_>, count_at: u32, size_at: u32) -> Outcome {
    let environment = environment(call);
    call.write_length(count_at, environment.len())?;
    Ok(call.write_length(size_at, environment.iter().map(Vec::len).sum())?)
}

fn environ_get(call: &mut Call<'_>, variables_at: u32, buffer: u32) -> Outcome {
    let (mut variable_at, mut position) = (variables_at, buffer);
    for variable in environment(call) {
        call.write_u32(variable_at, position)?;
        call.write(position, &variable)?;
        let length = u32::try_from(variable.len()).map_err(|_| Errno::Fault)?;
        variable_at = variable_at.checked_add(4).ok_or(Errno::Fault)?;
        position = position.checked_add(length).ok_or(Errno::Fault)?;
    }
    Ok(())
}

/// Each variable as `NAME=VALUE` and a NUL.
fn environment(call: &Call<'_>) -> Vec<Vec<u8>> {
    let variables = &call.state().config.environment;
    variables
        .iter()
        .map(|(name, value)| format!("{name}={value}\0").into_bytes())
        .collect()
}

fn clock_time_get(call: &mut Call<'_>, clock: u32, _precision: u64, time_at: u32) -> Outcome {
    let time = match clock {
        0 => call.state().process.clock.now(),
        1 => call.state().process.clock.monotonic(),
        _ => return Err(Errno::Notsup.into()),
    };
    Ok(call.write_u64(time_at, nanoseconds(time))?)
}

fn random_get(call: &mut Call<'_>, buffer: u32, length: u32) -> Outcome {
    let length = length as usize;
    if length > MAX_RANDOM_BYTES {
        return Err(Errno::Inval.into());
    }
    let mut bytes = vec![0; length];
    let filled: Result<(), Status> = call.state().process.random.fill(&mut bytes);
    filled.map_err(|_| Errno::Fault)?;
    Ok(call.write(buffer, &bytes)?)
}

fn sched_yield(_call: &mut Call<'_>) -> Outcome {
    Ok(())
}

fn poll_oneoff(
    _call: &mut Call<'_>,
    _subscriptions: u32,
    _events: u32,
    _count: u32,
    _events_at: u32,
) -> Outcome {
    Err(Errno::Nosys.into())
}
