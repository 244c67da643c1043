// SPDX-License-Identifier: MIT OR Apache-2.0
//! As much of ELF as tells whether a program needs another one to start: its program headers.
//! Layout from the System V ABI, 64 bit and little endian, which is what all our targets are.

use anyhow::{Context, Result, ensure};

/// The kind of the segment that names an interpreter.
const PT_INTERP: u32 = 3;

/// The kinds of the segments of a program.
fn segment_kinds(program: &[u8]) -> Result<Vec<u32>> {
    ensure!(program.starts_with(b"\x7fELF\x02\x01"), "not a 64-bit little-endian ELF file");
    let start = usize::try_from(u64::from_le_bytes(field(program, 0x20)?))
        .context("table beyond the address space")?;
    let size = usize::from(u16::from_le_bytes(field(program, 0x36)?));
    let count = usize::from(u16::from_le_bytes(field(program, 0x38)?));
    ensure!(count > 0, "no program headers");
    (0..count)
        .map(|index| {
            let at = size.checked_mul(index).and_then(|offset| start.checked_add(offset));
            Ok(u32::from_le_bytes(field(program, at.context("table beyond the file")?)?))
        })
        .collect()
}

/// Whether the kernel has to load an interpreter first: the mark of a dynamic program.
pub(crate) fn has_interpreter(program: &[u8]) -> Result<bool> {
    Ok(segment_kinds(program)?.contains(&PT_INTERP))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let end = at.checked_add(N).context("offset beyond the file")?;
    let slice = bytes.get(at..end).context("the file is cut short")?;
    slice.try_into().context("a field of another length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        bytes[0x20] = 64;
        bytes[0x36] = 56;
        bytes[0x38] = u8::try_from(kinds.len()).unwrap();
        for kind in kinds {
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&[0; 52]);
        }
        bytes
    }

    #[test]
    fn programs_with_and_without() {
        assert!(!has_interpreter(&program(&[1, 2])).unwrap());
        assert!(has_interpreter(&program(&[1, 3, 2])).unwrap());
    }

    #[test]
    fn this_test_is_dynamic() {
        assert!(has_interpreter(&std::fs::read("/proc/self/exe").unwrap()).unwrap());
    }

    #[test]
    fn what_is_no_program() {
        for bytes in [b"#!/bin/sh".to_vec(), program(&[]), program(&[1])[..66].to_vec(), vec![0x7f]] {
            assert!(has_interpreter(&bytes).is_err());
        }
        let mut far = program(&[1]);
        far[0x20..0x28].fill(0xff);
        assert!(has_interpreter(&far).is_err());
    }
}
