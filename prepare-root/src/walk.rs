// SPDX-License-Identifier: MIT OR Apache-2.0
//! Following a path one component at a time, below a directory and nowhere else.
//!
//! `openat2(RESOLVE_BENEATH)` would do the same in one call, but says only `ENOENT` or `EXDEV`. Who reads the
//! message sits in front of a machine that does not boot: it names the component, and the link that led there.
//! The walk also yields the path without links, and works on every kernel.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Links that one walk follows; the kernel's own bound (`MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;

/// Where and why a walk ended early. Paths are relative to the directory where the walk began.
#[derive(Debug, PartialEq, Eq)]
pub enum WalkError {
    /// Nothing has this name.
    Missing(PathBuf),
    /// A link leads to a name that nothing has.
    Dangling {
        /// The link.
        link: PathBuf,
        /// The path that is missing.
        missing: PathBuf,
    },
    /// More than 40 links.
    Loop(PathBuf),
    /// A link, or a `..`, leads out of the directory where the walk began.
    Escape(PathBuf),
    /// Neither a directory nor a link to one.
    NotADirectory(PathBuf),
    /// Not a link, where there must be one.
    NotALink(PathBuf),
    /// Anything else that the kernel says.
    Errno(PathBuf, Errno),
}

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(at) => write!(f, "/{} does not exist", at.display()),
            Self::Dangling { link, missing } => {
                write!(f, "/{} is a link to /{}, which does not exist", link.display(), missing.display())
            }
            Self::Loop(at) => write!(f, "/{} is a loop of links", at.display()),
            Self::Escape(at) => write!(f, "/{} leads out of the physical root", at.display()),
            Self::NotADirectory(at) => write!(f, "/{} is not a directory", at.display()),
            Self::NotALink(at) => write!(f, "/{} is not a symbolic link", at.display()),
            Self::Errno(at, errno) => write!(f, "opening /{}: {errno}", at.display()),
        }
    }
}

impl std::error::Error for WalkError {}

/// A place below a directory, reached without leaving it.
pub struct Walk<'root> {
    root: BorrowedFd<'root>,
    entered: Vec<(OsString, OwnedFd)>,
    links: u32,
}

/// A component still to be entered, and the link that it was read from.
struct Ahead {
    name: OsString,
    via: Option<Rc<PathBuf>>,
}

impl<'root> Walk<'root> {
    /// Stands in `root`.
    pub fn new(root: BorrowedFd<'root>) -> Self {
        Self { root, entered: Vec::new(), links: 0 }
    }

    /// Enters the directory at `path`, relative to the present place; a leading `/` is taken off.
    ///
    /// # Errors
    ///
    /// Says at which component the path ends, and why.
    pub fn enter(&mut self, path: &Path) -> Result<(), WalkError> {
        self.proceed(components(path).map(|name| Ahead { name, via: None }).collect())
    }

    /// Enters the directory that the link `name` in the present place leads to.
    ///
    /// # Errors
    ///
    /// As [`Self::enter`]; [`WalkError::NotALink`] when `name` is something else.
    pub fn enter_link(&mut self, name: &OsStr) -> Result<(), WalkError> {
        let ahead = self.follow(name)?;
        self.proceed(ahead.into())
    }

    fn proceed(&mut self, mut ahead: VecDeque<Ahead>) -> Result<(), WalkError> {
        while let Some(Ahead { name, via }) = ahead.pop_front() {
            if name == ".." {
                let outside = || via.map_or_else(|| name.into(), |link| link.to_path_buf());
                self.entered.pop().ok_or_else(|| WalkError::Escape(outside()))?;
                continue;
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(self.here(), &*name, flags, Mode::empty()) {
                Ok(fd) => self.entered.push((name, fd)),
                Err(Errno::NOTDIR | Errno::LOOP) => match self.follow(&name) {
                    Ok(target) => target.into_iter().rev().for_each(|component| ahead.push_front(component)),
                    Err(WalkError::NotALink(at)) => return Err(WalkError::NotADirectory(at)),
                    Err(error) => return Err(error),
                },
                Err(Errno::NOENT) => return Err(self.missing(&name, via.as_deref())),
                Err(errno) => return Err(WalkError::Errno(self.join(&name), errno)),
            }
        }
        Ok(())
    }

    /// The present place.
    pub fn here(&self) -> BorrowedFd<'_> {
        self.entered.last().map_or(self.root, |(_, fd)| fd.as_fd())
    }

