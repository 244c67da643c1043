// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that run early in the real root, after [`prepare_root`] and before anything that writes.
//!
//! * [`generator`]: the mounts and units of this boot that systemd shall know of.
//! * [`remount`]: mounts that became read-only together with the root, and shall not be.
#![forbid(unsafe_code)]

pub mod generator;
pub mod remount;

use std::process::ExitCode;

use prepare_root::report;

/// Ends a program: says an error on standard error and in the kernel's log, with all its causes on one line.
pub fn exit(program: &str, result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = format!("{error:#}");
            report::to_standard_error(program, &text);
            report::to_kernel_log(report::ERROR, program, &text);
            ExitCode::FAILURE
        }
    }
}
