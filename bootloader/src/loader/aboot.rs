// SPDX-License-Identifier: MIT OR Apache-2.0
//! Android's boot loader: `aboot-deploy` writes an image into one of two slots. Not proven on hardware.

use formats::bls::Entry;

use super::error::LoaderError;
use super::interface::{AfterSwitch, Installed, Loader, Tool};

/// `aboot-deploy`.
#[derive(Debug, Clone, Copy)]
pub struct Aboot;

impl Loader for Aboot {
    fn name(&self) -> &'static str {
        "aboot"
    }

    fn loads_one_initrd(&self) -> Option<&'static str> {
        Some("its image holds the only one that is loaded")
    }

    fn after_switch(&self, _installed: &Installed, default: &Entry) -> Result<AfterSwitch, LoaderError> {
        let key = |name| default.get(name).map(str::to_owned).ok_or(LoaderError::NoAboot(name));
        let (image, config) = (key("aboot")?, key("abootcfg")?);
        let args = ["-r", ".", "-c", &config, "-o", &default.options(), &image].map(str::to_owned).to_vec();
        Ok(AfterSwitch::Run(Tool { program: "aboot-deploy", args }))
    }
}
