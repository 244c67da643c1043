// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key files as typed configs: serde_ini maps what our reader found, so that there is one grammar.

use std::convert::Infallible;

use serde::Deserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde_ini::parse::Item;

use super::{Keyfile, ValueError, value};

impl Keyfile {
    /// Maps the groups to the fields of `T` and their keys to the fields within. Values arrive as raw texts;
    /// a flag needs [`flag`], since serde_ini knows no booleans.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, TypedError> {
        let mut items = Vec::new();
        for group in self.groups() {
            items.push(Item::Section { name: group.to_owned() });
            for key in self.keys(group) {
                let value = self.string(group, key)?.unwrap_or_default();
                items.push(Item::Value { key: key.to_owned(), value });
            }
        }
        let mut reader = serde_ini::Deserializer::new(items.into_iter().map(Ok::<_, NoError>));
        T::deserialize(&mut reader).map_err(|e| TypedError::Shape(e.to_string()))
    }
}

/// Why a key file could not become a typed config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedError {
    /// A value with a bad escape.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A missing or ill-typed field.
    #[error("{0}")]
    Shape(String),
}

/// Reads a flag as [`Keyfile::boolean`] does; for `#[serde(deserialize_with)]`.
pub fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    let text: String = serde::Deserialize::deserialize(from)?;
    value::boolean(&text).map(Some).map_err(|why| D::Error::custom(format!("{text:?} is {why}")))
}

/// The error of an iterator that has none, in a form that serde_ini takes.
struct NoError(Infallible);

impl From<NoError> for serde_ini::de::Error {
    fn from(error: NoError) -> Self {
        match error.0 {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sysroot {
        #[serde(deserialize_with = "flag")]
        readonly: Option<bool>,
        bootloader: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Config {
        sysroot: Option<Sysroot>,
    }

    #[test]
    fn maps_groups_to_fields() {
        let text = "[other]\nx=1\n[sysroot]\nreadonly=true\nbootloader=none\nunknown=1\n";
        let config: Config = Keyfile::parse(text).unwrap().typed().unwrap();
        let sysroot = Sysroot { readonly: Some(true), bootloader: Some("none".to_owned()) };
        assert_eq!(config, Config { sysroot: Some(sysroot) });
    }

    #[test]
    fn a_bad_flag_is_an_error() {
        let file = Keyfile::parse("[sysroot]\nreadonly=maybe\n").unwrap();
        let error = file.typed::<Config>().unwrap_err();
        assert!(error.to_string().contains("neither true nor false"), "{error}");
    }
}
