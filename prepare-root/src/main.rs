// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-prepare-root`: mounts the deployment that the kernel command line names.

fn main() -> std::process::ExitCode {
    prepare_root::cli::main(std::env::args_os().skip(1))
}
