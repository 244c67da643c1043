// SPDX-License-Identifier: MIT OR Apache-2.0
//! The privileges of the user who runs the tests.

use std::io::Write;

/// Set by anyone who wants to see the tests that need root skipped, or `./run test` fail over that.
const PRETEND: &str = "TEST_WORLD_WITHOUT_ROOT";

/// Tells whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root() && std::env::var_os(PRETEND).is_none()
}

/// Says that a test is skipped because it needs root.
///
/// The harness of `#[test]` shows no output of a test that passes, unless it is written like this.
pub fn skipped(test: &str) {
    let line = format!("skipped: {test}: needs root\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Leaves the test that begins with it, and says so, unless root runs it.
#[macro_export]
macro_rules! needs_root {
    () => {
        if !$crate::is_root() {
            fn here() {}
            let name = ::std::any::type_name_of_val(&here);
            $crate::skipped(name.strip_suffix("::here").unwrap_or(name));
            return;
        }
    };
}
