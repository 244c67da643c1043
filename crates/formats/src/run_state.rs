// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/run/ostree-booted`: what the initramfs tells the programs of the real root about this boot.
//!
//! One GVariant of type `a{sv}`. That the file exists is itself the public sign that the system was booted through
//! a deployment; a program that does not care how never reads it. `/run/ostree/nextroot-booted` has the same form
//! for a prepared soft reboot. The order of the keys is that of the C programs, so that equal states are equal
//! bytes.

use crate::gvariant::{DictBuilder, Error, Value, Variant};

/// The facts about a boot. A key that is absent in the file is `None` here: older programs write fewer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunState {
    /// `backing-root-device-inode`: `st_dev` and `st_ino` of the deployment's directory.
    pub backing_root: Option<(u64, u64)>,
    /// `root.transient`: changes in `/` last until the next boot.
    pub root_transient: Option<bool>,
    /// `root.transient-ro`: the same, with `/` mounted read-only.
    pub root_transient_ro: Option<bool>,
    /// `composefs`: the root is mounted from a composefs image.
    pub composefs: Option<bool>,
    /// `composefs.verity`: and fs-verity was required of all its files.
    pub composefs_verity: Option<bool>,
    /// `composefs.signed`: path of the key file that verified the commit.
    pub composefs_signed: Option<String>,
    /// `sysroot-ro`: the physical root shall be read-only.
    pub sysroot_readonly: Option<bool>,
    /// `transient-etc`: directory of the overlay on `/etc`.
    pub transient_etc: Option<String>,
}

const BACKING_ROOT: &str = "backing-root-device-inode";
const ROOT_TRANSIENT: &str = "root.transient";
const ROOT_TRANSIENT_RO: &str = "root.transient-ro";
const COMPOSEFS: &str = "composefs";
const COMPOSEFS_VERITY: &str = "composefs.verity";
const COMPOSEFS_SIGNED: &str = "composefs.signed";
const SYSROOT_READONLY: &str = "sysroot-ro";
const TRANSIENT_ETC: &str = "transient-etc";

impl RunState {
    /// Reads the content of the file. An empty file is a state of which nothing is known, as is the one that
    /// programs create which only need the file to exist. Keys of newer programs are passed over.
    ///
    /// Errors: the bytes are no `a{sv}`, or a key has a value of another type.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let dict = Variant::new("a{sv}", bytes)?;
        let mut state = Self::default();
        for entry in dict.iter()? {
            let entry = entry?;
            let value = entry.child(1)?.as_variant()?;
            match entry.child(0)?.as_str()? {
                BACKING_ROOT => {
                    state.backing_root = Some((value.child(0)?.as_u64()?, value.child(1)?.as_u64()?));
                }
                ROOT_TRANSIENT => state.root_transient = Some(value.as_bool()?),
                ROOT_TRANSIENT_RO => state.root_transient_ro = Some(value.as_bool()?),
                COMPOSEFS => state.composefs = Some(value.as_bool()?),
                COMPOSEFS_VERITY => state.composefs_verity = Some(value.as_bool()?),
                COMPOSEFS_SIGNED => state.composefs_signed = Some(value.as_str()?.to_owned()),
                SYSROOT_READONLY => state.sysroot_readonly = Some(value.as_bool()?),
                TRANSIENT_ETC => state.transient_etc = Some(value.as_str()?.to_owned()),
                _ => {}
            }
        }
        Ok(state)
    }

    /// The content of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let pair = |(device, inode): (u64, u64)| Value::tuple(&[device.into(), inode.into()]);
        let flag = |value: bool| Value::from(value);
        let text = |value: &String| Value::string(value);
        let entries = [
            (BACKING_ROOT, self.backing_root.map(pair)),
            (ROOT_TRANSIENT, self.root_transient.map(flag)),
            (ROOT_TRANSIENT_RO, self.root_transient_ro.map(flag)),
            (COMPOSEFS, self.composefs.map(flag)),
            (COMPOSEFS_VERITY, self.composefs_verity.map(flag)),
            (COMPOSEFS_SIGNED, self.composefs_signed.as_ref().map(text)),
            (SYSROOT_READONLY, self.sysroot_readonly.map(flag)),
            (TRANSIENT_ETC, self.transient_etc.as_ref().map(text)),
        ];
        let mut dict = DictBuilder::new();
        for (key, value) in entries {
            if let Some(value) = value {
                dict.insert(key, value);
            }
        }
        dict.build().into_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_state() -> impl Strategy<Value = RunState> {
        let text = || proptest::option::of("[^\\x00]{0,40}");
        let flags = proptest::array::uniform5(any::<Option<bool>>());
        (any::<Option<(u64, u64)>>(), flags, text(), text()).prop_map(|(backing_root, flags, signed, etc)| {
            RunState {
                backing_root,
                root_transient: flags[0],
                root_transient_ro: flags[1],
                composefs: flags[2],
                composefs_verity: flags[3],
                composefs_signed: signed,
                sysroot_readonly: flags[4],
                transient_etc: etc,
            }
        })
    }

    proptest! {
        #[test]
        fn every_state_is_read_back(state in any_state()) {
            let bytes = state.to_bytes();
            let normal = Variant::new("a{sv}", &bytes).unwrap().check_normal();
            prop_assert!(normal.is_ok());
            prop_assert_eq!(RunState::parse(&bytes).unwrap(), state);
        }

        #[test]
        fn any_bytes_are_a_state_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = RunState::parse(&bytes);
        }
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert_eq!(RunState::parse(b"").unwrap(), RunState::default());
        assert_eq!(RunState::default().to_bytes(), b"");
    }

    #[test]
    fn a_value_of_another_type_is_an_error() {
        let mut dict = DictBuilder::new();
        dict.insert(SYSROOT_READONLY, "true");
        assert!(RunState::parse(dict.build().data()).is_err());
    }

    #[test]
    fn keys_of_newer_programs_are_passed_over() {
        let mut dict = DictBuilder::new();
        dict.insert("composefs.colour", "green").insert(SYSROOT_READONLY, true);
        let state = RunState { sysroot_readonly: Some(true), ..RunState::default() };
        assert_eq!(RunState::parse(dict.build().data()).unwrap(), state);
    }

    /// Written by Debian's ostree 2025.2; device and inode, which follow the first key, are replaced by zero.
    #[test]
    fn the_bytes_are_those_of_the_c_program() {
        let written: &[&[u8]] = &[
            b"backing-root-device-inode\0\0\0\0\0\0\0",
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0(tt)\x1a\0\0",
            b"root.transient\0\0\0\0b\x0f\0\0\0\0",
            b"sysroot-ro\0\0\0\0\0\0\0\0b\x0b6Ld",
        ];
        let written = written.concat();
        let state = RunState {
            backing_root: Some((0, 0)),
            root_transient: Some(false),
            sysroot_readonly: Some(false),
            ..RunState::default()
        };
        assert_eq!(RunState::parse(&written).unwrap(), state);
        assert_eq!(state.to_bytes(), written);
    }
}
