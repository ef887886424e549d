//! One call of a guest into its host: the guest's memory, checked, and the state behind it.
//!
//! Whatever pointers and lengths a guest gives, nothing here panics: what lies outside its memory is a status.

use wasmtime::{AsContext as _, AsContextMut as _, Caller, Memory};

use crate::abi::{Status, parse_pairs};
use crate::header_map::HeaderMap;
use crate::state::HostState;

/// Why a host function does not answer "ok".
pub(crate) enum Fault {
    /// The guest is told.
    Status(Status),
    /// The guest ends here.
    Trap(wasmtime::Error),
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

pub(crate) type Answer = Result<(), Fault>;

/// The number that the guest gets.
pub(crate) fn status_word(answer: Answer) -> wasmtime::Result<i32> {
    match answer {
        Ok(()) => Ok(Status::Ok as i32),
        Err(Fault::Status(status)) => Ok(status as i32),
        Err(Fault::Trap(error)) => Err(error),
    }
}

/// When a host function may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Always, also while the module initializes.
    Always,
    /// Only once the module has been initialized.
    Started,
}

pub(crate) struct Call<'a> {
    caller: Caller<'a, HostState>,
}

impl<'a> Call<'a> {
    pub(crate) fn enter(
        caller: Caller<'a, HostState>,
        name: &str,
        access: Access,
    ) -> wasmtime::Result<Self> {
        if access == Access::Started && caller.data().restricted {
            return Err(wasmtime::Error::msg(format!(
                "restricted callback: `{name}` called during initialization"
            )));
        }
        Ok(Self { caller })
    }

    pub(crate) fn state(&self) -> &HostState {
        self.caller.data()
    }

    pub(crate) fn state_mut(&mut self) -> &mut HostState {
        self.caller.data_mut()
    }

    fn memory(&self) -> Result<Memory, Fault> {
        self.state()
            .memory
            .ok_or(Fault::Status(Status::InvalidMemoryAccess))
    }

    /// Copies bytes out of the guest.
    pub(crate) fn read(&self, pointer: u32, length: u32) -> Result<Vec<u8>, Fault> {
        let memory = self.memory()?;
        let start = pointer as usize;
        let end = start
            .checked_add(length as usize)
            .ok_or(Status::InvalidMemoryAccess)?;
        let bytes = memory
            .data(self.caller.as_context())
            .get(start..end)
            .ok_or(Status::InvalidMemoryAccess)?;
        Ok(bytes.to_vec())
    }

    /// Copies text out of the guest; bytes that are not UTF-8 are replaced.
    pub(crate) fn read_text(&self, pointer: u32, length: u32) -> Result<String, Fault> {
        Ok(String::from_utf8_lossy(&self.read(pointer, length)?).into_owned())
    }

    /// Copies a serialized map out of the guest; what is malformed or too large is empty.
    pub(crate) fn read_pairs(&self, pointer: u32, length: u32) -> Result<HeaderMap, Fault> {
        Ok(HeaderMap::from_pairs(parse_pairs(
            &self.read(pointer, length)?,
        )))
    }

    pub(crate) fn read_u32(&self, pointer: u32) -> Result<u32, Fault> {
        let memory = self.memory()?;
        let start = pointer as usize;
        let word = memory
            .data(self.caller.as_context())
            .get(start..)
            .and_then(<[u8]>::first_chunk::<4>);
        Ok(u32::from_le_bytes(
            *word.ok_or(Status::InvalidMemoryAccess)?,
        ))
    }

    /// Copies bytes into the guest.
    pub(crate) fn write(&mut self, pointer: u32, bytes: &[u8]) -> Answer {
        let memory = self.memory()?;
        let written = memory.write(self.caller.as_context_mut(), pointer as usize, bytes);
        written.map_err(|_| Status::InvalidMemoryAccess.into())
    }

    pub(crate) fn write_u32(&mut self, pointer: u32, value: u32) -> Answer {
        self.write(pointer, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, pointer: u32, value: u64) -> Answer {
        self.write(pointer, &value.to_le_bytes())
    }

    /// Writes a length; one that a 32-bit guest could not hold is an invalid access.
    pub(crate) fn write_length(&mut self, pointer: u32, length: usize) -> Answer {
        self.write_u32(
            pointer,
            u32::try_from(length).map_err(|_| Status::InvalidMemoryAccess)?,
        )
    }

    /// Gives bytes to the guest: in memory that it allocates, whose address and length it is told. No bytes are the null
    /// pointer.
    pub(crate) fn give(&mut self, bytes: &[u8], pointer_at: u32, length_at: u32) -> Answer {
        let pointer = self.place(bytes)?;
        self.write_u32(pointer_at, pointer)?;
        self.write_length(length_at, bytes.len())
    }

    /// Puts bytes into memory that the guest allocates, and gives its address.
    pub(crate) fn place(&mut self, bytes: &[u8]) -> Result<u32, Fault> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let length = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        let allocate = self
            .state()
            .allocate
            .clone()
            .ok_or(Status::InvalidMemoryAccess)?;
        let pointer = allocate
            .call(self.caller.as_context_mut(), length)
            .map_err(Fault::Trap)?;
        if pointer == 0 {
            return Err(Status::InvalidMemoryAccess.into());
        }
        self.write(pointer, bytes)?;
        Ok(pointer)
    }
}
