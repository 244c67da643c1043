// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a remote is.

use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// Why nothing can be pulled from a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// A scheme that is not built, such as `http`.
    #[error("{url}: {scheme} is not supported yet; use a file:// URL or a path, or `ostree pull-local`")]
    Scheme {
        /// The URL.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// `file://` with another host, or with `%` and no two digits behind it.
    #[error("Invalid URL {0}; use file:///PATH")]
    Invalid(String),
}

/// The path that a URL names: `file:///PATH` with `%XX` undone, or a plain path as it is.
pub fn local_path(url: &str) -> Result<PathBuf, UrlError> {
    let refused = |scheme: &str| UrlError::Scheme { url: url.to_owned(), scheme: scheme.to_owned() };
    for prefix in ["mirrorlist", "metalink"] {
        if url.starts_with(&format!("{prefix}=")) {
            return Err(refused(prefix));
        }
    }
    let Some((scheme, rest)) = url.split_once("://") else { return Ok(PathBuf::from(url)) };
    if scheme != "file" {
        return Err(refused(scheme));
    }
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let bytes = path.starts_with('/').then(|| undo_percent(path)).flatten();
    let bytes = bytes.ok_or_else(|| UrlError::Invalid(url.to_owned()))?;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

fn undo_percent(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let byte = u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?;
        // No path has one.
        out.push(Some(byte).filter(|byte| *byte != 0)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (url, path) in [
            ("file:///srv/repo", "/srv/repo"),
            ("file://localhost/srv/a%20b", "/srv/a b"),
            ("/srv/a%20b", "/srv/a%20b"),
            ("build/repo", "build/repo"),
        ] {
            assert_eq!(local_path(url), Ok(PathBuf::from(path)), "{url}");
        }
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        for (url, names) in [
            ("http://host/repo", "http"),
            ("https://host/repo", "https"),
            ("mirrorlist=file:///list", "mirrorlist"),
            ("file://host/repo", "file:///PATH"),
            ("file:///a%2", "file:///PATH"),
            ("file:///a%+1", "file:///PATH"),
            ("file:///a%00", "file:///PATH"),
            ("file://", "file:///PATH"),
        ] {
            let error = local_path(url).unwrap_err().to_string();
            assert!(error.contains(names), "{url}: {error}");
        }
    }
}
