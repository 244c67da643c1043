// SPDX-License-Identifier: MIT OR Apache-2.0
//! z Systems: `zipl` reads the boot entries and writes their blocks into the boot record. Not proven on hardware.

use formats::bls::Entry;

use super::error::LoaderError;
use super::interface::{AfterSwitch, Installed, Loader, Tool};

/// `zipl`.
#[derive(Debug, Clone, Copy)]
pub struct Zipl;

/// Says `1` where the machine was started with secure boot.
const SECURE: &str = "/sys/firmware/ipl/secure";
/// Says `1` in a guest of Secure Execution: then the boot record is one encrypted image.
const SECURE_EXECUTION: &str = "/sys/firmware/uv/prot_virt_guest";

impl Loader for Zipl {
    fn name(&self) -> &'static str {
        "zipl"
    }

    fn loads_one_initrd(&self) -> Option<&'static str> {
        Some("the boot record holds one")
    }

    fn after_switch(&self, _installed: &Installed, _default: &Entry) -> Result<AfterSwitch, LoaderError> {
        if says_one(SECURE_EXECUTION) {
            return Err(LoaderError::SecureExecution);
        }
        let secure = if says_one(SECURE) { "1" } else { "auto" };
        let args = ["--secure", secure, "-V"].map(str::to_owned).to_vec();
        Ok(AfterSwitch::Run(Tool { program: "zipl", args }))
    }
}

fn says_one(path: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
}
