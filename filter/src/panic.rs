//! What happens where the module cannot go on: nothing is meant to get here, but for a want of memory.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use crate::host::{self, LogLevel};

/// Tells where, and ends the VM: the proxy refuses its requests. What the panic says is not told, since it may show a part
/// of a token; and nothing is allocated, since that may be what failed.
#[panic_handler]
fn end(info: &PanicInfo<'_>) -> ! {
    let mut line = Line::default();
    if let Some(location) = info.location() {
        // INVARIANT: a line takes what there is room for.
        let _ = write!(line, "nexus: a panic at {location}");
    }
    host::log(LogLevel::Error, line.as_str());
    core::arch::wasm32::unreachable()
}

/// A text of up to so many bytes; what does not fit is left out.
struct Line {
    bytes: [u8; 128],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; 128],
            length: 0,
        }
    }
}

impl Line {
    fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or_default();
        core::str::from_utf8(written).unwrap_or_default()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let slot = room.get_mut(..text.len()).ok_or(fmt::Error)?;
        slot.copy_from_slice(text.as_bytes());
        self.length = self.length.saturating_add(text.len());
        Ok(())
    }
}