    /// The path of the present place, relative to where the walk began, without links.
    pub fn path(&self) -> PathBuf {
        self.entered.iter().map(|(name, _)| name).collect()
    }

    /// Ends the walk; `None` for the directory where it began.
    pub fn into_directory(mut self) -> Option<OwnedFd> {
        self.entered.pop().map(|(_, fd)| fd)
    }

    /// The components of the target of the link `name` in the present place.
    fn follow(&mut self, name: &OsStr) -> Result<Vec<Ahead>, WalkError> {
        let link = self.join(name);
        let target = match rustix::fs::readlinkat(self.here(), name, Vec::new()) {
            Ok(target) => PathBuf::from(OsString::from_vec(target.into_bytes())),
            Err(Errno::INVAL) => return Err(WalkError::NotALink(link)),
            Err(Errno::NOENT) => return Err(WalkError::Missing(link)),
            Err(errno) => return Err(WalkError::Errno(link, errno)),
        };
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(WalkError::Loop(link));
        }
        // The physical root is not `/` while this runs: an absolute target would name the initramfs.
        if target.is_absolute() {
            return Err(WalkError::Escape(link));
        }
        let link = Rc::new(link);
        Ok(components(&target).map(|name| Ahead { name, via: Some(Rc::clone(&link)) }).collect())
    }

    fn missing(&self, name: &OsStr, via: Option<&PathBuf>) -> WalkError {
        let missing = self.join(name);
        match via {
            Some(link) => WalkError::Dangling { link: link.clone(), missing },
            None => WalkError::Missing(missing),
        }
    }

    fn join(&self, name: &OsStr) -> PathBuf {
        self.path().join(name)
    }
}

/// The names of a path, `..` among them, without `/` and `.`.
fn components(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::from_bytes(b"..").to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::symlink;

    fn world() -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        let at = |path: &str| temp.path().join(path);
        std::fs::create_dir_all(at("root/a/b")).unwrap();
        std::fs::create_dir(at("outside")).unwrap();
        std::fs::write(at("root/file"), "").unwrap();
        for (target, link) in [
            ("a/b", "relative"),
            ("b/..", "a/up"),
            ("../../outside", "a/escape"),
            ("/a", "absolute"),
            ("loop", "loop"),
            ("gone/x", "dangling"),
            ("file", "tofile"),
        ] {
            symlink(target, at("root").join(link)).unwrap();
        }
        temp
    }

    #[test]
    fn a_walk_names_the_place_where_it_ends() {
        let temp = world();
        let root = File::open(temp.path().join("root")).unwrap();
        let enter = |path: &str| {
            let mut walk = Walk::new(root.as_fd());
            walk.enter(Path::new(path)).map(|()| walk.path().display().to_string())
        };
        let path = PathBuf::from;
        assert_eq!(enter("/a//./b/").unwrap(), "a/b");
        assert_eq!(enter("relative/..").unwrap(), "a");
        assert_eq!(enter("a/b/../..").unwrap(), "");
        assert_eq!(enter("a/none/x"), Err(WalkError::Missing(path("a/none"))));
        assert_eq!(enter("a/.."), Ok(String::new()));
        assert_eq!(enter(".."), Err(WalkError::Escape(path(".."))));
        assert_eq!(enter("a/escape"), Err(WalkError::Escape(path("a/escape"))));
        assert_eq!(enter("absolute"), Err(WalkError::Escape(path("absolute"))));
        assert_eq!(enter("loop"), Err(WalkError::Loop(path("loop"))));
        assert_eq!(enter("file"), Err(WalkError::NotADirectory(path("file"))));
        assert_eq!(enter("tofile"), Err(WalkError::NotADirectory(path("file"))));
        let dangling = WalkError::Dangling { link: path("dangling"), missing: path("gone") };
        assert_eq!(enter("dangling"), Err(dangling));
        // `a/b/..` through a link inside `a` is `a` again.
        assert_eq!(enter("a/up/../b"), Err(WalkError::Missing(path("b"))));
    }

    #[test]
    fn a_long_chain_of_links_ends() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("0")).unwrap();
        for n in 1..=41 {
            symlink((n - 1).to_string(), temp.path().join(n.to_string())).unwrap();
        }
        let root = File::open(temp.path()).unwrap();
        let enter = |name: &str| Walk::new(root.as_fd()).enter(Path::new(name));
        assert_eq!(enter("40"), Ok(()));
        assert_eq!(enter("41"), Err(WalkError::Loop(PathBuf::from("1"))));
    }
}
